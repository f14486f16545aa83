"""KerasTuner over a function that builds a `CLCEModel`."""

import keras
import numpy as np
import pytest
from train.small_models import flips, separable, small_backbone

from keras_clce import CLCELoss, CLCEModel

keras_tuner = pytest.importorskip("keras_tuner")


def build(parameters):
    model = CLCEModel(
        small_backbone(batch_norm=False),
        4,
        augmenter=flips(),
        embedding_dim=parameters.Int("embedding_dim", 3, 4),
    )
    # Trials of rate 0 stay where they began, so that the best one is known.
    rate = parameters.Choice("rate", [0.0, 0.05])
    model.compile(keras.optimizers.Adam(rate), loss=CLCELoss(0.3), metrics=["accuracy"])
    return model


@pytest.mark.any_backend
def test_a_search_finds_what_trains_and_gives_the_model_back(tmp_path):
    images, labels = separable(32)
    objective = keras_tuner.Objective("val_cross_entropy", "min")
    tuner = keras_tuner.GridSearch(build, objective, directory=tmp_path, project_name="search")
    data = {"x": images, "y": labels, "validation_data": (images, labels)}
    tuner.search(**data, batch_size=32, epochs=6, verbose=0)
    best = tuner.get_best_hyperparameters()[0]
    assert len(tuner.oracle.trials) == 4 and best.get("rate") == 0.05
    model = tuner.get_best_models()[0]
    assert model.predict(images, verbose=0)["embedding"].shape[1] == best.get("embedding_dim")
    found = model.evaluate(images, labels, verbose=0, return_dict=True)["cross_entropy"]
    np.testing.assert_allclose(found, tuner.oracle.get_best_trials()[0].score, rtol=1e-4)

"""The classifier by cosines, alone and as one of the two heads."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_clce import CLCEModel
from keras_clce.models.cosine_classifier import CosineClassifier
from keras_clce.models.heads import EmbeddingAndLogits

ROWS = np.random.default_rng(0).normal(size=(6, 8)).astype("float32")


def cosines(rows, kernel):
    return np.array(
        [[x @ w / np.linalg.norm(x) / np.linalg.norm(w) for w in kernel.T] for x in rows]
    )


@pytest.mark.parametrize("scale", [None, 4.0])
def test_logits_are_scaled_cosines_of_features_of_any_length(scale):
    layer = CosineClassifier(3, logit_scale=scale)
    logits = ops.convert_to_numpy(layer(ROWS))
    expected = (scale or 16.0) * cosines(ROWS, ops.convert_to_numpy(layer.kernel))
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(100 * ROWS)), logits, atol=1e-5)
    assert len(layer.trainable_weights) == (2 if scale is None else 1)
    assert np.isfinite(ops.convert_to_numpy(layer(0 * ROWS))).all()


def test_config_round_trip():
    for layer in (
        CosineClassifier(3, logit_scale=4.0),
        EmbeddingAndLogits(3, classifier="cosine", logit_scale=4.0),
        EmbeddingAndLogits(3, classifier="cosine"),
        EmbeddingAndLogits(3),
    ):
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
    old = EmbeddingAndLogits(3).get_config()
    del old["classifier"], old["logit_scale"]
    assert EmbeddingAndLogits.from_config(old).kind_of_classifier == "linear"


@pytest.mark.parametrize("normalization", [None, "layer", "batch", "unit"])
def test_as_a_head_it_reads_what_the_linear_one_reads(normalization):
    heads = EmbeddingAndLogits(3, feature_normalization=normalization, classifier="cosine")
    outputs = {name: ops.convert_to_numpy(value) for name, value in heads(ROWS).items()}
    kernel = ops.convert_to_numpy(heads.classifier.kernel)
    # The embedding is what is read, on unit length.
    np.testing.assert_allclose(
        outputs["logits"], 16 * cosines(outputs["embedding"], kernel), atol=1e-4
    )


@pytest.mark.parametrize("scale", [None, 8.0])
def test_a_model_trains_is_saved_and_loaded_with_it(tmp_path, scale):
    inputs = keras.Input((6, 6, 3))
    backbone = keras.Model(inputs, keras.layers.Conv2D(8, 3)(inputs))
    model = CLCEModel(backbone, 2, classifier="cosine", logit_scale=scale)
    labels = np.arange(16) % 2
    images = np.random.default_rng(1).normal(size=(16, 6, 6, 3)).astype("float32")
    images[labels == 1] += 2
    model.compile(keras.optimizers.Adam(0.01), loss="ce")
    losses = model.fit(images, labels, batch_size=16, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.heads.kind_of_classifier, loaded.heads.logit_scale) == ("cosine", scale)
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0)["logits"],
        model.predict(images, verbose=0)["logits"],
        rtol=1e-5,
        atol=1e-5,
    )
    learned = float(ops.convert_to_numpy(loaded.heads.classifier.scale))
    assert (learned == 8.0) if scale else (learned != 16.0)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classifier": "arcface"}, r"`classifier` must be one of .*'cosine'.*Received"),
        ({"classifier": None}, r"`classifier` must be one of .*Received: classifier=None"),
        ({"logit_scale": 4.0}, "`logit_scale` is for classifier='cosine'"),
        *(
            ({"classifier": "cosine", "logit_scale": scale}, "`logit_scale` must be None or a")
            for scale in (0, -1.0, float("nan"), float("inf"), "16", True)
        ),
    ],
)
def test_wrong_arguments(options, said):
    with pytest.raises(ValueError, match=said):
        EmbeddingAndLogits(3, **options)

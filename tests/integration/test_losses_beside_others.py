"""A contrastive loss on one named output of a functional model, with other losses beside it."""

import keras
import numpy as np
import pytest
import reference
from train.small_models import CLASSES, SHAPE, separable

from keras_clce import LACLNLoss

WEIGHTS = {"embedding": 0.5, "category": 1.0, "brightness": 0.1}


def model_of_three_outputs(loss_weights):
    images = keras.Input(SHAPE)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="trunk")(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = {
        "embedding": keras.layers.Dense(6, name="embedding")(x),
        "category": keras.layers.Dense(CLASSES, name="category")(x),
        "brightness": keras.layers.Dense(1, name="brightness")(x),
    }
    model = keras.Model(images, outputs)
    model.compile(
        keras.optimizers.SGD(0.1),
        loss={
            "embedding": LACLNLoss(temperature=0.2),
            "category": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "brightness": "mse",
        },
        loss_weights=loss_weights,
        metrics={"category": ["accuracy"]},
    )
    return model


def targets(images, labels):
    return {"embedding": labels, "category": labels, "brightness": images.mean(axis=(1, 2, 3))}


def test_each_output_has_its_loss_and_all_are_weighted():
    images, labels = separable(32)
    model = model_of_three_outputs(WEIGHTS)
    before = model.predict(images, verbose=0)
    logs = model.fit(images, targets(images, labels), batch_size=32, verbose=0).history
    settings = {"temperature": 0.2, "hardness": 1.0}
    embedded = before["embedding"].astype("float64")
    want = reference.mean_over_counted(*reference.lacln(labels, embedded, **settings))
    assert logs["embedding_loss"][0] == pytest.approx(want, rel=1e-5)
    scores = before["category"].astype("float64")
    chosen = scores[np.arange(32), labels] - np.log(np.exp(scores).sum(axis=1))
    assert logs["category_loss"][0] == pytest.approx(-chosen.mean(), rel=1e-5)
    parts = [WEIGHTS[name] * logs[f"{name}_loss"][0] for name in WEIGHTS]
    assert logs["loss"][0] == pytest.approx(sum(parts), rel=1e-5)
    assert "category_accuracy" in logs


def test_its_gradient_reaches_the_trunk_alone_where_the_others_count_nothing():
    images, labels = separable(32)
    model = model_of_three_outputs({"embedding": 1.0, "category": 0.0, "brightness": 0.0})
    before = {layer.name: layer.get_weights() for layer in model.layers}
    data = images, targets(images, labels)
    first = model.fit(*data, batch_size=32, epochs=5, verbose=0).history["embedding_loss"]
    moved = {
        name: any(not np.array_equal(a, b) for a, b in zip(old, new.get_weights(), strict=True))
        for (name, old), new in zip(before.items(), model.layers, strict=True)
        if old
    }
    assert moved == {"trunk": True, "embedding": True, "category": False, "brightness": False}
    assert first[-1] < first[0]
    assert model.evaluate(*data, verbose=0, return_dict=True)["embedding_loss"] < first[0]

"""Fixtures that the recipes' tests share."""

import keras
import pytest


@pytest.fixture
def tiny_backbone(tmp_path):
    """An encoder that compiles at once, as a file, which the recipes also take."""
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    path = tmp_path / "tiny.keras"
    keras.Model(inputs, x).save(path)
    return str(path)

"""Fixtures that the recipes' tests share."""

import keras
import pytest
import recipe_flags
from absl import flags


@pytest.fixture(scope="session", autouse=True)
def training_flags():
    """Define the flags of the training recipes, once for all test files."""
    recipe_flags.define_training_flags()
    return flags.FLAGS


@pytest.fixture
def tiny_backbone(tmp_path):
    """An encoder that compiles at once, as a file, which the recipes also take."""
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    path = tmp_path / "tiny.keras"
    keras.Model(inputs, x).save(path)
    return str(path)

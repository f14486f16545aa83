"""A model and photographs that the recipes of a trained model are tried on."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_clce import CLCEModel
from keras_clce.views import Preprocessing

COLOURS = {"blue": 2, "green": 1, "red": 0}


def colour_model():
    """A model that is sure of pure colours, and whose embedding is the mean colour."""
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    encoder = keras.Model(inputs, keras.layers.AveragePooling2D(16)(x))
    model = CLCEModel(
        encoder,
        3,
        feature_normalization=None,
        class_names=["blue", "green", "red"],
        preprocessing=Preprocessing(16),
    )
    kernel, bias = model.heads.classifier.kernel, model.heads.classifier.bias
    kernel.assign(9 * np.eye(3)[::-1])
    bias.assign(np.zeros(3))
    return model


def write_colours(path, count=3):
    """Write pictures of nearly one colour, fainter with their number, in folders of classes."""
    for name, channel in COLOURS.items():
        (path / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((20, 30, 3), 20 * number, np.uint8)
            pixels[..., channel] = 250 - number
            Image.fromarray(pixels).save(path / name / f"{number}.png")
    return path


@pytest.fixture
def colours(tmp_path, monkeypatch):
    """A working directory with `model.keras` and the folder `colours`."""
    monkeypatch.chdir(tmp_path)
    colour_model().save("model.keras")
    return write_colours(tmp_path / "colours")

"""Small photographs on disk, and a model that looks at them."""

import keras
import numpy as np
from PIL import Image

from keras_clce import CLCEModel
from keras_clce.views import Preprocessing

NAMES = ("ant", "bee", "cat")
SIDE = 24


def write_photographs(path, seed=0, count=4, names=NAMES):
    """Write noise in several proportions and formats, `count` files in a folder of each class."""
    rng = np.random.default_rng(seed)
    for name in names:
        (path / name).mkdir(parents=True)
        for number in range(count):
            sides = rng.integers(SIDE, 60, 2)
            image = Image.fromarray(rng.integers(0, 256, (*sides, 3), np.uint8))
            exif = Image.Exif()
            exif[0x0112] = 1 + number  # orientation
            suffix = ("png", "jpg")[number % 2]
            image.save(path / name / f"{number}.{suffix}", exif=exif)
    return path


def make_model(size=SIDE, preprocessing=True, class_names=NAMES):
    """A random model whose probabilities tell noise apart."""
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 64, offset=-2)(inputs)
    x = keras.layers.Conv2D(8, 5, strides=4, activation="relu")(x)
    x = keras.layers.Flatten()(x)
    view = Preprocessing(size, 0.8, "bicubic") if preprocessing else None
    encoder = keras.Model(inputs, keras.layers.Dense(6)(x))
    return CLCEModel(encoder, len(NAMES), class_names=class_names, preprocessing=view)

"""The small ResNet for images of 32 px, without public weights."""

from pathlib import Path

import keras

from keras_clce.models.architectures.small_resnet import small_resnet
from keras_clce.models.graphs import plain_model
from keras_clce.models.pixels import SIGNED, pixel_input, scale_pixels
from keras_clce.models.spec import Row, make_row


def build(row: Row, image_size: int, weights: str | Path | None) -> keras.Model:
    """Build the small ResNet; `weights` is `None`."""
    spec = row.spec
    pixels = pixel_input(image_size, spec.interpolation)
    features = small_resnet(scale_pixels(pixels, spec.mean, spec.std))
    return plain_model(pixels, features, spec.name)


ROWS = (make_row("small_resnet", "small ResNet", build, 32, 0.2, pixels=SIGNED),)

"""Where changes of images inside the training step get their random numbers and arithmetic."""

import types
from typing import Any

import keras
from keras import ops


class SeededDraws:
    """Draws from a seed generator of a Keras layer, on any backend.

    Args:
        generator: The seed generator, whose state each draw advances.
    """

    def __init__(self, generator: keras.random.SeedGenerator) -> None:
        self._generator = generator

    def uniform(self, shape: tuple, low: float = 0.0, high: float = 1.0) -> Any:
        """Draw uniformly from [low, high)."""
        return keras.random.uniform(shape, low, high, "float32", self._generator)

    def integers(self, shape: tuple, count: int) -> Any:
        """Draw from 0, 1, …, count - 1."""
        return keras.random.randint(shape, 0, count, "int32", self._generator)

    def sign(self, shape: tuple) -> Any:
        """Draw -1 or 1."""
        return ops.where(self.uniform(shape) > 0.5, -1.0, 1.0)

    def clipped_normal(
        self, shape: tuple, mean: float, stddev: float, low: float, high: float
    ) -> Any:
        """Draw from a normal distribution, with values outside [low, high] moved to its ends."""
        drawn = keras.random.normal(shape, mean, stddev, "float32", self._generator)
        return ops.clip(drawn, low, high)


def _count(places, bins):
    return ops.segment_sum(ops.ones_like(places), places, num_segments=bins)


def _take_pixels(images, places):
    return ops.take_along_axis(images, places[:, :, None], axis=1)


# Keras's operations under the names and with the arguments that `pixels.py` calls.
OPS = types.SimpleNamespace(
    arange=ops.arange,
    cast=ops.cast,
    clip=ops.clip,
    count=_count,
    cumsum=ops.cumsum,
    flip=ops.flip,
    fori_loop=ops.fori_loop,
    hsv_to_rgb=ops.image.hsv_to_rgb,
    look_up=lambda table, places: ops.take(table, places, axis=0),
    matmul=ops.matmul,
    max=ops.max,
    maximum=ops.maximum,
    mean=ops.mean,
    min=ops.min,
    minimum=ops.minimum,
    reshape=ops.reshape,
    rgb_to_hsv=ops.image.rgb_to_hsv,
    round=ops.round,
    shape=ops.shape,
    softmax=ops.softmax,
    stack=ops.stack,
    sum=ops.sum,
    take_pixels=_take_pixels,
    transpose=ops.transpose,
    where=ops.where,
    zeros_like=ops.zeros_like,
)

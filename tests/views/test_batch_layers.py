"""The batch forms of keras-cv's layers, against keras-cv's own."""

import keras_cv
import numpy as np
import pytest
import tensorflow as tf

from keras_clce.views import batch_layers, pipeline
from keras_clce.views.keyed_random import KeyedRandom

SIZE = 12


def _images(count, side):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


@pytest.mark.any_backend
@pytest.mark.parametrize("number", range(4))
def test_sliding_equals_keras_cvs_projective_transform(number):
    draws = KeyedRandom()
    step = pipeline._rand_augment_step(SIZE)
    slide = step.others[-1]
    batch_layers.bind([step], draws)
    layer = slide.layers[number]
    images = tf.constant(_images(11, SIZE), tf.float32)
    key = tf.constant([3, number])
    draws.start(key)
    expected = layer.augment_images(images, layer.get_random_transformation_batch(11))
    draws.start(key)
    shifts, vertical = slide._shifts(layer, 11)
    actual = slide.augment_images(images, (shifts, tf.fill([11], vertical)))
    np.testing.assert_allclose(actual, expected, atol=0.01)
    assert np.abs(expected - images).max() > 10


@pytest.mark.any_backend
def test_randaugment_gives_each_operation_its_chance():
    step = pipeline._rand_augment_step(SIZE)
    names = [type(layer).__name__ for layer in step.layers]
    assert len(step.fused) + len(step.others) - 1 + len(step.others[-1].layers) == 10
    assert [step.shares.count(share) for share in range(len(step.others) + 1)] == [4, 1, 1, 4], (
        names
    )


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("ours", "keras_cvs"),
    [
        (batch_layers.BatchAutoContrast, keras_cv.layers.AutoContrast),
        (batch_layers.BatchEqualization, keras_cv.layers.Equalization),
    ],
)
def test_batch_forms_equal_keras_cvs(ours, keras_cvs):
    images = _images(6, 24).astype("float32")
    images[1] = 0.25 * images[1] + 60.7
    images[2, ..., 1] = 77
    images[3] = np.where(images[3] > 200, 3.0, 90.0)
    images[4] = 255.0
    images = tf.constant(images)
    expected = keras_cvs((0, 255)).augment_images(images, transformations=None)
    np.testing.assert_allclose(ours((0, 255)).augment_images(images), expected, atol=1e-3)

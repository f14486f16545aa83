"""Crops of photographs: where they lie, their proportions, and their pixels."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_clce.data import ImageSplit
from keras_clce.views.resizing import crop_boxes, resize, resize_middle

pytestmark = pytest.mark.any_backend

SIZE, STORED = 12, 15


def random_images(count):
    return np.random.default_rng(0).integers(0, 256, (count, STORED, STORED, 3), np.uint8)


def _bilinear_crop(image, box, size):
    """Resize a box by explicit loops over pixel centres, the border pixels repeated."""
    height, width = image.shape[:2]
    output = np.zeros((size, size, 3))
    for row in range(size):
        for column in range(size):
            y = (box[0] + (box[2] - box[0]) * (row + 0.5) / size) * height - 0.5
            x = (box[1] + (box[3] - box[1]) * (column + 0.5) / size) * width - 0.5
            top, left = int(np.floor(y)), int(np.floor(x))
            for dy in (0, 1):
                for dx in (0, 1):
                    weight = (1 - abs(y - top - dy)) * (1 - abs(x - left - dx))
                    pixel = image[
                        np.clip(top + dy, 0, height - 1), np.clip(left + dx, 0, width - 1)
                    ]
                    output[row, column] += weight * pixel
    return output


@pytest.mark.parametrize(
    "box", [(0.2, 0.1, 0.7, 0.9), (0.1, 0.3, 0.3, 0.5), (0.0, 0.0, 0.2, 0.3), (0.5, 0.6, 1.0, 1.0)]
)
def test_crops_are_bilinear_between_pixel_centres(box):
    image = random_images(1)[0]
    got = crop_boxes(image[None], tf.constant([box], tf.float32), SIZE)[0]
    np.testing.assert_allclose(got, _bilinear_crop(image.astype(float), box, SIZE), atol=0.05)


def test_crop_of_everything_at_the_same_size_is_the_image():
    image = random_images(1)
    got = crop_boxes(image, tf.constant([[0.0, 0.0, 1.0, 1.0]]), STORED)
    np.testing.assert_allclose(got, image, atol=1e-2)


def test_light_keeps_at_least_a_quarter_of_the_area_and_crops_everywhere():
    # Red counts columns and green rows, so that a view tells which box it shows.
    ramp = np.linspace(0, 250, 64)
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 0], image[..., 1] = ramp[None, :], ramp[:, None]
    split = ImageSplit(np.repeat(image[None], 400, axis=0), np.zeros(400), 32)
    (views, _), _ = next(iter(split.view_pairs(400, policy="light")))
    views = views.numpy()
    width = np.abs(views[:, 16, -1, 0] - views[:, 16, 0, 0]) / 250
    height = np.abs(views[:, -1, 16, 1] - views[:, 0, 16, 1]) / 250
    # Contrast and saturation shrink each side of the ramp to 85 % at the utmost.
    assert (width * height).min() > 0.25 * 0.85**4
    assert np.median(width) < 0.9
    flipped = views[:, 16, -1, 0] < views[:, 16, 0, 0]
    assert 0.4 < flipped.mean() < 0.6
    upright = views[:, -1, 16, 1] > views[:, 0, 16, 1]
    assert upright.all()


@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.5])
def test_crops_keep_the_proportions_of_the_photograph(aspect):
    ramp = np.linspace(0, 250, 64)
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 0], image[..., 1] = ramp[None, :], ramp[:, None]
    images = np.repeat(image[None], 300, axis=0)
    split = ImageSplit(images, np.zeros(300), 32, flip=False, aspects=np.full(300, aspect))
    (views, _), _ = next(iter(split.view_pairs(300, policy="light")))
    views = views.numpy()
    width = aspect * (views[:, 16, -1, 0] - views[:, 16, 0, 0])
    height = views[:, -1, 16, 1] - views[:, 0, 16, 1]
    proportions = width / height
    # Colour jitter shrinks the two ramps unequally, by a few percent.
    assert proportions.min() > 0.75 * 0.85
    assert proportions.max() < 4 / 3 * 1.15
    assert proportions.min() < 0.85
    assert proportions.max() > 1.15


@pytest.mark.parametrize(("height", "width"), [(40, 60), (60, 40), (48, 48)])
def test_training_images_show_without_augmentation_what_evaluation_shows(height, width):
    places = [np.linspace(-1, 1, side) for side in (height, width)]
    waves = np.stack([np.sin(3 * places[0][:, None] + k * places[1][None, :]) for k in (1, 2, 4)])
    photograph = np.round(127 + 120 * waves.transpose(1, 2, 0)).astype(np.uint8)
    evaluated = resize_middle(photograph, SIZE, 0.75, "bilinear")
    squeezed = np.round(resize(photograph, 36, "bilinear")).astype(np.uint8)[None]
    split = ImageSplit(squeezed, [0], SIZE, crop_fraction=0.75, aspects=[width / height])
    images, _ = next(iter(split.batches(1)))
    inner = slice(1, -1)
    np.testing.assert_allclose(images[0, inner, inner], evaluated[inner, inner], atol=3)
    # Evaluation's antialiasing sees the pixels beyond the middle, which a box does not.
    np.testing.assert_allclose(images[0], evaluated, atol=8)


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 2)])
def test_the_middle_of_a_panorama_takes_no_more_than_the_middle(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    whole = Image.fromarray(image)
    scale = 16 / min(shape)
    resized = whole.resize([round(side * scale) for side in whole.size], Image.Resampling.BILINEAR)
    left, top = ((side - 12) // 2 for side in resized.size)
    got = resize_middle(image, 12, 0.75, "bilinear")
    assert got.shape == (12, 12, 3)
    oracle = np.asarray(resized.crop((left, top, left + 12, top + 12)))
    np.testing.assert_allclose(got, oracle, atol=2)

"""The evaluation view of an image: against TensorFlow's and Pillow's resize, and as a value."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

from keras_clce.views import Preprocessing

SIDES = [(40, 60), (61, 40), (48, 48), (7, 9), (1, 300), (300, 2), (144, 217), (33, 33)]


def _image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.any_backend
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("crop_fraction", [0.75, 0.875, 1.0])
@pytest.mark.parametrize("size", [16, 33, 128])
def test_it_is_what_the_tf_data_pipeline_shows(size, crop_fraction, interpolation):
    tf = pytest.importorskip("tensorflow")
    from keras_clce.views.resizing import resize_middle

    preprocessing = Preprocessing(size, crop_fraction, interpolation)
    for height, width in SIDES:
        image = _image(height, width)
        shown = tf.round(resize_middle(image, size, crop_fraction, interpolation))
        view = preprocessing(image)
        assert view.dtype == np.float32
        np.testing.assert_allclose(view, shown, atol=1e-3, err_msg=f"{height}x{width}")


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("interpolation", "resampling"),
    [("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)],
)
def test_it_is_the_middle_of_pillows_resize(interpolation, resampling):
    image = _image(90, 120)
    # Twelve pixels of sixteen are three quarters; 90 x 120 in proportion are 16 x 21.
    resized = np.asarray(Image.fromarray(image).resize((21, 16), resampling))
    view = Preprocessing(12, 0.75, interpolation)(image)
    # Pillow rounds after each of its two passes.
    np.testing.assert_allclose(view, resized[2:14, 4:16], atol=1)


@pytest.mark.any_backend
@pytest.mark.parametrize("crop_fraction", [0.5, 0.875, 1.0])
@pytest.mark.parametrize(("height", "width"), [(200, 140), (90, 240), (60, 60), (20, 200)])
def test_the_part_of_an_image_that_is_seen(height, width, crop_fraction):
    # Every pixel tells its place, and so does every pixel of the view.
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, 0 * rows], axis=-1) + 0.5
    view = Preprocessing(40, crop_fraction)(image)
    top, left, bottom, right = Preprocessing(40, crop_fraction).seen_box(height, width)
    for low, high, seen in ((top, bottom, view[:, 0, 0]), (left, right, view[0, :, 1])):
        middles = low + (high - low) * (np.arange(40) + 0.5) / 40
        # Whole numbers; an antialiased resize bends at the edges of the image.
        np.testing.assert_allclose(seen[4:-4], middles[4:-4], atol=0.6)


@pytest.mark.any_backend
def test_the_whole_image_is_kept_where_the_fraction_is_one():
    # Every value of the square is the mean of its own share of the image.
    image = np.kron(_image(4, 4), np.ones((10, 20, 1), np.uint8))
    view = Preprocessing(4, 1.0)(image)
    blurred = np.asarray(Image.fromarray(image).resize((4, 4), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(view, blurred, atol=1)
    same = _image(24, 24)
    np.testing.assert_array_equal(Preprocessing(24, 1.0, "bicubic")(same), same)


def test_tensors_floats_and_batches_give_the_same():
    image = _image(30, 44)
    preprocessing = Preprocessing(20, 0.8, "bicubic")
    view = preprocessing(image)
    np.testing.assert_array_equal(preprocessing(ops.convert_to_tensor(image)), view)
    np.testing.assert_array_equal(preprocessing(image.astype("float32")), view)
    batch = np.stack([image, image[::-1]])
    np.testing.assert_array_equal(preprocessing(batch)[0], view)
    assert preprocessing(batch).shape == (2, 20, 20, 3)
    assert preprocessing(batch[:0]).shape == (0, 20, 20, 3)


@pytest.mark.any_backend
def test_it_is_a_value_that_keras_saves():
    preprocessing = Preprocessing(np.int64(224), np.float32(0.5), "bicubic")
    saved = json.loads(json.dumps(keras.saving.serialize_keras_object(preprocessing)))
    assert saved["registered_name"] == "keras_clce>Preprocessing"
    assert keras.saving.deserialize_keras_object(saved) == preprocessing
    assert preprocessing.get_config() == {
        "image_size": 224,
        "crop_fraction": 0.5,
        "interpolation": "bicubic",
    }
    assert preprocessing != Preprocessing(224, 0.5)
    assert len({preprocessing, Preprocessing(224, 0.5, "bicubic")}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        preprocessing.image_size = 32


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"image_size": 0}, "image_size"),
        ({"image_size": 32.0}, "image_size"),
        ({"image_size": 32, "crop_fraction": 0.0}, "crop_fraction"),
        ({"image_size": 32, "crop_fraction": 1.01}, "crop_fraction"),
        ({"image_size": 32, "crop_fraction": None}, "crop_fraction"),
        ({"image_size": 32, "crop_fraction": float("nan")}, "crop_fraction"),
        ({"image_size": 32, "interpolation": "lanczos"}, "interpolation"),
    ],
)
def test_bad_arguments_are_named(arguments, name):
    with pytest.raises(ValueError, match=rf"`{name}` must be .*Received: {name}="):
        Preprocessing(**arguments)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "images",
    [np.zeros((4, 4)), np.zeros((4, 4, 4)), np.zeros((0, 4, 3)), np.zeros((4, 4, 3), bool)],
    ids=lambda images: f"{images.shape} {images.dtype}",
)
def test_images_of_another_kind_are_refused(images):
    with pytest.raises(ValueError, match=r"`images` must be .*Received: images of"):
        Preprocessing(8)(images)

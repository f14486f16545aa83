"""How images of any kind are found, named and brought to RGB in 0..255."""

import numpy as np
import pytest
from photographs import write_photographs
from PIL import Image

from keras_clce.data.decoding import decode_image
from keras_clce.inference import find_photographs
from keras_clce.inference.photographs import uint8_images

pytestmark = pytest.mark.any_backend

GRAY = np.arange(6, dtype=np.uint8).reshape(2, 3) * 50
RGB = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (GRAY, np.stack([GRAY] * 3, -1)),
        (GRAY[..., None], np.stack([GRAY] * 3, -1)),
        (RGB, RGB),
        (RGB.astype("float64"), RGB),
        (RGB / 255, RGB),
        (RGB.astype("uint16") * 257, RGB),
        (RGB.astype("int32") * 257, RGB),
        (GRAY > 100, np.stack([(GRAY > 100) * 255] * 3, -1)),
        # Opaque, and so transparent that nothing but white is left.
        (np.dstack([RGB, np.full((2, 3), 255, np.uint8)]), RGB),
        (np.dstack([RGB, np.zeros((2, 3), np.uint8)]), np.full((2, 3, 3), 255)),
    ],
)
def test_arrays_follow_the_rules_of_files(given, expected, tmp_path):
    (image,) = uint8_images(given)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, expected)
    if given.dtype in (np.uint8, np.uint16, bool) and given.shape[-1] != 1 and given.ndim == 3:
        if given.dtype == np.uint8:
            Image.fromarray(given).save(tmp_path / "a.png")
            np.testing.assert_array_equal(decode_image(tmp_path / "a.png"), image)


def test_names_and_folders(tmp_path, monkeypatch):
    write_photographs(tmp_path / "pets", count=2)
    monkeypatch.chdir(tmp_path)
    found = find_photographs("pets")
    assert [(one.name, one.folder) for one in found][:3] == [
        ("ant/0.png", "ant"),
        ("ant/1.jpg", "ant"),
        ("bee/0.png", "bee"),
    ]
    assert [one.name for one in find_photographs("pets/**/1.*")] == [
        "pets/ant/1.jpg",
        "pets/bee/1.jpg",
        "pets/cat/1.jpg",
    ]
    mixed = ["pets/ant/0.png", "pets/bee", RGB, np.stack([RGB, RGB])]
    assert [one.name for one in find_photographs(mixed)] == [
        "pets/ant/0.png",
        "pets/bee/0.png",
        "pets/bee/1.jpg",
        "image 2",
        "image 3",
        "image 1",
    ]
    assert len(find_photographs("pets", limit=4)) == 4


def test_a_name_with_signs_of_a_pattern_is_a_file(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a[1].png")
    (one,) = find_photographs(tmp_path / "a[1].png")
    np.testing.assert_array_equal(one.pixels(), RGB)


def test_thumbnails_keep_proportions(tmp_path):
    Image.fromarray(np.zeros((100, 300, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").touch()
    wide, empty = find_photographs(tmp_path)
    assert wide.thumbnail(60).shape == (20, 60, 3)
    assert empty.thumbnail() is None

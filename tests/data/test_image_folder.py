"""Folders of class folders: splits, damaged files, and the many kinds of image files."""

import numpy as np
import pytest
from PIL import Image

from keras_clce.data import load_dataset
from keras_clce.data.decoding import decode_image, is_readable

pytestmark = pytest.mark.any_backend

COLORS = {"blue": (0, 0, 255), "green": (0, 200, 0), "red": (255, 0, 0)}


def _make_class(folder, color, count, size=(9, 7)):
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", size, color).save(folder / f"{number}.png")


def _make_folder(root, count=20):
    for name, color in COLORS.items():
        _make_class(root / name, color, count)
    return root


def test_class_folders_alone_are_split_70_15_15(tmp_path):
    data = load_dataset("image_folder", image_size=4, data_dir=_make_folder(tmp_path))
    assert data.class_names == ("blue", "green", "red")
    for split, count in ((data.train, 14), (data.validation, 3), (data.test, 3)):
        images, labels = split.arrays()
        assert np.bincount(labels).tolist() == [count] * 3
        expected = np.array(list(COLORS.values()))[labels]
        np.testing.assert_array_equal(images.mean(axis=(1, 2)), expected)
    assert "seeded, stratified 70/15/15" in data.split_note


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_folders_of_three_splits_are_taken_as_they_are(tmp_path, validation):
    for part, count in (("train", 4), (validation, 3), ("test", 2)):
        _make_folder(tmp_path / part, count)
    data = load_dataset("image_folder", image_size=4, data_dir=tmp_path)
    counts = [split.num_examples for split in (data.train, data.validation, data.test)]
    assert counts == [12, 9, 6]
    assert f"train/{validation}/test" in data.split_note


def test_without_a_validation_folder_a_tenth_is_held_out(tmp_path):
    _make_folder(tmp_path / "train", 10)
    _make_folder(tmp_path / "test", 2)
    data = load_dataset("image_folder", image_size=4, data_dir=tmp_path)
    assert (data.train.num_examples, data.validation.num_examples) == (27, 3)
    assert "held out" in data.split_note


def test_a_split_that_lacks_a_class_is_named(tmp_path):
    _make_folder(tmp_path / "train", 3)
    _make_folder(tmp_path / "test", 3)
    (tmp_path / "test" / "red").rename(tmp_path / "test" / "pink")
    with pytest.raises(ValueError, match="missing: red; not in the training split: pink"):
        load_dataset("image_folder", image_size=4, data_dir=tmp_path)


def test_folders_of_splits_without_train_are_refused(tmp_path):
    _make_folder(tmp_path / "val", 3)
    _make_folder(tmp_path / "test", 3)
    with pytest.raises(ValueError, match=r"train/ and, if you like, .*with test/, val/"):
        load_dataset("image_folder", image_size=4, data_dir=tmp_path)


def _damage(root):
    good = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    cut = root / "red" / "cut.jpg"
    Image.fromarray(good).save(cut)
    cut.write_bytes(cut.read_bytes()[:1500])
    (root / "blue" / "notes.txt").write_text("not an image")
    (root / "green" / "empty.png").write_bytes(b"")
    (root / "green" / ".hidden").write_text("passed over")


def test_damaged_files_are_skipped_counted_and_named_once(tmp_path):
    _make_folder(tmp_path)
    _damage(tmp_path)
    with pytest.warns(UserWarning, match="Skipped 3 files") as caught:
        data = load_dataset("image_folder", image_size=4, data_dir=tmp_path)
    warning = [str(one.message) for one in caught if "Skipped" in str(one.message)]
    assert len(warning) == 1
    for name in ("cut.jpg", "notes.txt", "empty.png"):
        assert name in warning[0]
    assert ".hidden" not in warning[0]
    total = sum(split.num_examples for split in (data.train, data.validation, data.test))
    assert total == 60


def test_damaged_files_are_an_error_where_strict(tmp_path):
    _make_folder(tmp_path)
    _damage(tmp_path)
    with pytest.raises(ValueError, match=r"3 that are not: .*notes\.txt"):
        load_dataset("image_folder", image_size=4, data_dir=tmp_path, strict=True)


def test_class_folders_without_images_are_listed(tmp_path):
    _make_folder(tmp_path)
    (tmp_path / "violet").mkdir()
    (tmp_path / "white").mkdir()
    (tmp_path / "white" / "a.png").write_text("no")
    with (
        pytest.warns(UserWarning, match="Skipped 1 files"),
        pytest.raises(ValueError, match="class folders without any: violet, white"),
    ):
        load_dataset("image_folder", image_size=4, data_dir=tmp_path)


def test_folder_without_class_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="one folder of images per class"):
        load_dataset("image_folder", image_size=4, data_dir=tmp_path)


def test_classes_too_small_to_split(tmp_path):
    _make_folder(tmp_path, count=2)
    with pytest.raises(ValueError, match="3 images or more"):
        load_dataset("image_folder", image_size=4, data_dir=tmp_path)


def test_caltech256_trains_on_60_a_class(tmp_path):
    _make_folder(tmp_path, count=80)
    data = load_dataset("caltech256", image_size=4, data_dir=tmp_path)
    assert np.bincount(data.train.labels).tolist() == [60] * 3
    assert np.bincount(data.validation.labels).tolist() == [4] * 3
    assert np.bincount(data.test.labels).tolist() == [16] * 3
    with pytest.raises(ValueError, match=r"must have 62 images.*fewer in gray"):
        _make_class(tmp_path / "gray", (9, 9, 9), 61)
        load_dataset("caltech256", image_size=4, data_dir=tmp_path)


def _gradient(mode):
    values = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    return Image.fromarray(values).convert(mode)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_orientation_of_an_uncompressed_tiff_is_applied(dtype, tmp_path):
    pixels = np.arange(8 * 16).reshape(8, 16).astype(dtype) * (257 if dtype == np.uint16 else 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.tif", exif=exif)
    turned = np.rot90(pixels, -1) // (257 if dtype == np.uint16 else 1)
    decoded = decode_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(decoded, np.repeat(turned[..., None], 3, axis=-1))


def test_orientation_of_cameras_is_applied(tmp_path):
    image = Image.new("RGB", (6, 4), "white")
    image.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    got = decode_image(tmp_path / "a.png")
    # Orientation 6: to be turned by 90 degrees clockwise, so that the corner goes to the right.
    assert got.shape == (6, 4, 3)
    np.testing.assert_array_equal(got, np.rot90(np.asarray(image), -1))


def _with_broken_checksum(path):
    Image.new("RGB", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"IEND") - 5] ^= 1  # the last byte of the checksum of the pixels
    path.write_bytes(content)


def _with_nan(path):
    Image.fromarray(np.array([[0.5, np.nan]], np.float32)).save(path)


@pytest.mark.parametrize(("damage", "suffix"), [(_with_broken_checksum, "png"), (_with_nan, "tif")])
def test_what_would_decode_to_other_pixels_is_damaged(damage, suffix, tmp_path):
    damage(tmp_path / f"a.{suffix}")
    with pytest.raises(OSError, match="must be a readable image"):
        decode_image(tmp_path / f"a.{suffix}")
    assert not is_readable(tmp_path / f"a.{suffix}")


def test_gray_palette_and_cmyk_become_rgb(tmp_path):
    gray = np.asarray(_gradient("L"))
    for mode, suffix, tolerance in (("L", "png", 0), ("P", "gif", 0), ("CMYK", "tif", 1)):
        path = tmp_path / f"{mode}.{suffix}"
        source = _gradient("RGB").convert(mode) if mode == "CMYK" else _gradient(mode)
        source.save(path)
        got = decode_image(path)
        assert got.shape == (4, 6, 3)
        np.testing.assert_allclose(got, np.repeat(gray[..., None], 3, 2), atol=tolerance)


def test_sixteen_bits_are_scaled_not_cut_off(tmp_path):
    values = np.linspace(0, 65535, 24).reshape(4, 6).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    got = decode_image(tmp_path / "a.png")
    np.testing.assert_allclose(got[..., 1], values / 257.0, atol=1)


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (5, 5), color) for color in COLORS.values()]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (decode_image(tmp_path / "a.gif") == (0, 0, 255)).all()


def test_transparent_pixels_are_laid_on_white(tmp_path):
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.save(tmp_path / "a.png")
    assert decode_image(tmp_path / "a.png").tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_odd_files_go_through_the_loader(tmp_path):
    _make_folder(tmp_path, count=4)
    Image.fromarray(np.full((5, 3), 40000, np.uint16)).save(tmp_path / "red" / "deep.png")
    _gradient("RGB").convert("CMYK").save(tmp_path / "red" / "print.jpg")
    data = load_dataset("image_folder", image_size=4, data_dir=tmp_path)
    total = sum(split.num_examples for split in (data.train, data.validation, data.test))
    assert total == 14

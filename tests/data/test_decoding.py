"""Why an image file cannot be read."""

import numpy as np
import pytest
from PIL import Image

from keras_clce.data import load_dataset
from keras_clce.data.decoding import decode_image, is_readable, why_unreadable

pytestmark = pytest.mark.any_backend

# The first bytes of each format, by its specification.
STARTS = {
    "HEIC": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00",
    "JPEG XL": b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a",
}


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "whole.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def check(path, kind, detail=""):
    got, more = why_unreadable(path)
    assert got == kind and detail in more
    assert not is_readable(path)
    with pytest.raises(OSError, match=f"must be a readable image \\({kind}"):
        decode_image(path)


def test_a_whole_file_has_no_reason(photograph):
    assert why_unreadable(photograph) is None


def test_more_pixels_than_pillow_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    Image.new("1", (20, 10)).save(tmp_path / "a.png")
    raised = "(200 pixels) exceeds limit of 100 pixels; raise PIL.Image.MAX_IMAGE_PIXELS, now 50"
    check(tmp_path / "a.png", "above Pillow's pixel limit", raised)


def test_cut_short_empty_and_no_image(photograph, tmp_path):
    content = photograph.read_bytes()
    for name, written, kind, detail in (
        ("cut.jpg", content[: len(content) // 2], "damaged or cut short", "truncated"),
        ("empty.jpg", b"", "empty", ""),
        ("notes.jpg", b"some text", "no image format that Pillow knows", ""),
    ):
        (tmp_path / name).write_bytes(written)
        check(tmp_path / name, kind, detail)


@pytest.mark.parametrize("name", STARTS)
def test_formats_that_need_a_plug_in(name, tmp_path):
    (tmp_path / "a.jpg").write_bytes(STARTS[name] + bytes(40))
    check(tmp_path / "a.jpg", f"{name} without a plug-in of Pillow", "convert it to JPEG or PNG")


def test_no_permission_and_no_file(photograph, tmp_path, monkeypatch):
    check(tmp_path / "gone.jpg", "missing file or dead link")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    # The administrator, who runs many tests, may read whatever the mode of a file is.
    monkeypatch.setattr(Image, "open", refuse)
    check(photograph, "no permission")


def test_reasons_are_said_for_the_first_and_counted_for_all(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.new("RGB", (6, 6)).save(tmp_path / name / f"{number}.png")
    for number in range(12):
        (tmp_path / "a" / f"empty{number:02}.jpg").touch()
    (tmp_path / "b" / "x.heic").write_bytes(STARTS["HEIC"])
    counted = r"and 3 more\. Of each kind: 12 empty, 1 HEIC without a plug-in of Pillow$"
    with pytest.warns(UserWarning, match=rf"Skipped 13 files.*empty00\.jpg \(empty\), .*{counted}"):
        load_dataset("image_folder", image_size=4, data_dir=tmp_path)
    with pytest.raises(ValueError, match=rf"13 that are not: .*00\.jpg \(empty\).*{counted}"):
        load_dataset("image_folder", image_size=4, data_dir=tmp_path, strict=True)

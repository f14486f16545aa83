"""Image files: every kind that Pillow writes, whole and damaged, alone and through the loader."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mutations import mutate, outcome
from PIL import Image

from keras_clce.data import load_dataset
from keras_clce.data.decoding import decode_image, is_readable

# Formats whose content has checksums, so that no flipped bit may go unnoticed.
CHECKED = ("png",)
SHAPES = ((1, 1), (1, 7), (9, 1), (8, 8), (13, 21), (40, 56))
LONG = ((1, 10_000), (10_000, 1))
# What a viewer does for each value of EXIF's orientation, on an array (height, width, 3).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


def picture(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Smooth colours with a little noise, uint8 (height, width, 3)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = [
        np.sin(x / rng.uniform(3, 9) + y / rng.uniform(3, 9) + rng.uniform(0, 6)) for _ in "rgb"
    ]
    pixels = 127 + 100 * np.stack(waves, -1) + rng.normal(0, 4, (*shape, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def encoded(rng: np.random.Generator) -> tuple[str, bytes, np.ndarray, float]:
    """An image file.

    Returns:
        Its suffix, its bytes, the pixels that a viewer shows, and by how much a lossy format may
        differ from them on average.
    """
    lengths = LONG if rng.random() < 0.03 else SHAPES
    rgb = picture(rng, lengths[rng.integers(len(lengths))])
    gray = rgb[..., 0]
    shown = np.repeat(gray[..., None], 3, -1)
    options, frames, tolerance, suffix, expected = {}, [], 0.0, "png", rgb
    kind = rng.integers(14)
    if kind in (0, 1, 2):  # photographs, with the orientation that a camera writes
        image, suffix, tolerance = Image.fromarray(rgb), "jpg", 12.0
        options = {"quality": 95, "progressive": bool(kind == 1)}
        if kind == 2:
            orientation = int(rng.integers(1, 9))
            exif = Image.Exif()
            exif[0x0112] = orientation
            options["exif"], expected = exif, UPRIGHT[orientation](rgb)
    elif kind == 3:
        image, suffix, tolerance, expected = Image.fromarray(gray), "jpg", 6.0, shown
    elif kind == 4:
        image, suffix, tolerance = Image.fromarray(rgb).convert("CMYK"), "jpg", 12.0
    elif kind == 5:
        image, suffix, tolerance = Image.fromarray(rgb).convert("CMYK"), "tif", 1.0
    elif kind == 6:
        image = Image.fromarray(rgb)
    elif kind == 7:
        image, expected = Image.fromarray(gray), shown
    elif kind == 8:
        image = Image.fromarray(gray.astype(np.uint16) * 257)
        expected = shown
    elif kind == 9:  # half of the pixels clear, which shows white
        clear = rng.random(gray.shape) < 0.5
        image = Image.fromarray(np.dstack([rgb, np.where(clear, 0, 255).astype(np.uint8)]))
        expected = np.where(clear[..., None], 255, rgb)
    elif kind == 10:
        image = Image.fromarray(gray > 127)
        expected = np.where(shown > 127, 255, 0)
    elif kind in (11, 12):  # a palette, and a second frame in the first's place
        image = Image.fromarray(gray // 64 * 64, "L").convert("P")
        expected, suffix = shown // 64 * 64, "gif" if kind == 11 else "png"
        frames = [Image.fromarray(255 - gray, "L").convert("P")]
    else:
        image, suffix = Image.fromarray(gray.astype(np.float32) / 255), "tif"
        expected, tolerance = shown, 1.0
        if gray.max() < 2:
            expected = shown * 255.0
    if frames:
        options |= {"save_all": True, "append_images": frames}
    file = io.BytesIO()
    image.save(file, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()), **options)
    return suffix, file.getvalue(), expected, tolerance


def make(folder: Path) -> Callable[[np.random.Generator], str]:
    """The cases of this domain."""
    # Pillow warns of much that it can still read.
    warnings.simplefilter("ignore")

    def case(rng: np.random.Generator) -> str:
        if rng.random() < 0.02:
            return through_the_loader(folder, rng)
        suffix, content, expected, tolerance = encoded(rng)
        path = folder / f"image.{suffix}"
        path.write_bytes(content)
        whole = decode_image(path)
        if rng.random() < 0.2:
            pixels = whole
            assert is_readable(path)
            assert pixels.dtype == np.uint8 and pixels.shape == expected.shape
            difference = np.abs(pixels.astype(float) - expected).mean()
            assert difference <= tolerance, f"{suffix}: pixels differ by {difference} on average"
            return f"whole {suffix}: decoded"
        damaged = mutate(content, rng)
        path.write_bytes(damaged)
        kind, pixels = outcome(lambda: decode_image(path), OSError)
        assert is_readable(path) == (kind == "ok"), "the scan and the decoder disagree"
        if kind != "ok":
            return f"damaged {suffix}: refused"
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
        same = np.array_equal(pixels, whole)
        assert same or suffix not in CHECKED, f"{suffix}: other pixels in spite of checksums"
        return f"damaged {suffix}: decoded{'' if same else ', which its format cannot tell'}"

    return case


def through_the_loader(folder: Path, rng: np.random.Generator) -> str:
    """A folder of class folders of whole and damaged files, loaded and drawn from."""
    root = folder / f"folder-{rng.integers(2**60)}"
    readable = 0
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for number in range(8):
            suffix, content, _, _ = encoded(rng)
            damaged = rng.random() < 0.3
            path = root / name / f"{number}.{suffix}"
            path.write_bytes(mutate(content, rng) if damaged else content)
            readable += is_readable(path)
    kind, data = outcome(
        lambda: load_dataset("image_folder", image_size=8, data_dir=root), ValueError, OSError
    )
    if kind != "ok":
        return f"folder: {kind}"
    splits = (data.train, data.validation, data.test)
    assert sum(split.num_examples for split in splits) == readable
    for split in splits:
        images, _ = split.arrays()
        assert images.shape == (split.num_examples, 8, 8, 3)
    (first, second), _ = next(iter(data.train.view_pairs(2)))
    for view in (first.numpy(), second.numpy()):
        assert np.isfinite(view).all() and view.min() >= 0 and view.max() <= 255
    return "folder: loaded"

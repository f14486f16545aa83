"""Images of any kind, found and named: files, folders, patterns, PIL images, arrays."""

import dataclasses
import glob
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.checks import as_array
from keras_clce.data.decoding import UnreadableImage, decode_image
from keras_clce.data.image_folder import files_below
from keras_clce.data.installed import pillow
from keras_clce.data.labels_csv import has_labels_csv, read_labels_csv
from keras_clce.files import printable_text

_CHANNELS = (1, 3, 4)
_EXPECTED = (
    "`images` must be a folder, a file, a pattern of files, a PIL image, an array of images "
    "(height, width, channels) or (images, height, width, channels), or a list of them"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Photograph:
    """An image that is not decoded yet.

    Args:
        name: Its name, of a file in a folder the path within the folder.
        source: A path, a PIL image, a uint8 array, or the reason why there is no image.
        folder: Name of the folder that it lies in directly below the one that was given, `None`
            where there is none; with a `labels.csv` the image's one label. Defaults to `None`.
        labels: Its labels in a `labels.csv`; `None` without one. Defaults to `None`.

    Example:
    ```python
    Photograph("black", np.zeros((4, 6, 3), "uint8")).pixels().shape  # (4, 6, 3)
    ```
    """

    name: str
    source: Any
    folder: str | None = None
    labels: tuple[str, ...] | None = None

    @property
    def class_folder(self) -> str | None:
        """That folder as data sets write the name of a class."""
        return self.folder and printable_text(self.folder)

    def pixels(self) -> np.ndarray:
        """Decode it as training decodes its images.

        Returns:
            uint8 RGB array `(height, width, 3)`.

        Raises:
            UnreadableImage: If it cannot be read; the error has the reason.
        """
        if isinstance(self.source, UnreadableImage):
            raise self.source
        if isinstance(self.source, np.ndarray):
            return self.source
        return decode_image(self.source)

    def thumbnail(self, side: int = 160) -> np.ndarray | None:
        """A small picture of all of it.

        Args:
            side: Its longer side, in pixels. Defaults to 160.

        Returns:
            uint8 RGB array, or `None` where the image cannot be read.

        Example:
        ```python
        find_photographs("pets")[0].thumbnail(16).shape  # (16, 16, 3)
        ```
        """
        try:
            image = pillow().fromarray(self.pixels())
        except UnreadableImage:
            return None
        image.thumbnail((side, side))
        return np.asarray(image)


def find_photographs(images: Any, limit: int | None = None) -> list[Photograph]:
    """Find and name images; nothing is decoded.

    Args:
        images: A folder with files in it or in folders below, a file, a pattern such as
            `"photos/*.jpg"`, a PIL image, an array, or a list of any of them. Hidden files are
            passed over, links are followed. Of a folder with a `labels.csv`, the files that it
            names.
        limit: Most images. Defaults to `None`, all.

    Returns:
        The images; those of a folder sorted by their path.

    Raises:
        FileNotFoundError: If a path is not there, or there is no file in a folder.
        ValueError: If something is no image.

    Example:
    ```python
    len(find_photographs("pets", limit=3))  # 3
    find_photographs("pets/owl/*.png")[0].name  # "pets/owl/0.png"
    ```
    """
    found = list(itertools.islice(_each(images), limit))
    if not found:
        raise ValueError(f"{_EXPECTED}. Received: images={images!r}, which has none")
    return found


def _each(images: Any) -> Iterator[Photograph]:
    if isinstance(images, (str, Path)):
        yield from _files(Path(images).expanduser())
    elif isinstance(images, (list, tuple)):
        for number, one in enumerate(images):
            # Images without names have their place in the list as such.
            yield from (
                dataclasses.replace(photograph, name=f"image {number}")
                if photograph.name == "image 0"
                else dataclasses.replace(photograph, name=f"{one}/{photograph.name}")
                if isinstance(one, (str, Path)) and Path(one).expanduser().is_dir()
                else photograph
                for photograph in _each(one)
            )
    elif _is_pillow(images):
        name = getattr(images, "filename", "")
        yield Photograph(str(name) or "image 0", images)
    elif hasattr(images, "shape"):
        arrays = uint8_images(images)
        for number, array in enumerate(arrays):
            yield Photograph(f"image {number}", array)
    else:
        raise ValueError(f"{_EXPECTED}. Received: images={_shown(images)}")


def _files(path: Path) -> Iterator[Photograph]:
    if path.is_dir() and has_labels_csv(path):
        for row in read_labels_csv(path, multi_label=True):
            own = row.labels[0] if len(row.labels) == 1 else None
            yield Photograph(str(row.path.relative_to(path)), row.path, own, row.labels)
    elif path.is_dir():
        files, closed = files_below(path, path)
        for file in files:
            name = file.relative_to(path)
            yield Photograph(str(name), file, name.parts[0] if len(name.parts) > 1 else None)
        for folder, *reason in closed:
            yield Photograph(str(folder.relative_to(path)), UnreadableImage(*reason))
        if not files and not closed:
            raise FileNotFoundError(
                "`images` must be a folder with images in it. Received: "
                f"images={printable_text(path)!r}, which has no file"
            )
    elif path.is_file():
        yield Photograph(str(path), path)
    else:
        matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
        files = [match for match in matches if match.is_file()]
        if not files:
            what = "a folder, a file or a pattern of files"
            raise FileNotFoundError(
                f"`images` must be {what}. Received: images={printable_text(path)!r}, which is "
                "not there"
            )
        yield from (Photograph(str(file), file) for file in files)


def uint8_images(images: Any) -> Sequence[np.ndarray]:
    """Bring an array of images to RGB in 0..255, by the rules that hold for files.

    Args:
        images: `(height, width)`, `(height, width, channels)` or `(images, height, width,
            channels)` with 1, 3 or 4 channels, of any framework. Whole numbers above 255 are taken
            for 16 bits, numbers that are not whole for a scale of 0 to 1 where none exceeds 1.
            Transparent pixels are laid on white.

    Returns:
        uint8 arrays `(height, width, 3)`.

    Raises:
        ValueError: If the array has another shape, or numbers outside of these ranges.

    Example:
    ```python
    uint8_images(np.full((2, 4, 6, 1), 0.5))[1].shape  # (4, 6, 3)
    ```
    """
    values = as_array(images)
    shape, dtype = values.shape, values.dtype
    values = values[..., None] if values.ndim == 2 else values
    values = values[None] if values.ndim == 3 else values
    if values.ndim != 4 or values.shape[-1] not in _CHANNELS or not values.size:
        raise ValueError(f"{_EXPECTED}; channels are 1, 3 or 4. Received: images of shape {shape}")
    if dtype.kind not in "fiub":
        raise ValueError(f"`images` must be numbers. Received: images of dtype {dtype}")
    if dtype != np.uint8:
        low, high = values.min(), values.max()
        most = 255 if dtype.kind == "f" else 65_535
        if not 0 <= low <= high <= most:
            raise ValueError(
                f"`images` must have pixels in 0..255, 0..1 or 16 bits. Received: {dtype} from "
                f"{low} to {high}"
            )
        unit = dtype.kind == "b" or (dtype.kind == "f" and high <= 1)
        divisor = 257 if high > 255 or dtype == np.uint16 else 1
        values = np.rint(values * 255.0 if unit else values / divisor).astype(np.uint8)
    if values.shape[-1] == 4:
        alpha = values[..., 3:] / 255.0
        values = np.rint(values[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return [np.repeat(one, 3, axis=-1) if one.shape[-1] == 1 else one for one in values]


def _is_pillow(image: Any) -> bool:
    """Whether it is a PIL image, asked without importing Pillow."""
    return any(kind.__module__ == "PIL.Image" for kind in type(image).__mro__)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:77]}…"

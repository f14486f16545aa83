"""Images in class folders: finding them, checking them, decoding them with Pillow."""

import dataclasses
import pathlib
import warnings
from collections.abc import Collection, Sequence
from concurrent import futures

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from keras_clce.data.records import Records

_MOST_NAMED = 10
_CHECK_SIDE = 64


@dataclasses.dataclass(frozen=True)
class FolderImages:
    """Readable images of a folder of class folders.

    Args:
        paths: one path per image, sorted within each class.
        labels: integer labels of the same length.
        class_names: names of the class folders, sorted.
    """

    paths: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    @property
    def num_examples(self) -> int:
        """Number of images."""
        return len(self.paths)

    def read_labels(self) -> np.ndarray:
        """Give the labels (images,)."""
        return self.labels

    def select(self, indices: np.ndarray) -> "FolderImages":
        """Give the images at these indices."""
        return FolderImages(self.paths[indices], self.labels[indices], self.class_names)

    def records(self) -> Records:
        """Give the paths as records that Pillow decodes."""

        def decode(path, label):
            image = tf.numpy_function(_decode_path, [path], tf.uint8, stateful=False)
            return tf.ensure_shape(image, (None, None, 3)), label

        dataset = tf.data.Dataset.from_tensor_slices((self.paths, self.labels))
        # Paths are small, so that all of them are shuffled together.
        return Records(dataset, decode, self.num_examples, shuffle_buffer=self.num_examples)


def scan_class_folders(
    folder: pathlib.Path,
    strict: bool = False,
    class_names: tuple[str, ...] | None = None,
    only: Collection[str] | None = None,
) -> FolderImages:
    """Find the images below the class folders of `folder` and check that each can be read.

    Every file is opened and decoded once (JPEG files at a fraction of their size), so that one
    that is cut short is found before training and not in its middle. Hidden files are passed over.

    Args:
        folder: has one folder per class; images may lie in folders below.
        strict: whether a file that is no readable image is an error.
        class_names: names that the class folders must have; None takes those that are there.
        only: names of the class folders that count; None takes all.

    Returns:
        The images.

    Raises:
        FileNotFoundError: if the folder has no class folder.
        ValueError: if a class folder has no image, if `strict` and a file cannot be read, or if
            the class folders are not `class_names`.

    Example:
        >>> import keras, numpy, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> (root / "cat").mkdir()
        >>> keras.utils.save_img(root / "cat" / "1.png", numpy.zeros((4, 4, 3)))
        >>> scan_class_folders(root).class_names
        ('cat',)
    """
    classes = [path for path in class_folders(folder) if only is None or path.name in only]
    if not classes:
        raise FileNotFoundError(
            f"`data_dir` must have one folder of images per class. Received: data_dir={folder}, "
            "which has no folder"
        )
    names = tuple(path.name for path in classes)
    if class_names is not None and names != class_names:
        missing = ", ".join(sorted(set(class_names) - set(names))) or "none"
        extra = ", ".join(sorted(set(names) - set(class_names))) or "none"
        raise ValueError(
            "Every split must have the same class folders as the training split. Received: "
            f"data_dir={folder}, missing: {missing}; not in the training split: {extra}"
        )
    paths, labels = [], []
    for label, class_folder in enumerate(classes):
        files = sorted(path for path in class_folder.rglob("*") if _is_visible_file(path, folder))
        paths += files
        labels += [label] * len(files)
    with futures.ThreadPoolExecutor() as pool:
        readable = np.array(list(pool.map(is_readable, paths)), bool)
    _report_unreadable(
        [path for path, good in zip(paths, readable, strict=True) if not good], strict
    )
    labels = np.array(labels, np.int64)[readable]
    counts = np.bincount(labels, minlength=len(names))
    if (counts == 0).any():
        empty = ", ".join(names[label] for label in np.flatnonzero(counts == 0))
        raise ValueError(
            "Every class folder must have at least one readable image. Received: "
            f"data_dir={folder}, class folders without any: {empty}"
        )
    paths = np.array([str(path) for path in paths])[readable]
    return FolderImages(paths, labels, names)


def class_folders(folder: pathlib.Path) -> list[pathlib.Path]:
    """List the folders directly below `folder`, hidden ones left out, sorted by name."""
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def named(items: Sequence) -> str:
    """Name the first ten of some things, and say how many more there are.

    Example:
        >>> named(["a", "b"])
        'a, b'
    """
    more = len(items) - _MOST_NAMED
    return ", ".join(map(str, items[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def decode_image(path: str | pathlib.Path) -> np.ndarray:
    """Decode an image file of any kind that Pillow reads.

    The orientation written by cameras is applied, the first frame of an animation is taken,
    transparent pixels are laid on white, 16-bit gray is scaled to 8 bits, and floats are taken to
    be within [0, 1] where none exceeds 1.

    Args:
        path: the file.

    Returns:
        uint8 RGB array (height, width, 3).

    Raises:
        OSError: if the file is no image or is damaged.

    Example:
        >>> import keras, numpy, tempfile
        >>> path = tempfile.mkdtemp() + "/1.png"
        >>> keras.utils.save_img(path, numpy.zeros((4, 6, 3)))
        >>> decode_image(path).shape
        (4, 6, 3)
    """
    try:
        return _decode(path)
    # Pillow's decoders raise many kinds of errors on damaged files.
    except Exception as error:
        raise OSError(
            f"`path` must be a readable image ({type(error).__name__}: {error}). "
            f"Received: path={str(path)!r}"
        ) from error


def is_readable(path: pathlib.Path) -> bool:
    """Say whether `decode_image` can decode the whole file."""
    try:
        _decode(path, _CHECK_SIDE)
    except Exception:
        return False
    return True


def _decode(path: str | pathlib.Path, least_side: int | None = None) -> np.ndarray:
    """Decode, from a JPEG file no more pixels than give that side at least."""
    with Image.open(path) as file:
        file.verify()  # a PNG file's checksums, which decoding passes over
    with Image.open(path) as file:
        if least_side is not None:
            file.draft("RGB", (least_side, least_side))
        image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I;16") or image.mode in ("I", "F"):
            # Pillow's own conversion cuts values above 255 off. It reads some 16-bit files as "I",
            # which tells nothing about the range.
            values = np.asarray(image, np.float64)
            if not np.isfinite(values).all():
                raise ValueError("it has pixels that are no finite numbers")
            sixteen_bits = image.mode.startswith("I;16") or values.max() > 255
            unit = image.mode == "F" and values.max() <= 1
            scale = 1 / 255 if unit else 257 if sixteen_bits else 1
            image = Image.fromarray(np.clip(np.rint(values / scale), 0, 255).astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))


def _decode_path(path: bytes) -> np.ndarray:
    return decode_image(path.decode())


def _is_visible_file(path: pathlib.Path, folder: pathlib.Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.is_file() and not hidden


def _report_unreadable(paths: list[pathlib.Path], strict: bool) -> None:
    if not paths:
        return
    if strict:
        raise ValueError(
            "Every file must be a readable image where `strict` is set. Received: strict=True and "
            f"{len(paths)} that are not: {named(paths)}"
        )
    warnings.warn(
        f"Skipped {len(paths)} files that are not readable images: {named(paths)}", stacklevel=3
    )

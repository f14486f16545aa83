"""Images in class folders: finding them and checking that each can be read."""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import warnings
from collections.abc import Collection, Sequence
from concurrent import futures

import numpy as np

from keras_clce.data.decoding import decode_image, in_words, why_unreadable
from keras_clce.data.examples import Records
from keras_clce.data.installed import pillow, tensorflow
from keras_clce.data.splitting import mixed_order, named, strata
from keras_clce.files import printable_text


@dataclasses.dataclass(frozen=True)
class FolderImages:
    """Readable images of a folder.

    Args:
        paths: One path per image.
        labels: Integer labels of the same length, or rows of 0 and 1 of several labels.
        class_names: Names of the classes, sorted.
    """

    paths: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]

    @property
    def num_examples(self) -> int:
        """Number of images."""
        return len(self.paths)

    def read_labels(self) -> np.ndarray:
        """Give the labels (images,), or (images, classes) of several labels."""
        return self.labels

    def select(self, indices: np.ndarray) -> FolderImages:
        """Give the images at these indices."""
        return FolderImages(self.paths[indices], self.labels[indices], self.class_names)

    def mixed(self) -> FolderImages:
        """Give the images in an order that does not follow the classes."""
        return self.select(mixed_order(strata(self.labels)))

    def records(self) -> Records:
        """Give the paths as records that Pillow decodes."""
        tf = tensorflow()

        def decode(path, label):
            image = tf.numpy_function(_decode_path, [path], tf.uint8, stateful=False)
            return tf.ensure_shape(image, (None, None, 3)), label

        # TensorFlow takes text in UTF-8 alone, and names of files may be any bytes.
        paths = np.array([os.fsencode(path) for path in self.paths])
        dataset = tf.data.Dataset.from_tensor_slices((paths, self.labels))
        # Paths are small, so that all of them are shuffled together.
        return Records(
            dataset,
            decode,
            self.num_examples,
            shuffle_buffer=self.num_examples,
            label_axes=self.labels.ndim - 1,
        )


def scan_class_folders(
    folder: pathlib.Path,
    strict: bool = False,
    class_names: tuple[str, ...] | None = None,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    allow_empty: bool = False,
) -> FolderImages:
    """Find the images below the class folders of `folder` and check that each can be read.

    Every file is opened and decoded once (JPEG files at a fraction of their size), so that one
    that is cut short is found before training and not in its middle. Hidden files are passed over.
    Links to folders are followed; one that leads back to a folder above it is not.

    Args:
        folder: Has one folder per class; images may lie in folders below.
        strict: Whether a file that is no readable image is an error.
        class_names: Names that the class folders must have; None takes those that are there.
        only: Names of the class folders that count; None takes all.
        without: Names of class folders that are passed over.
        allow_empty: Whether a class folder may be without a readable image.

    Returns:
        The images, sorted by class and by path.

    Raises:
        FileNotFoundError: If the folder has no class folder.
        ValueError: If a class folder has no image, if `strict` and a file cannot be read, or if
            the class folders are not `class_names`.

    Example:
    ```python
    scan_class_folders(Path("pets")).class_names[:2]  # ('ant', 'bee')
    ```
    """
    classes = {
        printable_text(path.name): path
        for path in class_folders(folder)
        if (only is None or path.name in only) and printable_text(path.name) not in without
    }
    if not classes:
        raise FileNotFoundError(
            "`data_dir` must have one folder of images per class. Received: "
            f"data_dir={printable_text(folder)}, which has no folder"
        )
    names = tuple(classes)
    if class_names is not None and names != class_names:
        missing = ", ".join(sorted(set(class_names) - set(names))) or "none"
        extra = ", ".join(sorted(set(names) - set(class_names))) or "none"
        raise ValueError(
            "Every split must have the same class folders as the training split. Received: "
            f"data_dir={printable_text(folder)}, missing: {missing}; not in the training split: "
            f"{extra}"
        )
    warn_of_loose_images(folder)
    paths, labels, problems = [], [], _dead_links(folder)
    for label, class_folder in enumerate(classes.values()):
        files, closed = files_below(class_folder, folder)
        paths += files
        labels += [label] * len(files)
        problems += closed
    readable = which_are_readable(paths, strict, problems)
    labels = np.array(labels, np.int64)[readable]
    counts = np.bincount(labels, minlength=len(names))
    if (counts == 0).any() and not allow_empty:
        empty = ", ".join(names[label] for label in np.flatnonzero(counts == 0))
        raise ValueError(
            "Every class folder must have at least one readable image. Received: "
            f"data_dir={printable_text(folder)}, class folders without any: {empty}"
        )
    return FolderImages(np.array([str(path) for path in paths])[readable], labels, names)


def which_are_readable(
    paths: Sequence[pathlib.Path], strict: bool, others: Sequence[tuple] = ()
) -> np.ndarray:
    """Decode files once, and name those that are no readable images.

    Args:
        paths: The files.
        strict: Whether one that is no readable image is an error.
        others: What else cannot be read, as (path, kind, detail). Defaults to none.

    Returns:
        Booleans (files,).

    Raises:
        ValueError: If `strict` and a file cannot be read.
    """
    with futures.ThreadPoolExecutor() as pool:
        reasons = list(pool.map(why_unreadable, paths))
    found = [(path, *reason) for path, reason in zip(paths, reasons, strict=True) if reason]
    _report_unreadable([*others, *found], strict)
    return np.array([reason is None for reason in reasons], bool)


def class_folders(folder: pathlib.Path) -> list[pathlib.Path]:
    """List the folders directly below `folder`, sorted by name.

    Hidden ones are left out, and so are links to `folder` itself or to what it lies in.

    Raises:
        ValueError: If two of them are links to one folder, whose images would have two labels.
    """
    root = os.path.realpath(folder)
    folders = []
    by_place: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        if not path.is_dir() or path.name.startswith("."):
            continue
        place = os.path.realpath(path)
        if path.is_symlink() and _holds(place, root):
            continue
        folders.append(path)
        by_place.setdefault(place, []).append(printable_text(path.name))
    for names in by_place.values():
        if len(names) > 1:
            raise ValueError(
                "`data_dir` must have folders of different images. Received: "
                f"data_dir={printable_text(folder)}, in which one folder has the names "
                f"{' and '.join(names)}"
            )
    return folders


def _dead_links(folder: pathlib.Path) -> list[tuple]:
    """Links to nothing where class folders are expected, as (path, kind, detail)."""
    dead = (path for path in sorted(folder.iterdir()) if path.is_symlink() and not path.exists())
    reasons = ((path, why_unreadable(path)) for path in dead if not path.name.startswith("."))
    return [(path, *reason) for path, reason in reasons if reason]


def has_images(folder: pathlib.Path, below: bool = True) -> bool:
    """Say whether files of a folder have names of images.

    Args:
        folder: The folder.
        below: Whether files in folders below count. Defaults to True.
    """
    suffixes = pillow().registered_extensions()
    for _, folders, files in os.walk(folder):
        visible = (name for name in files if not name.startswith("."))
        if any(pathlib.PurePath(name).suffix.lower() in suffixes for name in visible):
            return True
        if not below:
            folders.clear()
    return False


def warn_of_loose_images(folder: pathlib.Path) -> None:
    """Warn of images that lie in a folder of class folders, or of splits, and in none of these."""
    suffixes = pillow().registered_extensions()
    loose = sorted(
        printable_text(path.name)
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith(".")
    )
    if loose:
        warnings.warn(
            f"Not used, since they lie beside the folders of {printable_text(folder)} and not in "
            f"them: {len(loose)} images, {named(loose)}",
            stacklevel=3,
        )


def files_below(class_folder: pathlib.Path, root: pathlib.Path) -> tuple[list, list]:
    """The visible files of a class, sorted, and (folder, kind, detail) of what cannot be listed.

    Args:
        class_folder: The folder; links to folders are followed.
        root: The folder above it to which no link leads back.

    Returns:
        Paths, dead links among them, and folders that cannot be listed.

    Example:
    ```python
    files_below(Path("pets"), Path("pets"))[0][0].name  # "0.png"
    ```
    """
    real_root = os.path.realpath(root)
    passed = set()
    files, closed = [], []
    # Links wait until all that is really there has been passed, so that this keeps its own names.
    inside = [class_folder]
    linked: list[pathlib.Path] = []
    while inside or linked:
        current = inside.pop() if inside else linked.pop(0)
        real = os.path.realpath(current)
        if real in passed:
            continue
        passed.add(real)
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError as error:
            closed.append((current, "folder that cannot be listed", error.strerror or str(error)))
            continue
        for entry in entries:
            path = current / entry.name
            if entry.name.startswith("."):
                continue
            if not entry.is_symlink():
                if entry.is_dir():
                    inside.append(path)
                elif entry.is_file():
                    files.append(path)
            elif path.is_dir():
                target = os.path.realpath(path)
                if not (_holds(target, real) or _holds(target, real_root)):
                    linked.append(path)
            elif path.is_file() or not path.exists():
                files.append(path)
    return sorted(files), closed


def _holds(folder: str, other: str) -> bool:
    """Whether a folder is another or lies above it; both are real paths."""
    return os.path.join(other, "").startswith(os.path.join(folder, ""))


def _decode_path(path: bytes) -> np.ndarray:
    return decode_image(os.fsdecode(path))


def _report_unreadable(problems: list[tuple], strict: bool) -> None:
    if not problems:
        return
    first = named([f"{printable_text(path)} ({in_words(*why)})" for path, *why in problems])
    kinds = collections.Counter(kind for _, kind, _ in problems)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    if strict:
        raise ValueError(
            "Every file must be a readable image where `strict` is set. Received: strict=True and "
            f"{len(problems)} that are not: {first}. Of each kind: {counts}"
        )
    warnings.warn(
        f"Skipped {len(problems)} files that are not readable images: {first}. Of each kind: "
        f"{counts}",
        stacklevel=3,
    )

"""Embeddings of one model on one split, in memory and as a file."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.checks import finite_array
from keras_clce.files import write_atomically
from keras_clce.models.checkpoints.tensors import in_one_line

Examples = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Embedded:
    """Embeddings of one model on one split.

    Args:
        name: Name of the model.
        source: Where it stands.
        embeddings: Array `(examples, dim)`.
        labels: Integer classes `(examples,)`.
        class_names: Names of the classes, in the order of the labels.
        dataset: Name of the data set, where it is known. Defaults to `None`.
        split: Name of the split, where it is known. Defaults to `None`.
        data: One sentence on the data. Defaults to nothing.
        train: Embeddings and labels of training images of the same classes. Defaults to `None`.
        validation: Likewise, of validation images. Defaults to `None`.

    Example:
    ```python
    Embedded("mine", "mine.npz", embeddings, labels, class_names=tuple("0123456789"))
    ```
    """

    name: str
    source: str
    embeddings: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    dataset: str | None = None
    split: str | None = None
    data: str = ""
    train: Examples | None = None
    validation: Examples | None = None

    def write(self, path: Path) -> None:
        """Write a file that `read_embeddings` reads.

        Args:
            path: The `.npz` file.

        Example:
        ```python
        Embedded("mine", "", embeddings, labels, tuple("0123456789")).write(Path("mine.npz"))
        ```
        """
        about = {name: getattr(self, name) for name in ("source", "dataset", "split", "data")}
        arrays = {
            "embeddings": self.embeddings,
            "labels": self.labels,
            "class_names": np.array(self.class_names),
            "about": np.array(json.dumps(about)),
        }
        for part in ("train", "validation"):
            if getattr(self, part) is not None:
                arrays |= dict(
                    zip((f"{part}_embeddings", f"{part}_labels"), getattr(self, part), strict=True)
                )
        write_atomically(path, lambda to: np.savez(to, **arrays))


def read_embeddings(path: str | Path, name: str | None = None) -> Embedded:
    """Read embeddings from a file of arrays.

    Args:
        path: A `.npz` file with `embeddings` `(examples, dim)` and `labels` `(examples,)`, integers
            from 0. It may have `class_names`, and `train_embeddings`, `train_labels`,
            `validation_embeddings` and `validation_labels` of the same classes.
        name: Name of the model. Defaults to `None`, that of the file.

    Returns:
        The embeddings.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or an array is missing or does not fit the others.

    Example:
    ```python
    np.savez("mine.npz", embeddings=embeddings, labels=labels)
    read_embeddings("mine.npz").class_names[:2]  # ("0", "1")
    ```
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"`embeddings` must be paths of .npz files. Received: {str(path)!r}, which is no file"
        )
    try:
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
    except Exception as error:  # NumPy, archives and their compression raise many kinds of errors
        raise ValueError(
            f"`embeddings` must be whole .npz files of numbers ({in_one_line(error)}). "
            f"Received: {str(path)!r}"
        ) from error
    parts = {"": _examples(path, arrays, "")}
    classes = arrays.get("class_names")
    known = None if classes is None else tuple(map(str, np.ravel(classes)))
    for part in ("train", "validation"):
        if f"{part}_embeddings" in arrays or f"{part}_labels" in arrays:
            parts[part] = _examples(path, arrays, f"{part}_")
            if parts[part][0].shape[1] != parts[""][0].shape[1]:
                raise _misfit(path, f"{part}_embeddings of another dimension than embeddings")
    highest = max(labels.max() for _, labels in parts.values())
    if known is not None and (len(known) <= highest or len({*known}) != len(known)):
        found = f"{len({*known})} different class_names for labels up to {highest}"
        raise _misfit(path, found)
    return Embedded(
        name or path.stem.removeprefix("embeddings-"),
        str(path),
        *parts[""],
        known or tuple(map(str, range(highest + 1))),
        train=parts.get("train"),
        validation=parts.get("validation"),
        **_about(arrays),
    )


def check_same_data(members: Sequence[Embedded]) -> None:
    """Refuse embeddings of different images.

    Args:
        members: The embeddings.

    Raises:
        ValueError: If labels or class names differ.

    Example:
    ```python
    mine = Embedded("mine", "mine.npz", embeddings, labels, tuple("0123456789"))
    check_same_data([mine, dataclasses.replace(mine, name="yours")])
    ```
    """
    first, *others = members
    for other in others:
        if other.class_names != first.class_names:
            differ = f"classes {_few(first.class_names)} and {_few(other.class_names)}"
        elif not np.array_equal(other.labels, first.labels):
            differ = f"{len(first.labels)} and {len(other.labels)} labels, which differ"
        else:
            continue
        raise ValueError(
            "Embeddings that are compared must be of the same images in the same order. "
            f"Received: {first.name} and {other.name} with {differ}"
        )


def _examples(path: Path, arrays: dict[str, np.ndarray], part: str) -> Examples:
    names = f"{part}embeddings", f"{part}labels"
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(
            f"{path} must hold the arrays {' and '.join(names)}. "
            f"Received: {', '.join(arrays) or 'none'}"
        )
    try:
        embeddings = finite_array(names[0], arrays[names[0]], ndim=2)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    labels = arrays[names[1]]
    if labels.shape != embeddings.shape[:1]:
        raise _misfit(path, f"{labels.shape} {names[1]} for {embeddings.shape} {names[0]}")
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(
            f"{path}: `{names[1]}` must be integers from 0. Received: {labels.dtype}, such as "
            f"{labels[:3].tolist()}"
        )
    empty = len(embeddings) - np.count_nonzero(embeddings.any(axis=1))
    if empty:
        raise ValueError(
            f"{path}: `{names[0]}` must have no zero row, which has no direction. "
            f"Received: {empty} zero rows"
        )
    return embeddings, labels.astype(np.int64)


def _about(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What a file of ours says beside its arrays."""
    try:
        about = json.loads(str(arrays["about"]))
        known = {name: about[name] for name in ("dataset", "split", "data")}
    except (KeyError, TypeError, ValueError):
        return {}
    return {name: value for name, value in known.items() if isinstance(value, str)}


def _misfit(path, found):
    return ValueError(f"The arrays of {path} must fit one another. Received: {found}")


def _few(names):
    return f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''} ({len(names)})"

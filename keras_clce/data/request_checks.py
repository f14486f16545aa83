"""Checks of what a loader is asked for, before it reads anything, and of what it found."""

import pathlib
from collections.abc import Sequence

import numpy as np

from keras_clce.data.labels_csv import has_labels_csv
from keras_clce.data.spec import DatasetSpec
from keras_clce.views import Preprocessing


def check_request(
    limit_examples: int | None,
    data_dir: str | pathlib.Path | None,
    drop_small_classes: int | None,
    limit_per_class: int | None = None,
) -> pathlib.Path | None:
    """Check what a loader was asked for.

    Args:
        limit_examples: Number of training examples to keep, or None.
        data_dir: Folder of the data, or None.
        drop_small_classes: Number of images that a class must have to be kept, or None.
        limit_per_class: Most training examples of a class. Defaults to None, all.

    Returns:
        The folder, if any.

    Raises:
        ValueError: If a value is out of range.
        FileNotFoundError: If the folder does not exist.
    """
    numbers = {
        "limit_examples": limit_examples,
        "drop_small_classes": drop_small_classes,
        "limit_per_class": limit_per_class,
    }
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(
                f"`{name}` must be a positive integer or None. Received: {name}={number!r}"
            )
    folder = None if data_dir is None else pathlib.Path(data_dir).expanduser()
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"`data_dir` must be a folder. Received: data_dir={data_dir!s}")
    return folder


def check_multi_label(
    spec: DatasetSpec, folder: pathlib.Path | None, multi_label: bool, limit_per_class: int | None
) -> None:
    """Check that images may have several labels.

    Args:
        spec: The data set.
        folder: Folder of the data, or None.
        multi_label: Whether they have.
        limit_per_class: Most training examples of a class, or None.

    Raises:
        ValueError: If the data have one class an image, or a class cannot be limited.
    """
    if not isinstance(multi_label, bool):
        raise ValueError(f"`multi_label` must be a bool. Received: multi_label={multi_label!r}")
    if not multi_label:
        return
    if spec.name != "image_folder" or folder is None or not has_labels_csv(folder):
        raise ValueError(
            "`multi_label` is for image_folder with a labels.csv in data_dir. Received: "
            f"multi_label=True, name={spec.name!r}, data_dir={folder}"
        )
    if limit_per_class is not None:
        raise ValueError(
            "`limit_per_class` must be None with multi_label=True, where an image counts for "
            f"several classes; limit_examples serves. Received: limit_per_class={limit_per_class}"
        )


def chosen_preprocessing(
    preprocessing: Preprocessing | None,
    image_size: int | None,
    interpolation: str | None,
    crop_fraction: float,
) -> Preprocessing:
    """Give the preprocessing that a loader was asked for, whole or by its parts.

    Args:
        preprocessing: The whole, or None.
        image_size: Side of the images, where there is no `preprocessing`.
        interpolation: Of the resize, where there is no `preprocessing`; None is bilinear.
        crop_fraction: The data set's, where there is no `preprocessing`.

    Returns:
        The preprocessing.

    Raises:
        ValueError: If both are given, or neither, or a value is out of range.
    """
    if preprocessing is None:
        if image_size is None:
            raise ValueError(
                "`image_size` or `preprocessing` must be given. "
                "Received: image_size=None, preprocessing=None"
            )
        return Preprocessing(image_size, crop_fraction, interpolation or "bilinear")
    if not isinstance(preprocessing, Preprocessing):
        raise ValueError(
            f"`preprocessing` must be a Preprocessing. Received: preprocessing={preprocessing!r}"
        )
    if image_size is not None or interpolation is not None:
        raise ValueError(
            "`image_size` and `interpolation` must be None beside `preprocessing`, which has them. "
            f"Received: image_size={image_size!r}, interpolation={interpolation!r}"
        )
    return preprocessing


def check_several_classes(name: str, class_names: Sequence[str], labels: np.ndarray | None) -> None:
    """Check that there is more than one class to learn.

    Args:
        name: Name of the data set.
        class_names: Names of the classes.
        labels: Labels of the training images, None where they are not known.

    Raises:
        ValueError: If there is one class, or the images are of one class.
    """
    present = range(len(class_names)) if labels is None else np.unique(labels)
    if labels is not None and labels.ndim == 2:
        present = np.flatnonzero(labels.any(axis=0))
    if len(present) < 2:
        found = ", ".join(class_names[label] for label in present) or "none"
        images = "" if labels is None else f" {len(labels)} training images of"
        raise ValueError(
            f"There must be training images of two classes or more. Received: name={name!r}, with"
            f"{images} the classes: {found}"
        )

"""What arrays must hold to be trained on, checked before any step."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_clce.losses import label_sets_are_valid, labels_are_valid
from keras_clce.losses.labels import without_unlabelled
from keras_clce.train.class_numbers import are_text, how_to_number, how_to_number_text


def check_arrays(
    x: Any,
    y: Any,
    image_shape: Sequence[int | None],
    num_classes: int,
    multi_label: bool = False,
    class_names: Sequence[str] | None = None,
    ignore_unlabelled: bool = False,
) -> None:
    """Refuse arrays that cannot be images and their labels; data sets and tensors pass.

    Args:
        x: Images `(examples, *image_shape)`, or a pair of such arrays.
        y: Labels `(examples,)`, `(examples, 1)` or one-hot or soft `(examples, num_classes)`.
        image_shape: Shape of an image, `None` where any number fits.
        num_classes: Number of classes.
        multi_label: Whether labels are rows of 0 and 1. Defaults to `False`.
        class_names: Their names, for messages. Defaults to `None`, not known.
        ignore_unlabelled: Whether -1, or a row of zeros, stands for no class. Defaults to `False`.

    Raises:
        ValueError: If arrays are empty or of another shape, hold values that are not finite, or
            labels lie outside `[0, num_classes)`.

    Example:
    ```python
    check_arrays(np.zeros((2, 8, 8, 3)), np.array([0, 1]), (None, None, 3), num_classes=2)
    ```
    """
    if y is None and isinstance(x, (np.ndarray, list, tuple)):
        raise ValueError("`y` must hold the labels of the images. Received: y=None")
    if isinstance(y, (list, tuple)):
        raise ValueError(f"`y` must be an array. Received: y of type {type(y).__name__}")
    if isinstance(x, (list, tuple)) and len(x) != 2:
        raise ValueError(
            "`x` must be an array of images or a pair of such arrays. "
            f"Received: x of type {type(x).__name__} with {len(x)} elements"
        )
    views = x if isinstance(x, (list, tuple)) else (x,)
    for images in views:
        if isinstance(images, np.ndarray):
            _check_images(images, tuple(image_shape))
    if hasattr(y, "to_numpy"):
        y = y.to_numpy()  # a column of a table
    if isinstance(y, np.ndarray):
        examples = len(views[0]) if isinstance(views[0], np.ndarray) else len(np.atleast_1d(y))
        if multi_label:
            _check_label_sets(y, examples, num_classes)
        else:
            _check_labels(y, examples, num_classes, class_names, ignore_unlabelled)


def refuse_named_parts(batch: Any) -> None:
    """Refuse a batch whose images and labels have names and no order.

    Args:
        batch: A batch, or the specification of one.

    Raises:
        ValueError: If it is a dict of several parts.

    Example:
    ```python
    refuse_named_parts((np.zeros((2, 8, 8, 3)), np.array([0, 1])))
    ```
    """
    if isinstance(batch, dict) and len(batch) > 1:
        raise ValueError(
            "Data must be pairs of images and labels, such as a map from each example to "
            "(example['image'], example['label']) makes them. Received: a dict with "
            f"{', '.join(map(repr, sorted(batch, key=str)))}"
        )


def check_labelled(y: Any) -> None:
    """Refuse a batch that came without labels.

    Args:
        y: The batch's labels.

    Raises:
        ValueError: If there are none.

    Example:
    ```python
    check_labelled(np.array([0, 1]))
    ```
    """
    if y is None:
        raise ValueError("Data must be pairs of images and labels. Received: images alone")


def check_image_shape(shape: Sequence[int | None], image_shape: Sequence[int | None]) -> None:
    """Refuse images of another shape than an encoder takes.

    Args:
        shape: Shape of the images, their number first; `None` where a size is not known.
        image_shape: Shape of one image, `None` where any size fits.

    Raises:
        ValueError: If the shape has another number of axes, or a size that does not fit.

    Example:
    ```python
    check_image_shape((8, 32, 32, 3), (None, None, 3))
    ```
    """
    image_shape = tuple(image_shape)
    if len(shape) != 1 + len(image_shape) or any(
        None not in (wanted, given) and wanted != given
        for wanted, given in zip(image_shape, shape[1:], strict=True)
    ):
        raise ValueError(
            f"`x` must hold images of shape {image_shape}, one a row. "
            f"Received: x of shape {tuple(shape)}"
        )


def _check_images(images, image_shape):
    check_image_shape(images.shape, image_shape)
    if not len(images):
        raise ValueError(f"`x` must hold at least one image. Received: x of shape {images.shape}")
    if images.dtype.kind == "f" and not np.isfinite([images.min(), images.max()]).all():
        raise ValueError("`x` must hold finite pixels. Received: x with NaN or infinite values")


def _check_label_sets(y, examples, num_classes):
    if y.shape != (examples, num_classes) or y.dtype.kind not in "biuf":
        raise ValueError(
            f"`y` must hold rows of 0 and 1, of shape {(examples, num_classes)}, since the model "
            f"has multi_label=True. Received: y of shape {y.shape} and dtype {y.dtype}"
        )
    if not label_sets_are_valid(y):
        raise ValueError(
            "`y` must hold 0 and 1 alone, since the model has multi_label=True. Received: y with "
            f"other values, such as in y={y[~np.isin(y, (0, 1)).all(axis=1)][:1].tolist()}"
        )


def _check_labels(y, examples, num_classes, class_names, ignore_unlabelled):
    shapes = [(examples, *columns) for columns in ((), (1,), (num_classes,))]
    if y.shape not in shapes or y.dtype.kind not in "biuf":
        raise ValueError(
            f"`y` must hold numbers, of one of the shapes {shapes}. "
            f"Received: y of shape {y.shape} and dtype {y.dtype}"
            + (f". {how_to_number_text(y, class_names)}" if are_text(y) else "")
        )
    if ignore_unlabelled:
        y = without_unlabelled(y)[0]
    if not labels_are_valid(y):
        raise ValueError(
            "`y` must hold whole numbers or one-hot rows, or soft ones that sum to 1. Received: y "
            f"with other values, such as in y={y[:3].tolist()}"
        )
    if y.ndim == 2 and y.shape[1] > 1:
        return
    outside = y[(y < 0) | (y >= num_classes)]
    if outside.size:
        raise ValueError(
            f"`y` must hold classes within [0, {num_classes}). "
            f"Received: {outside.size} other values, such as y={outside.flat[0]}. "
            f"{how_to_number(outside)}"
        )

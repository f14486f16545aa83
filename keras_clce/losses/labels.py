"""Labels in any accepted form, as integer classes."""

from typing import Any

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

_EXPECTED = (
    "`labels` must hold integers of shape (batch,) or (batch, 1), or one-hot rows (batch, classes)"
)


def class_ids(labels: Any, batch_size: int | None = None) -> Any:
    """Integer classes of any accepted form of labels.

    Args:
        labels: Integer classes `[batch]` or `[batch, 1]`, from 0 (floats that hold whole numbers
            count, as Keras may cast them), or one-hot rows `[batch, classes]`.
        batch_size: The number of rows expected, where it is known. Defaults to `None`.

    Returns:
        An integer tensor `[batch]`, below 0 where a value is negative, where it turns out to be no
        whole number, or a row not to be one-hot, only when the graph runs, and where an array or
        floats hold classes beyond 32 bits.

    Raises:
        ValueError: If the shape is another one, or values that can be seen are not as described.

    Example:
    ```python
    class_ids(np.array([[0, 1], [1, 0]]))  # [1, 0]
    ```
    """
    return classes_and_validity(labels, batch_size)[0]


def labels_are_valid(labels: np.ndarray) -> bool:
    """Tell whether an array holds whole numbers, or one-hot rows where it has several columns.

    Args:
        labels: An array of numbers, of any shape.

    Returns:
        Whether `class_ids` takes its values.

    Example:
    ```python
    labels_are_valid(np.array([[0.5, 0.5]]))  # False
    ```
    """
    if labels.ndim == 2 and labels.shape[1] > 1:
        return bool(((labels == 1).sum(1) == 1).all() and ((labels != 0).sum(1) == 1).all())
    return bool(np.isfinite(labels).all()) and np.array_equal(labels, np.floor(labels))


def classes_and_validity(labels: Any, batch_size: int | None) -> tuple[Any, Any]:
    """Classes as `class_ids` gives them, and whether each is one.

    Args:
        labels: As in `class_ids`.
        batch_size: The number of rows expected, or `None`.

    Returns:
        An integer and a boolean tensor, both `[batch]`. The highest classes of 64 bits without a
        sign are below 0 too, and valid.

    Raises:
        ValueError: As in `class_ids`.

    Example:
    ```python
    classes_and_validity(np.array([3, -1]), None)  # ([3, -1], [True, False])
    ```
    """
    if isinstance(labels, (list, tuple, np.ndarray)):
        labels = _checked_array(labels)
    labels = ops.convert_to_tensor(labels)
    shape = tuple(labels.shape)
    if len(shape) not in (1, 2):
        raise ValueError(f"{_EXPECTED}. Received: labels of shape {shape}")
    if batch_size is not None and shape[0] is not None and shape[0] != batch_size:
        raise ValueError(
            f"{_EXPECTED}, one row per embedding ({batch_size}). Received: labels of shape {shape}"
        )
    if len(shape) == 2 and shape[1] != 1:
        return _of_one_hot_rows(labels)
    if len(shape) == 2:
        labels = ops.squeeze(labels, axis=1)
    dtype = standardize_dtype(labels.dtype)
    if "float" in dtype:
        return _of_floats(labels if dtype == "float64" else ops.cast(labels, "float32"))
    # Classes of 64 bits, such as hashes, would run into each other in 32.
    if dtype in ("uint32", "uint64"):
        classes = ops.cast(labels, "int64")
        # The highest ones wrap around below 0, and stay apart there.
        return classes, ops.ones_like(classes, dtype="bool")
    classes = labels if dtype in ("int32", "int64") else ops.cast(labels, "int32")
    return classes, classes >= 0


def _checked_array(labels):
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biuf":
        raise ValueError(f"{_EXPECTED}. Received: labels of dtype {labels.dtype}")
    if not labels_are_valid(labels):
        some = np.atleast_1d(labels)[:3].tolist()
        raise ValueError(f"{_EXPECTED}. Received: labels with other values, labels[:3]={some}")
    if labels.dtype.kind not in "iu":
        return labels
    # 32 bits, which is all that JAX has, would wrap a large class around into a small one.
    inside = (labels >= 0) & (labels < 2**31)
    return np.where(inside, labels.astype("int64"), -1)


def _of_one_hot_rows(rows):
    rows = ops.cast(rows, "float32")
    one_hot = ops.logical_and(ops.amax(rows, axis=1) == 1, ops.sum(ops.abs(rows), axis=1) == 1)
    return ops.where(one_hot, ops.cast(ops.argmax(rows, axis=1), "int32"), -1), one_hot


def _of_floats(labels):
    inside = ops.logical_and(labels >= 0, labels < 2.0**31)
    whole = ops.logical_and(inside, labels == ops.floor(labels))
    return ops.where(whole, ops.cast(labels, "int32"), -1), whole

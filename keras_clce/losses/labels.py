"""Labels in any accepted form, as integer classes or as soft labels."""

from typing import Any

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

_EXPECTED = (
    "`labels` must hold integers of shape (batch,) or (batch, 1), or rows (batch, classes) that "
    "are one-hot, or soft and sum to 1"
)
# Of the sum of a row: half precision of many small shares is that far off.
_TOLERANCE = 0.01


def labels_are_valid(labels: np.ndarray) -> bool:
    """Tell whether an array holds whole numbers, or rows that sum to 1 where it has columns.

    Args:
        labels: An array of numbers, of any shape.

    Returns:
        Whether `classes_and_validity` takes its values.

    Example:
    ```python
    labels_are_valid(np.array([[0.5, 0.5]]))  # True
    labels_are_valid(np.array([[1.0, 1.0]]))  # False
    ```
    """
    if labels.ndim == 2 and labels.shape[1] > 1:
        sums = labels.sum(axis=1, dtype="float64")
        return bool((labels >= 0).all() and (np.abs(sums - 1) <= _TOLERANCE).all())
    return bool(np.isfinite(labels).all()) and np.array_equal(labels, np.floor(labels))


def classes_and_validity(labels: Any, batch_size: int | None = None) -> tuple[Any, Any]:
    """Classes or soft labels of any accepted form of labels, and whether each is right.

    Args:
        labels: Integer classes `[batch]` or `[batch, 1]`, from 0 (floats that hold whole numbers
            count, as Keras may cast them), one-hot rows of integers `[batch, classes]`, or rows of
            floats of that shape: shares of the classes, which sum to 1.
        batch_size: The number of rows expected, where it is known. Defaults to `None`.

    Returns:
        Two tensors. Integers `[batch]`, below 0 where a value is negative, where it turns out to
        be no whole number, or a row not to be one-hot, only when the graph runs, and where an
        array or floats hold classes beyond 32 bits; or float32 `[batch, classes]` where rows of
        floats were given, 0 in rows that turn out not to be shares. And booleans `[batch]`: the
        highest classes of 64 bits without a sign are below 0 too, and valid.

    Raises:
        ValueError: If the shape is another one, or values that can be seen are not as described.

    Example:
    ```python
    classes_and_validity(np.array([3, -1]))  # ([3, -1], [True, False])
    classes_and_validity(np.array([[0, 1], [1, 0]]))[0]  # [1, 0]
    classes_and_validity(np.array([[0.5, 0.5]]))[0]  # [[0.5, 0.5]]
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
        if "float" in standardize_dtype(labels.dtype):
            return _of_shares(ops.cast(labels, "float32"))
        return classes_of_one_hot_rows(labels)
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


def classes_of_one_hot_rows(rows: Any) -> tuple[Any, Any]:
    """Classes `[batch]` of one-hot rows `[batch, classes]`, -1 for others, and which are one-hot.

    Args:
        rows: Numbers `[batch, classes]`.

    Returns:
        An integer and a boolean tensor, both `[batch]`.

    Example:
    ```python
    classes_of_one_hot_rows(np.array([[0, 1], [1, 1]]))  # ([1, -1], [True, False])
    ```
    """
    rows = ops.cast(rows, "float32")
    one_hot = ops.logical_and(ops.amax(rows, axis=1) == 1, ops.sum(ops.abs(rows), axis=1) == 1)
    return ops.where(one_hot, ops.cast(ops.argmax(rows, axis=1), "int32"), -1), one_hot


def one_class_each(labels: Any, batch_size: int | None = None) -> tuple[Any, Any]:
    """As `classes_and_validity`, without soft labels: rows that are not one-hot are not right.

    Args:
        labels: As there.
        batch_size: As there. Defaults to `None`.

    Returns:
        An integer and a boolean tensor, both `[batch]`.

    Raises:
        ValueError: As there.

    Example:
    ```python
    one_class_each(np.array([[0.5, 0.5], [0.0, 1.0]]))  # ([-1, 1], [False, True])
    ```
    """
    classes, known = classes_and_validity(labels, batch_size)
    return (classes, known) if len(classes.shape) == 1 else classes_of_one_hot_rows(classes)


def without_unlabelled(labels: Any) -> tuple[Any, Any]:
    """Labels that all losses take, some class in place of none, and which rows have a class.

    Args:
        labels: As in `classes_and_validity`; -1, or a row of zeros, is no class.

    Returns:
        The labels, and float32 `[batch]`: 1 for each row with a class and 0 for one without.

    Example:
    ```python
    without_unlabelled(np.array([2, -1]))  # ([2, 0], [1.0, 0.0])
    without_unlabelled(np.array([[0, 1], [0, 0]]))  # ([[0, 1], [1, 0]], [1.0, 0.0])
    ```
    """
    if not isinstance(labels, (list, tuple, np.ndarray)):
        labels = ops.convert_to_tensor(labels)
        return _without_unlabelled(ops, labels, ops.cast(labels, "float32"))
    # As an array, so that other values that are no classes are seen.
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biuf":
        raise ValueError(f"{_EXPECTED}. Received: labels of dtype {labels.dtype}")
    return _without_unlabelled(np, labels, labels.astype("float64"))


def _without_unlabelled(numpy, labels, floats):
    # Numbers without a sign are compared with -1 as floats.
    if len(labels.shape) == 2 and labels.shape[1] != 1:
        unlabelled = numpy.all(floats == 0, axis=1)
        columns = numpy.expand_dims(numpy.arange(labels.shape[1]), 0)
        some = numpy.logical_and(columns == 0, numpy.expand_dims(unlabelled, 1))
        filled = numpy.where(some, numpy.ones_like(labels), labels)
    else:
        none = floats == -1
        filled = numpy.where(none, numpy.zeros_like(labels), labels)
        unlabelled = none[:, 0] if len(labels.shape) == 2 else none
    return filled, 1.0 - ops.cast(unlabelled, "float32")


def _of_shares(rows):
    whole = ops.abs(ops.sum(rows, axis=1) - 1.0) <= _TOLERANCE
    right = ops.logical_and(whole, ops.amin(rows, axis=1) >= 0)
    # NaN would spread over the whole batch.
    return ops.where(ops.expand_dims(right, 1), rows, 0.0), right


def _of_floats(labels):
    inside = ops.logical_and(labels >= 0, labels < 2.0**31)
    whole = ops.logical_and(inside, labels == ops.floor(labels))
    return ops.where(whole, ops.cast(labels, "int32"), -1), whole

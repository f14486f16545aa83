"""Several labels an image: rows of 0 and 1, and how much two sets of labels overlap."""

from typing import Any

import numpy as np
from keras import ops

_EXPECTED = (
    "`labels` must hold rows (batch, classes) of 0 and 1 with `multi_label`, 1 for each label of "
    "an image"
)


def label_sets_are_valid(rows: np.ndarray) -> bool:
    """Tell whether an array holds 0 and 1 alone.

    Args:
        rows: An array of numbers `[examples, classes]`.

    Returns:
        Whether `label_sets_and_validity` takes its values.

    Example:
    ```python
    label_sets_are_valid(np.array([[1, 1], [0, 0]]))  # True
    label_sets_are_valid(np.array([[0.5, 0.5]]))  # False
    ```
    """
    return bool(np.isin(rows, (0, 1)).all())


def label_sets_and_validity(labels: Any, batch_size: int | None = None) -> tuple[Any, Any]:
    """Rows of 0 and 1, and whether each is right.

    Args:
        labels: Rows `[batch, classes]`, 1 for each label of an image and 0 for the others; a row of
            zeros is an image without any.
        batch_size: The number of rows expected, where it is known. Defaults to `None`.

    Returns:
        Float32 `[batch, classes]`, 0 in rows that turn out to hold something else, and booleans
        `[batch]`.

    Raises:
        ValueError: If the shape is another one, or values that can be seen are not 0 and 1.

    Example:
    ```python
    label_sets_and_validity(np.array([[0, 1], [1, 1]]))  # ([[0, 1], [1, 1]], [True, True])
    ```
    """
    if isinstance(labels, (list, tuple, np.ndarray)):
        labels = np.asarray(labels)
        if labels.dtype.kind not in "biuf" or not label_sets_are_valid(labels):
            some = np.atleast_1d(labels)[:3].tolist()
            raise ValueError(f"{_EXPECTED}. Received: labels with other values, labels[:3]={some}")
    labels = ops.cast(ops.convert_to_tensor(labels), "float32")
    shape = tuple(labels.shape)
    rows = batch_size if batch_size is not None and shape[:1] != (None,) else None
    if len(shape) != 2 or (rows is not None and shape[0] != rows):
        one_each = "" if rows is None else f", one row per embedding ({rows})"
        raise ValueError(f"{_EXPECTED}{one_each}. Received: labels of shape {shape}")
    right = ops.all(ops.logical_or(labels == 0.0, labels == 1.0), axis=1)
    # NaN would spread over the whole batch.
    return ops.where(ops.expand_dims(right, 1), labels, 0.0), right


def jaccard_overlaps(rows: Any, others: Any) -> Any:
    """Labels that two images share, over those that either has, of all pairs.

    Args:
        rows: Float32 `[batch, classes]` of 0 and 1.
        others: Float32 `[others, classes]` of 0 and 1.

    Returns:
        Float32 `[batch, others]` within [0, 1]; 0 where neither has a label.

    Example:
    ```python
    rows = np.array([[1, 1, 0], [0, 1, 1]], "float32")
    jaccard_overlaps(rows, rows)  # [[1.0, 0.333], [0.333, 1.0]]
    ```
    """
    shared = ops.matmul(rows, ops.transpose(others))
    either = ops.expand_dims(ops.sum(rows, axis=1), 1) + ops.sum(others, axis=1) - shared
    return shared / ops.maximum(either, 1.0)

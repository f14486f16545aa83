"""Class averaging: each class counts once in a contrastive loss, however many rows it has.

Reference:
    - [Balanced contrastive learning](https://arxiv.org/abs/2207.09052)
"""

from typing import Any

import numpy as np
from keras import ops


def rows_of_class(classes: Any, filled: Any = None) -> Any:
    """How many rows have the class of each row.

    Args:
        classes: Integer classes `[rows]`.
        filled: Float32 `[rows]`, 1 for a row that counts and 0 for one that is not there. Defaults
            to `None`: all count.

    Returns:
        A float32 tensor `[rows]`, at least 1.

    Example:
    ```python
    rows_of_class(np.array([7, 3, 7]))  # [2, 1, 2]
    ```
    """
    order = ops.argsort(classes)
    ordered = ops.take(classes, order)
    rises = ops.cast(ordered != ops.concatenate([ordered[:1], ordered[:-1]]), "int32")
    ranks = ops.cumsum(rises)
    one_each = ops.ones_like(ranks, "float32") if filled is None else ops.take(filled, order)
    totals = ops.segment_sum(one_each, ranks, num_segments=ops.shape(classes)[0])
    return ops.maximum(ops.take(ops.take(totals, ranks), ops.argsort(order)), 1.0)


def average_classes(positives: Any, negatives: Any, counts: Any) -> tuple[Any, Any]:
    """Masks whose every class weighs 1 in each row, in place of one whose every row does.

    Args:
        positives: Float32 `[anchors, rows]` of 0 and 1.
        negatives: The same of the negatives.
        counts: What `rows_of_class` gave `[rows]`.

    Returns:
        Both, divided by how many rows of each class there are; the anchor itself is none of them.

    Example:
    ```python
    counts = np.array([2.0, 2.0, 1.0], "float32")
    average_classes(np.eye(3, dtype="float32"), np.ones((3, 3), "float32"), counts)[1][0]
    # [0.5, 0.5, 1]
    ```
    """
    num_positives = ops.maximum(ops.sum(positives, axis=1, keepdims=True), 1.0)
    return positives / num_positives, negatives / ops.expand_dims(counts, 0)


def seen_from_rows(negatives: Any, counts: Any, of_anchors: Any) -> Any:
    """What the anchors are to the rows, from the averaged negatives that the rows are to them.

    Args:
        negatives: The second of what `average_classes` gave `[anchors, rows]`.
        counts: What `rows_of_class` gave `[rows]`.
        of_anchors: The same of the anchors `[anchors]`.

    Returns:
        A tensor of the shape of `negatives`: an anchor weighs by the size of its own class.
    """
    return negatives * ops.expand_dims(counts, 0) / ops.expand_dims(of_anchors, 1)


def refuse_soft_labels(labels: Any) -> None:
    """Refuse soft labels that can be seen: a mixture of classes has no class to average over.

    Args:
        labels: Rows `[batch, classes]` as a loss takes them; tensors are let through.

    Raises:
        ValueError: If they are an array of which a row has no whole class.

    Example:
    ```python
    refuse_soft_labels(np.array([[0.0, 1.0]]))
    ```
    """
    if not isinstance(labels, (list, tuple, np.ndarray)):
        return
    labels = np.asarray(labels)
    soft = labels.max(axis=1) < 1
    if soft.any():
        raise ValueError(
            "`labels` must be classes or one-hot with negatives='class_mean': soft labels have no "
            f"class to average over. Received: labels with such a row, {labels[soft][0].tolist()}"
        )

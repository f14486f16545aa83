"""From labels and embeddings to one value per anchor, by a table of all pairs or in chunks."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_clce.losses.chunks import ChunkForm, values_in_chunks
from keras_clce.losses.class_mean import refuse_soft_labels
from keras_clce.losses.label_sets import jaccard_overlaps, label_sets_and_validity
from keras_clce.losses.labels import (
    classes_and_validity,
    classes_of_one_hot_rows,
    one_class_each,
)
from keras_clce.losses.pairs import Memory, Pairs, all_pairs, overlaps, unit_rows

# Up to that many rows the table of all pairs is small, and a single chunk is as fast.
_LARGEST_TABLE = 1024


def anchor_values(
    labels: Any,
    embeddings: Any,
    temperature: float,
    chunk_size: int | None,
    formula: Callable[[Pairs], Any],
    chunk_form: ChunkForm,
    views: bool = False,
    memory: Memory | None = None,
    class_mean: bool = False,
    present: Any = None,
    multi_label: bool = False,
) -> tuple[Any, Any]:
    """Value of each anchor of a batch, by a loss's formula or by its form in chunks.

    Args:
        labels: Integer classes `[batch]` or `[batch, 1]`, or one-hot or soft rows
            `[batch, classes]`; with `multi_label` rows of 0 and 1.
        embeddings: Embeddings `[batch, dim]`; rows are normalised here.
        temperature: Softmax temperature τ.
        chunk_size: Anchors per chunk; `None` takes the table of all pairs up to 1,024 rows.
        formula: The loss per anchor, from `Pairs` to `[anchors]`. An anchor without a positive may
            have any finite value.
        chunk_form: The same loss in chunks.
        views: As in `keras_clce.losses.pairs.all_pairs`. Defaults to `False`.
        memory: As there. Soft labels do not go with it. Defaults to `None`.
        class_mean: As there. Soft labels do not go with it. Defaults to `False`.
        present: As there. Defaults to `None`.
        multi_label: Whether labels are sets, which overlap by Jaccard's index; no memory goes with
            them. Defaults to `False`.

    Returns:
        Two float32 tensors `[batch]`: the loss of each anchor, 0 where it has no positive, and 1
        for each anchor that has a positive, else 0. An anchor whose label turns out to be no class
        has NaN and 1.

    Raises:
        ValueError: If shapes do not fit, or labels that can be seen are no classes.

    Example:
    ```python
    from keras_clce.losses.lacln import lacln_in_chunks, lacln_of_pairs
    values, has_positive = anchor_values(
        labels,
        embeddings,
        temperature=0.5,
        chunk_size=None,
        formula=lambda pairs: lacln_of_pairs(pairs, 0.5, 1.0, "outside"),
        chunk_form=lacln_in_chunks(0.5, 1.0, "outside"),
    )
    ```
    """
    classes, known, embeddings = checked_batch(labels, embeddings, memory, multi_label)
    if class_mean and len(classes.shape) == 2:
        refuse_soft_labels(labels)
        classes, known = classes_of_one_hot_rows(classes)
    overlap_of = jaccard_overlaps if multi_label else overlaps
    if _fits_in_table(embeddings, chunk_size, memory):
        pairs = all_pairs(classes, embeddings, views, memory, class_mean, present, overlap_of)
        has_positive = ops.cast(pairs.num_positives > 0, "float32")
        # A product, which hands NaN on to the gradient where a choice would not.
        values = formula(pairs) * has_positive
    else:
        values, has_positive = values_in_chunks(
            classes,
            embeddings,
            temperature,
            chunk_size,
            chunk_form,
            views,
            memory,
            class_mean,
            present,
            overlap_of,
        )
    return nan_where_unknown(values, has_positive, known)


def nan_where_unknown(values: Any, has_positive: Any, known: Any) -> tuple[Any, Any]:
    """What `anchor_values` gives, with NaN for the anchors whose label is none.

    Args:
        values: Float32 `[batch]`.
        has_positive: Float32 `[batch]`.
        known: Booleans `[batch]`.

    Returns:
        Both, such an anchor with NaN and 1.

    Example:
    ```python
    from keras import ops
    nan_where_unknown(ops.ones(2), ops.ones(2), np.array([True, False]))[1]  # [1.0, 1.0]
    ```
    """
    # A product, which hands NaN on to the gradient where a choice would not. It counts, lest a
    # mean leave it out.
    values = values * ops.cast(ops.where(known, 1.0, float("nan")), "float32")
    return values, ops.where(known, has_positive, 1.0)


def checked_batch(
    labels: Any, embeddings: Any, memory: Memory | None = None, multi_label: bool = False
) -> tuple[Any, Any, Any]:
    """Classes, soft labels or sets of labels, whether each is right, and unit rows.

    Args:
        labels: As in `anchor_values`.
        embeddings: As there.
        memory: As there. Defaults to `None`.
        multi_label: As there. Defaults to `False`.

    Returns:
        Integers `[batch]`, or float32 `[batch, classes]` for soft labels and sets; booleans
        `[batch]`; and float32 unit rows `[batch, dim]`.

    Raises:
        ValueError: As there.

    Example:
    ```python
    checked_batch(np.array([0, 1]), 2 * np.eye(2))[2]  # [[1, 0], [0, 1]]
    ```
    """
    embeddings = ops.convert_to_tensor(embeddings)
    shape = tuple(embeddings.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            "`embeddings` must have shape (batch, dim), with at least one row. "
            f"Received: embeddings of shape {shape}"
        )
    if multi_label:
        if memory is not None:
            raise ValueError(
                "`memory` must be None with `multi_label`: it keeps one class of each row. "
                "Received: multi_label=True with a memory"
            )
        return *label_sets_and_validity(labels, shape[0]), unit_rows(embeddings)
    if memory is not None:
        return *one_class_each(labels, shape[0]), unit_rows(embeddings)
    classes, known = classes_and_validity(labels, shape[0])
    if isinstance(labels, (list, tuple, np.ndarray)) and np.size(labels) == classes.shape[0]:
        # JAX has no integers of 64 bits unless told to, and only equality counts.
        classes = ops.convert_to_tensor(np.unique(labels, return_inverse=True)[1].reshape(-1))
        known = ops.convert_to_tensor(np.reshape(labels, -1) >= 0)
    return classes, known, unit_rows(embeddings)


def _fits_in_table(embeddings, chunk_size, memory):
    rows = embeddings.shape[0]
    if chunk_size is not None or rows is None:
        return False
    columns = rows if memory is None else rows + memory.classes.shape[0]
    return rows * columns <= _LARGEST_TABLE**2

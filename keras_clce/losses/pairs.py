"""All pairs of a batch: their cosine similarities, and which are positives and negatives."""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from keras_clce.losses.class_mean import average_classes, rows_of_class


class Memory(NamedTuple):
    """Rows of earlier batches, further positives and negatives that pass no gradient.

    Attributes:
        classes: Integer classes `[rows]`.
        embeddings: Unit rows `[rows, dim]`, float32.
        filled: Float32 `[rows]`, 1 where there is a row and 0 where there is none yet.
    """

    classes: Any
    embeddings: Any
    filled: Any


class Pairs(NamedTuple):
    """Some anchors against the whole batch, of which a loss's formula makes a value per anchor.

    Attributes:
        cosines: Float32 `[anchors, rows]`.
        positives: Of that shape, 1 where the row has the anchor's class and is not the anchor; the
            overlap of their labels where labels are rows.
        negatives: Of that shape, 1 where the row has another class; 1 less the overlap.
        num_positives: Float32 `[anchors]`, the sum of the positives.
        num_rows: Number of rows, float32.
        plain: Whether positives and negatives are 0 and 1. Defaults to `True`.
    """

    cosines: Any
    positives: Any
    negatives: Any
    num_positives: Any
    num_rows: Any
    plain: bool = True


def overlaps(labels: Any, others: Any) -> Any:
    """Products of soft labels, `[batch, others]`, at most 1."""
    # Rows may sum to a little more than 1.
    return ops.minimum(ops.matmul(labels, ops.transpose(others)), 1.0)


def all_pairs(
    classes: Any,
    embeddings: Any,
    views: bool = False,
    memory: Memory | None = None,
    class_mean: bool = False,
    present: Any = None,
    overlap_of: Callable[[Any, Any], Any] = overlaps,
) -> Pairs:
    """Compare every row of a batch with every row.

    Args:
        classes: Integer classes `[batch]`, or soft labels or sets of labels `[batch, classes]`,
            float32.
        embeddings: Unit rows `[batch, dim]`, float32.
        views: Whether the other view of the anchor's image alone is a positive: of the rows 2k and
            2k + 1, the other. Defaults to `False`.
        memory: Rows that follow those of the batch. Defaults to `None`.
        class_mean: Whether each class weighs as much as any other, and not each row. Not with soft
            labels. Defaults to `False`.
        present: Float32 `[batch]`, 1 for each row that takes part and 0 for one that is nobody's
            positive or negative. Defaults to `None`, all take part.
        overlap_of: From two tables of rows to the overlaps of all pairs, where labels are rows.
            Defaults to that of soft labels.

    Returns:
        `Pairs`, each row an anchor; one that takes no part has no positive.

    Example:
    ```python
    all_pairs(np.array([0, 0, 1]), np.eye(3, dtype="float32")).num_positives  # [1, 1, 0]
    ```
    """
    everyone = embeddings if memory is None else rows_with_memory(embeddings, memory)
    cosines = ops.matmul(embeddings, ops.transpose(everyone))
    rows = ops.arange(ops.shape(embeddings)[0])
    columns = rows if memory is None else ops.arange(ops.shape(everyone)[0])
    itself = ops.cast(ops.expand_dims(rows, 1) == ops.expand_dims(columns, 0), "float32")
    if len(classes.shape) == 2:
        others = 1.0 - itself
        overlap = overlap_of(classes, classes)
        positives, negatives = overlap * others, (1.0 - overlap) * others
    else:
        of_all = classes if memory is None else classes_with_memory(classes, memory)
        same = ops.cast(ops.expand_dims(classes, 1) == ops.expand_dims(of_all, 0), "float32")
        positives, negatives = same - itself, 1.0 - same
    filled = filled_rows(embeddings, memory, present)
    if filled is not None:
        of_columns = ops.expand_dims(filled, 0)
        positives, negatives = positives * of_columns, negatives * of_columns
    if present is not None:
        positives = positives * ops.expand_dims(present, 1)
    if views:
        positives = positives * ops.cast(
            ops.expand_dims(rows // 2, 1) == ops.expand_dims(columns // 2, 0), "float32"
        )
        # A row of the memory is nobody's view.
        positives = positives * ops.cast(columns < ops.shape(embeddings)[0], "float32")
    if class_mean:
        counts = rows_of_each_class(classes, memory, filled)
        positives, negatives = average_classes(positives, negatives, counts)
    return Pairs(
        cosines,
        positives,
        negatives,
        ops.sum(positives, axis=1),
        number_of_rows(cosines, filled),
        plain=is_plain(classes, views, filled, class_mean),
    )


def is_plain(classes: Any, views: bool, filled: Any, class_mean: bool = False) -> bool:
    """Whether a row is a positive or a negative of every other one, and wholly so."""
    return len(classes.shape) == 1 and not views and filled is None and not class_mean


def rows_with_memory(embeddings: Any, memory: Memory) -> Any:
    """Embeddings of the batch and after them those of the memory."""
    return ops.concatenate([embeddings, ops.stop_gradient(memory.embeddings)])


def classes_with_memory(classes: Any, memory: Memory) -> Any:
    """Classes of the batch and after them those of the memory."""
    return ops.concatenate([classes, ops.cast(memory.classes, classes.dtype)])


def rows_of_each_class(classes: Any, memory: Memory | None, filled: Any) -> Any:
    """How many rows of batch and memory have the class of each, float32, at least 1."""
    of_all = classes if memory is None else classes_with_memory(classes, memory)
    return rows_of_class(of_all, filled)


def filled_rows(embeddings: Any, memory: Memory | None, present: Any) -> Any:
    """1 for each row of the batch and of the memory that takes part, else 0; `None` for all."""
    if memory is None:
        return present
    of_batch = ops.ones_like(embeddings[:, 0]) if present is None else present
    return ops.concatenate([of_batch, memory.filled])


def number_of_rows(table: Any, filled: Any) -> Any:
    """Rows that an anchor is compared with, itself among them, float32."""
    columns = ops.cast(ops.shape(table)[1], "float32")
    return columns if filled is None else columns - ops.sum(1.0 - filled)


def divisor_of(num_positives: Any, plain: bool) -> Any:
    """What a sum over positives is divided by: 1 where there are none."""
    if plain:
        return ops.maximum(num_positives, 1.0)
    # Soft labels may overlap by less than 1 in all.
    return ops.where(num_positives > 0, num_positives, 1.0)


def unit_rows(x: Any) -> Any:
    """Rows divided by their Euclidean norm, in float32, safe for any size of row.

    Args:
        x: A tensor `[batch, dim]`.

    Returns:
        A float32 tensor `[batch, dim]` of unit rows; a zero row stays zero and passes no gradient.

    Example:
    ```python
    unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))  # [[0.6, 0.8], [0, 0]]
    ```
    """
    x = ops.cast(x, "float32")
    # A row's direction does not depend on its size, so a constant factor keeps both the value and
    # the gradient, while the squares of very long and very short rows stay within range.
    largest = ops.stop_gradient(ops.amax(ops.abs(x), axis=1, keepdims=True))
    nonzero = largest > 0
    x = x / ops.where(nonzero, largest, 1.0)
    squares = ops.where(nonzero, ops.sum(ops.square(x), axis=1, keepdims=True), 1.0)
    return x * ops.where(nonzero, ops.rsqrt(squares), 0.0)

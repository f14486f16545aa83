"""All pairs of a batch: their cosine similarities, and which are positives and negatives."""

from typing import Any, NamedTuple

from keras import ops


class Pairs(NamedTuple):
    """Some anchors against the whole batch, of which a loss's formula makes a value per anchor."""

    cosines: Any  # float32 [anchors, batch]
    positives: Any  # the same shape, 1 where the row has the anchor's class and is not the anchor
    negatives: Any  # the same shape, 1 where the row has another class
    num_positives: Any  # float32 [anchors]


def all_pairs(classes: Any, embeddings: Any) -> Pairs:
    """Compare every row of a batch with every row.

    Args:
        classes: Integer classes `[batch]`.
        embeddings: Unit rows `[batch, dim]`, float32.

    Returns:
        `Pairs`, each row an anchor.

    Example:
    ```python
    all_pairs(np.array([0, 0, 1]), np.eye(3, dtype="float32")).num_positives  # [1, 1, 0]
    ```
    """
    cosines = ops.matmul(embeddings, ops.transpose(embeddings))
    same = ops.cast(ops.expand_dims(classes, 1) == ops.expand_dims(classes, 0), "float32")
    rows = ops.arange(ops.shape(classes)[0])
    itself = ops.cast(ops.expand_dims(rows, 1) == ops.expand_dims(rows, 0), "float32")
    positives = same - itself
    return Pairs(cosines, positives, 1.0 - same, ops.sum(positives, axis=1))


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

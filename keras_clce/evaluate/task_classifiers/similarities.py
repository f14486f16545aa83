"""Similarities of prototypes and rows, with what carries a gradient back to the prototypes.

Each maker takes rows once and gives a function of the prototypes `(tasks, ways, dim)`. That gives
similarities `(tasks, ways, examples)` and a second function, from the gradient of a loss by the
similarities to its gradient by the prototypes.
"""

from collections.abc import Callable

import numpy as np

from keras_clce.evaluate.task_classifiers.algebra import lengths, products, squares, unit_rows

_SHORTEST = np.float32(1e-12)

Pull = Callable[[np.ndarray], np.ndarray]
Similarity = Callable[[np.ndarray], tuple[np.ndarray, Pull]]


def cosines(rows: np.ndarray) -> Similarity:
    """Cosine similarity.

    Args:
        rows: Features `(tasks, examples, dim)`.

    Returns:
        The function of the prototypes.

    Example:
    ```python
    similarity, pull = cosines(np.array([[[3.0, 4.0]]]))(np.array([[[1.0, 0.0]]]))
    similarity, pull(np.ones((1, 1, 1)))  # ([[[0.6]]], [[[0.0, 0.8]]])
    ```
    """
    rows = unit_rows(rows)
    columns = np.ascontiguousarray(rows.swapaxes(1, 2))

    def similarity(prototypes):
        # A gradient is as steep as its prototype is short.
        length = np.maximum(lengths(prototypes), _SHORTEST)
        units = prototypes / length

        def pull(slopes):
            slope = slopes @ rows
            slope -= np.einsum("tkd,tkd->tk", slope, units)[..., None] * units
            slope /= length
            return slope

        return units @ columns, pull

    return similarity


def negative_distances(rows: np.ndarray, start: np.ndarray) -> Similarity:
    """Euclidean distance, with a minus; its gradient at a distance of 0 is 0.

    Args:
        rows: Features `(tasks, examples, dim)`.
        start: Prototypes that those to come are close to `(tasks, ways, dim)`.

    Returns:
        The function of the prototypes.

    Example:
    ```python
    rows, start = np.array([[[3.0, 4.0]]]), np.zeros((1, 1, 2))
    similarity, pull = negative_distances(rows, start)(start)
    similarity, pull(np.ones((1, 1, 1)))  # ([[[-5.0]]], [[[0.6, 0.8]]])
    ```
    """
    # Distances stay as they are, and differences of large numbers small.
    center = rows.mean(axis=1, keepdims=True)
    rows, start, moved_by = rows - center, start - center, start
    columns = np.ascontiguousarray(rows.swapaxes(1, 2))
    first = _precise_squares(start, rows)

    def similarity(prototypes):
        # A prototype may be very close to a row, as to the only one of its class.
        change = prototypes - moved_by
        shift = squares(change) + 2 * np.einsum("tkd,tkd->tk", change, start)
        distances = change @ columns
        distances *= -2
        distances += first
        distances += shift[..., None]
        distances = np.sqrt(np.maximum(distances, 0, out=distances), out=distances)

        def pull(slopes):
            weights = np.divide(
                slopes, distances, out=np.zeros_like(distances), where=distances > 0
            )
            return weights @ rows - weights.sum(axis=2, keepdims=True) * (start + change)

        return -distances, pull

    return similarity


def _precise_squares(means, rows):
    """Squared distances, exactly 0 where they are 0 but for rounding."""
    wide, narrow = means.astype("float64"), rows.astype("float64")
    norms = squares(wide)[..., None] + squares(narrow)[:, None]
    found = norms - 2 * products(wide, narrow)
    return np.where(found > 1e-12 * norms, found, 0).astype(rows.dtype)

"""Algebra of many tasks at once.

Classes stand before examples, `(tasks, ways, examples)`: sums and maxima over a few classes are
then sums of long rows, many times as fast as over a last axis of length 5.
"""

import numpy as np


def class_means(support: np.ndarray) -> np.ndarray:
    """Mean of each class's support.

    Args:
        support: Features `(tasks, ways, shots, dim)`.

    Returns:
        Means `(tasks, ways, dim)`.

    Example:
    ```python
    class_means(np.array([[[[0.0, 2.0], [2.0, 4.0]]]]))  # [[[1.0, 3.0]]]
    ```
    """
    return support.sum(axis=2) / support.shape[2]


def all_rows(support: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Support, class by class, and then the queries.

    Args:
        support: Features `(tasks, ways, shots, dim)`.
        queries: Features `(tasks, examples, dim)`.

    Returns:
        Features `(tasks, ways * shots + examples, dim)`.

    Example:
    ```python
    all_rows(np.zeros((1, 5, 2, 8)), np.zeros((1, 75, 8))).shape  # (1, 85, 8)
    ```
    """
    return np.concatenate([rows_of(support), queries], axis=1)


def rows_of(support: np.ndarray) -> np.ndarray:
    """Support, class by class.

    Args:
        support: Features `(tasks, ways, shots, dim)`.

    Returns:
        Features `(tasks, ways * shots, dim)`.

    Example:
    ```python
    rows_of(np.zeros((1, 5, 2, 8))).shape  # (1, 10, 8)
    ```
    """
    return support.reshape(len(support), -1, support.shape[-1])


def support_classes(support: np.ndarray) -> np.ndarray:
    """One-hot classes of the rows of a support.

    Args:
        support: Features `(tasks, ways, shots, dim)`.

    Returns:
        One-hot classes `(ways, ways * shots)`.

    Example:
    ```python
    support_classes(np.zeros((1, 2, 2, 8)))  # [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]
    ```
    """
    _, ways, shots, _ = support.shape
    return np.repeat(np.eye(ways, dtype=support.dtype), shots, axis=1)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Divide rows by their length; a zero row stays one.

    Args:
        rows: Rows `(..., dim)`.

    Returns:
        Rows of length 1.

    Example:
    ```python
    unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))  # [[0.6, 0.8], [0.0, 0.0]]
    ```
    """
    return rows / lengths(rows)


def lengths(rows: np.ndarray) -> np.ndarray:
    """Length of each row, and 1 of a zero row.

    Args:
        rows: Rows `(..., dim)`.

    Returns:
        Lengths `(..., 1)`.

    Example:
    ```python
    lengths(np.array([[3.0, 4.0], [0.0, 0.0]]))  # [[5.0], [1.0]]
    ```
    """
    found = np.sqrt(squares(rows))[..., None]
    return np.where(found > 0, found, 1).astype(rows.dtype, copy=False)


def squares(rows: np.ndarray) -> np.ndarray:
    """Squared length of each row.

    Args:
        rows: Rows `(..., dim)`.

    Returns:
        Squares `(...,)`.

    Example:
    ```python
    squares(np.array([[3.0, 4.0]]))  # [25.0]
    ```
    """
    return np.einsum("...d,...d->...", rows, rows)


def squared_distances(means: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Squared Euclidean distance of each mean to each row.

    Args:
        means: Features `(tasks, ways, dim)`.
        rows: Features `(tasks, examples, dim)`.

    Returns:
        Squares of at least 0 `(tasks, ways, examples)`.

    Example:
    ```python
    squared_distances(np.zeros((1, 1, 2)), np.array([[[3.0, 4.0]]]))  # [[[25.0]]]
    ```
    """
    found = products(means, rows)
    found *= -2
    found += squares(means)[..., None]
    found += squares(rows)[:, None]
    return np.maximum(found, 0, out=found)


def cosine_similarities(means: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Cosine similarity of each mean to each row; that of a zero row is 0.

    Args:
        means: Features `(tasks, ways, dim)`.
        rows: Features `(tasks, examples, dim)`.

    Returns:
        Similarities `(tasks, ways, examples)`.

    Example:
    ```python
    cosine_similarities(np.eye(2)[None], np.array([[[3.0, 4.0]]]))  # [[[0.6], [0.8]]]
    ```
    """
    # Dividing products takes less time than dividing rows.
    found = products(unit_rows(means), rows)
    found /= lengths(rows).swapaxes(-1, -2)
    return found


def closeness(means: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Minus half the squared distance, but for half the square of the row.

    Args:
        means: Features `(tasks, ways, dim)`.
        rows: Features `(tasks, examples, dim)`.

    Returns:
        Closeness `(tasks, ways, examples)`, of which the classes of a row can be compared.

    Example:
    ```python
    closeness(np.eye(2)[None], np.array([[[3.0, 4.0]]]))  # [[[2.5], [3.5]]]
    ```
    """
    found = products(means, rows)
    found -= squares(means)[..., None] / 2
    return found


def products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Inner product of each row on the left with each on the right.

    Args:
        left: Rows `(..., m, dim)`.
        right: Rows `(..., n, dim)`.

    Returns:
        Products `(..., m, n)`.

    Example:
    ```python
    products(np.eye(2), np.array([[3.0, 4.0]]))  # [[3.0], [4.0]]
    ```
    """
    return left @ right.swapaxes(-1, -2)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax over the classes.

    Args:
        scores: Scores `(tasks, ways, examples)`.

    Returns:
        Probabilities `(tasks, ways, examples)`.

    Example:
    ```python
    softmax(np.zeros((1, 2, 1)))  # [[[0.5], [0.5]]]
    ```
    """
    found = scores - scores.max(axis=1, keepdims=True)
    np.exp(found, out=found)
    found /= found.sum(axis=1, keepdims=True)
    return found

"""How similar embeddings of one class and of different classes are: cosines of their pairs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.checks import as_array, check_at_least, finite_array

# A table of 512 rows by 10,000 embeddings takes 20 MB in float32.
_ROWS = 512


@dataclass(frozen=True)
class CosineSimilarities:
    """Cosines of pairs of embeddings.

    Attributes:
        within: Cosines `(pairs,)` of two examples of one class.
        between: Cosines `(pairs,)` of two examples of different classes.

    Example:
    ```python
    cosine_similarities(np.eye(3), np.array([0, 0, 1])).within.mean()  # 0.0
    ```
    """

    within: np.ndarray
    between: np.ndarray


def cosine_similarities(
    embeddings: np.ndarray, labels: np.ndarray, max_examples: int = 5000, seed: int = 0
) -> CosineSimilarities:
    """Cosines of all pairs of examples, those of one class and those of two apart.

    Args:
        embeddings: Array `(examples, dim)` without zero rows.
        labels: Integer classes `(examples,)`.
        max_examples: Of more examples than that, as many are drawn; the number of pairs grows with
            its square. Defaults to 5000.
        seed: Seed of the draw. Defaults to 0.

    Returns:
        A `CosineSimilarities`, each pair once.

    Raises:
        ValueError: If shapes do not fit, values are not finite, or a row is zero.

    Example:
    ```python
    cosines = cosine_similarities(np.eye(3), np.array([0, 0, 1]))
    cosines.within.mean(), cosines.between.mean()  # (0.0, 0.0)
    ```
    """
    embeddings, labels = some_units(embeddings, labels, max_examples, seed)
    within, between = zip(*pair_cosines(embeddings.astype("float64"), labels), strict=True)
    return CosineSimilarities(within=np.concatenate(within), between=np.concatenate(between))


def unit_rows(embeddings: Any) -> np.ndarray:
    """Embeddings on the unit sphere.

    Args:
        embeddings: Array `(examples, dim)` without zero rows.

    Returns:
        The rows divided by their lengths, in float32, or in float64 where they came so.

    Raises:
        ValueError: If the array has another shape, values are not finite, or a row is zero.

    Example:
    ```python
    unit_rows([[3.0, 4.0]])  # [[0.6, 0.8]]
    ```
    """
    embeddings = finite_array("embeddings", embeddings, ndim=2)
    if embeddings.dtype not in (np.float32, np.float64):
        embeddings = embeddings.astype("float32" if embeddings.dtype.kind == "f" else "float64")
    # Squares of large and small numbers would leave the range of float32.
    largest = np.maximum(embeddings.max(axis=1), -embeddings.min(axis=1))[:, None]
    if not largest.all():
        raise ValueError(
            "`embeddings` must have no zero row, which has no direction. "
            f"Received: {np.sum(largest == 0)} zero rows"
        )
    units = embeddings / largest
    units /= np.sqrt(np.einsum("ij,ij->i", units, units))[:, None]
    return units


def some_units(
    embeddings: Any, labels: Any, max_examples: int | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of embeddings with their labels, of many examples some.

    Args:
        embeddings: As in `cosine_similarities`, and so are the others.
        labels: Classes; `None` gives all the same.
        max_examples: Most examples. Defaults to `None`, all.
        seed: Seed of the draw. Defaults to 0.

    Returns:
        Unit rows `(examples, dim)` and labels `(examples,)`.

    Raises:
        ValueError: If an argument is wrong.

    Example:
    ```python
    some_units(embeddings, labels, max_examples=50, seed=0)[0].shape  # (50, 8)
    ```
    """
    embeddings = finite_array("embeddings", embeddings, ndim=2)
    labels = np.zeros(len(embeddings), int) if labels is None else as_array(labels)
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"`labels` must have shape ({len(embeddings)},), one for each embedding. "
            f"Received: labels of shape {labels.shape}"
        )
    if max_examples is not None:
        check_at_least("max_examples", max_examples, 2)
        if len(embeddings) > max_examples:
            rng = np.random.default_rng(seed)
            chosen = rng.choice(len(embeddings), max_examples, replace=False)
            embeddings, labels = embeddings[chosen], labels[chosen]
    return unit_rows(embeddings), labels


def pair_cosines(units: np.ndarray, labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cosines of all pairs, each once, a few hundred rows of their table at a time.

    Args:
        units: Unit rows `(examples, dim)`.
        labels: Their classes `(examples,)`.

    Yields:
        Cosines of pairs of one class, and of pairs of two.

    Example:
    ```python
    (within, between), *_ = pair_cosines(np.eye(3), np.array([0, 0, 1]))
    len(within), len(between)  # (1, 2)
    ```
    """
    for start in range(0, len(units), _ROWS):
        stop = min(start + _ROWS, len(units))
        cosines = units[start:stop] @ units[start:].T
        same = labels[start:stop, None] == labels[start:]
        later = np.triu(np.ones(cosines.shape, bool), k=1)
        yield cosines[same & later], cosines[~same & later]

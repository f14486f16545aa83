"""Alignment and uniformity of embeddings on the sphere, and how far apart classes are."""

from typing import Any

import numpy as np
from scipy.special import logsumexp

from keras_clce.evaluate.embedding_geometry import pair_cosines, some_units


def alignment(
    embeddings: Any, labels: Any, alpha: float = 2.0, max_examples: int = 10_000, seed: int = 0
) -> float:
    """How close examples of one class lie: the mean of ‖x − y‖^α over their pairs.

    Wang and Isola take two views of one image as a pair; here, with labels, every two examples of
    one class are one. Lengths of embeddings do not count.

    Args:
        embeddings: Array `(examples, dim)` without zero rows.
        labels: Integer classes `(examples,)`.
        alpha: The power α. Defaults to 2.
        max_examples: Of more examples than that, as many are drawn. Defaults to 10,000.
        seed: Seed of the draw. Defaults to 0.

    Returns:
        A number from 0, where classes are points, up to 2^α.

    Raises:
        ValueError: If shapes do not fit, values are not finite, a row is zero, or no class has two
            examples.

    Reference:
        - [Wang and Isola 2020](https://arxiv.org/abs/2005.10242)

    Example:
    ```python
    alignment(np.eye(3), np.array([0, 0, 1]))  # 2.0
    ```
    """
    units, labels = some_units(embeddings, labels, max_examples, seed)
    total, pairs = 0.0, 0
    for within, _ in pair_cosines(units, labels):
        total += np.sum(_squared_distances(within) ** (alpha / 2))
        pairs += len(within)
    if not pairs:
        raise ValueError(
            "`labels` must have two examples of one class. Received: "
            f"{len(labels)} labels of {len(np.unique(labels))} classes"
        )
    return float(total / pairs)


def uniformity(embeddings: Any, t: float = 2.0, max_examples: int = 10_000, seed: int = 0) -> float:
    """How evenly embeddings fill the sphere: the logarithm of the mean of e^(−t‖x − y‖²).

    The mean is over all pairs of different examples. Lengths of embeddings do not count.

    Args:
        embeddings: Array `(examples, dim)` without zero rows.
        t: The factor t. Defaults to 2.
        max_examples: Of more examples than that, as many are drawn. Defaults to 10,000.
        seed: Seed of the draw. Defaults to 0.

    Returns:
        A number of at most 0, where all are one point; smaller is more even. In high dimension an
        even sphere has about −2t.

    Raises:
        ValueError: If the shape does not fit, values are not finite, a row is zero, or there is one
            example.

    Reference:
        - [Wang and Isola 2020](https://arxiv.org/abs/2005.10242)

    Example:
    ```python
    uniformity(np.eye(3))  # -4.0
    ```
    """
    units, labels = some_units(embeddings, None, max_examples, seed)
    pairs = len(units) * (len(units) - 1) // 2
    if not pairs:
        raise ValueError("`embeddings` must have two rows or more. Received: 1 row")
    parts = [
        logsumexp(-t * _squared_distances(cosines))
        for cosines, _ in pair_cosines(units, labels)
        if len(cosines)
    ]
    return float(logsumexp(parts) - np.log(pairs))


def class_separation(embeddings: Any, labels: Any) -> float:
    """How much of the spread of embeddings lies between classes: 1 − d_within / d_total.

    Both are mean cosine distances, of two examples of one class and of any two, every class with
    the same weight and an example paired with itself too.

    Args:
        embeddings: Array `(examples, dim)` without zero rows.
        labels: Integer classes `(examples,)`.

    Returns:
        A number of at most 1, where classes are points; 0 is no separation, as where all rows
        point in one direction.

    Raises:
        ValueError: If shapes do not fit, values are not finite, or a row is zero.

    Reference:
        - [Kornblith et al. 2021](https://arxiv.org/abs/2010.16402), who find that losses which
          separate classes more give features that transfer less

    Example:
    ```python
    class_separation(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([0, 0, 1]))  # 1.0
    ```
    """
    units, labels = some_units(embeddings, labels)
    # The mean cosine over all pairs of a class is the squared length of its mean.
    means = np.stack(
        [units[labels == label].mean(axis=0, dtype="float64") for label in np.unique(labels)]
    )
    within = 1 - np.mean(np.sum(means**2, axis=1))
    total = 1 - np.sum(means.mean(axis=0) ** 2)
    # Rounding of float32 is no spread.
    return float(1 - within / total) if total > 1e-6 else 0.0


def _squared_distances(cosines):
    return np.maximum(2 - 2 * cosines.astype("float64"), 0)

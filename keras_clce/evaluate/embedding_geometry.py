"""What embeddings look like: how evenly they fill their space, and how similar classes are."""

from dataclasses import dataclass

import numpy as np

from keras_clce.checks import as_array, check_at_least, finite_array


def isotropy_score(embeddings: np.ndarray) -> float:
    """How evenly embeddings point in all directions, by their partition function.

    With Z(c) = Σ exp(c · v) over the embeddings v, the score is the smallest Z over the largest,
    c running over the eigenvectors of VᵀV in both directions. 1 is a cloud without a preferred
    direction.

    Args:
        embeddings: Array `(examples, dim)`, usually of unit rows.

    Returns:
        A number within (0, 1].

    Raises:
        ValueError: If the array is of another shape or holds values that are not finite.

    Reference:
        - [Mu and Viswanath 2018](https://arxiv.org/abs/1702.01417), which
          [CLCE](https://arxiv.org/abs/2402.14551) takes it from

    Example:
    ```python
    isotropy_score(np.concatenate([np.eye(3), -np.eye(3)]))  # 1.0
    ```
    """
    embeddings = _finite_rows(embeddings)
    _, directions = np.linalg.eigh(embeddings.T @ embeddings)
    projections = embeddings @ np.concatenate([directions, -directions], axis=1)
    largest = projections.max()
    partition = np.exp(projections - largest).sum(axis=0)
    return float(partition.min() / partition.max())


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
    embeddings = _finite_rows(embeddings)
    labels = as_array(labels)
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(
            f"`labels` must have shape ({len(embeddings)},), one for each embedding. "
            f"Received: labels of shape {labels.shape}"
        )
    check_at_least("max_examples", max_examples, 2)
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError(
            "`embeddings` must have no zero row, which has no direction. "
            f"Received: {np.sum(lengths == 0)} zero rows"
        )
    units = embeddings / lengths
    if len(units) > max_examples:
        chosen = np.random.default_rng(seed).choice(len(units), max_examples, replace=False)
        units, labels = units[chosen], labels[chosen]
    first, second = np.triu_indices(len(units), k=1)
    cosines = (units @ units.T)[first, second]
    same = labels[first] == labels[second]
    return CosineSimilarities(within=cosines[same], between=cosines[~same])


def _finite_rows(embeddings):
    return finite_array("embeddings", as_array(embeddings).astype("float64"), ndim=2)

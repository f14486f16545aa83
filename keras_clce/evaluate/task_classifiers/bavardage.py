"""BAVARDAGE: adaptive dimension reduction and variational Bayes."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from keras_clce.checks import import_module
from keras_clce.evaluate.task_classifiers.algebra import (
    all_rows,
    class_means,
    products,
    squared_distances,
    support_classes,
)
from keras_clce.evaluate.task_classifiers.base import (
    REQUIRED,
    TaskClassifier,
    check_positive,
    check_steps,
)
from keras_clce.evaluate.task_classifiers.centering import base_mean, centered_unit_rows
from keras_clce.evaluate.task_classifiers.soft_kmeans import SoftKMeans, assignments

# Weight of the prior of a class mean, which is 0; examples of a class in a symmetric Dirichlet.
_MEAN_WEIGHT, _CLASS_WEIGHT = 10, 2
_RIDGE = 1e-6


class _Base(NamedTuple):
    """Mean of the base classes, axes of their shared covariance, and scales of the axes."""

    mean: np.ndarray
    axes: np.ndarray
    scales: np.ndarray


@dataclass(frozen=True)
class Bavardage(TaskClassifier):
    """Classify by variational Bayes in a space that adapts to each task.

    Rows lose the mean of the base classes and are divided by their length. Within the span of a
    task, axes are scaled by the inverse root of the base classes' shared covariance, up to a limit.
    Each round then projects on the span of the differences between class means and finds the
    responsibilities of isotropic Gaussians. It begins with soft k-means.

    Args:
        balanced: Whether queries are taken to be the same number of each class; `False` learns the
            shares under a Dirichlet prior. Defaults to `True`.
        rounds: Rounds of variational Bayes. Defaults to 5.
        variance: Variance of the Gaussians. Defaults to 1/4.
        largest_scale: Limit of the scale of an axis. Defaults to 5.
        temperature: As in `soft_kmeans`. Defaults to 10.
        steps: As in `soft_kmeans`. Defaults to 5.

    Reference:
        - [BAVARDAGE](https://arxiv.org/abs/2209.08527)

    Example:
    ```python
    support, queries = np.eye(2)[None, :, None], np.eye(2)[None]
    base, of = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 4
    predict_tasks(support, queries, "bavardage", base, of, balanced=False)  # [[0, 1]]
    ```
    """

    balanced: bool = True
    rounds: int = 5
    variance: float = 0.25
    largest_scale: float = 5.0
    temperature: float = 10.0
    steps: int = 5

    transductive = True
    base_features = REQUIRED

    def __post_init__(self) -> None:
        if not isinstance(self.balanced, bool):
            raise ValueError(
                f"`balanced` must be True or False. Received: balanced={self.balanced!r}"
            )
        check_steps(rounds=self.rounds, steps=self.steps)
        check_positive(
            variance=self.variance,
            largest_scale=self.largest_scale,
            temperature=self.temperature,
        )

    def learn(self, base_features: np.ndarray | None, base_labels: np.ndarray | None) -> Any:
        """Mean of the base classes and their shared covariance."""
        mean = base_mean(base_features)
        values, axes = np.linalg.eigh(_shared_covariance(base_features, base_labels, mean))
        return _Base(mean, axes.astype("float32"), np.maximum(values, _RIDGE) ** -0.5)

    def represent(self, features: np.ndarray, learned: Any = None) -> np.ndarray:
        """Centred rows of unit length, along the axes of the base classes."""
        return centered_unit_rows(features, learned.mean) @ learned.axes

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Logarithms of the last responsibilities, but for what is the same of all classes."""
        rows, known = all_rows(support, queries), support_classes(support)
        start = SoftKMeans(self.temperature, self.steps)
        logits = start.logits(rows, class_means(support), known)
        scaled = _scaled_rows(rows, learned.scales, self.largest_scale)
        for _ in range(self.rounds):
            logits = self._round(scaled, assignments(logits, known), support.shape[2])
        return logits[..., -queries.shape[1] :].swapaxes(1, 2)

    def _round(self, rows, assigned, shots):
        sums = assigned.sum(axis=2)
        weights = _MEAN_WEIGHT + sums
        means = assigned @ rows / weights[..., None]
        basis, _ = np.linalg.qr((means[:, 1:] - means[:, :1]).swapaxes(1, 2))
        logits = squared_distances(means @ basis, rows @ basis)
        logits /= -2 * self.variance
        logits -= ((means.shape[1] - 1) / (2 * weights))[..., None].astype(logits.dtype)
        if not self.balanced:
            digamma = import_module("scipy.special", "BAVARDAGE", "scipy").digamma
            shares = _CLASS_WEIGHT + sums - shots
            shares = digamma(shares) - digamma(shares.sum(axis=1, keepdims=True))
            logits += shares[..., None].astype(logits.dtype)
        return logits


def _shared_covariance(features, labels, mean):
    """Mean of the classes' covariances, each divided by its norm, times their mean norm."""
    dim, classes = features.shape[1], np.unique(labels)
    total, norms = np.zeros((dim, dim)), []
    for label in classes:
        rows = centered_unit_rows(features[labels == label], mean)
        rows = (rows - rows.mean(axis=0)).astype("float64")
        covariance = rows.T @ rows
        norms.append(np.linalg.norm(covariance))
        # The covariance of a class of equal rows has no direction.
        total += covariance / (norms[-1] or 1)
    return total / len(classes) * np.mean(norms) + _RIDGE * np.eye(dim)


def _scaled_rows(rows, scales, largest):
    """Rows on the axes of their own span, scaled by the inverse root of the base covariance."""
    _, examples, dim = rows.shape
    if dim <= examples:
        return rows * np.minimum(scales, largest).astype(rows.dtype)
    # With the Cholesky factor L of the Gram matrix, L⁻¹ rows is an orthonormal basis of the span,
    # and rows in this basis are L. A ridge makes up for rows that depend on each other.
    wide = rows.astype("float64")
    gram = products(wide, wide)
    ridge = 1e-10 * np.trace(gram, axis1=1, axis2=2) + np.finfo("float64").tiny
    factor = np.linalg.cholesky(gram + ridge[:, None, None] * np.eye(examples))
    wide *= scales
    inverse = np.linalg.inv(factor)
    values, axes = np.linalg.eigh(inverse @ products(wide, wide) @ inverse.swapaxes(1, 2))
    scales = np.minimum(np.sqrt(np.maximum(values, 0)), largest)
    return (factor @ axes * scales[:, None]).astype(rows.dtype)

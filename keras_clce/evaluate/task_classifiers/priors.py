"""Normal-inverse-Wishart priors of class means and covariances."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.checks import as_array, finite_array, import_module
from keras_clce.evaluate.task_classifiers.base import (
    check_one_of,
    check_positive,
    check_share,
    check_steps,
)

# Scores of Meta-QDA: fully Bayesian, or of the most likely covariance.
VARIANTS = ("fb", "map")
# Freedom of a prior whose classes all have one covariance, but for chance.
_MOST_FREEDOM = 1e6


# Equal where they are one: arrays have no truth value, and no hash.
@dataclass(frozen=True, eq=False)
class NormalInverseWishart:
    """A prior of the mean and the covariance of a class.

    Its covariance is inverse Wishart, and its mean normal around `mean` with the covariance divided
    by `kappa`.

    Args:
        mean: Mean of the classes' means `(dim,)`.
        kappa: How many examples the mean counts as, above 0.
        nu: Degrees of freedom, above `dim - 1`.
        scale: Positive definite scale `(dim, dim)`; the mean covariance is
            `scale / (nu - dim - 1)`.

    Raises:
        ValueError: If they are no such numbers, or do not fit each other.

    Example:
    ```python
    prior = NormalInverseWishart(np.zeros(2), kappa=0.1, nu=4.0, scale=np.eye(2))
    predict_tasks(np.eye(2)[None, :, None], np.eye(2)[None], "meta_qda", prior=prior)  # [[0, 1]]
    ```
    """

    mean: np.ndarray
    kappa: float
    nu: float
    scale: np.ndarray

    def __post_init__(self) -> None:
        mean = finite_array("mean", self.mean, ndim=1).astype("float64")
        scale = finite_array("scale", self.scale, ndim=2).astype("float64")
        dim = len(mean)
        if scale.shape != (dim, dim) or not np.allclose(scale, scale.T, rtol=1e-4):
            raise ValueError(
                f"`scale` must be symmetric and of shape {(dim, dim)}, as `mean` has {dim} "
                f"dimensions. Received: scale of shape {scale.shape}"
            )
        check_positive(kappa=self.kappa, nu=self.nu)
        if self.nu <= dim - 1:
            raise ValueError(f"`nu` must be above dim - 1 = {dim - 1}. Received: nu={self.nu!r}")
        if np.linalg.eigvalsh(scale)[0] <= 0:
            raise ValueError(
                "`scale` must be positive definite. Received: scale with the smallest eigenvalue "
                f"{np.linalg.eigvalsh(scale)[0]:.2g}"
            )
        for name, value in (
            ("mean", mean),
            ("kappa", float(self.kappa)),
            ("nu", float(self.nu)),
            ("scale", (scale + scale.T) / 2),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def from_moments(cls, base_features: Any, base_labels: Any) -> "NormalInverseWishart":
        """Choose the prior whose moments are those of base classes.

        The mean covariance is the pooled one within the classes, shrunk by the OAS
        formula; `nu` follows from how much the classes' covariances differ, and `kappa` from how
        far their means are apart, both corrected for what few examples add.

        Args:
            base_features: Finite features `(examples, dim)`.
            base_labels: Their integer classes `(examples,)`, at least two of them.

        Returns:
            The prior.

        Raises:
            ValueError: If features are not finite or do not fit the labels.

        Example:
        ```python
        NormalInverseWishart.from_moments(features, labels).mean.shape  # (8,)
        ```
        """
        features = finite_array("base_features", base_features, ndim=2)
        labels = check_base_labels(base_labels, features)
        classes, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
        dim = features.shape[1]
        within, means = features.astype("float64"), np.empty((len(classes), dim))
        for number in range(len(classes)):
            means[number] = within[places == number].mean(axis=0)
            within[places == number] -= means[number]
        freedom = max(1, len(features) - len(classes))
        shrunk, _ = import_module("sklearn.covariance", "Meta-QDA", "scikit-learn").oas(
            within, assume_centered=True
        )
        covariance = shrunk * len(features) / freedom
        # Features that do not vary are as certain as rounding lets them be.
        floor = 1e-6 * np.trace(covariance) / dim or 1.0
        covariance += floor * np.eye(dim)
        nu = _degrees_of_freedom(within, places, covariance) + dim + 1
        mean = means.mean(axis=0)
        # The means of few examples lie further apart than those of the classes.
        by_chance = np.trace(covariance) * np.mean(1 / counts)
        apart = ((means - mean) ** 2).sum() / max(1, len(classes) - 1) - by_chance
        # Classes whose means are no further apart than by chance say no more of kappa.
        kappa = np.trace(covariance) / max(apart, by_chance)
        return cls(mean, kappa, nu, (nu - dim - 1) * covariance)

    @classmethod
    def from_episodes(
        cls,
        base_features: Any,
        base_labels: Any,
        ways: int = 5,
        shots: int = 5,
        queries: int = 15,
        episodes: int = 800,
        variant: str = "fb",
        regularization: float = 0.3,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ) -> "NormalInverseWishart":
        """Learn the prior on episodes of base classes, as Meta-QDA does.

        It begins with the prior of `from_moments` and takes steps of Keras's Adam, on the chosen
        backend, each on the cross-entropy of 8 episodes.

        Args:
            base_features: Finite features `(examples, dim)`.
            base_labels: Their integer classes `(examples,)`.
            ways: Classes per episode. Defaults to 5.
            shots: Labelled examples per class. Defaults to 5.
            queries: Classified examples per class. Defaults to 15.
            episodes: Number of episodes. Defaults to 800.
            variant: That of `meta_qda` that the prior is for. Defaults to `"fb"`.
            regularization: That of `meta_qda` that the prior is for. Defaults to 0.3.
            learning_rate: Size of a step. Defaults to 1e-3.
            seed: Seed of the episodes. Defaults to 0.

        Returns:
            The prior.

        Raises:
            ValueError: If features are not finite or do not fit the labels, episodes cannot be
                drawn from them, or another argument is out of its range.

        Example:
        ```python
        prior = NormalInverseWishart.from_episodes(features, labels, queries=4, episodes=16)
        prior.scale.shape  # (8, 8)
        ```
        """
        from keras_clce.evaluate.task_classifiers.meta_prior import EpisodeSize, learn_prior

        check_one_of("variant", variant, VARIANTS)
        check_share("regularization", regularization)
        check_positive(learning_rate=learning_rate)
        check_steps(episodes=episodes)
        start = cls.from_moments(base_features, base_labels)
        size: EpisodeSize = {
            "ways": ways,
            "shots": shots,
            "queries": queries,
            "tasks": episodes,
            "seed": seed,
        }
        features, labels = as_array(base_features), as_array(base_labels)
        return learn_prior(start, features, labels, variant, regularization, size, learning_rate)


def check_base_labels(labels: Any, features: np.ndarray) -> np.ndarray:
    """Check classes of base features.

    Args:
        labels: Integers `(examples,)`.
        features: Base features, one for each.

    Returns:
        The labels, as NumPy's.

    Raises:
        ValueError: If they are no integers, do not fit the features or are all one class.

    Example:
    ```python
    check_base_labels([0, 0, 1], np.zeros((3, 8))).shape  # (3,)
    ```
    """
    labels = as_array(labels)
    if labels.shape != features.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"`base_labels` must be integers of shape {features.shape[:1]}, one for each row of "
            f"`base_features`. Received: base_labels of shape {labels.shape} and dtype "
            f"{labels.dtype}"
        )
    if len(np.unique(labels)) < 2:
        raise ValueError(
            "`base_labels` must have two classes at least. "
            f"Received: {len(labels)} labels of class {labels[0]}"
        )
    return labels


def _degrees_of_freedom(features, places, covariance):
    """What `nu` has beyond `dim + 1`, from the squares of the classes' covariances.

    Where the mean covariance is the identity and `nu = k + dim + 1`, the trace of a squared
    covariance is k dim (k + dim) / ((k + 1) (k - 2)) on average. Differences of two examples have
    no mean, and the squared inner product of two that share no example is such a trace on average.
    """
    dim = features.shape[1]
    root = np.linalg.cholesky(covariance)
    traces, squares = [], []
    for number in range(places.max() + 1):
        rows = features[places == number]
        pairs = len(rows) // 2
        if pairs > 1:
            differences = (rows[: 2 * pairs : 2] - rows[1 : 2 * pairs : 2]) / np.sqrt(2)
            differences = np.linalg.solve(root, differences.T).T
            products = differences @ differences.T
            traces.append(np.trace(products) / pairs)
            others = (products**2).sum() - (np.diag(products) ** 2).sum()
            squares.append(others / (pairs * (pairs - 1)))
    if not traces or not np.mean(traces):
        return _MOST_FREEDOM
    ratio = np.mean(squares) * dim / np.mean(traces) ** 2
    if ratio <= 1 + dim / _MOST_FREEDOM:
        return _MOST_FREEDOM
    total = ratio + dim
    return (total + np.sqrt(total**2 + 8 * ratio * (ratio - 1))) / (2 * (ratio - 1))

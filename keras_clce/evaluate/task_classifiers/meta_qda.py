"""Meta-QDA: quadratic discriminants of classes that share a prior."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from keras_clce.checks import import_module
from keras_clce.evaluate.task_classifiers.algebra import class_means, products, squared_distances
from keras_clce.evaluate.task_classifiers.base import (
    REQUIRED,
    TaskClassifier,
    check_one_of,
    check_share,
)
from keras_clce.evaluate.task_classifiers.priors import VARIANTS, NormalInverseWishart


class _Base(NamedTuple):
    """A prior, with axes along which its scale has these values."""

    prior: NormalInverseWishart
    axes: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class MetaQDA(TaskClassifier):
    """Classify by Gaussians whose mean and covariance have a prior from the base classes.

    The posterior of a class differs from the prior by as many directions as it has shots, so that
    no covariance of a task is inverted.

    Args:
        variant: `"fb"`, fully Bayesian, scores by the multivariate Student t of the posterior, and
            `"map"` by the distance under its most likely covariance. Defaults to `"fb"`.
        prior: `"moments"`, from the moments of the base classes; `"meta"`, learned on episodes of
            them, as the paper has it; or a `NormalInverseWishart`, which needs no base features.
            Defaults to `"moments"`.
        regularization: Share of the identity in an inverse covariance, in 0..1. It counts for
            little where features are short, as of unit length. Defaults to 0.3.

    Reference:
        - [Meta-QDA](https://arxiv.org/abs/2101.02833)

    Example:
    ```python
    support, queries = np.eye(2)[None, :, None], np.eye(2)[None]
    base, of = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 4
    predict_tasks(support, queries, "meta_qda", base, of, variant="map")  # [[0, 1]]
    ```
    """

    variant: str = "fb"
    prior: str | NormalInverseWishart = "moments"
    regularization: float = 0.3

    def __post_init__(self) -> None:
        check_one_of("variant", self.variant, VARIANTS)
        given = isinstance(self.prior, NormalInverseWishart)
        if not given and self.prior not in ("moments", "meta"):
            raise ValueError(
                "`prior` must be moments, meta or a NormalInverseWishart. "
                f"Received: prior={self.prior!r}"
            )
        check_share("regularization", self.regularization)

    @property
    def base_features(self) -> str | None:  # type: ignore[override]  # nobody sets it
        """A prior that is given needs none."""
        return None if isinstance(self.prior, NormalInverseWishart) else REQUIRED

    def learn(self, base_features: np.ndarray | None, base_labels: np.ndarray | None) -> Any:
        """The prior, along the axes of its scale."""
        if isinstance(self.prior, NormalInverseWishart):
            prior = self.prior
        elif self.prior == "moments":
            prior = NormalInverseWishart.from_moments(base_features, base_labels)
        else:
            prior = NormalInverseWishart.from_episodes(
                base_features,
                base_labels,
                variant=self.variant,
                regularization=self.regularization,
            )
        values, axes = np.linalg.eigh(prior.scale)
        return _Base(prior, axes, values)

    def represent(self, features: np.ndarray, learned: Any = None) -> np.ndarray:
        """Features minus the prior's mean, along the axes of its scale."""
        if features.shape[-1] != len(learned.values):
            raise ValueError(
                f"`prior` must be one of features with {features.shape[-1]} dimensions. "
                f"Received: prior of {len(learned.values)} dimensions"
            )
        return ((features - learned.prior.mean) @ learned.axes).astype("float32")

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Logarithm of the predictive density, or the negative squared distance."""
        (prior, _, values), (shots, dim) = learned, support.shape[2:]
        support, queries = support.astype("float64"), queries.astype("float64")
        sample, total = class_means(support), prior.kappa + shots
        means = sample * (shots / total)
        # The posterior scale is the prior's plus the squares of these directions.
        shift = np.sqrt(prior.kappa * shots / total) * sample[:, :, None]
        added = np.concatenate([support - sample[:, :, None], shift], axis=2)
        whiten = values**-0.5
        added *= whiten
        # Eigenvalues, since those of long features and the 1 beside them are far apart.
        lengths, turns = np.linalg.eigh(products(added, added))
        lengths = np.maximum(lengths, 0)[..., None]
        # Woodbury's identity, in coordinates where the prior's scale is the identity.
        rows, centers = queries * whiten, means * whiten
        seen = products(added.reshape(len(added), -1, dim), rows)
        seen = seen.reshape(*added.shape[:3], -1) - added @ centers[..., None]
        distances = squared_distances(centers, rows)
        distances -= ((turns.swapaxes(2, 3) @ seen) ** 2 / (1 + lengths)).sum(axis=2)
        if self.variant == "map":
            factor = 1 / (prior.nu + shots + dim + 2)
        else:
            freedom = prior.nu + shots + 1 - dim
            factor = (total + 1) / (freedom * total)
        distances *= (1 - self.regularization) / factor
        distances += self.regularization * squared_distances(means, queries)
        np.maximum(distances, 0, out=distances)
        if self.variant == "map":
            return -distances.swapaxes(1, 2)
        gammaln = import_module("scipy.special", "Meta-QDA", "scipy").gammaln
        volume = dim * np.log(factor) + np.log(values).sum() + np.log1p(lengths).sum(axis=(2, 3))
        constant = gammaln((freedom + dim) / 2) - gammaln(freedom / 2) - dim / 2 * np.log(freedom)
        tails = (freedom + dim) / 2 * np.log1p(distances / freedom)
        return (constant - volume[..., None] / 2 - tails).swapaxes(1, 2)

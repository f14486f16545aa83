"""Histograms of the cosines of positive and negative pairs, and how far they overlap."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.checks import check_at_least
from keras_clce.evaluate.embedding_geometry import pair_cosines, some_units

# Bins of cosines are a ten-thousandth wide, so that of them any histogram can be made.
_FINE = 20_000
_OVERLAP_BINS = 50
_ROWS = 512


@dataclass(frozen=True)
class CosineHistogram:
    """How many pairs of embeddings have which cosine, from -1 to 1 in equal bins.

    Attributes:
        within: Number of pairs of one class in each bin `(20000,)`: positive pairs.
        between: Number of pairs of two classes in each bin `(20000,)`: negative pairs.

    Example:
    ```python
    cosine_histogram(np.eye(3), np.array([0, 0, 1])).between.sum()  # 2
    ```
    """

    within: np.ndarray
    between: np.ndarray

    @property
    def within_mean(self) -> float:
        """Mean cosine of pairs of one class, to a ten-thousandth."""
        return float(np.average(_centers(), weights=self.within))

    @property
    def between_mean(self) -> float:
        """Mean cosine of pairs of two classes, to a ten-thousandth."""
        return float(np.average(_centers(), weights=self.between))

    @property
    def overlap(self) -> float:
        """Overlap coefficient: the area that both histograms share, each of area 1.

        The bins are 50 equal ones between the smallest and the largest cosine of all pairs. 0 is no
        overlap: one cosine separates positive from negative pairs. 1 are equal histograms. Few
        pairs leave gaps, which make it smaller.
        """
        found = np.flatnonzero(self.within + self.between)
        edges = np.linspace(-1, 1, _FINE + 1)
        span = edges[found[0]], edges[found[-1] + 1]
        shares = [
            np.histogram(_centers(), _OVERLAP_BINS, span, weights=counts)[0] / counts.sum()
            for counts in (self.within, self.between)
        ]
        return float(np.minimum(*shares).sum())

    @property
    def auroc(self) -> float:
        """Probability that a positive pair has a larger cosine than a negative one.

        The area under the ROC curve; pairs in one bin count half. It needs no other choice of bins,
        and 0.5 is chance.
        """
        below = np.cumsum(self.between) - self.between
        wins = np.sum(self.within * (below + 0.5 * self.between))
        return float(wins / self.within.sum() / self.between.sum())

    def density(self, bins: int, span: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        """Coarser histograms of area 1, for pictures.

        Args:
            bins: Number of equal bins.
            span: First and last edge; cosines outside are left out.

        Returns:
            Densities `(bins,)` of positive and of negative pairs.

        Example:
        ```python
        cosine_histogram(np.eye(3), np.array([0, 0, 1])).density(2, (-1, 1))[0]  # [0.0, 1.0]
        ```
        """
        width = (span[1] - span[0]) / bins
        return tuple(
            np.histogram(_centers(), bins, span, weights=counts)[0] / counts.sum() / width
            for counts in (self.within, self.between)
        )


def cosine_histogram(
    embeddings: Any,
    labels: Any,
    of_class: int | None = None,
    max_examples: int = 10_000,
    seed: int = 0,
) -> CosineHistogram:
    """Count the cosines of pairs of one class and of pairs of two classes.

    All pairs of up to `max_examples` examples are counted, a few hundred rows of their table at a
    time.

    Args:
        embeddings: Array `(examples, dim)` without zero rows.
        labels: Integer classes `(examples,)`.
        of_class: A class whose examples alone stand first in pairs: its own pairs are positive,
            those with all other classes negative. Defaults to `None`, all classes.
        max_examples: Of more examples than that, as many are drawn; all examples of `of_class`
            stay. Defaults to 10,000.
        seed: Seed of the draw. Defaults to 0.

    Returns:
        A `CosineHistogram`, each pair counted once.

    Raises:
        ValueError: If shapes do not fit, values are not finite, a row is zero, or there is no pair
            of one class or none of two.

    Example:
    ```python
    histogram = cosine_histogram(embeddings, labels)
    histogram.overlap, histogram.auroc  # (0.69, 0.70)
    ```
    """
    if of_class is None:
        units, labels = some_units(embeddings, labels, max_examples, seed)
        tables = pair_cosines(units, labels)
    else:
        units, labels = some_units(embeddings, labels)
        check_at_least("max_examples", max_examples, 2)
        own = labels == of_class
        rest = np.flatnonzero(~own)
        if len(rest) > max_examples:
            rest = np.random.default_rng(seed).choice(rest, max_examples, replace=False)
        tables = _cosines_of_class(units[own], units[rest])
    within, between = np.zeros(_FINE, np.int64), np.zeros(_FINE, np.int64)
    for of_one, of_two in tables:
        within += _counts(of_one)
        between += _counts(of_two)
    if not within.any() or not between.any():
        lacking = "two different classes" if within.any() else "one class"
        whose = "" if of_class is None else f" with class {of_class}"
        raise ValueError(
            f"`labels` must have a pair of {lacking}{whose}. Received: {len(labels)} labels of "
            f"{len(np.unique(labels))} classes"
        )
    return CosineHistogram(within, between)


def _cosines_of_class(own, others):
    for start in range(0, len(own), _ROWS):
        rows = own[start : start + _ROWS]
        cosines = rows @ own[start:].T
        yield cosines[np.triu(np.ones(cosines.shape, bool), k=1)], (rows @ others.T).ravel()


def _counts(cosines):
    bins = ((cosines + 1) * (_FINE / 2)).astype(np.int32)
    return np.bincount(np.clip(bins, 0, _FINE - 1), minlength=_FINE)


def _centers():
    return (np.arange(_FINE) + 0.5) * (2 / _FINE) - 1

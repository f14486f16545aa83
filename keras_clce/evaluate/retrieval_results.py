"""Results of retrieval, with intervals over queries, and their comparison query by query."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from keras_clce.evaluate.statistics import bootstrap_interval, sign_flip_p_value

_RESAMPLES = 2000
# Numbers drawn at a time, so that many queries take little memory.
_DRAWN_TOGETHER = 2_000_000


@dataclass(frozen=True, eq=False)
class RetrievalResult(Mapping):
    """Retrieval metrics: a mapping from the name of each to its mean over the queries.

    Attributes:
        per_query: Value of each query that has a match `(queries with a match,)`, by metric.
        queries: Row numbers of those queries.
        unmatched: Row numbers of queries without any match, which count in no mean.
        metric: Name of the similarity.

    Example:
    ```python
    result = retrieval_metrics(embeddings, labels)
    result["map@r"], result.interval("map@r"), len(result.unmatched)
    ```
    """

    per_query: dict[str, np.ndarray] = field(repr=False)
    queries: np.ndarray = field(repr=False)
    unmatched: np.ndarray = field(repr=False)
    metric: str

    def __getitem__(self, key: str) -> float:
        values = self.per_query[key]
        return float(values.mean()) if len(values) else math.nan

    def __iter__(self) -> Iterator[str]:
        return iter(self.per_query)

    def __len__(self) -> int:
        return len(self.per_query)

    def __str__(self) -> str:
        means = ", ".join(f"{key} {value:.4f}" for key, value in self.items())
        missing = f"; {len(self.unmatched)} without a match left out" * bool(len(self.unmatched))
        return f"{means} over {len(self.queries)} queries{missing}"

    def interval(self, key: str, confidence: float = 0.95) -> tuple[float, float]:
        """Interval of a mean, by percentiles of a seeded bootstrap over the queries.

        Queries of one class resemble each other, so that it says how much other photographs of
        these classes would change the figure, and not what other classes would.

        Args:
            key: Name of the metric.
            confidence: Confidence of the interval. Defaults to 0.95.

        Returns:
            The lower and the upper end; NaN with fewer than two queries.

        Example:
        ```python
        low, high = retrieval_metrics(embeddings, labels).interval("map@r")
        ```
        """
        return _interval_of_mean(self.per_query[key], confidence)

    def compare(self, other: "RetrievalResult") -> dict[str, "RetrievalDifference"]:
        """Compare with another model's result on the same queries and gallery.

        Args:
            other: What is subtracted.

        Returns:
            The difference of each metric that both have.

        Raises:
            ValueError: If it is a result of other queries.

        Example:
        ```python
        one, two = (retrieval_metrics(rows, labels) for rows in (embeddings, features))
        one.compare(two)["map@r"].mean_difference
        ```
        """
        if not isinstance(other, RetrievalResult):
            raise ValueError(f"`other` must be a RetrievalResult. Received: {type(other).__name__}")
        same = np.array_equal(self.queries, other.queries)
        if not same or not np.array_equal(self.unmatched, other.unmatched):
            raise ValueError(
                "`other` must be a result of the same queries with the same labels. "
                f"Received: {other!r}, {other}"
            )
        return {
            key: _difference(values - other.per_query[key])
            for key, values in self.per_query.items()
            if key in other
        }


@dataclass(frozen=True)
class RetrievalDifference:
    """Paired difference of a retrieval metric between two models.

    Attributes:
        mean_difference: Mean over the queries of the one minus the other.
        ci95: The 95 % interval of that mean, by a seeded bootstrap over the queries.
        p_value: Two-sided p-value of the sign-flip permutation test of the mean.

    Example:
    ```python
    one, two = (retrieval_metrics(rows, labels) for rows in (embeddings, features))
    one.compare(two)["mrr"].p_value
    ```
    """

    mean_difference: float
    ci95: tuple[float, float]
    p_value: float


def _difference(differences: np.ndarray) -> RetrievalDifference:
    if not len(differences):
        return RetrievalDifference(math.nan, (math.nan, math.nan), math.nan)
    return RetrievalDifference(
        float(differences.mean()),
        _interval_of_mean(differences, 0.95),
        sign_flip_p_value(differences),
    )


def _interval_of_mean(values: np.ndarray, confidence: float) -> tuple[float, float]:
    if len(values) < 2:
        return math.nan, math.nan
    batch = max(1, _DRAWN_TOGETHER // len(values))
    return bootstrap_interval(values, np.mean, confidence, _RESAMPLES, batch)

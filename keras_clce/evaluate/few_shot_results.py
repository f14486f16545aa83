"""Results of few-shot tasks, with intervals that hold, and their comparison task by task."""

import functools
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from keras_clce.evaluate.statistics import (
    PairedTTest,
    bootstrap_interval,
    confidence_interval,
    paired_t_test,
    sign_flip_p_value,
)

_RESAMPLES = 2000


# Equal where they are one: arrays have no truth value, and no hash.
@dataclass(frozen=True, eq=False)
class FewShotResult:
    """Accuracies of few-shot tasks.

    Attributes:
        accuracies: Accuracy of each task `(tasks,)`, fractions.
        ways: Classes per task.
        shots: Labelled examples per class.
        queries: Classified examples per class.
        classifier: Name of the classifier.
        transform: Name of the transform of the features.
        seed: Seed of the tasks.
        drawn_from: Fingerprint of the labels and numbers that the tasks were drawn from, and of the
            first of them; equal fingerprints mean equal tasks.
        query_distribution: How many queries each class has: `"balanced"` or `"dirichlet"`.
        classifier_options: Options of the classifier that are not its defaults.

    Example:
    ```python
    result = few_shot_accuracy(features, labels, tasks=100)
    result.accuracies.shape, result.shots  # ((100,), 1)
    ```
    """

    accuracies: np.ndarray = field(repr=False)
    ways: int
    shots: int
    queries: int
    classifier: str
    transform: str | None
    seed: int
    drawn_from: str = field(repr=False)
    query_distribution: str = "balanced"
    classifier_options: dict[str, Any] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean over the tasks."""
        return float(self.accuracies.mean())

    @property
    def median(self) -> float:
        """Median over the tasks."""
        return float(np.median(self.accuracies))

    @property
    def ci95(self) -> float:
        """Half width of the 95 % interval of the mean, Student's t over the tasks."""
        return confidence_interval(self.accuracies)

    @functools.cached_property
    def median_ci95(self) -> tuple[float, float]:
        """The 95 % interval of the median, by percentiles of a seeded bootstrap."""
        if len(self.accuracies) < 2:
            return float("nan"), float("nan")
        return bootstrap_interval(self.accuracies, np.median, 0.95, _RESAMPLES, batch=100)

    def as_dict(self) -> dict[str, Any]:
        """All but the single tasks, as JSON values."""
        values = asdict(self)
        del values["accuracies"]
        return {
            "mean": self.mean,
            "ci95": self.ci95,
            "median": self.median,
            "median_ci95": list(self.median_ci95),
            "tasks": len(self.accuracies),
            **values,
        }


@dataclass(frozen=True)
class FewShotComparison(PairedTTest):
    """Paired comparison of two results on the same tasks.

    Attributes:
        statistic: Student's t of the differences; NaN where all are equal.
        p_value: Two-sided p-value of the paired t-test; NaN where all differences are equal.
        mean_difference: Mean over the tasks of `a - b`.
        ci95: Half width of the 95 % interval of the mean difference.
        permutation_p_value: Two-sided p-value of the sign-flip permutation test of the mean.

    Example:
    ```python
    cosine, plain = (
        few_shot_accuracy(features, labels, tasks=100, classifier=name)
        for name in ("cosine", "nearest_centroid")
    )
    compare(cosine, plain).permutation_p_value
    ```
    """

    permutation_p_value: float


def compare(a: FewShotResult, b: FewShotResult) -> FewShotComparison:
    """Compare two results task by task.

    It says whether two sets of features differ on tasks like these; training again with another
    seed is another source of chance, for which `paired_t_test` over seeds is the test.

    Args:
        a: A result.
        b: Another on the same tasks.

    Returns:
        A `FewShotComparison` of `a - b`.

    Raises:
        ValueError: If they are no such results, or the tasks are not the same.

    Example:
    ```python
    plain = few_shot_accuracy(features, labels, tasks=100)
    compare(few_shot_accuracy(embeddings, labels, tasks=100), plain).mean_difference  # 0.0
    ```
    """
    for name, result in (("a", a), ("b", b)):
        if not isinstance(result, FewShotResult):
            kind = type(result).__name__
            raise ValueError(f"`{name}` must be a FewShotResult. Received: {name} of type {kind}")
    if a.drawn_from != b.drawn_from:
        raise ValueError(
            "`a` and `b` must be results on the same tasks: equal labels, ways, shots, queries, "
            f"tasks and seed. Received: a={a}, b={b}"
        )
    test = paired_t_test(a.accuracies, b.accuracies)
    flipped = sign_flip_p_value(a.accuracies - b.accuracies)
    return FewShotComparison(**asdict(test), permutation_p_value=flipped)

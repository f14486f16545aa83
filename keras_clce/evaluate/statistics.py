"""Intervals and tests that say whether a difference between losses is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_clce.checks import check_at_least, import_module

_FLIPPED_TOGETHER = 333


def confidence_interval(values: Sequence[float], confidence: float = 0.95) -> float:
    """Half width of Student's t interval of the mean.

    Args:
        values: At least one value, such as the accuracy of each seed.
        confidence: Probability that the interval covers the true mean, within (0, 1). Defaults
            to 0.95.

    Returns:
        The half width, in the unit of the values; NaN for a single value, which bounds nothing.

    Raises:
        ValueError: If there is no value, one is not finite, or `confidence` is out of range.

    Example:
    ```python
    confidence_interval([0.80, 0.82, 0.84])  # 0.0497
    ```
    """
    values = _finite_values("values", values)
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be within (0, 1). Received: confidence={confidence}")
    if len(values) == 1:
        return float("nan")
    stats = import_module("scipy.stats", "Student's t interval", "scipy")
    return float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values))


@dataclass(frozen=True)
class PairedTTest:
    """Result of a paired t-test.

    Attributes:
        statistic: Student's t; NaN where all differences are equal.
        p_value: Two-sided p-value; NaN where all differences are equal.
        mean_difference: Mean of `a - b`.
        ci95: Half width of the 95 % interval of the mean difference.

    Example:
    ```python
    paired_t_test([0.82, 0.84, 0.83], [0.80, 0.81, 0.81]).mean_difference  # 0.023
    ```
    """

    statistic: float
    p_value: float
    mean_difference: float
    ci95: float


def paired_t_test(a: Sequence[float], b: Sequence[float]) -> PairedTTest:
    """Two-sided paired t-test of two equally long lists of results.

    Args:
        a: Results of one method, such as its accuracy with each seed; at least two.
        b: Results of the other method in the same order.

    Returns:
        A `PairedTTest`.

    Raises:
        ValueError: If the lists differ in length, are shorter than two or hold a value that is
            not finite.

    Example:
    ```python
    paired_t_test([0.82, 0.84, 0.83], [0.80, 0.81, 0.81]).p_value  # 0.0198
    ```
    """
    a, b = _finite_values("a", a), _finite_values("b", b)
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(
            "`a` and `b` must hold equally many results, at least two. "
            f"Received: {len(a)} and {len(b)} results"
        )
    differences = a - b
    # Equal differences of fractions differ by their rounding.
    if np.ptp(differences) <= 1e-14 * np.abs([a, b]).max():
        statistic = p_value = float("nan")
    else:
        stats = import_module("scipy.stats", "The paired t-test", "scipy")
        statistic, p_value = (float(value) for value in stats.ttest_rel(a, b))
    return PairedTTest(
        statistic, p_value, float(differences.mean()), confidence_interval(differences)
    )


def sign_flip_p_value(differences: Sequence[float], flips: int = 9999, seed: int = 0) -> float:
    """Two-sided p-value of the sign-flip permutation test that a mean difference is zero.

    It asks how often differences of these sizes with random signs have a mean as far from zero, and
    needs no normal distribution.

    Args:
        differences: Paired differences `a - b`, such as of the accuracy on each task.
        flips: Number of random flips; the smallest p-value is `1 / (flips + 1)`. Defaults to 9999.
        seed: Seed of the flips. Defaults to 0.

    Returns:
        The p-value, with the observed signs counted as one of the flips.

    Raises:
        ValueError: If there is no difference, one is not finite, or `flips` is below 1.

    Example:
    ```python
    sign_flip_p_value([0.02, 0.03, 0.02, 0.01, 0.03, 0.02])  # 0.03
    ```
    """
    differences = _finite_values("differences", differences)
    check_at_least("flips", flips, 1)
    rng = np.random.default_rng(seed)
    # A sum that ties but for rounding counts as extreme.
    least = abs(differences.sum()) - 1e-9 * np.abs(differences).sum()
    extreme = 0
    for start in range(0, flips, _FLIPPED_TOGETHER):
        drawn = (min(_FLIPPED_TOGETHER, flips - start), len(differences))
        signs = rng.integers(0, 2, drawn, np.int8) * 2.0 - 1.0
        extreme += int((np.abs(signs @ differences) >= least).sum())
    return (1 + extreme) / (1 + flips)


def _finite_values(name: str, values: Sequence[float]) -> np.ndarray:
    values = np.asarray(values, dtype="float64")
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"`{name}` must be a list of at least one finite number. Received: {name}={values}"
        )
    return values

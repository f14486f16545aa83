"""Intervals and tests that say whether a difference between losses is more than chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_clce.checks import check_at_least, import_module

_DRAWN_TOGETHER = 333


def confidence_interval(values: Sequence[float] | np.ndarray, confidence: float = 0.95) -> float:
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
    values = finite_values("values", values)
    _check_confidence(confidence)
    if len(values) == 1:
        return float("nan")
    stats = import_module("scipy.stats", "Student's t interval", "scipy")
    return float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values))


@dataclass(frozen=True)
class MedianInterval:
    """A median with its bootstrap interval.

    Attributes:
        median: Median of the values.
        low: Lower end of the interval; NaN for a single value, which bounds nothing.
        high: Upper end of the interval; NaN for a single value.

    Example:
    ```python
    median_interval([0.80, 0.82, 0.84]).median  # 0.82
    ```
    """

    median: float
    low: float
    high: float


def median_interval(
    values: Sequence[float] | np.ndarray,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> MedianInterval:
    """Percentile bootstrap interval of the median.

    It never leaves the range of the values, so that with few of them it is narrower than it ought
    to be: of three seeds it covers the true median three times of four.

    Args:
        values: At least one value, such as the accuracy of each task.
        confidence: Probability that the interval covers the true median, within (0, 1). Defaults
            to 0.95.
        resamples: Number of samples drawn with replacement. Defaults to 9999.
        seed: Seed of the draws. Defaults to 0.

    Returns:
        A `MedianInterval`.

    Raises:
        ValueError: If there is no value, one is not finite, or `confidence` or `resamples` is out
            of range.

    Reference:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

    Example:
    ```python
    median_interval([0.80, 0.82, 0.84, 0.81, 0.85]).high  # 0.85
    ```
    """
    values = finite_values("values", values)
    _check_confidence(confidence)
    check_at_least("resamples", resamples, 1)
    median = float(np.median(values))
    if len(values) == 1:
        return MedianInterval(median, float("nan"), float("nan"))
    return MedianInterval(
        median,
        *bootstrap_interval(values, np.median, confidence, resamples, _DRAWN_TOGETHER, seed),
    )


def bootstrap_interval(
    values: np.ndarray,
    statistic: Callable[..., np.ndarray],
    confidence: float,
    resamples: int,
    batch: int,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic.

    Args:
        values: At least two values `(values,)`.
        statistic: Function of samples and an axis, such as `np.median`.
        confidence: Probability that the interval covers the true one, within (0, 1).
        resamples: Number of samples drawn with replacement.
        batch: How many of them are drawn at a time.
        seed: Seed of the draws. Defaults to 0.

    Returns:
        The lower and the upper end.

    Example:
    ```python
    bootstrap_interval(np.array([0.80, 0.82, 0.84]), np.mean, 0.95, 999, 100)[1]  # 0.84
    ```
    """
    stats = import_module("scipy.stats", "The bootstrap interval", "scipy")
    # The corrections of the other methods rest on a jackknife, which fails for medians.
    interval = stats.bootstrap(
        (values,),
        statistic,
        confidence_level=confidence,
        n_resamples=resamples,
        batch=batch,
        method="percentile",
        rng=seed,
    ).confidence_interval
    return float(interval.low), float(interval.high)


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


def paired_t_test(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> PairedTTest:
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
    a, b = _paired_values(a, b)
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


@dataclass(frozen=True)
class WilcoxonTest:
    """Result of a Wilcoxon signed-rank test.

    Attributes:
        statistic: The smaller of the two sums of ranks, of pairs where `a` is above and where `b`
            is; 0 where all pairs are equal.
        p_value: Two-sided p-value; 1 where all pairs are equal.
        median_difference: Median of `a - b`.

    Example:
    ```python
    wilcoxon_test([0.82, 0.84, 0.83], [0.80, 0.81, 0.81]).median_difference  # 0.02
    ```
    """

    statistic: float
    p_value: float
    median_difference: float


def wilcoxon_test(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> WilcoxonTest:
    """Two-sided Wilcoxon signed-rank test of two equally long lists of results.

    It needs no normal distribution, and many pairs: the smallest p-value of n pairs is `2 / 2**n`,
    0.25 for three seeds and 0.0625 for five. Equal pairs are left out. Up to 13 pairs, and up to
    50 of unequal sizes, the p-value is exact; beyond, the normal approximation gives it.

    Args:
        a: Results of one method, such as its accuracy with each seed; at least two.
        b: Results of the other method in the same order.

    Returns:
        A `WilcoxonTest`.

    Raises:
        ValueError: If the lists differ in length, are shorter than two or hold a value that is
            not finite.

    Reference:
        Wilcoxon, Individual comparisons by ranking methods (1945).

    Example:
    ```python
    wilcoxon_test([0.82, 0.84, 0.83], [0.80, 0.81, 0.81]).p_value  # 0.25
    ```
    """
    a, b = _paired_values(a, b)
    median_difference = float(np.median(a - b))
    largest = np.abs([a, b]).max()
    # Equal differences of fractions differ by their rounding, and would not share a rank.
    differences = np.round((a - b) / largest, 10) if largest else a - b
    differences = differences[differences != 0]
    if not len(differences):
        return WilcoxonTest(0.0, 1.0, median_difference)
    stats = import_module("scipy.stats", "The Wilcoxon test", "scipy")
    statistic, p_value = (float(value) for value in stats.wilcoxon(differences))
    return WilcoxonTest(statistic, p_value, median_difference)


def sign_flip_p_value(
    differences: Sequence[float] | np.ndarray, flips: int = 9999, seed: int = 0
) -> float:
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
    differences = finite_values("differences", differences)
    check_at_least("flips", flips, 1)
    rng = np.random.default_rng(seed)
    # A sum that ties but for rounding counts as extreme.
    least = abs(differences.sum()) - 1e-9 * np.abs(differences).sum()
    extreme = 0
    for start in range(0, flips, _DRAWN_TOGETHER):
        drawn = (min(_DRAWN_TOGETHER, flips - start), len(differences))
        signs = rng.integers(0, 2, drawn, np.int8) * 2.0 - 1.0
        extreme += int((np.abs(signs @ differences) >= least).sum())
    return (1 + extreme) / (1 + flips)


def holm_correction(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """P-values of several comparisons, corrected so that all of them together err seldom.

    A corrected value below 0.05 holds with at most 5 % probability that any of the comparisons is
    called a difference by chance.

    Args:
        p_values: P-value of each comparison, within [0, 1]. NaN, a test that could not be made,
            stays NaN and is not counted.

    Returns:
        The corrected p-values in the same order, `(comparisons,)`.

    Raises:
        ValueError: If there is no p-value, or one is out of range.

    Reference:
        Holm, A simple sequentially rejective multiple test procedure (1979).

    Example:
    ```python
    holm_correction([0.01, 0.04, 0.03])  # [0.03, 0.06, 0.06]
    ```
    """
    p_values = np.asarray(p_values, dtype="float64")
    made = ~np.isnan(p_values)
    if (
        p_values.ndim != 1
        or not len(p_values)
        or not ((p_values[made] >= 0) & (p_values[made] <= 1)).all()
    ):
        raise ValueError(
            "`p_values` must be a list of at least one number within [0, 1] or NaN. "
            f"Received: p_values={p_values}"
        )
    order = np.argsort(p_values)[: made.sum()]
    corrected = np.full(len(p_values), np.nan)
    # The smallest of m is multiplied by m, the next by m - 1, and none falls below one before it.
    multiplied = p_values[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(multiplied), 1)
    return corrected


def finite_values(name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Bring a list of finite numbers to NumPy.

    Args:
        name: Name of the argument, for the message.
        values: At least one number.

    Returns:
        The numbers `(values,)` in float64.

    Raises:
        ValueError: If there is none, one is not finite, or they are no list.

    Example:
    ```python
    finite_values("differences", [0.02, 0.03]).shape  # (2,)
    ```
    """
    values = np.asarray(values, dtype="float64")
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"`{name}` must be a list of at least one finite number. Received: {name}={values}"
        )
    return values


def _paired_values(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    a, b = finite_values("a", a), finite_values("b", b)
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(
            "`a` and `b` must hold equally many results, at least two. "
            f"Received: {len(a)} and {len(b)} results"
        )
    return a, b


def _check_confidence(confidence):
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be within (0, 1). Received: confidence={confidence}")

"""What a number of seeds can tell: the size of a difference, and the power to see one."""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_clce.checks import import_module
from keras_clce.evaluate.statistics import finite_values


@dataclass(frozen=True)
class EffectSize:
    """How large a mean difference is beside the spread of the differences.

    Attributes:
        cohens_d: Mean over standard deviation; NaN for a single difference and where all are
            equal.
        hedges_g: The same without the bias of few differences; NaN for fewer than three and where
            all are equal.

    Example:
    ```python
    effect_size([0.02, 0.03, 0.01]).cohens_d  # 2.0
    ```
    """

    cohens_d: float
    hedges_g: float


def effect_size(differences: Sequence[float] | np.ndarray) -> EffectSize:
    """Cohen's d of paired differences, and Hedges' g, which corrects it for few of them.

    Args:
        differences: Paired differences `a - b`, such as of the accuracy with each seed.

    Returns:
        An `EffectSize`.

    Raises:
        ValueError: If there is no difference, or one is not finite.

    Reference:
        Hedges, Distribution theory for Glass's estimator of effect size and related estimators
        (1981).

    Example:
    ```python
    effect_size([0.02, 0.03, 0.01]).hedges_g  # 1.13
    ```
    """
    differences = finite_values("differences", differences)
    deviation = _standard_deviation(differences)
    cohens_d = float(differences.mean() / deviation)
    degrees = len(differences) - 1
    if degrees < 2:
        # The expectation of d is infinite, so that no factor corrects it.
        return EffectSize(cohens_d, math.nan)
    gammas = math.lgamma(degrees / 2) - math.lgamma((degrees - 1) / 2)
    return EffectSize(cohens_d, cohens_d * math.exp(gammas) / math.sqrt(degrees / 2))


def detectable_difference(
    differences: Sequence[float] | np.ndarray, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Mean difference that a paired t-test of so many differences with such a spread would see.

    Args:
        differences: Paired differences `a - b`, such as of the accuracy with each seed. Their
            number and standard deviation count, not their mean.
        power: Probability to see the difference, within (alpha, 1). Defaults to 0.8.
        alpha: P-value below which a difference counts as seen, within (0, 1). Defaults to 0.05.

    Returns:
        The smallest such difference, above 0, in the unit of the differences; NaN for a single
        difference and where all are equal, which say nothing of a spread.

    Raises:
        ValueError: If there is no difference, one is not finite, or `power` or `alpha` is out of
            range.

    Reference:
        Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), chapter 2.

    Example:
    ```python
    # Three seeds with a spread of 1 point would not have seen less than 3.3 points.
    detectable_difference([0.02, 0.03, 0.01])  # 0.033
    ```
    """
    differences = finite_values("differences", differences)
    _check_power(power, alpha)
    deviation = _standard_deviation(differences)
    if math.isnan(deviation):
        return math.nan
    number = len(differences)
    optimize = import_module("scipy.optimize", "The detectable difference", "scipy")
    most = 1.0
    while _power(most, number, alpha) < power:
        most *= 2
    shift = optimize.brentq(lambda shift: _power(shift, number, alpha) - power, 0, most)
    return float(shift / math.sqrt(number) * deviation)


def seeds_needed(difference: float, std: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Number of seeds with which a paired t-test would see a difference.

    Args:
        difference: Mean difference that is to be seen, other than 0.
        std: Standard deviation of the paired differences, above 0, in the same unit.
        power: Probability to see the difference, within (alpha, 1). Defaults to 0.8.
        alpha: P-value below which a difference counts as seen, within (0, 1). Defaults to 0.05.

    Returns:
        The number of seeds, of each of the two methods; at least two.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Cohen, Statistical Power Analysis for the Behavioral Sciences (1988), chapter 2.

    Example:
    ```python
    seeds_needed(difference=0.01, std=0.01)  # 10
    ```
    """
    if not (math.isfinite(difference) and difference != 0):
        raise ValueError(
            f"`difference` must be a finite number other than 0. Received: difference={difference}"
        )
    if not (math.isfinite(std) and std > 0):
        raise ValueError(f"`std` must be a finite number above 0. Received: std={std}")
    _check_power(power, alpha)
    # SciPy's power of a far larger one is NaN, and this one is sure to be seen.
    effect = min(abs(difference) / std, 1e6)

    def is_enough(number):
        return _power(effect * math.sqrt(number), number, alpha) >= power

    most = 2
    while not is_enough(most):
        most *= 2
    # Half as many is not enough, and one seed never is.
    candidates = range(most // 2 + 1, most + 1)
    return candidates[bisect.bisect_left(candidates, True, key=is_enough)]


def _power(shift, number, alpha):
    """Power of a two-sided t-test whose statistic is shifted by so many standard errors."""
    stats = import_module("scipy.stats", "Statistical power", "scipy")
    critical = stats.t.isf(alpha / 2, number - 1)
    # The square of noncentral t, because SciPy's tails of noncentral t itself are NaN in places
    # (https://github.com/scipy/scipy/issues/25470).
    return float(1 - stats.ncf.cdf(critical**2, 1, number - 1, shift**2))


def _standard_deviation(differences):
    """NaN where there is no spread to tell of."""
    # Equal differences of fractions differ by their rounding.
    if np.ptp(differences) <= 1e-10 * np.abs(differences).max():
        return math.nan
    return float(differences.std(ddof=1))


def _check_power(power, alpha):
    if not 0 < alpha < 1:
        raise ValueError(f"`alpha` must be within (0, 1). Received: alpha={alpha}")
    if not alpha < power < 1:
        raise ValueError(
            f"`power` must be within (alpha, 1), here ({alpha}, 1). Received: power={power}"
        )

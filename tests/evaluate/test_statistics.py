import itertools
import math

import numpy as np
import pytest
from scipy import stats

from keras_clce.evaluate import confidence_interval, paired_t_test, sign_flip_p_value

pytestmark = pytest.mark.any_backend

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("size", [2, 3, 10, 200])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_confidence_interval_matches_scipy(size, confidence):
    values = RNG.normal(0.8, 0.05, size)
    low, high = stats.t.interval(
        confidence, size - 1, loc=np.mean(values), scale=np.std(values, ddof=1) / math.sqrt(size)
    )
    assert confidence_interval(values, confidence) == pytest.approx((high - low) / 2, rel=1e-12)


def test_interval_covers_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(3.0, 1.0, (4000, 3))
    covered = [abs(row.mean() - 3.0) <= confidence_interval(row) for row in draws]
    # Binomial standard deviation of the share is 0.0034.
    assert np.mean(covered) == pytest.approx(0.95, abs=0.014)


def test_one_value_has_no_interval():
    assert math.isnan(confidence_interval([0.5]))


def test_paired_t_test_by_hand():
    a, b = [0.82, 0.84, 0.83], [0.80, 0.81, 0.81]
    differences = [0.02, 0.03, 0.02]
    mean = sum(differences) / 3
    deviation = math.sqrt(sum((d - mean) ** 2 for d in differences) / 2)
    statistic = mean / (deviation / math.sqrt(3))
    result = paired_t_test(a, b)
    assert result.statistic == pytest.approx(statistic)
    assert result.p_value == pytest.approx(2 * stats.t.sf(statistic, 2))
    assert result.mean_difference == pytest.approx(mean)
    assert result.ci95 == pytest.approx(4.302653 * deviation / math.sqrt(3), rel=1e-5)


def test_paired_t_test_of_equal_differences_has_no_p_value():
    result = paired_t_test([0.5, 0.5], [0.5, 0.5])
    assert math.isnan(result.p_value)
    assert result.mean_difference == 0
    # Each seed is right on three of 269 images more; the fractions differ by rounding alone.
    right = np.array([255, 258, 261])
    assert math.isnan(paired_t_test(right / 269, (right - 3) / 269).p_value)
    assert paired_t_test([1e-9, 3e-9, 2e-9], [0, 1e-9, 1e-9]).p_value == pytest.approx(
        0.0572, abs=1e-4
    )


def test_sign_flips_find_the_share_of_all_signs():
    differences = [0.3, -0.1, 0.2, 0.25, -0.05, 0.4, 0.1, 0.15]
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True)))
        for signs in itertools.product([-1, 1], repeat=8)
    ]
    exact = np.mean(np.array(sums) >= sum(differences) - 1e-12)
    # Three binomial standard deviations of 9,999 flips.
    assert sign_flip_p_value(differences) == pytest.approx(exact, abs=0.007)
    assert sign_flip_p_value([0.1] * 40) == 1 / 10_000
    assert sign_flip_p_value([0.0] * 5) == 1
    tiny = [1e-15 * difference for difference in differences]
    assert sign_flip_p_value(tiny) == sign_flip_p_value(differences)


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0, float("inf")], [[1.0, 2.0]]])
def test_bad_values(values):
    with pytest.raises(ValueError, match=r"`values`.*Received"):
        confidence_interval(values)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"`confidence`.*Received: confidence=95"):
        confidence_interval([1.0, 2.0], 95)
    with pytest.raises(ValueError, match=r"`flips`.*Received: flips=0"):
        sign_flip_p_value([0.1, 0.2], flips=0)
    with pytest.raises(ValueError, match=r"equally many.*Received: 2 and 3"):
        paired_t_test([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="at least two"):
        paired_t_test([1.0], [2.0])

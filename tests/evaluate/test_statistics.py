import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from keras_clce.evaluate import (
    confidence_interval,
    holm_correction,
    median_interval,
    paired_t_test,
    sign_flip_p_value,
    wilcoxon_test,
)

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


def test_wilcoxon_by_hand():
    # The sizes 0.01, 0.02, 0.03, 0.05 have ranks 1 to 4; only the smallest is negative.
    result = wilcoxon_test([0.79, 0.82, 0.83, 0.85], [0.80, 0.80, 0.80, 0.80])
    assert result.statistic == 1
    # Of 16 ways to sign the ranks, 0 or 1 is the sum of {}, {1} and, from the other side, as many.
    assert result.p_value == pytest.approx(4 / 16)
    assert result.median_difference == pytest.approx(0.025)


@pytest.mark.parametrize("size", [5, 20, 60, 600])
def test_wilcoxon_matches_scipy(size):
    a, b = RNG.normal(0.82, 0.02, size), RNG.normal(0.8, 0.02, size)
    result = wilcoxon_test(a, b)
    expected = stats.wilcoxon(a, b)
    assert result.statistic == expected.statistic
    assert result.p_value == pytest.approx(expected.pvalue)


def test_wilcoxon_is_exact_with_ties_and_zeros():
    a = np.array([255, 258, 261, 250, 255, 249]) / 269
    b = np.array([252, 255, 258, 253, 255, 244]) / 269
    # Without the equal pair: four of size 3, which share rank 2.5, one of them negative, and a 5.
    result = wilcoxon_test(a, b)
    assert result.statistic == 2.5
    ranks = [2.5, 2.5, 2.5, 2.5, 5]
    sums = [
        sum(rank for rank, up in zip(ranks, ups, strict=True) if up)
        for ups in itertools.product([False, True], repeat=5)
    ]
    assert result.p_value == pytest.approx(2 * np.mean(np.array(sums) <= 2.5))


def test_wilcoxon_of_equal_differences():
    # All of one sign: 2 of 8 ways.
    assert wilcoxon_test([0.5, 0.6, 0.7], [0.4, 0.5, 0.6]).p_value == pytest.approx(0.25)
    for value in (0.5, 0.0):
        result = wilcoxon_test([value] * 3, [value] * 3)
        assert (result.statistic, result.p_value, result.median_difference) == (0, 1, 0)


def test_median_interval_is_the_share_of_all_samples():
    values = [0.1, 0.5, 0.2, 0.9, 0.4]
    medians = sorted(np.median(drawn) for drawn in itertools.product(values, repeat=5))
    result = median_interval(values, confidence=0.7)
    assert result.median == 0.4
    # Every sample that can be drawn, once; 15 % lie below and above.
    assert result.low == medians[int(0.15 * len(medians))] == 0.2
    assert result.high == medians[int(0.85 * len(medians))] == 0.5


def test_median_interval_covers_the_median_as_often_as_it_says():
    draws = np.random.default_rng(0).exponential(1.0, (400, 30))
    intervals = [median_interval(row, resamples=500) for row in draws]
    covered = [interval.low <= math.log(2) <= interval.high for interval in intervals]
    # Three binomial standard deviations.
    assert np.mean(covered) == pytest.approx(0.95, abs=0.033)


def test_median_interval_of_few_values():
    one = median_interval([0.5])
    assert one.median == 0.5 and math.isnan(one.low) and math.isnan(one.high)
    equal = median_interval([0.5, 0.5, 0.5])
    assert (equal.low, equal.median, equal.high) == (0.5, 0.5, 0.5)
    two = median_interval([0.2, 0.4])
    assert (two.low, two.median, two.high) == pytest.approx((0.2, 0.3, 0.4))
    many = RNG.normal(size=100)
    assert median_interval(many, seed=1) == median_interval(many, seed=1)
    assert median_interval(many, seed=1) != median_interval(many, seed=2)


def test_holm_by_hand():
    # Sorted: 0.01 · 3, 0.03 · 2, and 0.04 · 1, which must not fall below the one before it.
    assert holm_correction([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_correction([0.6, 0.5]) == pytest.approx([1, 1])
    assert holm_correction([0.02]) == pytest.approx([0.02])


def test_holm_matches_statsmodels():
    p_values = RNG.random(20) ** 3
    expected = multipletests(p_values, method="holm")[1]
    assert holm_correction(p_values) == pytest.approx(expected)


def test_holm_leaves_out_what_could_not_be_tested():
    corrected = holm_correction([0.01, float("nan"), 0.03])
    assert corrected[[0, 2]] == pytest.approx([0.02, 0.03])
    assert math.isnan(corrected[1])
    assert np.isnan(holm_correction([float("nan")])).all()


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0, float("inf")], [[1.0, 2.0]]])
def test_bad_values(values):
    with pytest.raises(ValueError, match=r"`values`.*Received"):
        confidence_interval(values)
    with pytest.raises(ValueError, match=r"`values`.*Received"):
        median_interval(values)
    with pytest.raises(ValueError, match=r"`a`.*Received"):
        wilcoxon_test(values, [1.0, 2.0])


@pytest.mark.parametrize("p_values", [[], [0.5, 1.01], [-0.1], [[0.5]], [float("inf")]])
def test_bad_p_values(p_values):
    with pytest.raises(ValueError, match=r"`p_values`.*within \[0, 1\].*Received"):
        holm_correction(p_values)


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"`confidence`.*Received: confidence=95"):
        confidence_interval([1.0, 2.0], 95)
    with pytest.raises(ValueError, match=r"`flips`.*Received: flips=0"):
        sign_flip_p_value([0.1, 0.2], flips=0)
    with pytest.raises(ValueError, match=r"equally many.*Received: 2 and 3"):
        paired_t_test([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="at least two"):
        paired_t_test([1.0], [2.0])
    with pytest.raises(ValueError, match=r"equally many.*Received: 2 and 3"):
        wilcoxon_test([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="at least two"):
        wilcoxon_test([1.0], [2.0])
    with pytest.raises(ValueError, match=r"`confidence`.*Received: confidence=95"):
        median_interval([1.0, 2.0], 95)
    with pytest.raises(ValueError, match=r"`resamples`.*Received: resamples=0"):
        median_interval([1.0, 2.0], resamples=0)

import math
import warnings

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from keras_clce.evaluate import detectable_difference, effect_size, seeds_needed

pytestmark = pytest.mark.any_backend

RNG = np.random.default_rng(7)


def test_effect_size_by_hand():
    # The mean is 0.02, the deviations are 0, 0.01 and -0.01: their standard deviation is 0.01.
    result = effect_size([0.02, 0.03, 0.01])
    assert result.cohens_d == pytest.approx(2)
    # Hedges' factor of 2 degrees of freedom is Γ(1) / (√1 Γ(1/2)) = 1 / √π.
    assert result.hedges_g == pytest.approx(2 / math.sqrt(math.pi))
    assert effect_size([-0.02, -0.03, -0.01]).hedges_g == pytest.approx(-result.hedges_g)


def test_hedges_g_has_no_bias_where_cohens_d_has_one():
    effects = [effect_size(row) for row in RNG.normal(1.0, 1.0, (4000, 5))]
    g = np.array([effect.hedges_g for effect in effects])
    error = 4 * g.std() / math.sqrt(len(g))
    assert g.mean() == pytest.approx(1.0, abs=error)
    assert np.mean([effect.cohens_d for effect in effects]) > 1.0 + error


@pytest.mark.parametrize("differences", [[0.1], [0.1, 0.1, 0.1], [0.0, 0.0]])
def test_without_a_spread_nothing_can_be_said(differences):
    result = effect_size(differences)
    assert math.isnan(result.cohens_d) and math.isnan(result.hedges_g)
    assert math.isnan(detectable_difference(differences))


def test_rounding_is_no_spread():
    right = np.array([255, 258, 261])
    differences = right / 269 - (right - 3) / 269
    assert np.ptp(differences) > 0
    assert math.isnan(effect_size(differences).cohens_d)
    assert math.isnan(detectable_difference(differences))


def test_two_differences_have_no_unbiased_effect():
    # The mean is 0.02 and the standard deviation √2 · 0.01.
    result = effect_size([0.01, 0.03])
    assert result.cohens_d == pytest.approx(math.sqrt(2))
    assert math.isnan(result.hedges_g)


@pytest.mark.parametrize("number", [3, 5, 10, 200])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_detectable_difference_is_that_of_statsmodels(number, power):
    differences = RNG.normal(0.3, 0.02, number)
    effect = TTestPower().solve_power(nobs=number, alpha=0.05, power=power)
    expected = effect * np.std(differences, ddof=1)
    assert detectable_difference(differences, power) == pytest.approx(expected, rel=1e-4)


def test_a_detectable_difference_is_seen_as_often_as_it_says():
    differences = np.array([0.02, 0.03, 0.01])
    shift = detectable_difference(differences, power=0.7, alpha=0.1)
    draws = RNG.normal(shift, 0.01, (20_000, 3))
    statistics = draws.mean(axis=1) / (draws.std(axis=1, ddof=1) / math.sqrt(3))
    # Student's t of 2 degrees of freedom leaves 5 % on either side of 2.92; the binomial standard
    # deviation of the share is 0.0032.
    assert np.mean(np.abs(statistics) > 2.919986) == pytest.approx(0.7, abs=0.013)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6])
def test_detectable_difference_has_the_unit_of_the_differences(scale):
    differences = np.array([0.02, 0.03, 0.01, 0.05])
    expected = scale * detectable_difference(differences)
    assert detectable_difference(scale * differences) == pytest.approx(expected)
    assert detectable_difference(differences - 0.4) == pytest.approx(
        detectable_difference(differences)
    )


@pytest.mark.parametrize("number", [2, 3, 30])
@pytest.mark.parametrize("power", [0.06, 0.5, 0.999])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_extreme_powers_have_an_answer(number, power, alpha):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        differences = RNG.normal(0.0, 1.0, number)
        found = detectable_difference(differences, power, alpha)
    std = np.std(differences, ddof=1)
    assert found > 0
    # So many seeds are just enough for the difference, and for a smaller one they are not.
    assert seeds_needed(1.001 * found, std, power, alpha) <= number
    assert seeds_needed(0.999 * found, std, power, alpha) > number or number == 2


@pytest.mark.parametrize("effect", [2.0, 1.0, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("power", [0.8, 0.9])
def test_seeds_needed_are_those_of_statsmodels(effect, power):
    expected = math.ceil(TTestPower().solve_power(effect_size=effect, alpha=0.05, power=power))
    assert seeds_needed(effect * 0.02, 0.02, power) == expected
    assert seeds_needed(-effect * 0.02, 0.02, power) == expected


def test_two_seeds_are_the_fewest():
    assert seeds_needed(1.0, 1e-6) == 2
    # Equal differences, but for their rounding.
    assert seeds_needed(0.02, 1e-17) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"power": 1.0}, r"`power`.*\(0.05, 1\).*Received: power=1.0"),
        ({"power": 0.05}, r"`power`.*Received: power=0.05"),
        ({"power": float("nan")}, r"`power`.*Received: power=nan"),
        ({"alpha": 0.0}, r"`alpha`.*Received: alpha=0.0"),
        ({"alpha": 5}, r"`alpha`.*Received: alpha=5"),
    ],
)
def test_bad_power(arguments, message):
    with pytest.raises(ValueError, match=message):
        detectable_difference([0.1, 0.2], **arguments)
    with pytest.raises(ValueError, match=message):
        seeds_needed(0.1, 0.1, **arguments)


@pytest.mark.parametrize("differences", [[], [float("nan"), 1.0], [[1.0, 2.0]]])
def test_bad_differences(differences):
    for function in (effect_size, detectable_difference):
        with pytest.raises(ValueError, match=r"`differences`.*Received"):
            function(differences)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_bad_difference_and_spread(value):
    with pytest.raises(ValueError, match=r"`difference`.*Received: difference="):
        seeds_needed(value, 0.1)
    with pytest.raises(ValueError, match=r"`std`.*Received: std="):
        seeds_needed(0.1, value)
    with pytest.raises(ValueError, match=r"`std`.*Received: std=-1"):
        seeds_needed(0.1, -1)

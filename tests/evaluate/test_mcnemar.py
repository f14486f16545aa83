import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from keras_clce.evaluate import mcnemar_test

pytestmark = pytest.mark.any_backend

RNG = np.random.default_rng(11)


def test_by_hand():
    #         both  a     a     a     b     none
    labels = [0, 1, 2, 3, 4, 5]
    first = [0, 1, 2, 3, 0, 0]
    second = [0, 0, 0, 0, 4, 1]
    result = mcnemar_test(labels, first, second)
    assert (result.both_right, result.only_a_right) == (1, 3)
    assert (result.only_b_right, result.both_wrong) == (1, 1)
    assert result.accuracy_difference == pytest.approx(2 / 6)
    # Of four coins, 3 : 1 or further from 2 : 2 have 2 · (1 + 4) of 16 outcomes.
    assert result.p_value == pytest.approx(10 / 16)
    swapped = mcnemar_test(labels, second, first)
    assert swapped.p_value == result.p_value
    assert swapped.accuracy_difference == -result.accuracy_difference


@pytest.mark.parametrize("rates", [(0.8, 0.7), (0.5, 0.5), (0.95, 0.6)])
def test_p_value_is_that_of_statsmodels(rates):
    labels = RNG.integers(0, 10, 400)
    a, b = (np.where(RNG.random(400) < rate, labels, (labels + 1) % 10) for rate in rates)
    table = [
        [sum((a == labels) & (b == labels)), sum((a == labels) & (b != labels))],
        [sum((a != labels) & (b == labels)), sum((a != labels) & (b != labels))],
    ]
    assert mcnemar_test(labels, a, b).p_value == pytest.approx(mcnemar(table, exact=True).pvalue)


@pytest.mark.parametrize("predicted", [[0, 1, 1], [2, 2, 2]])
def test_models_that_are_right_on_the_same_examples_do_not_differ(predicted):
    result = mcnemar_test([0, 1, 1], predicted, predicted)
    assert result.p_value == 1
    assert result.accuracy_difference == 0


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"`labels`.*at least one.*Received.*\(0,\)"):
        mcnemar_test([], [], [])
    with pytest.raises(ValueError, match=r"`predictions_a`.*one class per label.*2 .* and 3 "):
        mcnemar_test([0, 1, 2], [0, 1], [0, 1, 2])
    # Probabilities are no classes.
    with pytest.raises(ValueError, match=r"`predictions_b`.*integer.*Received.*\(3, 2\).*float64"):
        mcnemar_test([0, 1, 1], [0, 1, 1], np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match=r"`labels`.*integer classes.*float64"):
        mcnemar_test([0.0, np.nan], [0, 1], [0, 1])

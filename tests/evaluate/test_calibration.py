"""Calibration error against loops, temperature scaling against SciPy's and scikit-learn's."""

import math

import numpy as np
import pytest
from scipy import optimize, special
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from keras_clce.evaluate import fit_temperature, reliability

pytestmark = pytest.mark.any_backend


def scores(examples=200, classes=5, seed=0, scale=3.0):
    """Labels, and logits that point to them more often than not."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, examples)
    return labels, scale * (rng.normal(size=(examples, classes)) + np.eye(classes)[labels])


def ece_by_loops(labels, probabilities, bins):
    total = 0.0
    for number in range(bins):
        inside = [
            (max(row), float(np.argmax(row) == label))
            for label, row in zip(labels, probabilities, strict=True)
            if number / bins < max(row) <= (number + 1) / bins
        ]
        if inside:
            confidence, right = (sum(values) / len(inside) for values in zip(*inside, strict=True))
            total += len(inside) / len(labels) * abs(confidence - right)
    return total


@pytest.mark.parametrize("bins", [1, 4, 15])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_errors_are_those_of_loops(bins, classes):
    labels, logits = scores(classes=classes)
    probabilities = special.softmax(logits, axis=1)
    found = reliability(labels, probabilities, bins)
    assert found.ece == pytest.approx(ece_by_loops(labels, probabilities, bins), abs=1e-12)
    one_hot = np.eye(classes)[labels]
    brier = sum(sum((p - y) ** 2) for p, y in zip(probabilities, one_hot, strict=True))
    assert found.brier == pytest.approx(brier / len(labels))
    nll = -sum(math.log(row[label]) for label, row in zip(labels, probabilities, strict=True))
    assert found.nll == pytest.approx(nll / len(labels))
    assert found.counts.sum() == len(labels) and len(found.edges) == bins + 1


def test_bins_hold_their_upper_edge_and_empty_ones_count_nothing():
    probabilities = [[0.5, 0.5], [0.6, 0.4], [1.0, 0.0], [1.0, 0.0]]
    found = reliability([0, 1, 0, 1], probabilities, bins=10)
    assert found.counts.tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 2]
    assert found.accuracies[[4, 5, 9]].tolist() == [1.0, 0.0, 0.5]
    assert np.isnan(found.confidences[0])
    # (|0.5 - 1| + |0.6 - 0| + 2 |1 - 0.5|) / 4
    assert found.ece == pytest.approx(2.1 / 4)


def test_rows_of_half_precision_are_taken():
    labels, logits = scores()
    exact = special.softmax(logits, axis=1)
    assert reliability(labels, exact.astype("float16")).ece == pytest.approx(
        reliability(labels, exact).ece, abs=2e-3
    )


@pytest.mark.parametrize("scale", [0.3, 1.0, 8.0])
@pytest.mark.parametrize("classes", [2, 7])
def test_the_temperature_has_the_least_nll(scale, classes):
    labels, logits = scores(classes=classes, scale=scale)

    def nll(parameters):
        scaled = logits / np.exp(parameters[0])
        return -np.mean(special.log_softmax(scaled, axis=1)[np.arange(len(labels)), labels])

    oracle = optimize.minimize(nll, [0.0], method="BFGS", options={"gtol": 1e-9})
    assert fit_temperature(labels, logits) == pytest.approx(np.exp(oracle.x[0]), rel=1e-4)


def test_the_temperature_is_scikit_learns():
    class Given(ClassifierMixin, BaseEstimator):
        """A classifier whose input is its logits."""

        def fit(self, logits, labels):
            self.classes_ = np.unique(labels)
            return self

        def decision_function(self, logits):
            return logits

        def predict(self, logits):
            return logits.argmax(axis=1)

    labels, logits = scores()
    frozen = FrozenEstimator(Given().fit(logits, labels))
    theirs = CalibratedClassifierCV(frozen, method="temperature").fit(logits, labels)
    ours = special.softmax(logits / fit_temperature(labels, logits), axis=1)
    np.testing.assert_allclose(ours, theirs.predict_proba(logits), atol=1e-4)


def test_the_temperature_does_not_mind_the_size_of_logits():
    labels, logits = scores(scale=1.0)
    expected = fit_temperature(labels, logits)
    for factor, shift in ((1e-3, 0.0), (1e3, 0.0), (1.0, 1e6), (30.0, -50.0)):
        found = fit_temperature(labels, factor * logits + shift)
        assert found == pytest.approx(factor * expected, rel=1e-5)


def test_what_has_no_best_temperature_is_refused():
    labels, logits = scores()
    with pytest.raises(ValueError, match=r"200 examples, all of them classified rightly"):
        fit_temperature(labels, 9.0 * np.eye(5)[labels])
    with pytest.raises(ValueError, match=r"higher at the labels .* lower there"):
        fit_temperature(labels, -logits)


@pytest.mark.parametrize(
    ("labels", "values", "said"),
    [
        ([0, 1], [[0.5, 0.5]], "one row per label"),
        ([0], [[1.0]], "two classes or more"),
        ([0, 2], [[0.5, 0.5]] * 2, r"`labels` must be integers within \[0, 2\)"),
        ([0.0, 1.0], [[0.5, 0.5]] * 2, "Received: labels of dtype float64"),
        ([0, 1], [[0.5, np.nan]] * 2, "must be finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(labels, values, said):
    for function in (reliability, fit_temperature):
        with pytest.raises(ValueError, match=said):
            function(np.array(labels), np.array(values))


def test_what_are_no_probabilities_is_refused():
    with pytest.raises(ValueError, match=r"rows must sum to 1. Received: .* sums from 3 to 3"):
        reliability([0, 1], [[1.0, 2.0]] * 2)
    with pytest.raises(ValueError, match="Received: numbers from -1"):
        reliability([0, 1], [[-1.0, 2.0]] * 2)
    with pytest.raises(ValueError, match="`bins` must be a whole number of at least 1"):
        reliability([0, 1], [[0.5, 0.5]] * 2, bins=0)

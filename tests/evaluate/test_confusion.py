"""What is confused, counted by loops, and intervals against statsmodels'."""

import collections

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix
from statsmodels.stats.proportion import proportion_confint

from keras_clce.evaluate import class_accuracies, confused_pairs, wilson_interval

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize(("right", "examples"), [(0, 1), (1, 1), (0, 20), (20, 20), (37, 50)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_interval_is_statsmodels(right, examples, confidence):
    expected = proportion_confint(right, examples, alpha=1 - confidence, method="wilson")
    assert wilson_interval(right, examples, confidence) == pytest.approx(expected, abs=1e-9)


def drawn(seed=0, classes=6, examples=120):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, examples)
    return labels, np.where(rng.random(examples) < 0.6, labels, rng.integers(0, classes, examples))


def test_each_class_has_its_accuracy_the_worst_first():
    labels, predictions = drawn()
    found = class_accuracies(labels, predictions)
    assert [one.accuracy for one in found] == sorted(one.accuracy for one in found)
    for one in found:
        own = [p for label, p in zip(labels, predictions, strict=True) if label == one.label]
        assert (one.examples, one.right) == (len(own), own.count(one.label))
        assert one.accuracy == own.count(one.label) / len(own)
        bounds = proportion_confint(one.right, one.examples, method="wilson")
        assert (one.low, one.high) == pytest.approx(bounds, abs=1e-9)


def test_classes_without_examples_have_none():
    found = class_accuracies([0, 3, 3], [1, 3, 5])
    assert [(one.label, one.right) for one in found] == [(0, 0), (3, 1)]


def test_pairs_are_the_off_diagonal_of_the_matrix():
    labels, predictions = drawn()
    matrix = confusion_matrix(labels, predictions)
    found = confused_pairs(labels, predictions)
    counts = collections.Counter(zip(labels.tolist(), predictions.tolist(), strict=True))
    assert len(found) == sum(1 for true, predicted in counts if true != predicted)
    for pair in found:
        assert pair.label != pair.predicted
        assert pair.count == matrix[pair.label, pair.predicted]
        assert pair.share == pytest.approx(pair.count / matrix[pair.label].sum())
    assert [pair.count for pair in found] == sorted((p.count for p in found), reverse=True)


def test_of_equally_many_the_larger_share_comes_first():
    labels, predictions = [0, 0, 0, 0, 1, 1], [1, 0, 0, 0, 0, 1]
    assert [pair.label for pair in confused_pairs(labels, predictions)] == [1, 0]
    assert confused_pairs([0, 1], [0, 1]) == ()


@pytest.mark.parametrize(
    ("labels", "predictions", "said"),
    [
        ([0, 1], [0], "must hold one class per label. Received: 1 predictions and 2 labels"),
        ([], [], "`labels` must be integer classes"),
        ([0.5], [0], "`labels` must be .* dtype float64"),
        ([0], [-1], "`predictions` must be integer classes from 0"),
    ],
)
def test_what_does_not_fit_is_refused(labels, predictions, said):
    for function in (class_accuracies, confused_pairs):
        with pytest.raises(ValueError, match=said):
            function(labels, predictions)


@pytest.mark.parametrize(("right", "examples"), [(3, 2), (-1, 2), (0, 0), (0.5, 2)])
def test_what_is_no_share_is_refused(right, examples):
    with pytest.raises(ValueError, match="must be a whole number"):
        wilson_interval(right, examples)

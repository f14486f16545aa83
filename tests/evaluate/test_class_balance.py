"""Balanced accuracy and accuracies by groups of classes, against scikit-learn."""

import warnings

import numpy as np
import pytest
from sklearn import metrics

from keras_clce.evaluate import balanced_accuracy, class_group, group_accuracies, imbalance

pytestmark = pytest.mark.any_backend

COUNTS = np.array([500, 101, 100, 50, 20, 19, 5, 300])


def predictions():
    rng = np.random.default_rng(0)
    labels = rng.choice(7, 400, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05])
    return labels, np.where(rng.uniform(size=400) < 0.6, labels, rng.integers(0, 8, 400))


def test_balanced_accuracy_is_scikit_learns():
    labels, predicted = predictions()
    recalls = metrics.recall_score(labels, predicted, labels=range(7), average=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of the class that is predicted alone
        assert balanced_accuracy(labels, predicted) == pytest.approx(recalls.mean())
    assert balanced_accuracy([1, 1, 1, 0], [1, 1, 1, 1]) == 0.5


def test_groups_are_means_of_the_accuracies_of_their_classes():
    labels, predicted = predictions()
    recalls = metrics.recall_score(labels, predicted, labels=range(7), average=None)
    found = group_accuracies(labels, predicted, COUNTS)
    # The last class is large but has no example.
    for name, members in {"many": [0, 1], "medium": [2, 3, 4], "few": [5, 6]}.items():
        assert found[name].accuracy == pytest.approx(recalls[members].mean())
        assert found[name].classes == len(members)
    assert set(group_accuracies([0, 0], [0, 1], [500, 50])) == {"many"}


def test_bounds_and_imbalance():
    assert [class_group(count) for count in (101, 100, 20, 19, 0)] == [
        *("many", "medium", "medium", "few", "few")
    ]
    assert imbalance([500, 0, 50, 5]) == 100 and imbalance([7, 7]) == imbalance([]) == 1


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        (balanced_accuracy, ([], []), "`labels` must be .*at least one"),
        (balanced_accuracy, ([0.5], [0]), "`labels` must be integer classes"),
        (balanced_accuracy, ([0, -1], [0, 0]), "`labels` must be integer classes from 0"),
        (balanced_accuracy, ([0, 1], [0]), r"`predictions` must be 2 .*shape \(1,\)"),
        (group_accuracies, ([0, 2], [0, 1], [9, 9]), r"each class up to 2\. Received: .*\(2,\)"),
        (group_accuracies, ([0], [0], [9.5]), r"`class_counts` must be whole numbers"),
    ],
)
def test_wrong_arguments(function, arguments, said):
    with pytest.raises(ValueError, match=said):
        function(*arguments)

"""The threshold of "none of these"."""

import math

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from keras_clce.inference import ENROLL_CLASSIFIERS, Enrolled, Rejection, rejection_threshold
from keras_clce.inference.rejection import (
    cross_validated_recognition,
    recognition_of,
    scores_of_left_out_classes,
)

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.29, 0.5])
@pytest.mark.parametrize("photographs", [1, 18, 19, 99, 100])
def test_no_more_pass_than_conformal_prediction_allows(rate, photographs):
    scores = np.random.default_rng(photographs).normal(size=photographs)
    found = rejection_threshold(scores, rate)
    # A new photograph is accepted where its p-value, (1 + those above it) / (n + 1), is small.
    allowed = [
        count for count in range(photographs) if (1 + count) / (photographs + 1) <= rate + 1e-12
    ]
    assert found.accepted == max(allowed, default=0) == np.sum(scores >= found.threshold)
    assert found.is_strict_enough == bool(allowed)
    # No lower threshold would do.
    next_one = np.sort(scores)[::-1][found.accepted]
    assert found.threshold == pytest.approx(next_one, abs=1e-5)


def test_the_rate_holds_for_new_photographs():
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(400):
        chosen, new = rng.exponential(size=59), rng.exponential(size=500)
        shares.append(np.mean(new >= rejection_threshold(chosen, 0.05).threshold))
    # On average 3 / 60, by the theory of order statistics.
    assert np.mean(shares) == pytest.approx(0.05, abs=0.005)


def test_equal_scores_are_all_rejected():
    found = rejection_threshold([0.7] * 100, 0.05)
    assert found.accepted == 0 and found.threshold > 0.7


def test_the_interval_is_wilsons():
    found = Rejection(0.5, "unknown photographs", 0.05, unknown=220, accepted=10)
    low, high = proportion_confint(10, 220, method="wilson")
    assert found.share == 10 / 220
    assert found.interval == pytest.approx((low, high))
    assert Rejection(0.5, "given", 0.05).interval is None


@pytest.mark.parametrize("rate", [0, 1, -0.1, True, "5 %", math.nan])
def test_wrong_rates_are_refused(rate):
    with pytest.raises(ValueError, match="`false_accept_rate` must be a number within"):
        rejection_threshold([0.5], rate)


def test_each_class_is_unknown_to_the_others():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 4)
    rows = rng.normal(size=(20, 6))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = scores_of_left_out_classes(ENROLL_CLASSIFIERS["cosine"], rows, labels)
    for row, label, score in zip(rows, labels, found, strict=True):
        cosines = []
        for other in {*labels} - {label}:
            mean = rows[labels == other].mean(axis=0)
            cosines.append(row @ mean / np.linalg.norm(mean))
        assert score == pytest.approx(max(cosines))


def test_too_few_classes_give_no_threshold():
    rows = np.eye(4)
    assert Enrolled(rows, np.zeros(4, int), ("a",)).with_threshold().rejection is None
    two = Enrolled(rows, np.array([0, 0, 1, 1]), ("a", "b"), "logistic")
    # One class alone cannot be fitted.
    assert two.with_threshold().threshold is None


def test_recognition_counts():
    scores = np.array([[0.9, 0.2], [0.3, 0.2], [0.8, 0.1], [0.1, 0.6]])
    found = recognition_of(scores, np.array([0, 0, 1, 1]), threshold=0.5)
    assert (found.right, found.confused, found.rejected) == (2, 1, 1)
    assert recognition_of(scores, np.array([0, 0, 1, 1])).rejected == 0
    share, low, high = found.of(found.right)
    assert (share, low, high) == pytest.approx((0.5, *proportion_confint(2, 4, method="wilson")))


def test_photographs_do_not_recognise_themselves():
    # Each photograph is like none of its class, so that it is right by itself alone.
    rows, labels = np.eye(6), np.array([0, 0, 1, 1, 2, 2])
    cosine = ENROLL_CLASSIFIERS["cosine"]
    assert recognition_of(cosine.fit(rows, labels)(rows), labels, 0.5).right == 6
    found = cross_validated_recognition(cosine, rows, labels, 0.5)
    assert (found.right, found.rejected) == (0, 6)
    # A class of one photograph is passed over, but stands among the others.
    lone = cross_validated_recognition(cosine, rows[:5], labels[:5])
    assert lone.photographs == 4
    assert cross_validated_recognition(cosine, rows[:2], np.array([0, 1])) is None

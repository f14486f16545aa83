"""Scores of open sets by loops, and how well they tell known from unknown by scikit-learn."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_curve

from keras_clce.evaluate import auroc_difference, open_set_detection, open_set_scores

pytestmark = pytest.mark.any_backend


def test_scores_are_those_of_loops():
    rng = np.random.default_rng(0)
    logits, embeddings = rng.normal(size=(7, 4)), rng.normal(size=(7, 3))
    references, labels = rng.normal(size=(12, 3)), np.arange(12) % 4 + 2
    scores = open_set_scores(logits, embeddings, references, labels, temperature=2.0)

    def unit(row):
        return np.asarray(row) / math.sqrt(sum(x * x for x in row))

    units = [unit(row) for row in references]
    means = [
        unit(np.mean([u for u, n in zip(units, labels, strict=True) if n == label], axis=0))
        for label in range(2, 6)
    ]
    for number, row in enumerate(logits):
        powers = [math.exp(x / 2) for x in row]
        assert scores["maximal probability"][number] == pytest.approx(max(powers) / sum(powers))
        assert scores["maximal logit"][number] == max(row)
        energy = math.log(sum(math.exp(x) for x in row))
        assert scores["energy"][number] == pytest.approx(energy)
        own = unit(embeddings[number])
        assert scores["nearest class mean"][number] == pytest.approx(max(own @ m for m in means))
        assert scores["nearest training image"][number] == pytest.approx(
            max(own @ u for u in units), abs=1e-9
        )


def test_without_references_there_are_no_distances():
    logits, embeddings = np.eye(3), np.eye(3)
    assert len(open_set_scores(logits)) == len(open_set_scores(logits, embeddings)) == 3
    assert "nearest class mean" not in open_set_scores(logits, embeddings, embeddings)


def test_detection_is_that_of_the_roc_curve():
    rng = np.random.default_rng(1)
    for known, unknown in (
        (rng.normal(1, 1, 101), rng.normal(0, 1, 57)),
        (rng.integers(0, 4, 40).astype(float), rng.integers(0, 4, 60).astype(float)),
    ):
        found = open_set_detection(known, unknown)
        labels = np.repeat([1, 0], [len(known), len(unknown)])
        rates = roc_curve(labels, np.concatenate([known, unknown]), drop_intermediate=False)
        assert found.fpr95 == pytest.approx(min(rates[0][rates[1] >= 0.95]))
        # Mann and Whitney's statistic is the number of pairs in the right order.
        u = stats.mannwhitneyu(known, unknown).statistic
        assert found.auroc == pytest.approx(u / (len(known) * len(unknown)))
        assert np.mean(known >= found.threshold) >= 0.95


def test_the_difference_of_two_scores():
    rng = np.random.default_rng(2)
    good, bad = rng.normal(2, 1, 80), rng.normal(0.3, 1, 80)
    other = rng.normal(0, 1, 60), rng.normal(0, 1, 60)
    difference, low, high = auroc_difference((bad, good), other, resamples=199)
    aurocs = [
        stats.mannwhitneyu(k, u).statistic / 4800 for k, u in zip((bad, good), other, strict=True)
    ]
    assert difference == pytest.approx(aurocs[1] - aurocs[0])
    assert 0 < low < difference < high
    same = auroc_difference((good, good), (other[0], other[0]), resamples=99)
    assert same == (0, 0, 0)


def test_an_interval_of_one_image_bounds_nothing():
    difference, low, high = auroc_difference(([1.0], [0.0]), ([0.5, 0.5], [0.5, 0.5]))
    assert difference == -1 and np.isnan(low) and np.isnan(high)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="`known` must be two scores of the same images"):
        auroc_difference(([1.0], [0.0, 1.0]), ([0.5], [0.5]))
    with pytest.raises(ValueError, match="`unknown` must be numbers"):
        open_set_detection([1.0], [])
    with pytest.raises(ValueError, match="`embeddings` must have a row for each row of `logits`"):
        open_set_scores(np.eye(2), np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match="`reference_labels` must have a label for each"):
        open_set_scores(np.eye(3), np.eye(3), np.eye(3), [0, 1])

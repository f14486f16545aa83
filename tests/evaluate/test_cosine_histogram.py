"""Histograms of cosines and their overlap, against NumPy, SciPy and scikit-learn."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.metrics import roc_auc_score

from keras_clce.evaluate import CosineHistogram, cosine_histogram

pytestmark = pytest.mark.any_backend


@pytest.fixture
def groups():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    return rng.normal(size=(300, 6)) + 1.5 * np.eye(4, 6)[labels], labels


def all_cosines(rows, labels):
    """Cosines of all pairs by SciPy, and which pairs are of one class."""
    first, second = np.triu_indices(len(rows), k=1)
    return 1 - pdist(rows, "cosine"), labels[first] == labels[second], first, second


def overlap(positive, negative):
    """The overlap coefficient by NumPy's histograms of the cosines themselves."""
    both = np.concatenate([positive, negative])
    edges = np.linspace(both.min(), both.max(), 51)
    shares = [np.histogram(part, edges)[0] / len(part) for part in (positive, negative)]
    return sum(min(a, b) for a, b in zip(*shares, strict=True))


def test_counts_overlap_and_auroc_are_numpys_and_scikit_learns(groups):
    cosines, same, *_ = all_cosines(*groups)
    got = cosine_histogram(*groups)
    assert got.within.sum() == same.sum() and got.between.sum() == (~same).sum()
    coarse, _ = np.histogram(cosines[same], 20, (-1, 1))
    np.testing.assert_array_equal(got.within.reshape(20, -1).sum(axis=1), coarse)
    assert got.within_mean == pytest.approx(cosines[same].mean(), abs=1e-4)
    assert got.between_mean == pytest.approx(cosines[~same].mean(), abs=1e-4)
    assert got.auroc == pytest.approx(roc_auc_score(same, cosines), abs=1e-5)
    assert got.overlap == pytest.approx(overlap(cosines[same], cosines[~same]), abs=2e-3)
    within, _ = np.histogram(cosines[same], 40, (-1, 1), density=True)
    np.testing.assert_allclose(got.density(40, (-1, 1))[0], within)


def test_of_one_class_its_own_pairs_and_those_with_others_count(groups):
    cosines, same, first, second = all_cosines(*groups)
    labels = groups[1]
    with_class = (labels[first] == 2) | (labels[second] == 2)
    got = cosine_histogram(*groups, of_class=2)
    assert got.within.sum() == (same & with_class).sum()
    assert got.between.sum() == (~same & with_class).sum()
    expected = roc_auc_score(same[with_class], cosines[with_class])
    assert got.auroc == pytest.approx(expected, abs=1e-5)
    # Of the others alone some are drawn.
    few = cosine_histogram(*groups, of_class=2, max_examples=10)
    assert few.within.sum() == got.within.sum()
    assert few.between.sum() == 10 * (labels == 2).sum()


def test_overlap_of_known_histograms():
    def histogram(within, between):
        counts = np.zeros((2, 20_000), int)
        for row, places in zip(counts, (within, between), strict=True):
            np.add.at(row, places, 1)
        return CosineHistogram(*counts)

    apart = histogram([19_000, 19_500], [1_000, 2_000])
    assert apart.overlap == 0 and apart.auroc == 1
    equal = histogram([5, 10_000, 15_000], [5, 10_000, 15_000])
    assert equal.overlap == pytest.approx(1) and equal.auroc == pytest.approx(0.5)
    # A half of each lies in the first bin, the rest in two that are far from one another.
    half = histogram([0, 19_999], [0, 9_000])
    assert half.overlap == pytest.approx(0.5)
    # Three of the four comparisons are won or even: (0, 0) even, (19999, any) won, (0, 9000) lost.
    assert half.auroc == pytest.approx((0.5 + 1 + 1 + 0) / 4)
    one_bin = histogram([7], [7])
    assert one_bin.overlap == 1 and one_bin.auroc == 0.5
    assert one_bin.density(2, (-1, 1))[0].tolist() == [1.0, 0.0]


def test_many_examples_are_drawn_and_counted_in_chunks():
    rng = np.random.default_rng(1)
    rows, labels = rng.normal(size=(1500, 3)).astype("float32"), np.arange(1500) % 2
    got = cosine_histogram(rows, labels, max_examples=1200)
    assert got.within.sum() + got.between.sum() == 1200 * 1199 // 2
    again = cosine_histogram(rows, labels, max_examples=1200)
    np.testing.assert_array_equal(got.within, again.within)
    # Directions in three dimensions have cosines that are spread evenly.
    assert got.within_mean == pytest.approx(0, abs=0.02)
    assert got.overlap > 0.98 and got.auroc == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(got.density(4, (-1, 1))[1], [0.5] * 4, atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.eye(3), [0, 0, 0]), "pair of two different classes. Received: 3 labels of 1 classes"),
        ((np.eye(3), [0, 1, 2]), "pair of one class. Received"),
        ((np.eye(3), [0, 0, 1], 1), "pair of one class with class 1"),
        ((np.eye(3), [0, 0, 1], 7), "pair of one class with class 7"),
        ((np.eye(3), [0, 1]), r"`labels` must have shape \(3,\)"),
        ((np.zeros((2, 2)), [0, 1]), "2 zero rows"),
        ((np.eye(3), [0, 0, 1], None, 1), "max_examples=1"),
        ((np.eye(3), [0, 0, 1], 0, 1), "max_examples=1"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        cosine_histogram(*arguments)

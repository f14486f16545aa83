"""Isotropy and cosines of embeddings, against loops."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from keras_clce.evaluate import cosine_similarities, isotropy_score

pytestmark = pytest.mark.any_backend


def cloud(examples=30, dim=5, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(examples, dim)) * np.arange(1, dim + 1) + shift
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_isotropy_equals_the_definition_by_loops(shift):
    rows = cloud(shift=shift)
    # Eigenvectors of VᵀV are the right singular vectors of V.
    _, _, directions = np.linalg.svd(rows)
    sums = [
        sum(math.exp(sign * sum(a * b for a, b in zip(c, v, strict=True))) for v in rows)
        for c in directions
        for sign in (1, -1)
    ]
    assert isotropy_score(rows) == pytest.approx(min(sums) / max(sums))


def test_isotropy_of_known_clouds():
    assert isotropy_score(np.concatenate([np.eye(4), -np.eye(4)])) == pytest.approx(1.0)
    one_direction = np.tile([1.0, 0.0], (7, 1))
    assert isotropy_score(one_direction) == pytest.approx(math.exp(-1) / math.exp(1))
    assert isotropy_score(cloud(shift=5.0)) < isotropy_score(cloud())
    assert isotropy_score(1e4 * cloud(shift=5.0)) < 1e-6  # no overflow


def test_cosines_equal_scipys_pair_by_pair():
    rows, labels = 3 * cloud(12), np.arange(12) % 3
    within, between = [], []
    for i in range(12):
        for j in range(i):
            (within if labels[i] == labels[j] else between).append(1 - cosine(rows[i], rows[j]))
    got = cosine_similarities(rows, labels)
    np.testing.assert_allclose(np.sort(got.within), np.sort(within), atol=1e-12)
    np.testing.assert_allclose(np.sort(got.between), np.sort(between), atol=1e-12)


def test_of_many_examples_some_are_drawn_with_a_seed():
    rows, labels = cloud(200), np.zeros(200, int)
    one, same, other = (
        cosine_similarities(rows, labels, max_examples=50, seed=seed) for seed in (0, 0, 1)
    )
    assert one.within.shape == (50 * 49 // 2,)
    assert one.between.shape == (0,)
    np.testing.assert_array_equal(one.within, same.within)
    assert not np.array_equal(one.within, other.within)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), [0, 1, 2]), r"`embeddings`.*shape \(3,\)"),
        ((np.full((2, 2), np.nan), [0, 1]), "`embeddings` must be finite"),
        ((np.eye(2), [0]), r"`labels` must have shape \(2,\)"),
        ((np.zeros((2, 2)), [0, 1]), "2 zero rows"),
        ((np.eye(2), [0, 1], 1), "max_examples=1"),
        ((np.eye(2), [0, 1], 2.5), "max_examples=2.5"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        cosine_similarities(*arguments)


def test_isotropy_refuses_what_is_no_matrix():
    with pytest.raises(ValueError, match="`embeddings`"):
        isotropy_score(np.zeros((0, 3)))

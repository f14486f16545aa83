"""Cosines of pairs of embeddings, against loops and SciPy."""

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from keras_clce.evaluate import cosine_similarities
from keras_clce.evaluate.embedding_geometry import unit_rows

pytestmark = pytest.mark.any_backend


def cloud(examples=30, dim=5, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(examples, dim)) * np.arange(1, dim + 1) + shift
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_cosines_equal_scipys_pair_by_pair():
    rows, labels = 3 * cloud(12), np.arange(12) % 3
    within, between = [], []
    for i in range(12):
        for j in range(i):
            (within if labels[i] == labels[j] else between).append(1 - cosine(rows[i], rows[j]))
    got = cosine_similarities(rows, labels)
    np.testing.assert_allclose(np.sort(got.within), np.sort(within), atol=1e-12)
    np.testing.assert_allclose(np.sort(got.between), np.sort(between), atol=1e-12)


def test_all_pairs_are_there_once_where_they_come_in_chunks():
    # All at right angles but three pairs, each in another place of the table of chunks.
    rows, labels = np.eye(1100), np.arange(1100) % 2
    rows[3, 700] = rows[5, 6] = rows[700, 701] = 1
    got = cosine_similarities(rows, labels)
    assert got.within.shape == (2 * (550 * 549 // 2),) and got.between.shape == (550 * 550,)
    # Each of the three is of an odd and an even number.
    half, third = 1 / 2, 1 / np.sqrt(2)
    np.testing.assert_allclose(np.sort(got.within)[-1:], [0])
    np.testing.assert_allclose(np.sort(got.between)[-3:], [half, third, third])


@pytest.mark.parametrize(("dtype", "expected"), [("float16", "float32"), ("int64", "float64")])
def test_units_of_any_size(dtype, expected):
    units = unit_rows(np.array([[3, 4], [300, -400]], dtype))
    assert units.dtype == expected
    np.testing.assert_allclose(units, [[0.6, 0.8], [0.6, -0.8]], rtol=1e-6)
    tiny = np.array([[3e-30, 4e-30], [3e30, 4e30]], "float32")
    np.testing.assert_allclose(unit_rows(tiny), [[0.6, 0.8]] * 2, rtol=1e-6)


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

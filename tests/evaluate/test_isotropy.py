"""The isotropy score, against its definition by loops."""

import math

import numpy as np
import pytest

from keras_clce.evaluate import isotropy_score

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


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_of_many_rows_it_equals_the_plain_formula(dtype):
    # Several chunks, the last one short; the directions that matter most stand in none alone.
    rows = np.sort(cloud(9001, dim=6, shift=0.5), axis=0).astype(dtype)
    _, _, directions = np.linalg.svd(rows.astype("float64"), full_matrices=False)
    sums = np.exp(rows.astype("float64") @ np.concatenate([directions, -directions]).T).sum(axis=0)
    assert isotropy_score(rows) == pytest.approx(sums.min() / sums.max(), rel=1e-9)


def test_isotropy_of_known_clouds():
    assert isotropy_score(np.concatenate([np.eye(4), -np.eye(4)])) == pytest.approx(1.0)
    one_direction = np.tile([1.0, 0.0], (7, 1))
    assert isotropy_score(one_direction) == pytest.approx(math.exp(-1) / math.exp(1))
    assert isotropy_score(cloud(shift=5.0)) < isotropy_score(cloud())
    assert isotropy_score(1e4 * cloud(shift=5.0)) < 1e-6  # no overflow


def test_isotropy_refuses_what_is_no_matrix():
    with pytest.raises(ValueError, match="`embeddings`"):
        isotropy_score(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="`embeddings` must be finite"):
        isotropy_score([[0.0, np.inf]])

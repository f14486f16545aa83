"""Nearest neighbours by blocks, against the whole table of cosines."""

from pathlib import Path

import numpy as np
import pytest

from keras_clce.evaluate import nearest_neighbors

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_against_the_table_of_cosines(dtype):
    rng = np.random.default_rng(0)
    rows, queries = (rng.normal(size=(count, 6)) for count in (700, 40))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    cosines = queries @ rows.T
    expected = np.argsort(-cosines, axis=1)[:, :9]
    found, values = nearest_neighbors(queries.astype(dtype), rows.astype(dtype), 9)
    np.testing.assert_array_equal(found, expected)
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(values, np.take_along_axis(cosines, expected, 1), atol=tolerance)


def test_the_smallest_cosines_and_too_few_rows():
    found, values = nearest_neighbors(np.eye(2)[:1], np.array([[0.0, 1], [-1, 0], [1, 0]]), 5)
    assert found.tolist() == [[2, 0, 1]]
    np.testing.assert_allclose(values, [[1, 0, -1]], atol=1e-12)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"dimension of `references`, 2\. .*\(1, 3\)"):
        nearest_neighbors(np.ones((1, 3)), np.eye(2))
    with pytest.raises(ValueError, match="`k` must be"):
        nearest_neighbors(np.eye(2), np.eye(2), 0)


def peak_memory():
    """The most memory since the last reset, in KiB, as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def test_memory_is_that_of_blocks():
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        pytest.skip("the peak of memory can be reset on Linux alone")
    rows = np.random.default_rng(0).normal(size=(8_000, 4)).astype("float32")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    nearest_neighbors(rows[:300], rows[:300], 5)
    reset.write_text("5")
    before = peak_memory()
    nearest_neighbors(rows, rows, 5)
    # The table of all pairs would be 256 MB; the result takes 0.6, and copies of the rows a little.
    assert peak_memory() - before < 32 * 1024

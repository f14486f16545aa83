"""Batches, loss configurations and tolerances that the loss tests share."""

import functools

import gradients
import numpy as np
import reference
from keras import ops

from keras_clce.losses.hscl import hscl
from keras_clce.losses.lacln import lacln

FUNCTIONS = {"lacln": lacln, "hscl": hscl}
ORACLE = {
    "lacln": (reference.lacln, reference.lacln_gradient),
    "hscl": (reference.hscl, reference.hscl_gradient),
}

# Half the distance between neighbouring numbers: what a gradient loses when it is handed back in
# the dtype of the embeddings.
HALF_ULP = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


def labels(pattern, n=16):
    """Integer labels `(n,)`."""
    return {
        "balanced": np.arange(n) % 4,
        "one class": np.full(n, 3),
        "all distinct": np.arange(n),
        "unbalanced": np.array([5] * (n - 4) + [2, 2, 7, 9]),
        "one positive pair": np.array([0, 0, *range(1, n - 1)]),
        # Classes of 6, 4, 3 and 2, and one anchor without a positive, for n = 16.
        "mixed": np.random.default_rng(1).permutation((np.arange(n) ** 2 // n) % 5),
    }[pattern]


def embeddings(pattern="random", n=16, dim=6):
    """Embeddings `(n, dim)`, not normalised."""
    x = np.random.default_rng(n).normal(size=(n, dim))
    if pattern == "zero rows":
        x[[1, 4, n - 1]] = 0.0
    elif pattern == "duplicated rows":
        x[n // 2 :] = x[: n - n // 2]
    elif pattern == "opposite rows":
        x[n // 2 :] = -x[: n - n // 2]
    elif pattern == "narrow cone":  # as an encoder's features are: every cosine is high
        x = 0.05 * x + 1.0
    elif pattern == "mixed":
        x[2] = 0.0
        x[5] = 3.0 * x[7]
    return x.astype("float32")


@functools.cache
def objective(name, **options):
    """Mean over the counted anchors, with the anchors' values and mask as auxiliaries."""

    def mean(labels, x):
        values, counted = FUNCTIONS[name](labels, x, **options)
        total = ops.sum(values * counted) / ops.maximum(ops.sum(counted), 1.0)
        return total, (values, counted)

    return mean


def check_against_oracle(name, labels, x, dtype="float32", chunk_size=None, **options):
    """Values, mask and gradient of a pure function against the loops; returns the evaluation."""
    function = objective(name, chunk_size=chunk_size, **options)
    got = gradients.value_and_gradient(function, labels, x, dtype)
    oracle, oracle_gradient = ORACLE[name]
    values, counted = oracle(labels, got.rounded, **options)
    np.testing.assert_array_equal(got.auxiliary[1], counted.astype("float32"))
    assert_values_close(got.auxiliary[0], values)
    assert_values_close(got.value, reference.mean_over_counted(values, counted))
    assert_gradient_close(
        got.gradient, oracle_gradient(labels, got.rounded, **options), dtype=dtype
    )
    return got


def assert_values_close(got, want):
    """1e-5, relative to the largest value."""
    want = np.asarray(want)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max() + 1e-6)


def assert_gradient_close(got, want, dtype="float32"):
    """1e-5, relative to the largest entry, beside the rounding to a half-precision gradient."""
    tolerance = 1e-5 * np.abs(want).max() + 1e-6 + HALF_ULP[dtype] * np.abs(want)
    worst = np.max(np.abs(got - want) - tolerance)
    assert worst <= 0, f"{worst} beyond the tolerance; largest entry {np.abs(want).max()}"

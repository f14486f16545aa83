"""The pure functions against the oracle, on the current backend."""

import cases
import numpy as np
import pytest
import reference
from keras import ops
from keras.backend import standardize_dtype

from keras_clce.losses.hscl import hscl
from keras_clce.losses.lacln import lacln

TEMPERATURES = [0.01, 0.1, 0.5, 1.0]
HARDNESSES = [0.0, 0.5, 1.0, 2.0]


@pytest.mark.parametrize("positive_sum", ["outside", "inside"])
@pytest.mark.parametrize("hardness", HARDNESSES)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_lacln_equals_the_oracle(temperature, hardness, positive_sum):
    cases.check_against_oracle(
        "lacln",
        cases.labels("mixed"),
        cases.embeddings("mixed"),
        temperature=temperature,
        hardness=hardness,
        positive_sum=positive_sum,
    )


@pytest.mark.parametrize("hardness", HARDNESSES)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_hscl_equals_the_oracle(temperature, hardness):
    cases.check_against_oracle(
        "hscl",
        cases.labels("mixed"),
        cases.embeddings("mixed"),
        temperature=temperature,
        hardness=hardness,
    )


@pytest.mark.parametrize("temperature", [0.01, 0.5])
@pytest.mark.parametrize(
    ("threshold", "anchors_reaching"),
    [(-1.0, "all"), (0.3, "some"), (0.999, "none")],
)
def test_hscl_with_a_threshold_equals_the_oracle(temperature, threshold, anchors_reaching):
    labels, x = cases.labels("balanced"), cases.embeddings()
    similar = reference.cosines(x) >= threshold
    negatives = labels[:, None] != labels[None, :]
    reaching = (similar & negatives).any(axis=1)
    assert {"all": reaching.all(), "none": not reaching.any()}.get(
        anchors_reaching, 0 < reaching.sum()
    )
    cases.check_against_oracle("hscl", labels, x, temperature=temperature, threshold=threshold)


def test_a_threshold_that_only_some_anchors_negatives_reach():
    labels, x = cases.labels("balanced"), cases.embeddings()
    negatives = labels[:, None] != labels[None, :]
    closest = np.where(negatives, reference.cosines(x), -1.0).max(axis=1)
    threshold = float(np.median(closest)) + 1e-3
    assert 0 < (closest >= threshold).sum() < len(x)
    cases.check_against_oracle("hscl", labels, x, threshold=threshold)


@pytest.mark.parametrize("name", ["lacln", "hscl"])
@pytest.mark.parametrize(
    "pattern",
    ["balanced", "one class", "all distinct", "unbalanced", "one positive pair"],
)
def test_any_mixture_of_classes_equals_the_oracle(name, pattern):
    cases.check_against_oracle(name, cases.labels(pattern), cases.embeddings())


@pytest.mark.parametrize("name", ["lacln", "hscl"])
@pytest.mark.parametrize(
    "pattern", ["zero rows", "duplicated rows", "opposite rows", "narrow cone"]
)
def test_any_arrangement_of_rows_equals_the_oracle(name, pattern):
    cases.check_against_oracle(name, cases.labels("unbalanced"), cases.embeddings(pattern))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("temperature", [0.01, 0.5])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lacln", {"hardness": 2.0}),
        ("lacln", {"positive_sum": "inside"}),
        ("hscl", {"hardness": 1.0}),
        ("hscl", {"threshold": 0.3}),
    ],
)
def test_half_precision_embeddings_equal_the_oracle_of_the_rounded_rows(
    name, options, temperature, dtype
):
    cases.check_against_oracle(
        name,
        cases.labels("mixed"),
        cases.embeddings("mixed"),
        dtype=dtype,
        temperature=temperature,
        **options,
    )


@pytest.mark.parametrize("name", ["lacln", "hscl"])
@pytest.mark.parametrize("n", [2, 512])
def test_batch_sizes_equal_the_oracle(name, n):
    labels = np.zeros(2, dtype=int) if n == 2 else np.arange(n) % max(2, n // 4)
    cases.check_against_oracle(name, labels, cases.embeddings(n=n), temperature=0.1)


@pytest.mark.parametrize("name", ["lacln", "hscl"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_results_are_float32_vectors(name, dtype):
    x = ops.cast(cases.embeddings(), dtype)
    values, counted = cases.FUNCTIONS[name](cases.labels("mixed"), x)
    assert standardize_dtype(values.dtype) == standardize_dtype(counted.dtype) == "float32"
    assert tuple(values.shape) == tuple(counted.shape) == (16,)


def one_hot(labels):
    return np.eye(labels.max() + 1)[labels]


@pytest.mark.parametrize("name", ["lacln", "hscl"])
@pytest.mark.parametrize(
    "form",
    [
        lambda labels: labels.astype("int64"),
        lambda labels: labels.astype("uint8"),
        lambda labels: labels.astype("float32"),
        lambda labels: labels[:, None].astype("int32"),
        lambda labels: one_hot(labels).astype("float32"),
        lambda labels: one_hot(labels).astype("int32"),
        lambda labels: labels.tolist(),
        lambda labels: ops.convert_to_tensor(labels, dtype="int32"),
    ],
    ids=["int64", "uint8", "float", "column", "one-hot", "int one-hot", "list", "tensor"],
)
def test_every_form_of_labels_gives_the_same_values(name, form):
    labels, x = cases.labels("unbalanced"), cases.embeddings()
    values, counted = cases.FUNCTIONS[name](form(labels), x)
    want, want_counted = cases.ORACLE[name][0](labels, x)
    cases.assert_values_close(cases.gradients.to_numpy(values), want)
    np.testing.assert_array_equal(cases.gradients.to_numpy(counted), want_counted)


def test_very_large_class_numbers_stay_apart():
    # Neighbours above 2^24 are one number in float32, multiples of 2^32 in int32.
    labels = np.array([7, 7, 2**24, 2**24 + 1, 0, 2**32, 2**33, 0] * 2)
    values, _ = lacln(labels, cases.embeddings())
    want, _ = reference.lacln(labels, cases.embeddings())
    cases.assert_values_close(cases.gradients.to_numpy(values), want)


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_the_highest_unsigned_class_numbers_are_classes(chunk_size):
    labels = np.array([2**31, 2**32 - 1, 0, 2**31 + 1, 2**31, 5, 0, 2**32 - 1] * 2)
    given = ops.convert_to_tensor(labels.astype("uint32"))
    values, _ = lacln(given, cases.embeddings(), chunk_size=chunk_size)
    want, _ = reference.lacln(labels, cases.embeddings())
    cases.assert_values_close(cases.gradients.to_numpy(values), want)


@pytest.mark.parametrize("name", ["lacln", "hscl"])
@pytest.mark.parametrize("temperature", [0.0, -0.5, float("nan"), float("inf"), "0.5", None])
def test_temperature_must_be_a_number_above_zero(name, temperature):
    with pytest.raises(ValueError, match=r"`temperature`.*Received: temperature="):
        cases.FUNCTIONS[name](cases.labels("mixed"), cases.embeddings(), temperature)


@pytest.mark.parametrize("name", ["lacln", "hscl"])
@pytest.mark.parametrize("hardness", [-0.1, float("nan"), float("inf"), "1"])
def test_hardness_must_be_a_number_of_at_least_zero(name, hardness):
    with pytest.raises(ValueError, match=r"`hardness`.*Received: hardness="):
        cases.FUNCTIONS[name](cases.labels("mixed"), cases.embeddings(), hardness=hardness)


@pytest.mark.parametrize("positive_sum", ["Outside", "", None, 1])
def test_positive_sum_must_be_known(positive_sum):
    with pytest.raises(ValueError, match=r"`positive_sum`.*Received: positive_sum="):
        lacln(cases.labels("mixed"), cases.embeddings(), positive_sum=positive_sum)


@pytest.mark.parametrize("threshold", [1.5, -1.5, float("nan"), "0.3"])
def test_threshold_must_be_a_cosine(threshold):
    with pytest.raises(ValueError, match=r"`threshold`.*Received: threshold="):
        hscl(cases.labels("mixed"), cases.embeddings(), threshold=threshold)


@pytest.mark.parametrize("name", ["lacln", "hscl"])
@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((16, 2, 2), dtype=int),
        np.int64(3),
        np.linspace(0.0, 1.0, 16),
        np.linspace(0.0, 1.0, 16)[:, None],
        np.full(16, np.nan),
        np.full(16, np.inf),
        np.full((16, 1), np.nan),
        np.array(["cat"] * 16),
        np.zeros(15, dtype=int),
        np.zeros((15, 1), dtype=int),
        np.zeros((17, 4), dtype=int),
        np.zeros((1, 16), dtype=int),
        np.zeros((16, 4)),
        np.full((16, 4), 0.2),
        np.tile([1.5, -0.5, 0.0, 0.0], (16, 1)),
        np.eye(16) * 2.0,
    ],
    ids=[
        "rank 3",
        "scalar",
        "fractions",
        "column of fractions",
        "NaN",
        "infinite",
        "column of NaN",
        "strings",
        "too few",
        "too few in a column",
        "too many one-hot rows",
        "one row",
        "rows of zeros",
        "rows that sum to 0.8",
        "rows with a negative share",
        "rows of twos",
    ],
)
def test_labels_must_fit(name, labels):
    with pytest.raises(ValueError, match=r"(?s)`labels`.*Received: labels"):
        cases.FUNCTIONS[name](labels, cases.embeddings())


@pytest.mark.parametrize("name", ["lacln", "hscl"])
@pytest.mark.parametrize("shape", [(16,), (16, 2, 3), ()])
def test_embeddings_must_be_a_matrix(name, shape):
    with pytest.raises(ValueError, match=r"`embeddings`.*Received: embeddings"):
        cases.FUNCTIONS[name](cases.labels("mixed"), np.ones(shape, dtype="float32"))

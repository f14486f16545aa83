"""What must hold whatever the numbers are: symmetries, closed forms, degenerate batches."""

import math

import cases
import gradients
import numpy as np
import pytest

VARIANTS = [
    ("lacln", {}),
    ("lacln", {"hardness": 2.0, "positive_sum": "inside"}),
    ("hscl", {}),
    ("hscl", {"threshold": 0.3}),
]
variants = pytest.mark.parametrize(("name", "options"), VARIANTS)
FLAT = {
    "lacln": [
        {"hardness": hardness, "positive_sum": positive_sum}
        for hardness in (0.0, 0.5, 1.0, 2.0)
        for positive_sum in ("outside", "inside")
    ],
    "hscl": [{"hardness": 0.0}, {"hardness": 2.0}, {"threshold": 0.5}],
}


def evaluate(name, options, labels, x, dtype="float32"):
    return gradients.value_and_gradient(cases.objective(name, **options), labels, x, dtype)


@pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name, each in FLAT.items() for options in each]
)
def test_equal_embeddings_give_the_log_of_the_others_and_no_gradient(name, options):
    x = np.tile(cases.embeddings()[:1], (16, 1))
    got = evaluate(name, options, cases.labels("balanced"), x)
    np.testing.assert_allclose(got.auxiliary[0], math.log(15), rtol=1e-6)
    np.testing.assert_allclose(got.gradient, 0.0, atol=1e-6)


@variants
def test_permuting_the_rows_permutes_values_and_gradients(name, options):
    labels, x = cases.labels("mixed"), cases.embeddings()
    order = np.random.default_rng(3).permutation(16)
    got = evaluate(name, options, labels, x)
    permuted = evaluate(name, options, labels[order], x[order])
    np.testing.assert_allclose(permuted.auxiliary[0], got.auxiliary[0][order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(permuted.gradient, got.gradient[order], atol=1e-6)


@variants
def test_swapping_the_two_views_changes_nothing(name, options):
    labels, x = np.tile(np.arange(8) // 2, 2), cases.embeddings()
    swapped = evaluate(name, options, labels, np.concatenate([x[8:], x[:8]]))
    assert swapped.value == pytest.approx(evaluate(name, options, labels, x).value, rel=1e-6)


@variants
def test_renaming_the_classes_changes_nothing(name, options):
    labels, x = cases.labels("mixed"), cases.embeddings()
    renamed = evaluate(name, options, 1000 - 7 * labels, x)
    np.testing.assert_array_equal(
        renamed.auxiliary[0], evaluate(name, options, labels, x).auxiliary[0]
    )


@variants
def test_the_gradient_is_orthogonal_to_each_embedding(name, options):
    got = evaluate(name, options, cases.labels("mixed"), cases.embeddings())
    x = got.rounded
    along = np.sum(x * got.gradient, axis=1) / np.linalg.norm(x, axis=1)
    assert np.abs(got.gradient).max() > 1e-3
    np.testing.assert_allclose(along, 0.0, atol=1e-6)


@variants
def test_the_length_of_a_row_changes_no_value_and_divides_its_gradient(name, options):
    labels, x = cases.labels("mixed"), cases.embeddings()
    lengths = 10.0 ** np.linspace(-3, 3, 16)[:, None]
    got = evaluate(name, options, labels, x)
    scaled = evaluate(name, options, labels, x * lengths)
    cases.assert_values_close(scaled.auxiliary[0], got.auxiliary[0])
    np.testing.assert_allclose(scaled.gradient * lengths, got.gradient, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "length"),
    [
        ("float32", 1e-25),
        ("float32", 1e25),
        ("float16", 1e-4),
        ("float16", 2e4),
        ("bfloat16", 1e30),
    ],
)
def test_rows_whose_squares_leave_the_dtypes_range_equal_the_oracle(dtype, length):
    labels, x = cases.labels("mixed"), cases.embeddings().clip(-2, 2) * length
    got = evaluate("lacln", {}, labels, x, dtype)
    assert np.isfinite(got.rounded).all()
    want, _ = cases.ORACLE["lacln"][0](labels, got.rounded)
    cases.assert_values_close(got.auxiliary[0], want)
    # float16's own range ends at 65,504, and the gradient of very short rows goes beyond it.
    if (dtype, length) != ("float16", 1e-4):
        assert np.isfinite(got.gradient).all()


@variants
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("pattern", ["one class", "unbalanced"])
@pytest.mark.parametrize("rows", ["opposite rows", "duplicated rows", "zero rows", "all zero"])
def test_nothing_is_nan_or_infinite_at_the_lowest_temperature(name, options, dtype, pattern, rows):
    x = np.zeros((16, 6)) if rows == "all zero" else cases.embeddings(rows)
    got = evaluate(name, {**options, "temperature": 0.01}, cases.labels(pattern), x, dtype)
    assert np.isfinite(got.value)
    assert np.isfinite(got.auxiliary[0]).all()
    assert np.isfinite(got.gradient).all()
    assert (got.auxiliary[0] >= 0).all()


@variants
def test_without_any_positive_the_loss_is_exactly_zero_and_so_is_its_gradient(name, options):
    got = evaluate(name, options, cases.labels("all distinct"), cases.embeddings())
    assert got.value == 0.0
    assert not got.auxiliary[0].any() and not got.auxiliary[1].any() and not got.gradient.any()


@variants
def test_a_single_row_gives_zero(name, options):
    got = evaluate(name, options, np.array([4]), cases.embeddings(n=1))
    assert got.value == 0.0 and not got.gradient.any()


@variants
def test_an_anchor_without_a_positive_leaves_the_mean(name, options):
    got = evaluate(name, options, cases.labels("one positive pair"), cases.embeddings())
    assert got.auxiliary[1].tolist() == [1.0, 1.0] + [0.0] * 14
    assert not got.auxiliary[0][2:].any()
    assert got.value == pytest.approx(got.auxiliary[0][:2].mean(), rel=1e-6)


def test_an_anchor_without_a_negative_uses_its_positives_alone():
    labels, x = cases.labels("one class"), cases.embeddings()
    z = x.astype("float64") / np.linalg.norm(x.astype("float64"), axis=1, keepdims=True)
    got = evaluate("lacln", {}, labels, x)
    similarities = [(z[0] @ other) / 0.5 for other in z[1:]]
    want = math.log(sum(math.exp(s) for s in similarities)) - sum(similarities) / 15
    assert got.auxiliary[0][0] == pytest.approx(want, rel=1e-5)
    # H-SCL compares each positive with negatives only: without one there is nothing to learn.
    got = evaluate("hscl", {}, labels, x)
    assert not got.auxiliary[0].any()
    np.testing.assert_allclose(got.gradient, 0.0, atol=1e-6)


@variants
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_zero_row_gets_no_gradient_and_the_others_do(name, options, dtype):
    x = cases.embeddings("zero rows")
    got = evaluate(name, options, cases.labels("balanced"), x, dtype)
    zero = ~x.any(axis=1)
    assert not got.gradient[zero].any()
    assert np.abs(got.gradient[~zero]).max(axis=1).min() > 0

"""The oracle itself: numbers worked out by hand, and gradients against finite differences."""

import math

import numpy as np
import pytest
import reference

pytestmark = pytest.mark.any_backend

# Rows at 0, 60, 90 and 180 degrees: cosines of 0, 1/2, sqrt(3)/2, -1, -1/2.
ROWS = np.array([[2.0, 0.0], [0.5, math.sqrt(0.75)], [0.0, 3.0], [-1.0, 0.0]])


def test_lacln_of_a_batch_worked_out_by_hand():
    # Anchor 0: positive 1 (s = 1/2), negatives 2 (s = 0) and 3 (s = -1), with beta = 1
    # w = 2 / (1 + 1/e) and 2 / (e + 1).
    values, counted = reference.lacln([7, 7, 1, 2], ROWS, temperature=1.0, hardness=1.0)
    weight_2, weight_3 = 2 / (1 + math.exp(-1)), 2 * math.exp(-1) / (1 + math.exp(-1))
    denominator = math.exp(0.5) + weight_2 + weight_3 * math.exp(-1)
    assert values[0] == pytest.approx(math.log(denominator) - 0.5, rel=1e-12)
    assert counted.tolist() == [True, True, False, False]
    assert values[2] == values[3] == 0


def test_inside_and_outside_differ_as_worked_out_by_hand():
    # Anchor 0 has positives 1 and 2 (s = 1/2 and 0) and the negative 3 (s = -1).
    outside, _ = reference.lacln([7, 7, 7, 2], ROWS, temperature=1.0)
    inside, _ = reference.lacln([7, 7, 7, 2], ROWS, temperature=1.0, positive_sum="inside")
    log_denominator = math.log(math.exp(0.5) + 1 + math.exp(-1))
    assert outside[0] == pytest.approx(log_denominator - 0.25, rel=1e-12)
    assert inside[0] == pytest.approx(log_denominator - math.log((math.exp(0.5) + 1) / 2))


def test_hscl_of_a_batch_worked_out_by_hand():
    values, _ = reference.hscl([7, 7, 1, 2], ROWS, temperature=1.0, hardness=0.0)
    denominator = math.exp(0.5) + 2 * (1 + math.exp(-1)) / 2
    assert values[0] == pytest.approx(math.log(denominator) - 0.5, rel=1e-12)
    # Only negative 2 reaches the threshold; 0.5 is reached by none, so both count.
    values, _ = reference.hscl([7, 7, 1, 2], ROWS, temperature=1.0, threshold=-0.5)
    assert values[0] == pytest.approx(math.log(math.exp(0.5) + 2) - 0.5, rel=1e-12)
    values, _ = reference.hscl([7, 7, 1, 2], ROWS, temperature=1.0, threshold=0.5)
    assert values[0] == pytest.approx(math.log(denominator) - 0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "gradient", "options"),
    [
        (reference.lacln, reference.lacln_gradient, {"hardness": 0.0}),
        (reference.lacln, reference.lacln_gradient, {"hardness": 2.0, "temperature": 0.1}),
        (reference.lacln, reference.lacln_gradient, {"hardness": 0.5, "positive_sum": "inside"}),
        (reference.hscl, reference.hscl_gradient, {"hardness": 1.0, "temperature": 0.2}),
        (reference.hscl, reference.hscl_gradient, {"threshold": 0.1, "temperature": 0.3}),
        (reference.hscl, reference.hscl_gradient, {"threshold": 0.999}),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_derived_by_hand_equal_central_differences(loss, gradient, options, weighted):
    rng = np.random.default_rng(0)
    labels, x = np.array([0, 0, 1, 1, 1, 2, 0]), rng.normal(size=(7, 3))
    weights = rng.uniform(size=7) if weighted else None

    def scalar(x):
        values, counted = loss(labels, x, **options)
        if weighted:
            return float(values @ weights)
        return reference.mean_over_counted(values, counted)

    np.testing.assert_allclose(
        gradient(labels, x, anchor_weights=weights, **options),
        reference.central_differences(scalar, x),
        rtol=1e-6,
        atol=1e-8,
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_cross_entropy_gradient_equals_central_differences(label_smoothing):
    logits = np.random.default_rng(0).normal(size=(5, 3))
    labels = [0, 2, 1, 1, 0]
    np.testing.assert_allclose(
        reference.cross_entropy_gradient(labels, logits, label_smoothing),
        reference.central_differences(
            lambda x: reference.cross_entropy(labels, x, label_smoothing).mean(), logits
        ),
        rtol=1e-6,
        atol=1e-8,
    )

"""Core-tuning: the focal contrastive loss with mixed hard pairs against float64 loops."""

import functools

import cases
import gradients
import numpy as np
import pytest
import reference

from keras_clce.experiments.resolved import unread_settings
from keras_clce.losses import CoreTuningLoss, SupConLoss, get

# Numbers evenly spread over (0, 1), one for each row.
UNIFORM = {
    step: [((i + 1) * step % 2**15 + 0.5) / 2**15 for i in range(64)] for step in (20251, 13573)
}


def mixed_rows(labels, z):
    """The semi-hard negatives and the hard pairs, and whether they are of two classes."""
    negatives, pairs, of_two = [], [], []
    for i, mine in enumerate(labels):
        positives = [j for j, other in enumerate(labels) if other == mine and j != i] or [i]
        others = [j for j, other in enumerate(labels) if other != mine]
        hp = min(positives, key=lambda j: z[i] @ z[j])
        hn = max(others or [i], key=lambda j: z[i] @ z[j])
        some = max(others or [i], key=lambda j: (17 * i + j + 1) * 20251 % 2**15)
        mu = max(0.8, UNIFORM[13573][i])
        lam = UNIFORM[20251][i]
        negatives.append((1 - mu) * z[i] + mu * z[some])
        pairs.append(lam * z[hp] + (1 - lam) * z[hn])
        of_two.append(bool(others))
    return reference.unit_rows(negatives), reference.unit_rows(pairs), of_two


def core_tuning(labels, x, temperature):
    """Value of each anchor, 0 without a positive, and which anchors have one."""
    z = reference.unit_rows(x)
    negatives, pairs, of_two = mixed_rows(labels, z)
    rows = np.concatenate([z, negatives, pairs])
    classes = [*labels, *(2 * [None if two else c for c, two in zip(labels, of_two, strict=True)])]
    values, counted = np.zeros(len(z)), np.zeros(len(z), bool)
    e = np.exp((rows @ rows.T - 1) / temperature)
    for i, mine in enumerate(labels):
        total = sum(e[i]) - e[i, i]
        positives = [j for j in range(len(rows)) if j != i and classes[j] == mine]
        if positives:
            counted[i] = True
            shares = [e[i, p] / total for p in positives]
            values[i] = sum(-(1 - share) * np.log(share) for share in shares) / len(shares)
    return values, counted


def batch(pattern):
    return cases.labels(pattern, 12), cases.embeddings(n=12, dim=4)


@functools.cache
def expected(pattern, temperature):
    """Values, which anchors count, and the gradient of their mean."""
    labels, x = batch(pattern)

    def mean_of(x):
        return reference.mean_over_counted(*core_tuning(labels, x, temperature))

    return *core_tuning(labels, x, temperature), reference.central_differences(mean_of, x)


@pytest.mark.parametrize("chunk_size", [None, 7])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
@pytest.mark.parametrize("pattern", ["mixed", "one class", "one positive pair"])
def test_it_equals_its_loops(pattern, temperature, chunk_size):
    loss = CoreTuningLoss(temperature, chunk_size)

    def objective(labels, x):
        return loss(labels, x), loss.anchor_values(labels, x)

    got = gradients.value_and_gradient(objective, *batch(pattern))
    values, counted, gradient = expected(pattern, temperature)
    cases.assert_values_close(got.auxiliary[0], values)
    np.testing.assert_array_equal(got.auxiliary[1], counted)
    limit = 3e-5 * np.abs(gradient).max() + 1e-6
    np.testing.assert_allclose(got.gradient, gradient, rtol=0, atol=limit)


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_by_hand(chunk_size):
    # Rows e1, e1, e2: the hard pairs of the first two lie between e1 and e2, that of the third
    # between itself and e1; the third has no positive.
    loss = CoreTuningLoss(0.5, chunk_size)
    values, counted = loss.anchor_values(np.array([4, 4, 9]), np.eye(3, dtype="float32")[[0, 0, 1]])
    cosines = [0.0]  # of the first row with the third, then with what is mixed
    mu = [max(0.8, 13573 * i % 2**15 / 2**15 + 2**-16) for i in (1, 2, 3)]
    lam = [20251 * i % 2**15 / 2**15 + 2**-16 for i in (1, 2, 3)]
    # Of e1 there is 1 - mu in the first two and mu in the third, and lam, lam and 1 - lam.
    for of_first in (1 - mu[0], 1 - mu[1], mu[2], lam[0], lam[1], 1 - lam[2]):
        cosines.append(of_first / np.hypot(of_first, 1 - of_first))
    share = np.exp(2.0) / (np.exp(2.0) + np.exp(np.multiply(2.0, cosines)).sum())
    want = -(1 - share) * np.log(share)
    np.testing.assert_allclose(np.asarray(gradients.to_numpy(values)), [want, want, 0], rtol=1e-5)
    assert gradients.to_numpy(counted).tolist() == [1, 1, 0]


@pytest.mark.parametrize("chunk_size", [None, 5])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("pattern", ["zero rows", "duplicated rows", "opposite rows"])
def test_finite_at_a_low_temperature(pattern, dtype, chunk_size):
    loss = CoreTuningLoss(0.01, chunk_size)
    got = gradients.value_and_gradient(
        lambda y, x: (loss(y, x), ()), cases.labels("mixed"), cases.embeddings(pattern), dtype
    )
    assert np.isfinite(got.value) and np.isfinite(got.gradient).all()


def test_soft_labels_are_nan_and_one_hot_ones_are_classes():
    labels, x = cases.labels("balanced"), cases.embeddings()
    loss = CoreTuningLoss()
    rows = np.eye(4, dtype="float32")[labels]
    assert float(loss(rows, x)) == float(loss(labels, x))
    assert np.isnan(float(loss(0.8 * rows + 0.05, x)))


@pytest.mark.any_backend
def test_by_name_it_is_a_tenth_beside_cross_entropy():
    labels, rng = cases.labels("balanced"), np.random.default_rng(0)
    outputs = {"embedding": cases.embeddings(), "logits": rng.normal(size=(16, 4))}
    loss = get("core_tuning", temperature=0.2)
    want = np.mean(reference.cross_entropy(labels, outputs["logits"]))
    want += 0.1 * np.mean(core_tuning(labels, outputs["embedding"], 0.2)[0])
    assert float(loss(labels, outputs)) == pytest.approx(want / 1.1, rel=1e-5)


@pytest.mark.any_backend
def test_it_takes_no_memory_and_reads_no_weight():
    assert not CoreTuningLoss().takes_memory and SupConLoss().takes_memory
    unread = unread_settings("core_tuning")
    assert {"memory_size", "contrastive_weight", "contrastive_schedule", "hardness"} <= unread
    assert not {"temperature", "label_smoothing"} & unread

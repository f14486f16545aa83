"""Rows of earlier batches as further positives and negatives, by the loops and beside a peer."""

import cases
import gradients
import numpy as np
import pytest
import reference
import variants
from keras import ops

from keras_clce.losses import CLCELoss, HSCLLoss, LACLNLoss, SupConLoss
from keras_clce.losses.pairs import Memory

chunks = pytest.mark.parametrize("chunk_size", [None, 5])
LABELS = cases.labels("mixed")
OF_MEMORY = np.array([0, 1, 1, 4, 6, 2, 0, -1, -1])  # 6 is no class of the batch, -1 is empty
LOSSES = {
    "lacln": LACLNLoss,
    "lacln, cold": lambda **options: LACLNLoss(0.02, positive_sum="inside", **options),
    "sincere": lambda **options: SupConLoss(0.3, denominator="negatives", **options),
    "hscl": HSCLLoss,
}


def memory_of(x, classes=OF_MEMORY):
    return Memory(
        ops.convert_to_tensor(classes.astype("int32")),
        ops.convert_to_tensor(reference.unit_rows(x).astype("float32")),
        ops.convert_to_tensor((classes >= 0).astype("float32")),
    )


def values_by_loops(name, loss, s, tables):
    if name == "sincere":
        return variants.hscl(s, tables, hardness=0.0)
    if name == "hscl":
        return variants.hscl(s, tables, times=len(LABELS) + (OF_MEMORY >= 0).sum() - 2)
    return variants.lacln(s, tables, positive_sum=loss.positive_sum)


@chunks
@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients_equal_the_loops(name, chunk_size):
    x, others = cases.embeddings(), cases.embeddings(n=9)
    loss, memory = LOSSES[name](chunk_size=chunk_size), memory_of(others)
    tables = variants.by_class(LABELS, OF_MEMORY)

    def objective(labels, x):
        values, counted = loss.anchor_values(labels, x, memory=memory)
        return ops.sum(values * counted) / ops.sum(counted), (values, counted)

    def mean_of(x):
        s = variants.similarities(x, loss.temperature, others)
        return variants.mean(values_by_loops(name, loss, s, tables), tables)

    got = gradients.value_and_gradient(objective, LABELS, x)
    s = variants.similarities(x, loss.temperature, others)
    cases.assert_values_close(got.auxiliary[0], values_by_loops(name, loss, s, tables))
    np.testing.assert_array_equal(got.auxiliary[1], tables[0].sum(axis=1) > 0)
    want = reference.central_differences(mean_of, x)
    np.testing.assert_allclose(got.gradient, want, rtol=0, atol=3e-5 * np.abs(want).max() + 1e-6)


@chunks
def test_an_empty_memory_changes_nothing(chunk_size):
    x, empty = cases.embeddings(), memory_of(cases.embeddings(n=9), np.full(9, -1))
    for loss in (LACLNLoss(chunk_size=chunk_size), HSCLLoss(chunk_size=chunk_size)):
        values, counted = loss.anchor_values(LABELS, x)
        with_memory, also_counted = loss.anchor_values(LABELS, x, memory=empty)
        cases.assert_values_close(gradients.to_numpy(with_memory), gradients.to_numpy(values))
        np.testing.assert_array_equal(gradients.to_numpy(also_counted), gradients.to_numpy(counted))


@chunks
def test_a_view_is_never_in_the_memory(chunk_size):
    # An odd row has no other view, which the first of the memory is not either.
    labels, x = np.array([0, 0, 1]), cases.embeddings(n=3)
    memory = memory_of(cases.embeddings(n=2), np.array([1, 1]))
    loss = HSCLLoss(chunk_size=chunk_size, positives="view")
    _, counted = loss.anchor_values(labels, x, memory=memory)
    assert gradients.to_numpy(counted).tolist() == [1, 1, 0]


@chunks
def test_batches_in_turn_equal_cross_batch_memory_of_pytorch_metric_learning(chunk_size):
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("pytorch_metric_learning.losses")
    # Its memory holds the batch itself too, and may not hold a part of a batch alone: where a batch
    # goes around its end, an anchor is compared with itself.
    size, batch, dim = 24, 8, 6
    theirs = peer.CrossBatchMemory(peer.SupConLoss(temperature=0.2), dim, size + batch)
    loss, rng = SupConLoss(0.2, chunk_size=chunk_size), np.random.default_rng(3)
    rows, classes = np.zeros((0, dim)), np.zeros(0, int)
    for _ in range(6):
        labels = rng.integers(0, 5, batch)
        x = rng.normal(size=(batch, dim)).astype("float32")
        filled = np.concatenate([classes, np.full(size - len(classes), -1)])
        memory = memory_of(np.concatenate([rows, np.zeros((size - len(rows), dim))]), filled)
        values, counted = loss.anchor_values(labels, x, memory=memory)
        got = float(ops.sum(values) / ops.sum(counted))
        want = theirs(torch.tensor(x), torch.tensor(labels)).item()
        assert got == pytest.approx(want, rel=1e-5)
        rows = np.concatenate([x, rows])[:size]
        classes = np.concatenate([labels, classes])[:size]


def test_clce_hands_it_to_the_contrastive_part_alone():
    x, memory = cases.embeddings(), memory_of(cases.embeddings(n=9))
    outputs = {"embedding": x, "logits": cases.embeddings(dim=5)}
    loss = CLCELoss(0.5)
    alone, parts = loss.parts(LABELS, outputs), loss.parts(LABELS, outputs, memory=memory)
    assert float(parts["cross_entropy"][0]) == float(alone["cross_entropy"][0])
    values, counted = loss.contrastive.anchor_values(LABELS, x, memory=memory)
    want = float(ops.sum(values) / ops.sum(counted))
    assert float(parts["contrastive"][0]) == pytest.approx(want, rel=1e-6)
    assert want != pytest.approx(float(alone["contrastive"][0]), rel=1e-3)


def test_one_hot_rows_go_with_it_and_soft_labels_do_not():
    x, memory = cases.embeddings(), memory_of(cases.embeddings(n=9))
    rows = np.eye(5, dtype="float32")[LABELS]
    values, _ = LACLNLoss().anchor_values(rows, x, memory=memory)
    want, _ = LACLNLoss().anchor_values(LABELS, x, memory=memory)
    np.testing.assert_array_equal(gradients.to_numpy(values), gradients.to_numpy(want))
    rows[3] = 0.2
    values, _ = LACLNLoss().anchor_values(rows, x, memory=memory)
    np.testing.assert_array_equal(np.isnan(gradients.to_numpy(values)), np.arange(16) == 3)

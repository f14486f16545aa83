"""Class averaging: each class counts once in the denominator, as BCL has it."""

import math

import cases
import gradients
import keras
import numpy as np
import pytest
import reference
import variants
from keras import ops
from test_loss_variants import check
from test_losses_with_memory import OF_MEMORY, memory_of

from keras_clce.losses import CLCELoss, LACLNLoss, SupConLoss

chunks = pytest.mark.parametrize("chunk_size", [None, 5])
PATTERNS = ["mixed", "unbalanced", "one class", "one positive pair"]


def averaged(labels, others=None):
    """Tables of positives and negatives in which each class weighs 1 for an anchor."""
    a, b = variants.by_class(labels, others)
    every = [*labels, *([] if others is None else others)]
    for i in range(len(labels)):
        for j, other in enumerate(every):
            of_class = sum(c == other for k, c in enumerate(every) if k != i)
            if i != j and of_class:
                a[i, j], b[i, j] = a[i, j] / of_class, b[i, j] / of_class
    return a, b


def balanced_contrastive(labels, s):
    """BCL's loss of each anchor without its prototypes, as its equation 5 stands on paper."""
    values = np.zeros(len(s))
    for i, own in enumerate(labels):
        positives = [p for p, label in enumerate(labels) if label == own and p != i]
        if not positives:
            continue
        denominator = 0.0
        for c in set(labels):
            members = [k for k, label in enumerate(labels) if label == c and k != i]
            denominator += sum(math.exp(s[i, k]) for k in members) / len(members)
        shares = [math.log(math.exp(s[i, p]) / denominator) for p in positives]
        values[i] = -sum(shares) / len(positives)
    return values


@chunks
@pytest.mark.parametrize("pattern", PATTERNS)
def test_without_hardness_it_is_balanced_contrastive_learning(pattern, chunk_size):
    labels, x = cases.labels(pattern), cases.embeddings()
    tables = averaged(labels)
    loss = SupConLoss(0.3, chunk_size=chunk_size, negatives="class_mean")

    def oracle(s, tilts):
        return balanced_contrastive(labels.tolist(), s), tables

    check(loss, labels, oracle, x)
    same = LACLNLoss(0.3, hardness=0.0, chunk_size=chunk_size, negatives="class_mean")
    assert float(same(labels, x)) == pytest.approx(float(loss(labels, x)), rel=1e-6)


@chunks
@pytest.mark.parametrize("temperature", [0.02, 0.5])
@pytest.mark.parametrize(
    ("hardness", "positive_sum", "detach_weights"),
    [(1.0, "outside", False), (2.0, "inside", False), (0.5, "outside", True)],
)
def test_hard_negatives(hardness, positive_sum, detach_weights, temperature, chunk_size):
    labels = cases.labels("mixed")
    tables = averaged(labels)
    loss = LACLNLoss(
        temperature,
        hardness,
        positive_sum,
        chunk_size,
        detach_weights=detach_weights,
        negatives="class_mean",
    )

    def oracle(s, tilts):
        return variants.lacln(s, tables, hardness, positive_sum, tilts), tables

    check(loss, labels, oracle, cases.embeddings())


@chunks
def test_sincere_counts_negative_classes_once(chunk_size):
    labels = cases.labels("unbalanced")
    tables = averaged(labels)
    loss = SupConLoss(0.3, chunk_size=chunk_size, denominator="negatives", negatives="class_mean")

    def oracle(s, tilts):
        return variants.hscl(s, tables, hardness=0.0), tables

    check(loss, labels, oracle, cases.embeddings())


@chunks
@pytest.mark.parametrize("hardness", [0.0, 1.0])
def test_rows_of_a_memory_are_rows_of_their_classes(hardness, chunk_size):
    labels, x, others = cases.labels("mixed"), cases.embeddings(), cases.embeddings(n=9)
    tables, memory = averaged(labels, OF_MEMORY), memory_of(others)
    loss = LACLNLoss(0.3, hardness, chunk_size=chunk_size, negatives="class_mean")

    def objective(labels, x):
        values, counted = loss.anchor_values(labels, x, memory=memory)
        return ops.sum(values * counted) / ops.sum(counted), (values, counted)

    def values_of(x):
        return variants.lacln(variants.similarities(x, 0.3, others), tables, hardness)

    got = gradients.value_and_gradient(objective, labels, x)
    cases.assert_values_close(got.auxiliary[0], values_of(x))
    want = reference.central_differences(lambda x: variants.mean(values_of(x), tables), x)
    np.testing.assert_allclose(got.gradient, want, rtol=0, atol=3e-5 * np.abs(want).max() + 1e-6)


@chunks
def test_copies_of_a_class_change_nothing_for_the_others(chunk_size):
    # Three copies of every row of the class 1: the anchors of 0 and 2 see the same classes.
    labels, x = np.array([0, 0, 1, 1, 2, 2]), cases.embeddings(n=6)
    more, many = np.r_[labels, [1] * 4], np.concatenate([x, x[2:4], x[2:4]])
    loss = LACLNLoss(0.2, 1.5, chunk_size=chunk_size, negatives="class_mean")
    few, values = (
        gradients.to_numpy(loss.anchor_values(y, z)[0]) for y, z in ((labels, x), (more, many))
    )
    np.testing.assert_allclose(values[[0, 1, 4, 5]], few[[0, 1, 4, 5]], rtol=1e-5)
    plain, _ = LACLNLoss(0.2, 1.5, chunk_size=chunk_size).anchor_values(more, many)
    assert few[0] != pytest.approx(float(plain[0]), rel=1e-2)


def test_a_large_batch_goes_in_chunks_and_gives_the_same():
    labels = np.random.default_rng(0).choice(
        7, size=1100, p=[0.7, 0.2, 0.04, 0.03, 0.01, 0.01, 0.01]
    )
    x = cases.embeddings(n=1100)
    options = {"temperature": 0.1, "negatives": "class_mean"}
    values, _ = LACLNLoss(**options).anchor_values(labels, x)
    want, _ = LACLNLoss(**options, chunk_size=1100).anchor_values(labels, x)
    cases.assert_values_close(gradients.to_numpy(values), gradients.to_numpy(want))


def test_classes_in_every_form_and_no_soft_labels():
    labels, x = cases.labels("mixed"), cases.embeddings()
    loss = LACLNLoss(negatives="class_mean")
    want, rows = float(loss(labels, x)), np.eye(5, dtype="float32")[labels]
    for given in (
        labels * 2**40,
        labels[:, None],
        labels.astype("float32"),
        rows,
        rows.astype(int),
    ):
        assert float(loss(given, x)) == pytest.approx(want, rel=1e-6)
    assert float(loss(ops.convert_to_tensor(rows), x)) == pytest.approx(want, rel=1e-6)
    rows[3] = 0.2
    with pytest.raises(ValueError, match=r"negatives='class_mean'.*Received: .*0\.2"):
        loss(rows, x)
    values, counted = loss.anchor_values(ops.convert_to_tensor(rows), x)
    np.testing.assert_array_equal(np.isnan(gradients.to_numpy(values)), np.arange(16) == 3)
    assert gradients.to_numpy(counted)[3] == 1


@pytest.mark.parametrize("cls", [LACLNLoss, SupConLoss])
def test_config_and_wrong_names(cls):
    loss = cls(negatives="class_mean")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.negatives == "class_mean" and again.get_config() == loss.get_config()
    config = loss.get_config()
    del config["negatives"]  # a loss that was saved before there was a choice
    assert cls.from_config(config).negatives == "all"
    with pytest.raises(
        ValueError, match=r"`negatives` must be one of .*Received: negatives='mean'"
    ):
        cls(negatives="mean")


def test_a_compiled_step_trains_with_it():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    model.compile(keras.optimizers.SGD(0.5), loss=LACLNLoss(0.2, negatives="class_mean"))
    labels, x = cases.labels("unbalanced"), cases.embeddings()
    history = model.fit(x, labels, batch_size=16, epochs=8, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    loss = CLCELoss(0.5, LACLNLoss(negatives="class_mean"))
    assert np.isfinite(float(loss(labels, {"embedding": x, "logits": np.zeros((16, 10))})))

"""Rows without a class: the loss is that of the others alone."""

import cases
import gradients
import numpy as np
import pytest
import reference
import variants
from keras import ops

from keras_clce.losses import CLCELoss, ContrastiveLoss, HSCLLoss, LACLNLoss, SupConLoss
from keras_clce.losses.labels import without_unlabelled
from keras_clce.losses.pairs import Memory

N, CLASSES = 12, 4
# Both views of the images 1 and 4 are unlabelled, so that views stay side by side without them.
LABELS = np.array([0, 0, -1, -1, 1, 1, 0, 0, -1, -1, 3, 1])
LABELLED = np.flatnonzero(LABELS >= 0)
LOSSES = {
    "lacln": LACLNLoss,
    "lacln, cold": lambda **options: LACLNLoss(0.02, 2.0, "inside", **options),
    "sincere": lambda **options: SupConLoss(0.3, denominator="negatives", **options),
    "hscl": HSCLLoss,
    "hscl, views": lambda **options: HSCLLoss(positives="view", **options),
}


def outputs():
    logits = np.random.default_rng(3).normal(size=(N, CLASSES)).astype("float32")
    return {"embedding": cases.embeddings(n=N), "logits": logits}


def of_labelled_by_loops(name, loss, x):
    """The mean over the labelled rows, by loops that know of no other rows."""
    labels, x = LABELS[LABELLED], x[LABELLED]
    s = variants.similarities(x, loss.temperature)
    tables = variants.by_view(labels) if name == "hscl, views" else variants.by_class(labels)
    if name.startswith("lacln"):
        values = variants.lacln(s, tables, loss.hardness, loss.positive_sum)
    else:
        times = None if name == "sincere" else len(labels) - 2
        hardness = 0.0 if name == "sincere" else 1.0
        values = variants.hscl(s, tables, hardness, times=times)
    return variants.mean(values, tables)


@pytest.mark.parametrize("chunk_size", [None, 5])
@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients_are_those_of_the_labelled_rows_alone(name, chunk_size):
    part = LOSSES[name](chunk_size=chunk_size)
    loss = CLCELoss(1.0, part, ignore_unlabelled=True)
    logits = outputs()["logits"]

    def objective(labels, x):
        return loss(labels, {"embedding": x, "logits": logits}), ()

    x = cases.embeddings(n=N)
    got = gradients.value_and_gradient(objective, LABELS, x)
    assert got.value == pytest.approx(of_labelled_by_loops(name, part, x), rel=2e-5)
    want = reference.central_differences(lambda x: of_labelled_by_loops(name, part, x), x)
    np.testing.assert_allclose(got.gradient, want, rtol=0, atol=3e-5 * np.abs(want).max() + 1e-6)
    assert not got.gradient[LABELS < 0].any()


@pytest.mark.parametrize(
    "form",
    [
        lambda labels: labels,
        lambda labels: labels[:, None].astype("float32"),
        lambda labels: np.eye(CLASSES, dtype="int32")[labels] * (labels >= 0)[:, None],
        lambda labels: np.eye(CLASSES, dtype="float32")[labels] * (labels >= 0)[:, None],
    ],
    ids=["classes", "floats", "one-hot", "soft"],
)
@pytest.mark.parametrize("as_array", [True, False])
def test_both_parts_in_every_form_of_labels(form, as_array):
    labels = form(LABELS) if as_array else ops.convert_to_tensor(form(LABELS))
    loss, given = CLCELoss(0.3, label_smoothing=0.1, ignore_unlabelled=True), outputs()
    weights = np.linspace(0.5, 2, N).astype("float32")
    entropy = reference.cross_entropy(LABELS[LABELLED], given["logits"][LABELLED], 0.1)
    anchors, counted = reference.lacln(LABELS[LABELLED], given["embedding"][LABELLED])
    parts = loss.parts(labels, given, weights)
    want = {
        "cross_entropy": (entropy @ weights[LABELLED] / len(LABELLED), len(LABELLED)),
        "contrastive": (anchors @ weights[LABELLED] / sum(counted), sum(counted)),
    }
    for name, (value, rows) in want.items():
        got = [float(each) for each in parts[name]]
        assert got == pytest.approx([value, rows], rel=1e-5), name
    of_rows = gradients.to_numpy(loss.call(labels, given))
    assert not of_rows[LABELS < 0].any() and (of_rows[LABELLED] > 0).all()


def test_beside_a_memory():
    x, others = cases.embeddings(n=N), cases.embeddings(n=3)
    classes = np.array([1, 3, -1])
    memory = Memory(
        ops.convert_to_tensor(classes.astype("int32")),
        ops.convert_to_tensor(reference.unit_rows(others).astype("float32")),
        ops.convert_to_tensor((classes >= 0).astype("float32")),
    )
    for chunk_size in (None, 5):
        loss = CLCELoss(1.0, LACLNLoss(0.2, chunk_size=chunk_size), ignore_unlabelled=True)
        got = loss.parts(LABELS, outputs(), memory=memory)["contrastive"]
        tables = variants.by_class(LABELS[LABELLED], classes)
        s = variants.similarities(x[LABELLED], 0.2, others)
        want = variants.mean(variants.lacln(s, tables), tables)
        assert float(got[0]) == pytest.approx(want, rel=1e-5)


def test_a_batch_without_labels_gives_0():
    loss = CLCELoss(0.5, ignore_unlabelled=True)
    assert float(loss(np.full(N, -1), outputs())) == 0


def test_other_numbers_are_still_no_classes():
    labels = ops.convert_to_tensor(np.where(LABELS == 3, -2, LABELS))
    assert np.isnan(float(CLCELoss(ignore_unlabelled=True)(labels, outputs())))
    labels = ops.convert_to_tensor(np.where(LABELS == 3, CLASSES, LABELS))
    assert np.isnan(float(CLCELoss(ignore_unlabelled=True)(labels, outputs())))
    assert np.isnan(float(CLCELoss()(ops.convert_to_tensor(LABELS), outputs())))
    with pytest.raises(ValueError, match=r"`labels` must hold .*Received: labels of dtype <U3"):
        CLCELoss(ignore_unlabelled=True)(np.array(["cat"] * N), outputs())


def test_numbers_without_a_sign_have_a_class():
    labels, labelled = without_unlabelled(ops.convert_to_tensor(np.array([255, 0], "uint8")))
    assert ops.convert_to_numpy(labels).tolist() == [255, 0]
    assert ops.convert_to_numpy(labelled).tolist() == [1, 1]


@pytest.mark.any_backend
def test_config_and_arguments():
    loss = CLCELoss(ignore_unlabelled=True)
    assert CLCELoss.from_config(loss.get_config()).ignore_unlabelled
    old = {key: v for key, v in loss.get_config().items() if key != "ignore_unlabelled"}
    assert not CLCELoss.from_config(old).ignore_unlabelled
    with pytest.raises(ValueError, match=r"`ignore_unlabelled` must be True or False\. Received"):
        CLCELoss(ignore_unlabelled=1)

    class Own(ContrastiveLoss):
        def anchor_values(self, y_true, y_pred):
            raise AssertionError

    with pytest.raises(ValueError, match="`anchor_values` takes no `present`"):
        CLCELoss(contrastive=Own(), ignore_unlabelled=True)


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_class_averaging_counts_labelled_rows_alone(chunk_size):
    x, labels = cases.embeddings(n=N), LABELS[LABELLED]
    part = LACLNLoss(0.3, chunk_size=chunk_size, negatives="class_mean")
    loss = CLCELoss(1.0, part, ignore_unlabelled=True)
    positives, negatives = variants.by_class(labels)
    positives /= np.maximum(positives.sum(axis=1, keepdims=True), 1)
    negatives /= np.bincount(labels)[labels]
    tables = positives, negatives

    def by_loops(x):
        s = variants.similarities(x[LABELLED], 0.3)
        return variants.mean(variants.lacln(s, tables), tables)

    logits = outputs()["logits"]
    got = gradients.value_and_gradient(
        lambda y, x: (loss(y, {"embedding": x, "logits": logits}), ()), LABELS, x
    )
    assert got.value == pytest.approx(by_loops(x), rel=1e-5)
    want = reference.central_differences(by_loops, x)
    np.testing.assert_allclose(got.gradient, want, rtol=0, atol=3e-5 * np.abs(want).max() + 1e-6)

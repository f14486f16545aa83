"""Several labels an image: pairs weighted by Jaccard's index of their labels."""

import cases
import gradients
import keras
import numpy as np
import pytest
import variants
from keras import ops
from scipy import special
from test_loss_variants import check

from keras_clce import losses
from keras_clce.losses import CLCELoss, HSCLLoss, LACLNLoss, SupConLoss

CLASSES = 5
SETS = [{0}, {0, 1}, {1, 2, 3}, {0, 1, 2, 3, 4}, {0, 1}, set(), {4}, {2, 3}]
SETS += [{3}, {0, 2}, {1}, set(), {2, 3, 4}, {0}, {1, 4}, {2}]
chunks = pytest.mark.parametrize("chunk_size", [None, 5])


def rows_of(sets, dtype="float32"):
    return np.array([[number in labels for number in range(CLASSES)] for labels in sets], dtype)


def by_sets(sets):
    """Tables of positives and negatives, by Python's own sets."""
    a, b = np.zeros((len(sets),) * 2), np.zeros((len(sets),) * 2)
    for i, mine in enumerate(sets):
        for j, other in enumerate(sets):
            if i != j:
                a[i, j] = len(mine & other) / len(mine | other) if mine | other else 0.0
                b[i, j] = 1.0 - a[i, j]
    return a, b


@chunks
@pytest.mark.parametrize(
    ("hardness", "positive_sum", "temperature"),
    [(1.0, "outside", 0.02), (2.0, "inside", 0.5), (0.0, "outside", 0.5)],
)
def test_lacln(hardness, positive_sum, temperature, chunk_size):
    tables = by_sets(SETS)

    def oracle(s, tilts):
        return variants.lacln(s, tables, hardness, positive_sum, tilts), tables

    loss = LACLNLoss(temperature, hardness, positive_sum, chunk_size, multi_label=True)
    check(loss, rows_of(SETS), oracle, cases.embeddings("random"))


@chunks
@pytest.mark.parametrize("threshold", [None, 0.1])
def test_hscl(threshold, chunk_size):
    tables = by_sets(SETS)

    def oracle(s, tilts):
        reaching = None if threshold is None else s * 0.3 >= threshold
        hardness = 1.0 if threshold is None else 0.0
        return variants.hscl(s, tables, hardness, times=14, reaching=reaching), tables

    loss = HSCLLoss(0.3, threshold=threshold, chunk_size=chunk_size, multi_label=True)
    check(loss, rows_of(SETS), oracle, cases.embeddings("random"))


@chunks
def test_sincere(chunk_size):
    tables = by_sets(SETS)

    def oracle(s, tilts):
        return variants.hscl(s, tables, hardness=0.0), tables

    loss = SupConLoss(0.3, chunk_size=chunk_size, denominator="negatives", multi_label=True)
    check(loss, rows_of(SETS), oracle, cases.embeddings("random"))


@chunks
def test_supcon_is_lacln_without_hardness(chunk_size):
    tables, x = by_sets(SETS), cases.embeddings()
    want = variants.mean(variants.lacln(variants.similarities(x, 0.3), tables, 0.0), tables)
    loss = SupConLoss(0.3, chunk_size=chunk_size, multi_label=True)
    assert float(loss(rows_of(SETS), x)) == pytest.approx(want, rel=1e-5)


@chunks
@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (LACLNLoss, {}),
        (LACLNLoss, {"temperature": 0.01, "hardness": 2.0, "positive_sum": "inside"}),
        (SupConLoss, {"denominator": "negatives"}),
        (HSCLLoss, {"positives": "view", "detach_weights": True}),
    ],
)
def test_one_label_each_gives_exactly_what_classes_give(cls, options, chunk_size):
    labels, x = cases.labels("mixed"), cases.embeddings("mixed")
    of_classes = cls(**options, chunk_size=chunk_size, reduction="none")
    of_sets = cls(**options, chunk_size=chunk_size, reduction="none", multi_label=True)
    rows = ops.convert_to_tensor(np.eye(CLASSES, dtype="int32" if chunk_size else "bool")[labels])
    got = gradients.to_numpy(of_sets(rows, x))
    np.testing.assert_array_equal(got, gradients.to_numpy(of_classes(labels, x)))


def test_an_image_without_labels_is_nobodys_positive_and_leaves_the_mean():
    sets = [{0}, {0}, set(), set()]
    loss, x = LACLNLoss(multi_label=True), cases.embeddings(n=4)
    values, counted = (gradients.to_numpy(each) for each in loss.anchor_values(rows_of(sets), x))
    assert counted.tolist() == [1, 1, 0, 0] and values[2:].tolist() == [0, 0]
    # Of others it is a negative.
    assert values[0] > float(loss(rows_of(sets[:2]), x[:2]))
    assert float(loss(rows_of(sets[2:]), x[2:])) == 0


def test_cross_entropy_is_the_binary_one_of_each_class_summed():
    rows = rows_of(SETS)
    logits = np.random.default_rng(7).normal(size=rows.shape).astype("float32")
    outputs = {"embedding": cases.embeddings(), "logits": logits}
    for smoothing in (0.0, 0.2):
        targets = (1 - smoothing) * rows + smoothing / 2
        p = special.expit(logits.astype("float64"))
        entropy = -(targets * np.log(p) + (1 - targets) * np.log1p(-p)).sum(axis=1).mean()
        loss = CLCELoss(0.3, label_smoothing=smoothing, multi_label=True)
        contrast = float(LACLNLoss(multi_label=True)(rows, outputs["embedding"]))
        want = 0.7 * entropy + 0.3 * contrast
        assert float(loss(rows, outputs)) == pytest.approx(want, rel=1e-5)


def test_values_that_are_not_0_and_1():
    loss, x = LACLNLoss(multi_label=True, reduction="none"), cases.embeddings(n=4)
    rows = rows_of([{0}, {0, 1}, {1}, {0}])
    rows[1, 1] = 0.5
    with pytest.raises(ValueError, match=r"`labels` must hold rows .* of 0 and 1.*Received"):
        loss(rows, x)
    # Of a tensor only the running graph can tell.
    got = gradients.to_numpy(loss(ops.convert_to_tensor(rows), x))
    assert np.isnan(got).tolist() == [False, True, False, False]
    outputs = {"embedding": x, "logits": np.zeros((4, CLASSES), "float32")}
    assert np.isnan(float(CLCELoss(multi_label=True)(ops.convert_to_tensor(rows), outputs)))


@pytest.mark.any_backend
def test_what_is_no_table_of_labels_is_refused():
    x, right = cases.embeddings(n=2), np.array([[1, 0], [0, 1]])
    for labels in (np.array([0, 1]), right[:1], right[None]):
        with pytest.raises(ValueError, match=r"rows \(batch, classes\).*Received: labels of shape"):
            LACLNLoss(multi_label=True)(labels, x)
    outputs = {"embedding": x, "logits": np.zeros((2, 3), "float32")}
    with pytest.raises(ValueError, match="as many columns as the logits, 3"):
        CLCELoss(multi_label=True)(right, outputs)


@pytest.mark.any_backend
def test_the_argument_in_names_configs_and_parts():
    for name in losses.LOSSES:
        if "multi_label" not in losses.arguments_of(name):
            continue
        loss = losses.get(name, multi_label=True)
        assert loss.multi_label and loss.contrastive.multi_label
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        assert again.multi_label and again.contrastive.multi_label
    assert CLCELoss(multi_label=True).contrastive.multi_label
    with pytest.raises(ValueError, match="`contrastive` must have the loss's own multi_label=True"):
        CLCELoss(multi_label=True, contrastive=SupConLoss())
    with pytest.raises(ValueError, match="`multi_label` must be True or False"):
        LACLNLoss(multi_label="yes")
    with pytest.raises(ValueError, match="`negatives` must be 'all' with multi_label=True"):
        SupConLoss(multi_label=True, negatives="class_mean")
    with pytest.raises(ValueError, match="`logit_adjustment` must be 0 with multi_label=True"):
        CLCELoss(multi_label=True, logit_adjustment=1.0, class_prior=[1, 1])
    with pytest.raises(ValueError, match="`ignore_unlabelled` must be False with multi_label"):
        CLCELoss(multi_label=True, ignore_unlabelled=True)
    # Of a version that knew one label an image.
    config = CLCELoss().get_config()
    del config["multi_label"], config["contrastive"]["config"]["multi_label"]
    assert not CLCELoss.from_config(config).multi_label

"""Soft labels: pairs weighted by the overlap of their labels."""

import cases
import gradients
import keras
import numpy as np
import pytest
import reference
import variants
from keras import ops
from scipy import special
from test_loss_variants import check

from keras_clce.losses import CLCELoss, HSCLLoss, LACLNLoss, SupConLoss

CLASSES = 5
chunks = pytest.mark.parametrize("chunk_size", [None, 5])


def soft_rows():
    """Mixtures of two classes, some one-hot rows, one row of all classes."""
    rng = np.random.default_rng(5)
    first, second = (np.eye(CLASSES)[rng.integers(0, CLASSES, 16)] for _ in range(2))
    share = rng.uniform(0, 1, (16, 1))
    rows = share * first + (1 - share) * second
    rows[3:6] = np.eye(CLASSES)[[1, 1, 4]]
    rows[6] = 1 / CLASSES
    return rows.astype("float32")


@chunks
@pytest.mark.parametrize("temperature", [0.02, 0.5])
@pytest.mark.parametrize(
    ("hardness", "positive_sum"), [(1.0, "outside"), (2.0, "inside"), (0.0, "outside")]
)
def test_lacln(hardness, positive_sum, temperature, chunk_size):
    tables = variants.by_overlap(soft_rows())

    def oracle(s, tilts):
        return variants.lacln(s, tables, hardness, positive_sum, tilts), tables

    loss = LACLNLoss(temperature, hardness, positive_sum, chunk_size)
    check(loss, soft_rows(), oracle, cases.embeddings("random"))


@chunks
@pytest.mark.parametrize("temperature", [0.02, 0.5])
@pytest.mark.parametrize("threshold", [None, 0.1])
def test_hscl(threshold, temperature, chunk_size):
    tables = variants.by_overlap(soft_rows())

    def oracle(s, tilts):
        reaching = None if threshold is None else s * temperature >= threshold
        hardness = 1.0 if threshold is None else 0.0
        values = variants.hscl(s, tables, hardness, times=14, reaching=reaching)
        return values, tables

    loss = HSCLLoss(temperature, threshold=threshold, chunk_size=chunk_size)
    check(loss, soft_rows(), oracle, cases.embeddings("random"))


@chunks
def test_sincere(chunk_size):
    tables = variants.by_overlap(soft_rows())

    def oracle(s, tilts):
        return variants.hscl(s, tables, hardness=0.0), tables

    loss = SupConLoss(0.3, chunk_size=chunk_size, denominator="negatives")
    check(loss, soft_rows(), oracle, cases.embeddings("random"))


@chunks
def test_without_hardness_it_is_a_cross_entropy_with_the_overlaps_as_targets(chunk_size):
    rows, x = soft_rows(), cases.embeddings()
    targets, _ = variants.by_overlap(rows)
    s = variants.similarities(x, 0.3)
    np.fill_diagonal(s, -np.inf)
    log_shares = np.where(np.eye(16), 0.0, special.log_softmax(s, axis=1))
    want = -np.mean((targets * log_shares).sum(1) / targets.sum(1))
    for loss in (SupConLoss(0.3, chunk_size=chunk_size), LACLNLoss(0.3, 0.0)):
        assert float(loss(rows, x)) == pytest.approx(want, rel=1e-5)


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
def test_one_hot_rows_give_exactly_what_classes_give(cls, options, chunk_size):
    labels, x = cases.labels("mixed"), cases.embeddings("mixed")
    loss = cls(**options, chunk_size=chunk_size, reduction="none")
    rows = np.eye(CLASSES, dtype="float32")[labels]
    for given in (rows, rows.astype("float16"), rows.astype("int32")):
        got = gradients.to_numpy(loss(ops.convert_to_tensor(given), x))
        np.testing.assert_array_equal(got, gradients.to_numpy(loss(labels, x)))


def test_an_anchor_that_overlaps_with_nobody_leaves_the_mean():
    rows = np.array([[0.5, 0.5, 0], [0.4, 0.6, 0], [0, 0, 1]], dtype="float32")
    loss, x = LACLNLoss(), cases.embeddings(n=3)
    values, counted = (gradients.to_numpy(each) for each in loss.anchor_values(rows, x))
    assert counted.tolist() == [1, 1, 0]
    assert float(loss(rows, x)) == pytest.approx(float(values[:2].mean()), rel=1e-6)
    assert float(loss(rows[:1], x[:1])) == 0


@chunks
@pytest.mark.parametrize("temperature", [0.01, 0.5])
@pytest.mark.parametrize("cls", [LACLNLoss, SupConLoss, HSCLLoss])
def test_overlaps_of_almost_nothing_stay_finite(cls, temperature, chunk_size):
    rows = np.full((16, CLASSES), 1e-20, dtype="float32")
    rows[np.arange(16), np.arange(16) % 3] = 1.0
    rows[0] = [0, 0, 0, 1 - 1e-12, 1e-12]
    loss = cls(temperature, chunk_size=chunk_size)
    got = gradients.value_and_gradient(
        lambda y, z: (loss(y, z), ()), rows, cases.embeddings("duplicated rows")
    )
    assert np.isfinite(got.value) and np.isfinite(got.gradient).all()


def test_cross_entropy_of_soft_labels():
    rows, rng = soft_rows(), np.random.default_rng(7)
    logits = rng.normal(size=(16, CLASSES)).astype("float32")
    outputs = {"embedding": cases.embeddings(), "logits": logits}
    for smoothing in (0.0, 0.2):
        targets = (1 - smoothing) * rows + smoothing / CLASSES
        entropy = -np.mean((targets * special.log_softmax(logits, axis=1)).sum(1))
        loss = CLCELoss(0.3, label_smoothing=smoothing)
        contrast = float(LACLNLoss()(rows, outputs["embedding"]))
        want = 0.7 * entropy + 0.3 * contrast
        assert float(loss(rows, outputs)) == pytest.approx(want, rel=1e-5)


def test_rows_of_half_precision_that_nearly_sum_to_1():
    # A hundred shares in bfloat16 and float16: their sums are off by thousandths.
    rows = np.random.default_rng(0).dirichlet(np.ones(100), size=16).astype("float32")
    want = float(LACLNLoss()(rows, cases.embeddings()))
    for dtype in ("float16", "bfloat16"):
        got = float(LACLNLoss()(ops.cast(rows, dtype), cases.embeddings()))
        assert got == pytest.approx(want, rel=1e-2)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="the others compile a whole step")
def test_a_model_trains_on_soft_labels():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    model.compile(keras.optimizers.SGD(0.5), loss=LACLNLoss(0.2), jit_compile=True)
    history = model.fit(cases.embeddings(), soft_rows(), batch_size=16, epochs=8, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert reference.mean_over_counted([history.history["loss"][0]], [True]) > 0

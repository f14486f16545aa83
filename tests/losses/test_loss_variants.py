"""Variants of the losses as published: detached weights, positives of a view, SINCERE."""

import cases
import gradients
import numpy as np
import pytest
import reference
import variants

from keras_clce.losses import HSCLLoss, LACLNLoss, SupConLoss

chunks = pytest.mark.parametrize("chunk_size", [None, 5])


def check(loss, labels, oracle, x, memory=None):
    """Value of each anchor, mean and gradient of a loss against the loops."""

    def objective(labels, x):
        return loss.__call__(labels, x), loss.anchor_values(labels, x)

    got = gradients.value_and_gradient(objective, labels, x)
    s = variants.similarities(x, loss.temperature)
    tilts = s if getattr(loss, "detach_weights", False) else None
    values, tables = oracle(s, tilts)
    cases.assert_values_close(got.auxiliary[0], values)
    np.testing.assert_array_equal(got.auxiliary[1], tables[0].sum(axis=1) > 0)
    cases.assert_values_close(got.value, variants.mean(values, tables))

    def mean_of(x):
        values, tables = oracle(variants.similarities(x, loss.temperature), tilts)
        return variants.mean(values, tables)

    want = reference.central_differences(mean_of, x)
    np.testing.assert_allclose(got.gradient, want, rtol=0, atol=3e-5 * np.abs(want).max() + 1e-6)


@chunks
@pytest.mark.parametrize("temperature", [0.02, 0.5])
@pytest.mark.parametrize(
    ("hardness", "positive_sum"), [(1.0, "outside"), (2.0, "inside"), (0.5, "outside")]
)
def test_lacln_with_detached_weights(hardness, positive_sum, temperature, chunk_size):
    labels = cases.labels("mixed")
    tables = variants.by_class(labels)
    loss = LACLNLoss(temperature, hardness, positive_sum, chunk_size, detach_weights=True)

    def oracle(s, tilts):
        return variants.lacln(s, tables, hardness, positive_sum, tilts), tables

    check(loss, labels, oracle, cases.embeddings("random"))


@chunks
@pytest.mark.parametrize("positives", ["class", "view"])
@pytest.mark.parametrize("detach_weights", [False, True])
def test_hscl(positives, detach_weights, chunk_size):
    # Neighbours of one class, some of different ones; the last row has no other view.
    labels = np.array([0, 0, 1, 1, 0, 0, 2, 1, 3, 3, 4, 4, 1, 1, 2])
    tables = variants.by_view(labels) if positives == "view" else variants.by_class(labels)
    loss = HSCLLoss(0.3, chunk_size=chunk_size, positives=positives, detach_weights=detach_weights)

    def oracle(s, tilts):
        return variants.hscl(s, tables, times=len(labels) - 2, tilts_of=tilts), tables

    check(loss, labels, oracle, cases.embeddings(n=15))


@chunks
@pytest.mark.parametrize("temperature", [0.02, 0.3])
@pytest.mark.parametrize("pattern", ["mixed", "one class", "one positive pair"])
def test_sincere(pattern, temperature, chunk_size):
    labels = cases.labels(pattern)
    tables = variants.by_class(labels)
    loss = SupConLoss(temperature, chunk_size=chunk_size, denominator="negatives")

    def oracle(s, tilts):
        return variants.hscl(s, tables, hardness=0.0), tables

    check(loss, labels, oracle, cases.embeddings("random"))


@chunks
def test_sincere_equals_nt_xent_of_pytorch_metric_learning(chunk_size):
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("pytorch_metric_learning.losses")
    # The same number of pairs for every anchor, whose mean is then that over all pairs.
    labels, x = cases.labels("balanced"), cases.embeddings()
    leaf = torch.tensor(x, requires_grad=True)
    want = peer.NTXentLoss(temperature=0.2)(leaf, torch.tensor(labels))
    want.backward()
    loss = SupConLoss(0.2, chunk_size=chunk_size, denominator="negatives")
    got = gradients.value_and_gradient(lambda y, z: (loss(y, z), ()), labels, x)
    cases.assert_values_close(got.value, want.item())
    cases.assert_gradient_close(got.gradient, leaf.grad.numpy())


def test_two_views_of_each_image_alone_are_infonce_with_its_hard_negatives():
    # Every image a class of its own: both kinds of positives are the other view.
    labels, x = np.repeat(np.arange(8), 2), cases.embeddings()
    of_class, of_view = (HSCLLoss(positives=kind)(labels, x) for kind in ("class", "view"))
    assert float(of_class) == float(of_view)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("cls", "options", "said"),
    [
        (LACLNLoss, {"detach_weights": 1}, "`detach_weights` must be True or False"),
        (HSCLLoss, {"detach_weights": None}, "`detach_weights` must be True or False"),
        (HSCLLoss, {"positives": "image"}, r"`positives` must be one of .*'view'"),
        (SupConLoss, {"denominator": "sincere"}, r"`denominator` must be one of .*'negatives'"),
        (
            SupConLoss,
            {"denominator": "negatives", "positive_sum": "inside"},
            "`positive_sum` must be 'outside' with denominator='negatives'",
        ),
    ],
)
def test_wrong_arguments(cls, options, said):
    with pytest.raises(ValueError, match=rf"{said}.*Received: \w+="):
        cls(**options)

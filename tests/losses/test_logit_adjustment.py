"""Logit adjustment: cross-entropy of logits plus the logarithm of the classes' shares."""

import cases
import gradients
import keras
import numpy as np
import pytest
import reference
from scipy import special

from keras_clce.losses import CLCELoss, LACLNLoss

COUNTS = [50, 20, 8, 3, 1]
LABELS = cases.labels("mixed")


def batch():
    x = cases.embeddings()
    logits = np.random.default_rng(3).normal(size=(16, 5)).astype("float32")
    return np.concatenate([x, logits], axis=1)


def outputs(x):
    return {"embedding": x[:, :6], "logits": x[:, 6:]}


def adjusted(logits, tau):
    shares = [count / sum(COUNTS) for count in COUNTS]
    return np.array(
        [[z + tau * np.log(p) for z, p in zip(row, shares, strict=True)] for row in logits]
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_value_and_gradient_equal_the_loops(tau, smoothing):
    loss = CLCELoss(0.3, label_smoothing=smoothing, logit_adjustment=tau, class_prior=COUNTS)
    x = batch()
    got = gradients.value_and_gradient(lambda y, z: (loss(y, outputs(z)), ()), LABELS, x)
    shifted = adjusted(x[:, 6:], tau)
    entropy = reference.cross_entropy(LABELS, shifted, smoothing).mean()
    contrast = reference.mean_over_counted(*reference.lacln(LABELS, x[:, :6]))
    cases.assert_values_close(got.value, 0.7 * entropy + 0.3 * contrast)
    # The shift is a constant.
    want = 0.7 * reference.cross_entropy_gradient(LABELS, shifted, smoothing)
    cases.assert_gradient_close(got.gradient[:, 6:], want)


def test_soft_labels_and_shares_in_place_of_numbers():
    rows = np.random.default_rng(0).dirichlet(np.ones(5), 16).astype("float32")
    x, shares = batch(), np.array(COUNTS) / sum(COUNTS)
    loss = CLCELoss(0.0, logit_adjustment=1.0, class_prior=shares)
    want = -(rows * special.log_softmax(adjusted(x[:, 6:], 1.0), axis=1)).sum(1).mean()
    assert float(loss(rows, outputs(x))) == pytest.approx(want, rel=1e-5)


def test_evaluation_takes_the_logits_as_they_are():
    x = batch()
    loss = CLCELoss(0.3, logit_adjustment=1.0, class_prior=COUNTS)
    plain = CLCELoss(0.3)
    for name in ("cross_entropy", "contrastive"):
        want = float(plain.parts(LABELS, outputs(x))[name][0])
        assert float(loss.parts(LABELS, outputs(x), training=False)[name][0]) == want
    assert float(loss.parts(LABELS, outputs(x))["cross_entropy"][0]) != pytest.approx(want)


def test_the_config_has_the_shares():
    loss = CLCELoss(
        0.4, LACLNLoss(negatives="class_mean"), logit_adjustment=1.0, class_prior=COUNTS
    )
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    assert loss.get_config()["class_prior"] == pytest.approx([c / 82 for c in COUNTS])
    config = {**loss.get_config(), "contrastive": CLCELoss().get_config()["contrastive"]}
    del config["logit_adjustment"], config["class_prior"]  # saved before there was any
    assert CLCELoss.from_config(config).class_prior is None


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"logit_adjustment": -1.0}, r"`logit_adjustment` must be .*Received: .*=-1\.0"),
        ({"logit_adjustment": float("nan")}, r"`logit_adjustment` must be"),
        ({"logit_adjustment": "1"}, r"`logit_adjustment` must be"),
        ({"logit_adjustment": 1.0}, r"`class_prior` must be .*Received: class_prior=None"),
        ({"class_prior": [3, 0]}, r"numbers above 0.*Received: 0 for class 1"),
        ({"class_prior": [0.5, np.nan]}, r"finite numbers above 0.*Received: nan for class 1"),
        ({"class_prior": [[1.0]]}, r"\(classes,\).*Received: class_prior of shape \(1, 1\)"),
        ({"class_prior": ["a"]}, r"a number for each class"),
        ({"class_prior": []}, r"a number for each class"),
    ],
)
def test_wrong_arguments(options, said):
    with pytest.raises(ValueError, match=said):
        CLCELoss(**options)


@pytest.mark.any_backend
def test_priors_of_other_classes_than_the_logits():
    loss = CLCELoss(logit_adjustment=1.0, class_prior=[3, 1])
    with pytest.raises(ValueError, match=r"columns, 5\. Received: class_prior of 2 numbers"):
        loss(LABELS, outputs(batch()))

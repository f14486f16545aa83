"""`CLCELoss`: cross-entropy and a contrastive loss joined, against the oracle."""

import json

import cases
import gradients
import keras
import numpy as np
import pytest
import reference
from keras import ops
from keras.backend import standardize_dtype

from keras_clce.losses import CLCELoss, HSCLLoss, LACLNLoss, SupConLoss

DIM, CLASSES = 6, 16


def batch():
    """Labels, and embeddings with logits beside them as columns of one array."""
    labels = cases.labels("mixed") + 1
    logits = np.random.default_rng(7).normal(size=(16, CLASSES))
    return labels, np.concatenate([cases.embeddings("mixed"), 2 * logits], axis=1).astype("float32")


def outputs(x):
    return {"embedding": x[:, :DIM], "logits": x[:, DIM:]}


def run(loss, labels, x, dtype="float32", **weights):
    """The loss's value and gradient with respect to embeddings and logits together."""
    return gradients.value_and_gradient(
        lambda labels, x: (loss(labels, outputs(x), **weights), ()), labels, x, dtype
    )


@pytest.mark.parametrize(
    ("weight", "label_smoothing"), [(0.0, 0.1), (0.5, 0.0), (0.9, 0.0), (0.9, 0.1), (1.0, 0.1)]
)
@pytest.mark.parametrize(
    ("contrastive", "values_of", "gradient_of", "options"),
    [
        (None, *cases.ORACLE["lacln"], {}),
        (LACLNLoss(0.1, 2.0, "inside"), *cases.ORACLE["lacln"], (0.1, 2.0, "inside")),
        (SupConLoss(0.2), *cases.ORACLE["lacln"], (0.2, 0.0)),
        (HSCLLoss(0.2, 0.5), *cases.ORACLE["hscl"], (0.2, 0.5)),
        (HSCLLoss(threshold=0.2), *cases.ORACLE["hscl"], (0.5, 1.0, 0.2)),
    ],
    ids=["default", "lacln", "supcon", "hscl", "threshold"],
)
def test_value_and_gradient_equal_the_oracle(
    contrastive, values_of, gradient_of, options, weight, label_smoothing
):
    labels, x = batch()
    embedding, logits = x[:, :DIM], x[:, DIM:]
    got = run(CLCELoss(weight, contrastive, label_smoothing), labels, x)
    entropy = reference.cross_entropy(labels, logits, label_smoothing).mean()
    contrast = reference.mean_over_counted(*values_of(labels, embedding, *options))
    cases.assert_values_close(got.value, (1 - weight) * entropy + weight * contrast)
    cases.assert_gradient_close(
        got.gradient[:, :DIM], weight * gradient_of(labels, embedding, *options)
    )
    cases.assert_gradient_close(
        got.gradient[:, DIM:],
        (1 - weight) * reference.cross_entropy_gradient(labels, logits, label_smoothing),
    )


def test_defaults_are_the_papers():
    loss = CLCELoss()
    assert (loss.contrastive_weight, loss.label_smoothing) == (0.9, 0.0)
    assert isinstance(loss.contrastive, LACLNLoss)
    assert (loss.contrastive.temperature, loss.contrastive.hardness) == (0.5, 1.0)
    assert loss.contrastive.positive_sum == "outside"


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "reduction", ["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None]
)
def test_each_part_is_reduced_over_its_own_rows(reduction, weighted):
    labels, x = batch()
    weights = np.random.default_rng(0).uniform(0, 3, size=16) if weighted else np.ones(16)
    entropy = reference.cross_entropy(labels, x[:, DIM:]) * weights
    values, counted = reference.lacln(labels, x[:, :DIM])
    assert 0 < counted.sum() < 16
    divisors = {
        "sum": (1.0, 1.0),
        "none": (1.0, 1.0),
        None: (1.0, 1.0),
        "mean_with_sample_weight": (weights.sum(), (weights * counted).sum()),
    }.get(reduction, (16, counted.sum()))
    want = 0.1 * entropy / divisors[0] + 0.9 * values * weights / divisors[1]
    if reduction not in ("none", None):
        want = want.sum()
    loss = CLCELoss(reduction=reduction)
    got = loss(labels, outputs(x), sample_weight=weights if weighted else None)
    assert tuple(got.shape) == np.shape(want)
    cases.assert_values_close(gradients.to_numpy(got), want)


def test_weights_reach_the_gradients_of_both_parts():
    labels, x = batch()
    weights = np.random.default_rng(0).uniform(0, 3, size=16).astype("float32")
    got = run(CLCELoss(0.6), labels, x, sample_weight=weights)
    _, counted = reference.lacln(labels, x[:, :DIM])
    cases.assert_gradient_close(
        got.gradient[:, :DIM],
        0.6 * reference.lacln_gradient(labels, x[:, :DIM], anchor_weights=weights / counted.sum()),
    )
    cases.assert_gradient_close(
        got.gradient[:, DIM:],
        0.4 * weights[:, None] * reference.cross_entropy_gradient(labels, x[:, DIM:]),
    )


@pytest.mark.parametrize("form", ["column", "one-hot", "int one-hot", "float"])
def test_every_form_of_labels_gives_the_same_loss(form):
    labels, x = batch()
    given = {
        "column": labels[:, None],
        "one-hot": np.eye(CLASSES, dtype="float32")[labels],
        "int one-hot": np.eye(CLASSES, dtype="int32")[labels],
        "float": labels.astype("float32"),
    }[form]
    loss = CLCELoss(label_smoothing=0.1)
    assert float(loss(given, outputs(x))) == pytest.approx(
        float(loss(labels, outputs(x))), rel=1e-6
    )


def test_parts_are_the_two_reduced_losses_and_the_rows_they_count():
    labels, x = batch()
    loss = CLCELoss(0.3, label_smoothing=0.1)
    parts = loss.parts(labels, outputs(x))
    assert set(parts) == {"cross_entropy", "contrastive"}
    entropy = reference.cross_entropy(labels, x[:, DIM:], 0.1).mean()
    values, counted = reference.lacln(labels, x[:, :DIM])
    contrast = reference.mean_over_counted(values, counted)
    got = {name: tuple(float(each) for each in part) for name, part in parts.items()}
    assert got["cross_entropy"] == pytest.approx((entropy, 16), rel=1e-5)
    assert got["contrastive"] == pytest.approx((contrast, counted.sum()), rel=1e-5)
    assert float(loss.join(parts)) == pytest.approx(0.7 * entropy + 0.3 * contrast, rel=1e-5)


def test_without_a_positive_cross_entropy_alone_is_left():
    labels, x = cases.labels("all distinct"), batch()[1]
    got = run(CLCELoss(), labels, x)
    want = 0.1 * reference.cross_entropy(labels, x[:, DIM:]).mean()
    assert got.value == pytest.approx(want, rel=1e-5)
    assert not got.gradient[:, :DIM].any()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_outputs_give_a_float32_loss_equal_to_the_oracles(policy):
    keras.config.set_dtype_policy(policy)
    labels, x = batch()
    dtype = keras.config.dtype_policy().compute_dtype
    loss = CLCELoss(contrastive=LACLNLoss(temperature=0.01))
    got = run(loss, labels, x, dtype)
    embedding, logits = got.rounded[:, :DIM], got.rounded[:, DIM:]
    entropy = reference.cross_entropy(labels, logits).mean()
    contrast = reference.mean_over_counted(*reference.lacln(labels, embedding, 0.01))
    cases.assert_values_close(got.value, 0.1 * entropy + 0.9 * contrast)
    cases.assert_gradient_close(
        got.gradient[:, :DIM], 0.9 * reference.lacln_gradient(labels, embedding, 0.01), dtype
    )
    cases.assert_gradient_close(
        got.gradient[:, DIM:], 0.1 * reference.cross_entropy_gradient(labels, logits), dtype
    )
    value = loss(labels, outputs(ops.cast(x, dtype)))
    assert standardize_dtype(value.dtype) == "float32"


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_very_large_logits_stay_finite(dtype):
    labels, x = batch()
    x[:, DIM:] = np.sign(x[:, DIM:]) * 3e4
    got = run(CLCELoss(0.5), labels, x, dtype)
    assert np.isfinite(got.value) and np.isfinite(got.gradient).all()


@pytest.mark.parametrize("class_number", [-1, CLASSES, 10_000])
def test_a_class_that_the_logits_lack_gives_nan(class_number):
    labels, x = batch()
    labels[4] = class_number
    assert np.isnan(float(CLCELoss()(labels, outputs(x))))


@pytest.mark.parametrize(
    ("dtype", "number"),
    [("uint64", 2**63), ("uint64", 2**53), ("int64", 2**32), ("int64", -(2**32))],
)
def test_a_class_beyond_32_bits_does_not_wrap_around_into_another(dtype, number):
    labels, x = batch()
    labels = labels.astype(dtype)
    labels[3] = number
    assert np.isnan(float(CLCELoss()(labels, outputs(x))))


@pytest.mark.parametrize(
    "rows",
    [np.full(16, 0.5), np.full(16, np.nan), np.zeros((16, CLASSES)), np.full((16, CLASSES), 0.25)],
    ids=["fractions", "NaN", "rows of zeros", "soft rows"],
)
def test_tensors_that_hold_no_classes_give_nan(rows):
    _, x = batch()
    labels = keras.ops.convert_to_tensor(rows, "float32")
    assert np.isnan(float(CLCELoss()(labels, outputs(x))))


@pytest.mark.parametrize(
    "contrastive",
    [
        LACLNLoss(0.1, 2.0, "inside", reduction="sum"),
        SupConLoss(0.3, reduction="sum"),
        HSCLLoss(0.2, threshold=0.4, reduction="sum"),
    ],
)
def test_config_round_trip(contrastive):
    loss = CLCELoss(0.7, contrastive, 0.2, reduction="sum", name="mine")
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    labels, x = batch()
    for again in (
        keras.saving.deserialize_keras_object(serialized),
        keras.losses.deserialize(keras.losses.serialize(loss)),
        CLCELoss.from_config(loss.get_config()),
    ):
        assert type(again) is CLCELoss and type(again.contrastive) is type(contrastive)
        assert again.get_config() == loss.get_config()
        assert again.contrastive.get_config() == contrastive.get_config()
        assert (again.contrastive_weight, again.label_smoothing) == (0.7, 0.2)
        assert (again.reduction, again.name) == ("sum", "mine")
        assert float(again(labels, outputs(x))) == float(loss(labels, outputs(x)))


def test_defaults_survive_a_config_round_trip():
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(CLCELoss()))
    assert again.get_config() == CLCELoss().get_config()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("contrastive_weight", -0.1),
        ("contrastive_weight", 1.1),
        ("contrastive_weight", float("nan")),
        ("contrastive_weight", "0.9"),
        ("label_smoothing", -0.1),
        ("label_smoothing", 1.0),
        ("label_smoothing", float("nan")),
        ("contrastive", "lacln"),
        ("contrastive", LACLNLoss),
        ("contrastive", keras.losses.MeanSquaredError()),
    ],
)
def test_arguments_are_checked_when_the_loss_is_made(argument, value):
    with pytest.raises(ValueError, match=rf"`{argument}`.*Received: {argument}="):
        CLCELoss(**{argument: value})


@pytest.mark.parametrize("argument", ["contrastive_weight", "contrastive"])
def test_a_name_in_place_of_an_argument_points_to_get(argument):
    with pytest.raises(ValueError, match=r"keras_clce\.losses\.get\. Received: .*=supcon"):
        CLCELoss(**{argument: "supcon"})


@pytest.mark.parametrize(
    ("weight", "classifier", "embedding"),
    [(0, True, False), (0.0, True, False), (0.5, True, True), (1.0, False, True), (1, False, True)],
)
def test_a_loss_tells_by_its_weight_what_it_trains(weight, classifier, embedding):
    loss = CLCELoss(weight)
    assert (loss.trains_classifier, loss.trains_embedding) == (classifier, embedding)


def test_the_two_reductions_must_be_the_same():
    with pytest.raises(ValueError, match=r"`contrastive`.*reduction.*Received: "):
        CLCELoss(contrastive=LACLNLoss(reduction="sum"))


def without(key):
    predictions = outputs(batch()[1])
    del predictions[key]
    return predictions


@pytest.mark.parametrize(
    "predictions",
    [
        batch()[1],
        list(outputs(batch()[1]).values()),
        without("embedding"),
        without("logits"),
        {},
        None,
    ],
    ids=["array", "list", "no embedding", "no logits", "empty", "none"],
)
def test_predictions_must_be_a_dict_of_both_outputs(predictions):
    with pytest.raises(ValueError, match=r"(?s)`y_pred`.*embedding.*logits.*Received: y_pred="):
        CLCELoss()(batch()[0], predictions)


@pytest.mark.parametrize(
    ("labels", "embedding", "logits"),
    [
        ((16, 2, 2), (16, DIM), (16, CLASSES)),
        ((15,), (16, DIM), (16, CLASSES)),
        ((16, CLASSES + 1), (16, DIM), (16, CLASSES)),
        ((16,), (16, DIM), (16,)),
        ((16,), (16, 2, DIM), (16, CLASSES)),
        ((16,), (15, DIM), (16, CLASSES)),
    ],
    ids=[
        "labels of rank 3",
        "too few labels",
        "one-hot of other width",
        "logits of rank 1",
        "feature map",
        "rows of the two outputs differ",
    ],
)
def test_shapes_that_do_not_fit_are_refused(labels, embedding, logits):
    predictions = {
        "embedding": np.ones(embedding, dtype="float32"),
        "logits": np.ones(logits, dtype="float32"),
    }
    with pytest.raises(ValueError, match=r"(?s)Received: "):
        CLCELoss()(np.zeros(labels, dtype=int), predictions)


def test_outputs_beyond_the_two_are_ignored():
    labels, x = batch()
    more = {**outputs(x), "probabilities": ops.softmax(x[:, DIM:])}
    assert float(CLCELoss()(labels, more)) == float(CLCELoss()(labels, outputs(x)))


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("part", "options"),
    [
        ("LACLNLoss", {"hardness": 2.0, "positive_sum": "inside", "chunk_size": None}),
        ("SupConLoss", {"positive_sum": "outside", "chunk_size": 64}),
        ("HSCLLoss", {"hardness": 1.0, "threshold": 0.3, "chunk_size": None}),
    ],
)
def test_a_config_that_names_the_module_of_an_earlier_version_is_read(part, options):
    common = {"reduction": "sum", "name": "part", "temperature": 0.1, **options}
    config = {
        "module": "keras_clce.losses.clce",
        "class_name": "CLCELoss",
        "registered_name": "keras_clce>CLCELoss",
        "config": {
            "name": "clce_loss",
            "reduction": "sum",
            "contrastive_weight": 0.5,
            "label_smoothing": 0.0,
            "contrastive": {
                "module": "keras_clce.losses.contrastive",
                "class_name": part,
                "registered_name": f"keras_clce>{part}",
                "config": common,
            },
        },
    }
    loss = keras.saving.deserialize_keras_object(config)
    assert type(loss) is CLCELoss and loss.contrastive_weight == 0.5
    assert type(loss.contrastive).__name__ == part
    assert loss.contrastive.get_config().items() >= common.items()

"""`LACLNLoss`, `SupConLoss` and `HSCLLoss` as Keras losses: reductions, weights, models."""

import json

import cases
import gradients
import keras
import numpy as np
import pytest
import reference
from keras import ops
from keras.backend import standardize_dtype

from keras_clce.losses import HSCLLoss, LACLNLoss, SupConLoss

SETTINGS = [
    (LACLNLoss, {}),
    (LACLNLoss, {"temperature": 0.1, "hardness": 2.0, "positive_sum": "inside"}),
    (SupConLoss, {"temperature": 0.2}),
    (SupConLoss, {"positive_sum": "inside"}),
    (HSCLLoss, {"temperature": 0.3, "hardness": 0.5}),
    (HSCLLoss, {"threshold": 0.2}),
]
settings = pytest.mark.parametrize(("cls", "options"), SETTINGS)
classes = pytest.mark.parametrize("cls", [LACLNLoss, SupConLoss, HSCLLoss])


def oracle(cls, options):
    """The oracle's functions of values and of gradients, and their options, of a loss."""
    if cls is SupConLoss:
        return *cases.ORACLE["lacln"], {**options, "hardness": 0.0}
    return *cases.ORACLE["hscl" if cls is HSCLLoss else "lacln"], options


@settings
def test_reductions_equal_the_oracle(cls, options):
    labels, x = cases.labels("mixed"), cases.embeddings("mixed")
    values_of, _, oracle_options = oracle(cls, options)
    values, counted = values_of(labels, x, **oracle_options)
    assert 0 < counted.sum() < len(counted)
    want = {
        "sum_over_batch_size": values.sum() / counted.sum(),
        "mean": values.sum() / counted.sum(),
        "mean_with_sample_weight": values.sum() / counted.sum(),
        "sum": values.sum(),
        "none": values,
        None: values,
    }
    assert cls(**options).reduction == "sum_over_batch_size"
    for reduction, expected in want.items():
        got = gradients.to_numpy(cls(**options, reduction=reduction)(labels, x))
        assert got.shape == np.shape(expected)
        cases.assert_values_close(got, expected)


@settings
def test_weights_multiply_the_anchors_and_leave_their_number(cls, options):
    labels, x = cases.labels("mixed"), cases.embeddings("mixed")
    weights = np.random.default_rng(0).uniform(0, 3, size=16).astype("float32")
    weights[3] = 0.0
    values_of, gradient_of, oracle_options = oracle(cls, options)
    values, counted = values_of(labels, x, **oracle_options)
    weighted = float(values @ weights)
    for reduction, divisor in [
        ("sum_over_batch_size", counted.sum()),
        ("mean_with_sample_weight", (weights * counted).sum()),
        ("sum", 1.0),
    ]:
        loss = cls(**options, reduction=reduction)

        def objective(labels, x, loss=loss):
            return loss(labels, x, sample_weight=weights), ()

        got = gradients.value_and_gradient(objective, labels, x)
        cases.assert_values_close(got.value, weighted / divisor)
        # An anchor of weight 0 is still a positive or a negative of the others.
        cases.assert_gradient_close(
            got.gradient,
            gradient_of(labels, x, anchor_weights=weights / divisor, **oracle_options),
        )
    unreduced = cls(**options, reduction="none")(labels, x, sample_weight=weights[:, None])
    cases.assert_values_close(gradients.to_numpy(unreduced), values * weights)


@classes
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight", "sum"])
def test_without_positives_or_without_weight_the_loss_is_zero(cls, reduction):
    loss, x = cls(reduction=reduction), cases.embeddings()
    weights = np.zeros(16)
    assert float(loss(cases.labels("all distinct"), x)) == 0.0
    assert float(loss(cases.labels("all distinct"), x, sample_weight=weights + 1)) == 0.0
    assert float(loss(cases.labels("balanced"), x, sample_weight=weights)) == 0.0


@classes
def test_the_mean_does_not_count_anchors_without_a_positive(cls):
    labels, x = cases.labels("one positive pair"), cases.embeddings()
    values, _ = oracle(cls, {})[0](labels, x, **oracle(cls, {})[2])
    assert float(cls()(labels, x)) == pytest.approx((values[0] + values[1]) / 2, rel=1e-5)


def test_supcon_is_lacln_without_hardness():
    labels, x = cases.labels("mixed"), cases.embeddings("mixed")
    for positive_sum in ("outside", "inside"):
        supcon = SupConLoss(0.1, positive_sum)(labels, x)
        assert float(supcon) == float(LACLNLoss(0.1, 0.0, positive_sum)(labels, x))


@pytest.mark.parametrize("pattern", ["balanced", "mixed", "unbalanced"])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_supcon_equals_pytorch_metric_learning(temperature, pattern):
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("pytorch_metric_learning.losses")
    labels, x = cases.labels(pattern), cases.embeddings()
    leaf = torch.tensor(x, requires_grad=True)
    # Its reducer leaves out anchors whose loss is 0, as those without a positive are.
    want = peer.SupConLoss(temperature=temperature)(leaf, torch.tensor(labels))
    want.backward()

    for loss in (SupConLoss(temperature), LACLNLoss(temperature, hardness=0.0)):
        got = gradients.value_and_gradient(lambda y, z, loss=loss: (loss(y, z), ()), labels, x)
        cases.assert_values_close(got.value, want.item())
        cases.assert_gradient_close(got.gradient, leaf.grad.numpy())


@classes
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_the_loss_is_float32_under_every_dtype_policy(cls, policy):
    keras.config.set_dtype_policy(policy)
    dtype = keras.config.dtype_policy().compute_dtype
    x = ops.cast(cases.embeddings(), dtype)
    got = cls(temperature=0.1)(cases.labels("mixed"), x)
    assert standardize_dtype(got.dtype) == "float32"
    values_of, _, options = oracle(cls, {"temperature": 0.1})
    want = reference.mean_over_counted(
        *values_of(cases.labels("mixed"), gradients.to_numpy(x), **options)
    )
    cases.assert_values_close(float(got), want)


@classes
def test_a_loss_in_half_precision_computes_in_float32_and_keeps_classes_apart(cls):
    # Above 256, neighbouring integers are one number in bfloat16.
    labels, x = 256 + cases.labels("balanced"), cases.embeddings()
    got = cls(dtype="bfloat16")(labels, x)
    assert standardize_dtype(got.dtype) == "bfloat16"
    want = reference.mean_over_counted(*oracle(cls, {})[0](labels, x, **oracle(cls, {})[2]))
    assert float(got) == pytest.approx(want, rel=2.0**-8)


@pytest.mark.parametrize("form", ["column", "one-hot"])
@classes
def test_labels_as_columns_and_one_hot_rows(cls, form):
    labels, x = cases.labels("unbalanced"), cases.embeddings()
    given = labels[:, None] if form == "column" else np.eye(10, dtype="float32")[labels]
    assert float(cls()(given, x)) == pytest.approx(float(cls()(labels, x)), rel=1e-6)


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        *SETTINGS,
        (LACLNLoss, {"detach_weights": True}),
        (SupConLoss, {"denominator": "negatives"}),
        (HSCLLoss, {"positives": "view", "detach_weights": True}),
    ],
)
def test_config_round_trip(cls, options):
    loss = cls(**options, reduction="sum", name="mine")
    assert loss.get_config().items() >= {**options, "reduction": "sum", "name": "mine"}.items()
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    for again in (
        keras.saving.deserialize_keras_object(serialized),
        keras.losses.deserialize(keras.losses.serialize(loss)),
        cls.from_config(loss.get_config()),
    ):
        assert type(again) is cls
        assert again.get_config() == loss.get_config()
        assert {name: getattr(again, name) for name in options} == options
        labels, x = cases.labels("mixed"), cases.embeddings()
        assert float(again(labels, x)) == float(loss(labels, x))


def embedding_model(**compile_options):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)])
    model.compile(keras.optimizers.SGD(0.1), loss=LACLNLoss(temperature=0.2), **compile_options)
    return model


@pytest.mark.parametrize(
    "options",
    [{"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}],
    ids=["eager", "graph", "jit"],
)
def test_a_plain_model_with_an_embedding_as_output_trains(options):
    if options.get("jit_compile") and keras.backend.backend() == "torch":
        pytest.skip("Keras's own torch trainer is not compiled; torch.compile is tested elsewhere")
    features, labels = cases.embeddings(dim=5), cases.labels("balanced")
    model = embedding_model(**options)
    kernel = gradients.to_numpy(model.layers[0].kernel)
    history = model.fit(
        features, labels, batch_size=16, epochs=2, shuffle=False, verbose=0
    ).history["loss"]

    embedded = features.astype("float64") @ kernel
    settings = {"temperature": 0.2, "hardness": 1.0}
    want = reference.mean_over_counted(*reference.lacln(labels, embedded, **settings))
    assert history[0] == pytest.approx(want, rel=1e-5)
    # One step of gradient descent, worked out from the oracle's gradient.
    slope = reference.lacln_gradient(labels, embedded, **settings)
    kernel, bias = kernel - 0.1 * features.T @ slope, -0.1 * slope.sum(axis=0)
    embedded = features @ kernel + bias
    want = reference.mean_over_counted(*reference.lacln(labels, embedded, **settings))
    assert history[1] == pytest.approx(want, rel=1e-4)
    assert history[1] < history[0]


def test_a_compiled_model_is_saved_and_loaded_with_its_loss(tmp_path):
    features, labels = cases.embeddings(dim=5), cases.labels("balanced")
    model = embedding_model()
    model.fit(features, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == model.loss.get_config()
    assert again.evaluate(features, labels, verbose=0) == pytest.approx(
        model.evaluate(features, labels, verbose=0), rel=1e-6
    )


@pytest.mark.parametrize(
    ("cls", "argument", "value"),
    [
        *(
            (cls, "temperature", value)
            for cls in (LACLNLoss, SupConLoss, HSCLLoss)
            for value in (0, -1.0, float("nan"))
        ),
        (LACLNLoss, "hardness", -0.5),
        (HSCLLoss, "hardness", float("nan")),
        (LACLNLoss, "positive_sum", "middle"),
        (SupConLoss, "positive_sum", None),
        (HSCLLoss, "threshold", 2.0),
    ],
)
def test_arguments_are_checked_when_the_loss_is_made(cls, argument, value):
    with pytest.raises(ValueError, match=rf"`{argument}`.*Received: {argument}={value}"):
        cls(**{argument: value})


@classes
@pytest.mark.parametrize(
    ("labels", "embeddings"),
    [
        (np.zeros((16, 2, 2), dtype=int), cases.embeddings()),
        (np.linspace(0.0, 1.0, 16), cases.embeddings()),
        (np.zeros(15, dtype=int), cases.embeddings()),
        (np.zeros(16, dtype=int), np.ones(16, dtype="float32")),
        (np.zeros(16, dtype=int), np.ones((16, 2, 2), dtype="float32")),
    ],
    ids=["labels of rank 3", "fractions", "too few labels", "vector", "feature map"],
)
def test_shapes_that_do_not_fit_are_refused(cls, labels, embeddings):
    with pytest.raises(ValueError, match=r"(?s)Received: "):
        cls()(labels, embeddings)


@classes
def test_weights_that_do_not_fit_are_refused(cls):
    with pytest.raises(ValueError, match=r"`sample_weight`.*Received: sample_weight"):
        cls()(cases.labels("mixed"), cases.embeddings(), sample_weight=np.ones(15))

"""Labels that turn out to be no classes and embeddings that are not finite: NaN, never a number."""

import cases
import gradients
import keras
import numpy as np
import pytest
from keras import ops

from keras_clce.losses import CLCELoss, CoreTuningLoss, HSCLLoss, LACLNLoss, SupConLoss

N, CLASSES = 16, 4
VALID = np.arange(N) % CLASSES
ROWS = {"one": [6], "some": [2, 3, 11], "all": list(range(N))}
FUNCTIONS = {
    "lacln": ("lacln", {}),
    "lacln, inside": ("lacln", {"positive_sum": "inside"}),
    "lacln, cold": ("lacln", {"temperature": 0.01, "hardness": 2.5}),
    "supcon, inside": ("lacln", {"hardness": 0.0, "positive_sum": "inside"}),
    "hscl": ("hscl", {}),
    "hscl, threshold": ("hscl", {"threshold": 0.1}),
    "hscl, threshold, cold": ("hscl", {"threshold": 0.1, "temperature": 0.01}),
}
LOSSES = {
    "lacln": lambda **options: LACLNLoss(**options),
    "lacln in chunks": lambda **options: LACLNLoss(chunk_size=5, **options),
    "supcon": lambda **options: SupConLoss(positive_sum="inside", **options),
    "supcon in chunks": lambda **options: SupConLoss(chunk_size=5, **options),
    "hscl": lambda **options: HSCLLoss(**options),
    "hscl in chunks": lambda **options: HSCLLoss(threshold=0.1, chunk_size=5, **options),
    "core tuning": lambda **options: CoreTuningLoss(**options),
}
chunks = pytest.mark.parametrize("chunk_size", [None, 5])
functions = pytest.mark.parametrize("function", FUNCTIONS)
losses = pytest.mark.parametrize("loss", LOSSES)


def soft():
    return 0.7 * np.eye(CLASSES)[VALID] + 0.3 * np.eye(CLASSES)[(VALID + 1) % CLASSES]


# Valid labels, and what stands in their place, of the same shape.
FORMS = {
    "rows that do not sum to 1": (np.eye(CLASSES)[VALID], 1.1 * soft()),
    "rows with a negative share": (np.eye(CLASSES)[VALID], 2 * np.eye(CLASSES)[VALID] - soft()),
    "multi-hot rows": (np.eye(CLASSES)[VALID], np.ceil(soft())),
    "multi-hot rows of integers": (np.eye(CLASSES, dtype="int32")[VALID], np.ceil(soft())),
    "rows of zeros": (np.eye(CLASSES)[VALID], np.zeros((N, CLASSES))),
    "rows of NaN": (np.eye(CLASSES)[VALID], np.full((N, CLASSES), np.nan)),
    "fractions": (VALID.astype(float), VALID + 0.25),
    "column of fractions": (VALID[:, None].astype(float), VALID[:, None] + 0.25),
    "NaN": (VALID.astype(float), np.full(N, np.nan)),
    "infinite": (VALID.astype(float), np.full(N, np.inf)),
    "floats beyond 32 bits": (VALID.astype(float), np.full(N, 2.0**40)),
    "negative floats": (VALID.astype(float), np.full(N, -1.0)),
    "negative integers": (VALID.astype("int32"), np.full(N, -1)),
    "negative column": (VALID[:, None].astype("int64"), np.full((N, 1), -(2**31))),
    "negative small integers": (VALID.astype("int8"), np.full(N, -7)),
}
forms = pytest.mark.parametrize("form", FORMS)


def labels_of(form, rows="some"):
    """An array whose given rows hold no class."""
    labels, others = (np.array(each) for each in FORMS[form])
    labels[ROWS[rows]] = others[ROWS[rows]]
    return labels.astype("float32") if labels.dtype == "float64" else labels


def without_class(rows="some"):
    return np.isin(np.arange(N), ROWS[rows])


def check_anchors(function, labels, chunk_size, rows):
    name, options = FUNCTIONS[function]
    got = gradients.value_and_gradient(
        cases.objective(name, chunk_size=chunk_size, **options), labels, cases.embeddings()
    )
    values, counted = got.auxiliary
    np.testing.assert_array_equal(np.isnan(values), without_class(rows))
    # 16 rows in 4 classes: every valid anchor keeps a positive.
    assert counted.all()
    assert np.isnan(got.value)
    assert np.isnan(got.gradient).any()


@chunks
@forms
def test_an_anchor_without_a_class_is_nan_and_counts(form, chunk_size):
    check_anchors("lacln", labels_of(form), chunk_size, "some")


@chunks
@functions
@pytest.mark.parametrize("rows", ROWS)
def test_few_and_many_anchors_without_a_class(function, rows, chunk_size):
    check_anchors(function, labels_of("rows that do not sum to 1", rows), chunk_size, rows)


@losses
@pytest.mark.parametrize("given", ["array", "list", "column", "floats", "tensor"])
def test_negative_classes_give_nan_whatever_holds_them(loss, given):
    labels = labels_of("negative integers", "one").astype("int64")
    labels = {
        "array": labels,
        "list": labels.tolist(),
        "column": labels[:, None],
        "floats": labels.astype("float64"),
        "tensor": ops.convert_to_tensor(labels.astype("int32")),
    }[given]
    assert np.isnan(float(LOSSES[loss]()(labels, cases.embeddings())))


@losses
@pytest.mark.parametrize("weights", [None, "zero where no class", "zero"])
def test_no_reduction_and_no_weight_hides_nan(loss, weights):
    labels = ops.convert_to_tensor(labels_of("rows of zeros"))
    weights = {
        None: None,
        "zero where no class": 1.0 - without_class(),
        "zero": np.zeros(N),
    }[weights]
    for reduction in ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum"):
        got = LOSSES[loss](reduction=reduction)(labels, cases.embeddings(), sample_weight=weights)
        assert np.isnan(float(got)), reduction
    got = LOSSES[loss](reduction="none")(labels, cases.embeddings(), sample_weight=weights)
    np.testing.assert_array_equal(np.isnan(gradients.to_numpy(got)), without_class())


@losses
def test_one_class_that_is_unknown_among_anchors_without_positives(loss):
    labels = np.arange(N)
    assert float(LOSSES[loss]()(labels, cases.embeddings())) == 0.0
    labels[4] = -1
    assert np.isnan(float(LOSSES[loss]()(labels, cases.embeddings())))
    assert np.isnan(float(LOSSES[loss]()(ops.convert_to_tensor(labels), cases.embeddings())))


# === Compiled ===


def compiled(function):
    """A function of two arrays, compiled by the backend, of batches whose values are not seen."""
    name = keras.backend.backend()
    if name == "jax":
        import jax

        return jax.jit(function)
    if name == "torch":
        import torch

        return torch.compile(function, backend="aot_eager")
    import tensorflow as tf

    return tf.function(function, jit_compile=True)


def tensors(*arrays):
    return [ops.convert_to_tensor(each) for each in arrays]


@pytest.mark.parametrize("loss", ["lacln", "supcon in chunks", "hscl"])
def test_compiled_losses(loss):
    function = compiled(LOSSES[loss](reduction="none"))
    for form in ("rows that do not sum to 1", "rows of zeros"):
        got = function(*tensors(labels_of(form), cases.embeddings()))
        np.testing.assert_array_equal(np.isnan(gradients.to_numpy(got)), without_class())
    valid = np.eye(CLASSES, dtype="float32")[VALID]
    got = function(*tensors(valid, cases.embeddings()))
    assert np.isfinite(gradients.to_numpy(got)).all()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.function is TensorFlow's")
@pytest.mark.parametrize("form", ["rows that do not sum to 1", "fractions", "negative integers"])
def test_tf_function_with_an_unknown_batch_size(form):
    import tensorflow as tf

    labels, x = labels_of(form), cases.embeddings()
    signature = [tf.TensorSpec([None, *y.shape[1:]], y.dtype) for y in (labels, x)]
    function = tf.function(LACLNLoss().__call__, input_signature=signature)
    assert np.isnan(function(labels, x).numpy())


@pytest.mark.parametrize(
    "options",
    [{"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}],
    ids=["eager", "graph", "jit"],
)
@pytest.mark.parametrize("form", ["rows that do not sum to 1", "fractions", "negative integers"])
def test_a_plain_model_shows_nan(form, options):
    if options.get("jit_compile") and keras.backend.backend() == "torch":
        pytest.skip("Keras's own torch trainer is not compiled")
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    model.compile("sgd", loss=LACLNLoss(), **options)

    def fit():
        history = model.fit(cases.embeddings(), labels_of(form), batch_size=N, verbose=0)
        return history.history["loss"][0]

    seen = keras.backend.backend() == "jax" and not options.get("jit_compile")
    if seen and form != "negative integers":
        # There Keras hands arrays to the loss, which can be searched.
        with pytest.raises(ValueError, match=r"`labels`.*Received: labels"):
            fit()
    else:
        assert np.isnan(fit())


# === With cross-entropy ===


@pytest.mark.parametrize("weight", [0.0, 0.9, 1.0])
@forms
def test_clce_is_nan_for_the_rows_without_a_class(form, weight):
    logits = np.random.default_rng(7).normal(size=(N, CLASSES)).astype("float32")
    outputs = {"embedding": cases.embeddings(), "logits": logits}
    labels = ops.convert_to_tensor(labels_of(form))
    values = gradients.to_numpy(CLCELoss(weight, reduction="none")(labels, outputs))
    np.testing.assert_array_equal(np.isnan(values), without_class())
    assert np.isnan(float(CLCELoss(weight)(labels, outputs)))
    assert np.isfinite(float(CLCELoss(weight)(ops.convert_to_tensor(FORMS[form][0]), outputs)))


# === Embeddings ===


def of_a_lone_row(value):
    """Labels and embeddings with a bad row alone in its class: a negative of the others only."""
    labels, x = np.where(np.arange(N) == 5, CLASSES, VALID).astype("int32"), cases.embeddings()
    x[5, 1] = value
    return tensors(labels, x)


def check_others(function, chunk_size, value, wrap=lambda function: function):
    name, options = FUNCTIONS[function]

    def values_of(labels, x):
        return cases.FUNCTIONS[name](labels, x, chunk_size=chunk_size, **options)[0]

    values = gradients.to_numpy(wrap(values_of)(*of_a_lone_row(value)))
    assert np.isnan(values[np.arange(N) != 5]).all()


@chunks
@functions
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_embedding_that_is_not_finite_makes_nan_of_all_that_it_meets(
    function, chunk_size, value
):
    check_others(function, chunk_size, value)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="XLA is not torch's")
@chunks
@pytest.mark.parametrize("function", ["lacln, inside", "hscl, threshold"])
def test_nan_outlives_xla_which_selects_where_masks_multiply(function, chunk_size):
    check_others(function, chunk_size, np.nan, compiled)

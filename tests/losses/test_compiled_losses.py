"""The losses under each backend's own compiler: values, gradients, unknown batch sizes."""

import shutil

import cases
import keras
import numpy as np
import pytest
import reference

from keras_clce.losses import CLCELoss, HSCLLoss, LACLNLoss, SupConLoss

DIM, CLASSES = 6, 11
LOSSES = {
    "lacln": (LACLNLoss(0.1), "lacln", (0.1, 1.0)),
    "lacln in chunks": (LACLNLoss(0.1, chunk_size=5), "lacln", (0.1, 1.0)),
    "lacln inside": (LACLNLoss(0.1, 2.0, "inside"), "lacln", (0.1, 2.0, "inside")),
    "supcon": (SupConLoss(0.1), "lacln", (0.1, 0.0)),
    "hscl": (HSCLLoss(0.1), "hscl", (0.1, 1.0)),
    "hscl threshold": (HSCLLoss(threshold=0.2), "hscl", (0.5, 1.0, 0.2)),
}
backend = keras.backend.backend()


def of(key):
    """A function of labels and one array, and the oracle's value and gradient of it."""
    if key != "clce":
        loss, name, options = LOSSES[key]
        values_of, gradient_of = cases.ORACLE[name]
        return (
            loss,
            lambda labels, x: reference.mean_over_counted(*values_of(labels, x, *options)),
            lambda labels, x: gradient_of(labels, x, *options),
        )
    loss = CLCELoss(0.5, label_smoothing=0.1)

    def function(labels, x):
        return loss(labels, {"embedding": x[:, :DIM], "logits": x[:, DIM:]})

    def value(labels, x):
        contrast = reference.mean_over_counted(*reference.lacln(labels, x[:, :DIM]))
        return (contrast + reference.cross_entropy(labels, x[:, DIM:], 0.1).mean()) / 2

    def gradient(labels, x):
        parts = [
            reference.lacln_gradient(labels, x[:, :DIM]),
            reference.cross_entropy_gradient(labels, x[:, DIM:], 0.1),
        ]
        return np.concatenate(parts, axis=1) / 2

    return function, value, gradient


def batch(key, n=16):
    x = cases.embeddings(n=n, dim=DIM + CLASSES if key == "clce" else DIM)
    return np.arange(n, dtype="int32") ** 2 % 7, x


def check(key, function, n=16):
    """`function(labels, x)` returns value and gradient as NumPy."""
    labels, x = batch(key, n)
    _, want, want_gradient = of(key)
    value, gradient = function(labels, x)
    cases.assert_values_close(value, want(labels, x))
    cases.assert_gradient_close(gradient, want_gradient(labels, x))


@pytest.mark.skipif(backend != "tensorflow", reason="tf.function is TensorFlow's")
@pytest.mark.parametrize(
    ("key", "labels_shape"),
    [
        ("lacln inside", [None]),
        ("hscl threshold", [None]),
        ("clce", [None]),
        ("hscl", [None, 1]),
        ("supcon", [None, CLASSES]),
        ("clce", [None, CLASSES]),
    ],
)
def test_tf_function_with_an_unknown_batch_size(key, labels_shape):
    import tensorflow as tf

    loss = of(key)[0]
    width = DIM + CLASSES if key == "clce" else DIM
    traces = []

    @tf.function(
        input_signature=[
            tf.TensorSpec(labels_shape, "int32"),
            tf.TensorSpec([None, width], "float32"),
        ]
    )
    def value_and_gradient(labels, x):
        traces.append(1)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(labels, x)
        return value, tape.gradient(value, x)

    def run(labels, x):
        if labels_shape == [None, 1]:
            labels = labels[:, None]
        elif labels_shape == [None, CLASSES]:
            labels = np.eye(CLASSES, dtype="int32")[labels]
        return tuple(each.numpy() for each in value_and_gradient(labels, x))

    for n in (16, 5, 2):
        check(key, run, n)
    assert len(traces) == 1


@pytest.mark.skipif(backend != "tensorflow", reason="tf.function is TensorFlow's")
def test_tf_function_with_nothing_known_but_the_ranks():
    import tensorflow as tf

    loss = of("lacln")[0]
    signature = [tf.TensorSpec([None], "int64"), tf.TensorSpec([None, None], "float32")]
    labels, x = batch("lacln")
    got = tf.function(loss.__call__, input_signature=signature)(labels.astype("int64"), x)
    cases.assert_values_close(got.numpy(), of("lacln")[1](labels, x))


@pytest.mark.skipif(backend != "tensorflow", reason="tf.function is TensorFlow's")
@pytest.mark.parametrize("key", ["lacln in chunks", "hscl threshold", "clce"])
def test_tf_function_compiled_by_xla(key):
    import tensorflow as tf

    loss = of(key)[0]

    @tf.function(jit_compile=True)
    def value_and_gradient(labels, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(labels, x)
        return value, tape.gradient(value, x)

    def run(labels, x):
        return tuple(each.numpy() for each in value_and_gradient(labels, tf.constant(x)))

    check(key, run)


@pytest.mark.skipif(backend != "jax", reason="jax.jit is JAX's")
@pytest.mark.parametrize(
    "key", ["lacln", "lacln in chunks", "lacln inside", "hscl threshold", "clce"]
)
def test_jax_jit(key):
    import jax

    jitted = jax.jit(jax.value_and_grad(of(key)[0], argnums=1))
    check(key, lambda labels, x: tuple(np.asarray(each) for each in jitted(labels, x)))
    if key != "clce":
        value, gradient = jitted(np.arange(16, dtype="int32"), batch(key)[1])
        assert float(value) == 0.0 and not np.asarray(gradient).any()


@pytest.mark.skipif(backend != "torch", reason="torch.compile is torch's")
@pytest.mark.parametrize(
    ("key", "compiler"),
    [
        ("clce", "aot_eager"),
        ("lacln in chunks", "aot_eager"),
        ("lacln", "inductor"),  # one stands for all: inductor takes half a minute
    ],
)
def test_torch_compile(key, compiler):
    import torch

    if compiler == "inductor" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("torch's inductor needs a C++ compiler, and none is installed")
    compiled = torch.compile(of(key)[0], backend=compiler)

    def run(labels, x):
        leaf = torch.tensor(x, requires_grad=True)
        value = compiled(torch.tensor(labels), leaf)
        value.backward()
        return value.item(), leaf.grad.numpy()

    check(key, run)

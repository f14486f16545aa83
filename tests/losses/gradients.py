"""Gradients through whichever backend runs: the one thing Keras has no function for."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from keras.backend import standardize_dtype


class Evaluation(NamedTuple):
    value: float
    auxiliary: tuple  # NumPy arrays
    gradient: np.ndarray
    rounded: np.ndarray  # the input as the loss saw it, after the cast to `dtype`


def value_and_gradient(function, labels, x, dtype="float32"):
    """Differentiate `function(labels, x)`, which returns a scalar and a tuple, by `x`."""
    x = ops.cast(ops.convert_to_tensor(np.asarray(x, dtype="float32")), dtype)
    labels = ops.convert_to_tensor(labels)
    run = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    value, auxiliary, gradient = run(function, labels, x)
    assert standardize_dtype(gradient.dtype) == dtype
    return Evaluation(
        float(to_numpy(value)),
        tuple(to_numpy(each) for each in auxiliary),
        to_numpy(gradient),
        to_numpy(x),
    )


def to_numpy(x):
    """A NumPy float32 array: NumPy itself knows no bfloat16."""
    return ops.convert_to_numpy(ops.cast(ops.stop_gradient(x), "float32"))


def _tensorflow(function, labels, x):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        value, auxiliary = function(labels, x)
    return value, auxiliary, tape.gradient(value, x, unconnected_gradients="zero")


def _jax(function, labels, x):
    import jax

    # Not under `jax.jit`: compiling each configuration takes a hundred times as long as running it.
    # `test_compiled_losses.py` compiles.
    run = jax.value_and_grad(function, argnums=1, has_aux=True)
    (value, auxiliary), gradient = run(labels, x)
    return value, auxiliary, gradient


def _torch(function, labels, x):
    import torch

    x = x.detach().requires_grad_()
    value, auxiliary = function(labels, x)
    if not value.requires_grad:
        return value, auxiliary, torch.zeros_like(x)
    (gradient,) = torch.autograd.grad(value, x)
    return value, auxiliary, gradient

"""Memory of the backward pass, and errors where there is none left."""

import functools
import gc
from collections.abc import Callable
from typing import Any

import keras
import numpy as np


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, on a device or in the process.

    Keras has no error of its own for it: TensorFlow raises `ResourceExhaustedError`, JAX an
    `XlaRuntimeError` of the status RESOURCE_EXHAUSTED, torch an `OutOfMemoryError` or, on a CPU, a
    `RuntimeError` of its allocator.

    Args:
        error: The error.

    Returns:
        Whether it does.

    Example:
    ```python
    is_out_of_memory(MemoryError())  # True
    ```
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError", "ResourceExhaustedError"}:
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "RESOURCE_EXHAUSTED" in text or "DefaultCPUAllocator: can't allocate memory" in text
    )


def map_blocks(function: Callable[[Any], Any], items: Any) -> Any:
    """Keras's `map`, in memory that on torch is used again for every item.

    Keras keeps torch's results until the last, between the large tensors that came and went
    meanwhile: the C library then cannot use the memory of those again. Here they take their places
    at once. No upstream report is known. Delete when `keras.ops.map` writes torch's results into
    one tensor.

    On torch this frees an array of 31 MB, at which glibc keeps free memory of up to twice the size
    in the process from then on, rather than giving it back to the system.

    Args:
        function: Function from an item to a tensor, all of one shape.
        items: Tensor of items along its first axis, at least one.

    Returns:
        The results along a new first axis.

    Example:
    ```python
    map_blocks(lambda rows: rows + 1, keras.ops.zeros((2, 3)))  # [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    ```
    """
    if keras.backend.backend() != "torch":
        return keras.ops.map(function, items)
    # glibc returns free memory to the system, and fetches it again, from twice the largest array
    # on that went so far; it counts none above 32 MB.
    np.empty(31 * 2**20, np.uint8)
    first = function(items[0])
    results = first.new_empty((len(items), *first.shape))
    results[0] = first
    del first
    for number in range(1, len(items)):
        results[number] = function(items[number])
    return results


def _without_cycles(function):
    """Collect the cycles of references that calls of layers leave on torch, after each call.

    Keras's `tree` leaves them, [keras#23110](https://github.com/keras-team/keras/issues/23110).
    Delete when a release has [its cure](https://github.com/keras-team/keras/pull/23111), which
    3.15.1 has not.
    """

    def collected(*args):
        enabled = gc.isenabled()
        # Nothing grows old meanwhile, so that the cheapest collection finds every cycle.
        gc.disable()
        try:
            return function(*args)
        finally:
            gc.collect(0)
            if enabled:
                gc.enable()

    return collected


def remat(function: Callable[..., tuple]) -> Callable[..., tuple]:
    """Compute a function again in the backward pass, as `keras.remat` does; integers may result.

    TensorFlow: `tf.recompute_grad` has no gradient to hand back for an integer, such as the state
    of a random seed, and fails [inside a loop](https://github.com/tensorflow/tensorflow/issues/55304);
    float64 takes its place, which holds all of 32 bits. Outside of graphs it gives twice the
    gradient, so that there the function is left as it is. Delete when `keras.remat` takes integers
    in a loop.

    Torch: Keras's `remat` keeps the nodes of every call, small pieces of memory between which there
    is no room for large ones any more; torch's reentrant checkpoints do not. A gradient cache of
    512 images took 2.94 GiB with Keras's and takes 1.69. While a function is computed, Python's
    garbage collector is off, and collects its youngest generation afterwards. Delete when
    `keras.remat` keeps no more.

    Args:
        function: From tensors to a tuple of tensors.

    Returns:
        A function that gives the same and keeps nothing but its arguments for the backward pass.

    Example:
    ```python
    squares = remat(lambda x: (x * x,))
    squares(keras.ops.convert_to_tensor([1.0, 3.0]))[0]  # [1.0, 9.0]
    ```
    """
    if keras.backend.backend() == "torch":
        import torch

        # torch.compile fails on the pieces that it would compile on the way backward.
        function = torch.compiler.disable(_without_cycles(function))
        return functools.partial(torch.utils.checkpoint.checkpoint, function, use_reentrant=True)
    if keras.backend.backend() == "jax":
        return keras.remat(function)
    import tensorflow as tf

    if tf.executing_eagerly():
        return function
    taken: list[Any] = []
    given: list[Any] = []

    def in_floats(*args):
        floats, given[:] = _to_floats(function(*_from_floats(args, taken)))
        return floats

    again = keras.remat(in_floats)

    def wrapped(*args):
        floats, taken[:] = _to_floats(args)
        return _from_floats(again(*floats), given)

    return wrapped


def _to_floats(tensors):
    dtypes = [keras.backend.standardize_dtype(x.dtype) for x in tensors]
    pairs = zip(tensors, dtypes, strict=True)
    return tuple(x if "float" in d else keras.ops.cast(x, "float64") for x, d in pairs), dtypes


def _from_floats(tensors, dtypes):
    return tuple(keras.ops.cast(x, d) for x, d in zip(tensors, dtypes, strict=True))

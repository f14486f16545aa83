"""The only module that asks which Keras backend runs; each function says why Keras cannot serve."""

import contextlib
import copy
import functools
import sys
from collections.abc import Callable
from typing import Any

import keras


def train_step_on(
    model: keras.Model, step: Callable, prepare: Callable[[Any], Any], args: tuple
) -> Any:
    """Run Keras's own training step on a batch that was prepared inside the compiled step.

    Keras hands a batch alone to TensorFlow's and torch's `train_step`, but the state as well to
    JAX's, which must not touch variables: there the preparation, which may advance random seeds,
    runs in a `StatelessScope` and its new values join the state.

    Args:
        model: The model in training.
        step: The `train_step` of Keras's base class, bound to `model`.
        prepare: Function from a batch as the data set gives it to the batch to train on. It may
            assign non-trainable variables of `model`.
        args: What Keras passed to `train_step`: `(data,)`, or `(state, data)` on JAX.

    Returns:
        What `step` returns.
    """
    if keras.backend.backend() != "jax":
        return step(prepare(*args))
    (trainable, non_trainable, *others), data = args
    variables = model.non_trainable_variables
    mapping = list(zip(variables, non_trainable, strict=True))
    with keras.StatelessScope(state_mapping=mapping) as scope:
        data = prepare(data)
    non_trainable = [scope.get_current_value(variable) for variable in variables]
    return step((trainable, non_trainable, *others), data)


def with_tuples(data: Any) -> Any:
    """Let a torch `DataLoader` yield tuples where torch collates tuples into lists.

    For TensorFlow alone, where Keras takes a list of two views for the numbers of one tensor.

    Args:
        data: What was given to `fit` or `evaluate`.

    Returns:
        A copy of a `DataLoader` that yields tuples; anything else as it is.
    """
    torch = sys.modules.get("torch")
    if (
        keras.backend.backend() != "tensorflow"
        or torch is None
        or not isinstance(data, torch.utils.data.DataLoader)
    ):
        return data
    data = copy.copy(data)
    data.collate_fn = functools.partial(_collate_to_tuples, data.collate_fn)
    return data


def _collate_to_tuples(collate, examples):
    return _lists_to_tuples(collate(examples))


def _lists_to_tuples(batch):
    return tuple(map(_lists_to_tuples, batch)) if isinstance(batch, (list, tuple)) else batch


def backend_name() -> str:
    """Name of the backend that runs, for reports; Keras offers it, but one file shall ask."""
    return keras.backend.backend()


def dot_product_attention(query: Any, key: Any, value: Any) -> Any:
    """Attend as `keras.ops.dot_product_attention` does, also in float16 on JAX's CPU.

    There JAX's fused attention asks for a product that its CPU compiler does not have, so that
    float32 takes its place.

    Args:
        query: Queries `(batch, tokens, heads, dim)`.
        key: Keys of the same shape.
        value: Values of the same shape.

    Returns:
        Attended values, of the same shape and dtype.
    """
    dtype = keras.backend.standardize_dtype(query.dtype)
    if keras.backend.backend() == "jax" and dtype == "float16":
        import jax

        if jax.default_backend() == "cpu":
            query, key, value = (keras.ops.cast(x, "float32") for x in (query, key, value))
    return keras.ops.cast(keras.ops.dot_product_attention(query, key, value), dtype)


def gather_rows(tensors: Any) -> Any:
    """Join the rows of all replicas of a `tf.distribute` strategy, in the order of the replicas.

    Keras's other ways to many devices work on tensors of the whole batch to begin with.

    Args:
        tensors: Tensors with rows along the first axis, in any structure; `None` stays.

    Returns:
        The same structure: on every replica the rows of all, whose gradients come back to the
        replica that a row belongs to, summed over the replicas. Elsewhere the tensors as they are.
    """
    context = _replica_context()
    if context is None:
        return tensors

    def gather(rows):
        if rows is None:
            return None
        rows = keras.ops.convert_to_tensor(rows)
        # One by one: the gradient of a gather wants one of all that is gathered together.
        gathered = context.all_gather(rows, axis=0)
        gathered.set_shape((None, *rows.shape[1:]))
        return gathered

    return keras.tree.map_structure(gather, tensors)


def num_replicas() -> int:
    """Number of replicas of a `tf.distribute` strategy whose gradients are summed, else 1."""
    context = _replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def _replica_context():
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context

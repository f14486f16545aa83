"""A forward pass chunk by chunk, each computed again in the backward pass: a chunk's memory."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_clce import backend

_INTEGERS = {"float64": "int64", "float32": "int32", "float16": "int16", "bfloat16": "int16"}


def call_in_chunks(
    layers: Sequence[keras.Layer],
    inputs: Any,
    chunk_size: int,
) -> Any:
    """Outputs of a whole batch in training, whose gradients keep one chunk's activations alone.

    What does not fill a chunk comes first, so that all others are full and one loop serves them,
    however many there are. On TensorFlow its activations are kept beside those of another chunk,
    where it would be computed again: a chunk size that divides the batch takes the least memory.
    There are no gradients of the inputs.

    State, such as random seeds and moving averages, goes from chunk to chunk as if each were a
    batch: batch statistics are a chunk's, and a chunk that is computed again meets the random
    numbers that it had.

    Where JAX divides the batch between devices, a chunk takes as many rows of each of them, and
    batch statistics are those of all these rows. No row leaves its device.

    Args:
        layers: Built layers, of which each takes the outputs of the one before.
        inputs: A tensor `(batch, ...)`.
        chunk_size: Rows a chunk, of each device.

    Returns:
        What the last layer gives of the whole batch, a nest of tensors.

    Raises:
        ValueError: If a layer adds losses of its own, which would be a chunk's and not the batch's,
            or, on TensorFlow, is rematerialised itself.

    Reference:
        - [Scaling deep contrastive learning batch size under memory limited
          setup](https://arxiv.org/abs/2101.06983)

    Example:
    ```python
    call_in_chunks([encoder], images, chunk_size=64)  # encoder(images), in less memory
    ```
    """
    if not backend.remat_can_nest():
        _refuse_remat(layers)
    # Of a frozen layer whose inner layers are not all frozen, such as one with adapters, Keras's
    # `trainable_variables` are none; the optimizer trains them all the same.
    variables = [v for layer in layers for v in layer.variables]
    trainable = [v for v in variables if v.trainable]
    # Frozen weights are read alone; as state, each chunk would give back a copy of all of them.
    learned = {id(v) for layer in layers for v in _made_to_learn(layer)}
    frozen = [v for v in variables if not v.trainable and id(v) in learned]
    state = [v for v in variables if not v.trainable and id(v) not in learned]
    batch, *row = ops.shape(inputs)
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    spec = keras.KerasTensor((None, *inputs.shape[1:]), dtype)
    for layer in layers:
        spec = layer.compute_output_spec(spec, training=True)

    def encode(chunk, *values):
        mapping = zip(trainable + frozen + state, values, strict=True)
        outputs = ops.view(ops.reshape(chunk, (-1, *row)), dtype)
        with keras.StatelessScope(state_mapping=list(mapping), collect_losses=True) as scope:
            for layer in layers:
                outputs = layer(outputs, training=True)
        if scope.losses:
            raise ValueError(
                "`gradient_cache_size` must be None for layers that call `add_loss`: their losses "
                f"are of single chunks. Received: {len(scope.losses)} such losses"
            )
        updated = [scope.get_current_value(v) for v in state]
        return *keras.tree.flatten(outputs), *updated

    # Where it would be computed again beside another chunk, to keep it takes no more memory.
    encode_first = backend.remat(encode) if backend.remat_runs_in_order() else encode
    weights = [ops.convert_to_tensor(v) for v in trainable]
    weights += [ops.stop_gradient(ops.convert_to_tensor(v)) for v in frozen]
    # Copies: torch would assign into what the first chunk is computed again from.
    values = [ops.copy(ops.convert_to_tensor(v)) for v in state]
    # A chunk of consecutive rows would lie on a few devices, and be sent to all others.
    devices = backend.num_batch_shards(batch)
    share = batch // devices
    rest, first = share // chunk_size, share % chunk_size
    # Bits of numbers: TensorFlow's loop would carry a gradient of all inputs.
    shares = ops.view(ops.reshape(inputs, (devices, share, *row)), _INTEGERS.get(dtype, dtype))

    def zeros(rows):
        flat = keras.tree.flatten(spec)
        return [ops.zeros((rows, *x.shape[1:]), x.dtype) for x in flat]

    def lead():
        return encode_first(shares[:, :first], *weights, *values)

    def nothing():
        return *zeros(0), *values

    if isinstance(first, int):
        results = lead() if first else nothing()
    else:
        results = ops.cond(first > 0, lead, nothing)
    outputs, values = _split(results, len(state))

    # Cut out within what is computed again: JAX's loop over chunks would keep copies of all inputs.
    def encode_from(start, *values):
        chunk = ops.slice(shares, (0, start, *(0 for _ in row)), (devices, chunk_size, *row))
        return encode(chunk, *values)

    encode_again = backend.remat(encode_from)

    def step(carry, start):
        _, values = _split(carry, len(state))
        results = encode_again(start, *weights, *values)
        return results, results

    if not isinstance(rest, int) or rest > 0:
        # TensorFlow's loop wants results shaped as what goes from step to step.
        starts = first + chunk_size * ops.arange(rest, dtype="int32")
        last, stacked = ops.scan(step, (*zeros(devices * chunk_size), *values), starts)
        _, values = _split(last, len(state))
        outputs = [
            _join(x, more, devices, chunk_size) for x, more in zip(outputs, stacked, strict=False)
        ]
    for variable, value in zip(state, values, strict=True):
        variable.assign(value)
    return keras.tree.pack_sequence_as(spec, outputs)


def _made_to_learn(layer):
    """Weights that were made trainable, frozen or not, which no forward pass assigns."""
    return [v for each in layer._flatten_layers() for v in each._trainable_variables]


def _refuse_remat(layers):
    # An encoder that can be rematerialised but is not has an empty list of layers.
    inner = [
        each.name
        for layer in layers
        for each in layer._flatten_layers()
        if (mode := each._remat_mode) and (mode.mode != "list_of_layers" or mode.layer_names)
    ]
    if inner:
        raise ValueError(
            "`gradient_cache_size` must be None on TensorFlow for an encoder with `remat`; a "
            f"smaller size saves memory as well. Received: {len(inner)} layers with remat, such as "
            f"{inner[0]}"
        )


def _join(first, stacked, devices, chunk_size):
    """Rows of the first chunk and of all others, in the order of the inputs."""
    row = first.shape[1:]
    if devices == 1:
        return ops.concatenate([first, ops.reshape(stacked, (-1, *row))])
    others = ops.swapaxes(ops.reshape(stacked, (-1, devices, chunk_size, *row)), 0, 1)
    shares = [ops.reshape(x, (devices, -1, *row)) for x in (first, others)]
    return ops.reshape(ops.concatenate(shares, axis=1), (-1, *row))


def _split(results, num_states):
    cut = len(results) - num_states
    # No gradient goes from a chunk into those before it, as none goes from batch to batch.
    return list(results[:cut]), [ops.stop_gradient(value) for value in results[cut:]]

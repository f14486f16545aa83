"""A forward pass chunk by chunk, each computed again in the backward pass: a chunk's memory."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_clce import backend


def call_in_chunks(
    call: Callable[[Any], Any],
    layers: Sequence[keras.Layer],
    inputs: Any,
    chunk_size: int,
) -> Any:
    """Outputs of a whole batch, with gradients that keep no more than one chunk's activations.

    On TensorFlow two chunks': the first is kept, which would be computed again beside another.

    The first chunk takes what is left over, so that all others are full and one loop serves them,
    however many there are. State, such as random seeds and moving averages, goes from chunk to
    chunk as if each were a batch: batch statistics are a chunk's, and a chunk that is computed
    again meets the random numbers that it had.

    Where JAX divides the batch between devices, a chunk takes as many rows of each of them, and
    batch statistics are those of all these rows. No row leaves its device.

    Args:
        call: Function from inputs to a nest of tensors, through `layers`.
        layers: The built layers that have all variables that `call` uses.
        inputs: A tensor `(batch, ...)`.
        chunk_size: Rows a chunk, of each device.

    Returns:
        What `call` returns, of the whole batch.

    Raises:
        ValueError: If a layer adds losses of its own, which would be a chunk's and not the batch's,
            or, on TensorFlow, is rematerialised itself.

    Reference:
        - [Scaling deep contrastive learning batch size under memory limited
          setup](https://arxiv.org/abs/2101.06983)

    Example:
    ```python
    call_in_chunks(encoder, [encoder], images, chunk_size=64)  # encoder(images), in less memory
    ```
    """
    if not backend.remat_nests():
        _refuse_remat(layers)
    trainable = [v for layer in layers for v in layer.trainable_variables]
    state = [v for layer in layers for v in layer.non_trainable_variables]
    structure = []

    def encode(chunk, *values):
        mapping = zip(trainable + state, values, strict=True)
        with keras.StatelessScope(state_mapping=list(mapping), collect_losses=True) as scope:
            outputs = call(chunk)
        if scope.losses:
            raise ValueError(
                "`gradient_cache_size` must be None for layers that call `add_loss`: their losses "
                f"are of single chunks. Received: {len(scope.losses)} such losses"
            )
        structure[:] = [keras.tree.map_structure(lambda _: None, outputs)]
        updated = [scope.get_current_value(v) for v in state]
        return *keras.tree.flatten(outputs), *updated

    # Where it would be computed again beside another chunk, to keep it takes no more memory.
    encode_first = backend.remat(encode) if backend.remat_takes_turns() else encode
    weights = [ops.convert_to_tensor(v) for v in trainable]
    # Copies: torch would assign into what the first chunk is computed again from.
    values = [ops.copy(ops.convert_to_tensor(v)) for v in state]
    batch, row = ops.shape(inputs)[0], inputs.shape[1:]
    # A chunk of consecutive rows would lie on a few devices, and be sent to all others.
    devices = backend.num_shares(batch)
    share = batch // devices
    rest = (share - 1) // chunk_size
    first = share - rest * chunk_size
    shares = ops.reshape(inputs, (devices, share, *row))
    results = encode_first(ops.reshape(shares[:, :first], (-1, *row)), *weights, *values)
    outputs, values = _split(results, len(state))

    # Cut out within what is computed again: JAX's loop over chunks would keep copies of all inputs.
    def encode_from(start, *values):
        chunk = ops.slice(shares, (0, start, *(0 for _ in row)), (devices, chunk_size, *row))
        return encode(ops.reshape(chunk, (-1, *row)), *values)

    encode_again = backend.remat(encode_from)

    def step(carry, start):
        _, values = _split(carry, len(state))
        results = encode_again(start, *weights, *values)
        return results, results

    if not isinstance(rest, int) or rest > 0:
        # TensorFlow's loop wants results shaped as what goes from step to step.
        empty = [ops.zeros((devices * chunk_size, *x.shape[1:]), x.dtype) for x in outputs]
        starts = first + chunk_size * ops.arange(rest, dtype="int32")
        last, stacked = ops.scan(step, (*empty, *values), starts)
        _, values = _split(last, len(state))
        outputs = [
            _join(x, more, devices, chunk_size) for x, more in zip(outputs, stacked, strict=False)
        ]
    for variable, value in zip(state, values, strict=True):
        variable.assign(value)
    return keras.tree.pack_sequence_as(structure[0], outputs)


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
    return list(results[:cut]), list(results[cut:])

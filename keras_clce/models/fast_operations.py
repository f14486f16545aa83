"""Let Keras's own layers compute in the way that is quick on the backend that runs.

The layers stay what they are, so a saved file holds nothing of this and loads on every backend.
"""

import collections
import contextlib
import functools
import threading
import types
from collections.abc import Iterator

import keras
from keras import ops

from keras_clce import backend

_counting = threading.Lock()
_users: collections.Counter[keras.Layer] = collections.Counter()  # of layers that are quick now


def use_fast_operations(model: keras.Model) -> keras.Model:
    """Have a model's layers computed quickly from now on.

    Values, weights, configuration and saved files stay the same. It is for models that are made
    here; `fast_operations` leaves a user's own as it was.

    Args:
        model: A model of any origin; its layers are changed in place.

    Returns:
        The same model.

    Example:
    ```python
    encoder = use_fast_operations(keras.saving.load_model("encoder.keras"))
    ```
    """
    for layer, name, function in _slow_layers(model):
        vars(layer)[name] = types.MethodType(function, layer)
    return model


@contextlib.contextmanager
def fast_operations(model: keras.Model) -> Iterator[None]:
    """Have convolutions, poolings, normalisations and adapters computed quickly meanwhile.

    It may be entered again inside, and by several threads; the layers become what they were when
    the last one leaves, by an exception too.

    Args:
        model: A model of any origin.

    Example:
    ```python
    with fast_operations(encoder):
        features = encoder(images)
    ```
    """
    if backend.is_torch_compiling():
        yield  # whose compiler knows no locks, and finds quick ways of its own
        return
    ways = list(_slow_layers(model))
    with _counting:
        entered = [(layer, name) for layer, name, function in ways if _enter(layer, name, function)]
    try:
        yield
    finally:
        with _counting:
            for layer, name in entered:
                _users[layer] -= 1
                if not _users[layer]:
                    del _users[layer], vars(layer)[name]


def _slow_layers(model):
    for layer in model._flatten_layers():
        # Not of subclasses, whose own methods may do more.
        name, function = _WAYS.get(type(layer), (None, None))
        if function is _with_adapter and not _has_adapter(layer):
            continue
        if name and getattr(layer, "data_format", "channels_last") == "channels_last":
            yield layer, name, function


def _enter(layer, name, function):
    if name in vars(layer) and layer not in _users:
        return False  # quick for good, or a method that the user has set
    # Not by setattr, in which Keras and torch look for weights and layers.
    vars(layer).setdefault(name, types.MethodType(function, layer))
    _users[layer] += 1
    return True


def _conv(layer, inputs, kernel):
    return backend.conv(inputs, kernel, **_geometry(layer))


def _depthwise_conv(layer, inputs):
    outputs = backend.depthwise_conv(inputs, layer.kernel, **_geometry(layer))
    if layer.use_bias:
        outputs = outputs + ops.cast(layer.bias, outputs.dtype)
    return layer.activation(outputs)


def _geometry(layer):
    return {name: getattr(layer, name) for name in ("strides", "padding", "dilation_rate")}


def _pool(layer, inputs):
    names = ("pool_size", "strides", "padding")
    return backend.pool(inputs, layer.pool_mode, **{name: getattr(layer, name) for name in names})


def _batch_norm(layer, inputs, training=None, mask=None):
    float32 = keras.backend.result_type(inputs.dtype, "float32") == "float32"
    plain = layer.axis in (-1, 3) and not layer.renorm and not layer.synchronized
    if not float32 or not plain or len(inputs.shape) != 4 or mask is not None:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    # As in Keras: in float32 whatever the policy, and cast in the end.
    averages = [ops.cast(value, "float32") for value in (layer.moving_mean, layer.moving_variance)]
    gamma = ops.cast(layer.gamma, "float32") if layer.scale else ops.ones_like(averages[0])
    beta = ops.cast(layer.beta, "float32") if layer.center else ops.zeros_like(averages[0])
    learns = training and layer.trainable
    outputs, *moments = backend.batch_norm(
        ops.cast(inputs, "float32"), gamma, beta, layer.epsilon, None if learns else averages
    )
    if learns:
        kept = layer.momentum
        for variable, average, value in zip(
            (layer.moving_mean, layer.moving_variance), averages, moments, strict=True
        ):
            variable.assign(average * kept + value * (1 - kept))
    return ops.cast(outputs, layer.compute_dtype)


def _layer_norm(layer, inputs):
    float32 = keras.backend.result_type(inputs.dtype, "float32") == "float32"
    last = list(layer.axis) in ([-1], [len(inputs.shape) - 1])
    if not float32 or not last or layer.gamma is None or layer.rms_scaling:
        return type(layer).call(layer, inputs)
    inputs = ops.cast(inputs, "float32")
    # Of half precision they would get a gradient of float32, which TensorFlow adds to no other.
    gamma = ops.cast(layer.gamma, "float32")
    beta = None if layer.beta is None else ops.cast(layer.beta, "float32")
    outputs = backend.layer_norm(inputs, gamma, beta, layer.epsilon, layer.gamma.shape)
    return ops.cast(outputs, layer.compute_dtype)


def _has_adapter(layer):
    # Keras computes those of quantised layers as well by themselves.
    return layer.lora_enabled and layer.quantization_mode is None


def _with_adapter(layer, inputs, training=None):
    """A dense layer and its LoRA side by side.

    Keras adds the adapter to the kernel in every step, which keeps the sum of each layer for the
    way backward and computes the gradient of the whole kernel.
    """
    if not _has_adapter(layer):
        return type(layer).call(layer, inputs, training=training)
    product = ops.matmul
    if isinstance(layer, keras.layers.EinsumDense):
        product = functools.partial(ops.einsum, layer.equation)
    # The small matrix is scaled, not what comes out.
    scaled = (layer.lora_alpha / layer.lora_rank) * layer.lora_kernel_b
    adapted = ops.matmul(product(inputs, layer.lora_kernel_a), scaled)
    # Private, since `kernel` is the sum.
    outputs = product(inputs, layer._kernel) + adapted
    if layer.bias is not None:
        outputs = outputs + layer.bias
    outputs = ops.cast(outputs, layer.compute_dtype)
    return outputs if layer.activation is None else layer.activation(outputs)


_WAYS = {
    keras.layers.Dense: ("call", _with_adapter),
    keras.layers.EinsumDense: ("call", _with_adapter),
    keras.layers.Conv2D: ("convolution_op", _conv),
    keras.layers.DepthwiseConv2D: ("call", _depthwise_conv),
    keras.layers.MaxPooling2D: ("call", _pool),
    keras.layers.AveragePooling2D: ("call", _pool),
    keras.layers.BatchNormalization: ("call", _batch_norm),
    keras.layers.LayerNormalization: ("call", _layer_norm),
}

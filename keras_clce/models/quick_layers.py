"""Let Keras's own layers compute in the way that is quick on the backend that runs.

The layers stay what they are, so a saved file holds nothing of this and loads on every backend.
"""

import types

import keras
from keras import ops

from keras_clce import backend


def quicken(model: keras.Model) -> keras.Model:
    """Have a model's convolutions, poolings and batch normalisations computed quickly.

    Values, weights, configuration and saved files stay the same.

    Args:
        model: a model of any origin; its layers are changed in place.

    Returns:
        The same model.

    Example:
        >>> encoder = quicken(keras.saving.load_model("encoder.keras"))
    """
    for layer in model._flatten_layers():
        # Not of subclasses, whose own methods may do more.
        method, function = _WAYS.get(type(layer), (None, None))
        if method and getattr(layer, "data_format", "channels_last") == "channels_last":
            setattr(layer, method, types.MethodType(function, layer))
    return model


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


_WAYS = {
    keras.layers.Conv2D: ("convolution_op", _conv),
    keras.layers.DepthwiseConv2D: ("call", _depthwise_conv),
    keras.layers.MaxPooling2D: ("call", _pool),
    keras.layers.AveragePooling2D: ("call", _pool),
    keras.layers.BatchNormalization: ("call", _batch_norm),
}

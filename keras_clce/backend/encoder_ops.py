"""Operations of encoders where Keras's own fail or are slow on a backend."""

import functools
from collections.abc import Sequence
from typing import Any

import keras

from keras_clce.backend.jax_cpu_convolutions import (
    is_jax_on_cpu,
    jax_conv,
    jax_depthwise_conv,
    not_inlined,
)


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
    if is_jax_on_cpu() and dtype == "float16":
        query, key, value = (keras.ops.cast(x, "float32") for x in (query, key, value))
    return keras.ops.cast(keras.ops.dot_product_attention(query, key, value), dtype)


# === Operations of convolutional encoders, channels last ===


def conv(inputs: Any, kernel: Any, strides: Sequence[int], **options: Any) -> Any:
    """Convolve as `keras.ops.conv` does, without its detours.

    On torch Keras copies every input twice to change its layout. On the CPU XLA computes the
    gradients of 1×1 convolutions several times slower than those of the matrix products that
    they are, and others a hundred times slower where they stand in a loop, unless their axes are in
    the order of a forward convolution.

    Args:
        inputs: Feature maps `(batch, height, width, channels)`.
        kernel: `(height, width, channels of a group, filters)`.
        strides: Two steps, of rows and columns.
        **options: `padding` and `dilation_rate`, as in Keras.

    Returns:
        Feature maps `(batch, new_height, new_width, filters)`.
    """
    on_jax = is_jax_on_cpu()
    if tuple(kernel.shape[:3]) == (1, 1, inputs.shape[-1]) and (
        on_jax or keras.backend.backend() == "torch"
    ):
        inputs = inputs[:, :: strides[0], :: strides[1]]
        matmul = not_inlined(keras.ops.matmul) if on_jax else keras.ops.matmul
        return matmul(inputs, kernel[0, 0])
    if keras.backend.backend() == "torch":
        kernel = _filters_first()(keras.ops.convert_to_tensor(kernel))
    if on_jax and kernel.shape[2] == inputs.shape[-1]:
        dilation = tuple(options["dilation_rate"])
        kernel = keras.ops.convert_to_tensor(kernel)
        return jax_conv()(inputs, kernel, tuple(strides), options["padding"], dilation)
    return _in_place(keras.ops.conv, inputs, kernel, strides=strides, **options)


def depthwise_conv(inputs: Any, kernel: Any, strides: Sequence[int], **options: Any) -> Any:
    """Convolve each channel alone, as `keras.ops.depthwise_conv` does, without its detours.

    Torch's are those of `conv`. On the CPU XLA goes channel by channel, ten times slower than sums
    of shifted products.

    Args:
        inputs: Feature maps `(batch, height, width, channels)`.
        kernel: `(height, width, channels, multiplier)`.
        strides: Two steps, of rows and columns.
        **options: `padding` and `dilation_rate`, as in Keras.

    Returns:
        Feature maps `(batch, new_height, new_width, channels * multiplier)`.
    """
    if is_jax_on_cpu() and kernel.shape[-1] == 1 and set(options["dilation_rate"]) == {1}:
        return jax_depthwise_conv()(inputs, kernel[..., 0], strides, options["padding"])
    return _in_place(keras.ops.depthwise_conv, inputs, kernel, strides=strides, **options)


def pool(inputs: Any, mode: str, **options: Any) -> Any:
    """Pool as `keras.ops.max_pool` and `average_pool` do, in torch without a change of layout.

    Args:
        inputs: Feature maps `(batch, height, width, channels)`.
        mode: `"max"` or `"average"`.
        **options: `pool_size`, `strides` and `padding`, as in Keras.

    Returns:
        Feature maps `(batch, new_height, new_width, channels)`.
    """
    operation = {"max": keras.ops.max_pool, "average": keras.ops.average_pool}[mode]
    return _in_place(operation, inputs, **options)


def _in_place(operation, inputs, *args, **options):
    """Call an operation of Keras on the layout that it takes without copies."""
    if keras.backend.backend() != "torch":
        return operation(inputs, *args, data_format="channels_last", **options)
    # What torch calls the channels_last memory format is a view of our layout.
    inputs = keras.ops.transpose(inputs, (0, 3, 1, 2))
    outputs = operation(inputs, *args, data_format="channels_first", **options)
    return keras.ops.transpose(outputs, (0, 2, 3, 1))


@functools.cache
def _filters_first():
    """A kernel with its values in the order in which torch reads them, filter by filter."""
    import torch

    class Turn(torch.autograd.Function):
        """A transpose that is copied as a matrix both ways, which torch does block by block."""

        @staticmethod
        def forward(context, matrix):
            return matrix.t().contiguous()

        @staticmethod
        def backward(context, gradient):
            return gradient.t().contiguous()

    def filters_first(kernel):
        *shape, filters = kernel.shape
        turned = Turn.apply(kernel.reshape(-1, filters))
        return turned.reshape(filters, *shape).permute(1, 2, 3, 0)

    return filters_first


def batch_norm(
    inputs: Any, gamma: Any, beta: Any, epsilon: float, moments: tuple[Any, Any] | None = None
) -> tuple[Any, Any, Any]:
    """Normalise each channel, on TensorFlow and torch in one pass where Keras takes several.

    Args:
        inputs: Feature maps `(batch, height, width, channels)`, float32.
        gamma: Scale of each channel.
        beta: Offset of each channel.
        epsilon: What is added to the variances.
        moments: Mean and variance of each channel. Defaults to `None`, those of the batch.

    Returns:
        The normalised maps, and the means and (biased) variances by which they are.
    """
    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf

        options = {"epsilon": epsilon, "is_training": moments is None}
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, gamma, beta, *(moments or ()), **options
        )
        if moments is None:
            # A second reader keeps TensorFlow from joining this with a ReLU that turns NaN into 0,
            # so that the loss of a broken model would look like any other.
            mean = mean + 0 * tf.reduce_max(outputs[:1, :1, :1])
        count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], variance.dtype)
        return outputs, mean, variance * (count - 1) / count
    if name == "torch":
        import torch

        view = inputs.permute(0, 3, 1, 2)
        if moments is not None:
            # torch's exporters know this operation alone, which gives no moments.
            outputs = torch.nn.functional.batch_norm(view, *moments, gamma, beta, eps=epsilon)
            return outputs.permute(0, 2, 3, 1), *moments
        options = (gamma, beta, None, None, True, 0.0, epsilon)
        outputs, mean, inverse_deviation = torch.native_batch_norm(view, *options)
        variance = torch.clamp(inverse_deviation**-2 - epsilon, min=0)
        return outputs.permute(0, 2, 3, 1), mean, variance
    mean, variance = moments or keras.ops.moments(inputs, (0, 1, 2))
    outputs = keras.ops.batch_normalization(inputs, mean, variance, -1, beta, gamma, epsilon)
    return outputs, mean, variance


def layer_norm(inputs: Any, gamma: Any, beta: Any, epsilon: float, shape: Sequence[int]) -> Any:
    """Normalise each row, as `keras.ops.layer_normalization` does over the last axes.

    On torch Keras asks the inputs for what to normalise, which leaves an ONNX exporter that does
    not know the batch size without constant axes.

    Args:
        inputs: Tensor `(batch, ..., *shape)`.
        gamma: Scale `shape`, or `None`.
        beta: Offset `shape`, or `None`.
        epsilon: What is added to the variances.
        shape: Lengths of the axes that are normalised, the last ones.

    Returns:
        The normalised tensor.
    """
    if keras.backend.backend() == "torch":
        import torch

        return torch.nn.functional.layer_norm(inputs, tuple(shape), gamma, beta, epsilon)
    axes = tuple(range(-len(shape), 0))
    return keras.ops.layer_normalization(inputs, gamma, beta, axes, epsilon)


def gelu(inputs: Any) -> Any:
    """Compute the exact GELU, as `keras.ops.gelu(inputs, approximate=False)` does.

    TensorFlow computes it by `erfc`, which ONNX does not have. In half precision, which Keras does
    not export to ONNX, `1 + erf` would lose what is left of small negative results.

    Args:
        inputs: Tensor of any shape.

    Returns:
        A tensor of the same shape and dtype.
    """
    float32 = keras.backend.standardize_dtype(inputs.dtype) == "float32"
    if keras.backend.backend() != "tensorflow" or not float32:
        return keras.ops.gelu(inputs, approximate=False)
    return 0.5 * inputs * (1.0 + keras.ops.erf(inputs * 2**-0.5))

"""Operations of encoders where Keras's own fail or are slow on a backend."""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


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
    if _is_jax_on_cpu() and dtype == "float16":
        query, key, value = (keras.ops.cast(x, "float32") for x in (query, key, value))
    return keras.ops.cast(keras.ops.dot_product_attention(query, key, value), dtype)


def _is_jax_on_cpu():
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() == "cpu"


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
    on_jax = _is_jax_on_cpu()
    if tuple(kernel.shape[:3]) == (1, 1, inputs.shape[-1]) and (
        on_jax or keras.backend.backend() == "torch"
    ):
        inputs = inputs[:, :: strides[0], :: strides[1]]
        matmul = _apart(keras.ops.matmul) if on_jax else keras.ops.matmul
        return matmul(inputs, kernel[0, 0])
    if keras.backend.backend() == "torch":
        kernel = _filters_first()(keras.ops.convert_to_tensor(kernel))
    if on_jax and kernel.shape[2] == inputs.shape[-1]:
        dilation = tuple(options["dilation_rate"])
        kernel = keras.ops.convert_to_tensor(kernel)
        return _jax_conv()(inputs, kernel, tuple(strides), options["padding"], dilation)
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
    if _is_jax_on_cpu() and kernel.shape[-1] == 1 and set(options["dilation_rate"]) == {1}:
        return _jax_depthwise_conv()(inputs, kernel[..., 0], strides, options["padding"])
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


# === JAX on the CPU ===


@functools.cache
def _apart(function, static=()):
    """Keep XLA from fusing a function with what is around it.

    Its CPU compiler fuses cheap work into every reader of the result, and so computes an activation
    or a gradient anew for each tap of a kernel; optimization barriers do not stop it.
    """
    import jax
    from jax.experimental.xla_metadata import set_xla_metadata

    compiled = jax.jit(function, static_argnums=static)

    def call(*args):
        with set_xla_metadata(inlineable="false"):
            return compiled(*args)

    return call


def _back_to_maps(length, span, low, reach):
    """Padding of an axis with which a gradient, correlated with the turned kernel, has `length`.

    `span` leads from the first row of the kernel to its last, `reach` from where its corner is
    first to where it is last, and `low` is the padding of the maps.
    """
    return span - low, length - 1 - reach + low


@functools.cache
def _jax_conv():
    import jax
    from jax import lax

    order = ("NHWC", "HWIO", "NHWC")

    @functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
    def convolve(maps, kernel, strides, padding, dilation):
        return lax.conv_general_dilated(
            maps, kernel, strides, padding, rhs_dilation=dilation, dimension_numbers=order
        )

    def forward(maps, kernel, *geometry):
        return convolve(maps, kernel, *geometry), (maps, kernel)

    def backward(strides, padding, dilation, saved, gradient):
        maps, kernel = saved
        spans = [(side - 1) * rate for side, rate in zip(kernel.shape, dilation, strict=False)]
        lows = [low for low, _ in padding]
        # From the first row that a filter's corner meets to the last one.
        reaches = [
            (count - 1) * stride for count, stride in zip(gradient.shape[1:3], strides, strict=True)
        ]
        axes = list(zip(maps.shape[1:3], spans, lows, reaches, strict=True))
        to_maps = lax.conv_general_dilated(
            gradient,
            kernel[::-1, ::-1].swapaxes(2, 3),
            (1, 1),
            [_back_to_maps(*axis) for axis in axes],
            lhs_dilation=strides,
            rhs_dilation=dilation,
            dimension_numbers=order,
        )
        # What lies beyond the last step of the filters has no part; XLA pads by no less than 0.
        highs = [span + reach + 1 - length - low for length, span, low, reach in axes]
        rows, columns = (
            slice(length + min(high, 0))
            for length, high in zip(maps.shape[1:3], highs, strict=True)
        )
        to_kernel = lax.conv_general_dilated(
            maps[:, rows, columns].transpose(3, 1, 2, 0),
            gradient.transpose(1, 2, 0, 3),
            dilation,
            [(low, max(high, 0)) for low, high in zip(lows, highs, strict=True)],
            rhs_dilation=strides,
            dimension_numbers=order,
        )
        return to_maps, to_kernel.transpose(1, 2, 0, 3)

    convolve.defvjp(forward, backward)

    def conv(maps, kernel, strides, padding, dilation):
        sides = [(side - 1) * rate + 1 for side, rate in zip(kernel.shape, dilation, strict=False)]
        sizes = lax.padtype_to_pads(maps.shape[1:3], sides, strides, padding.upper())
        return convolve(maps, kernel, strides, tuple(map(tuple, sizes)), dilation)

    return conv


@functools.cache
def _jax_depthwise_conv():
    import jax
    from jax import lax

    def taps(maps, sides, strides):
        """What each place of the kernel meets, in float32."""
        spans = [
            (length - side) // stride * stride + 1
            for length, side, stride in zip(maps.shape[1:3], sides, strides, strict=True)
        ]
        for place in np.ndindex(*sides):
            rows, columns = (
                slice(start, start + span, stride)
                for start, span, stride in zip(place, spans, strides, strict=True)
            )
            yield maps[:, rows, columns].astype("float32")

    def pad(maps, rows, columns):
        sizes = ((0, 0, 0), rows, columns, (0, 0, 0))
        return lax.pad(maps, np.zeros((), maps.dtype), sizes)

    def correlate(maps, kernel, strides):
        weights = kernel.astype("float32").reshape(-1, kernel.shape[-1])
        products = map(operator.mul, taps(maps, kernel.shape[:2], strides), weights)
        return sum(products).astype(maps.dtype)

    def kernel_gradient(maps, gradient, kernel, strides):
        sums = [(tap * gradient).sum((0, 1, 2)) for tap in taps(maps, kernel.shape[:2], strides)]
        return jax.numpy.stack(sums).reshape(kernel.shape).astype(kernel.dtype)

    pad = _apart(pad, (1, 2))
    correlate = _apart(correlate, (2,))
    kernel_gradient = _apart(kernel_gradient, (3,))

    @functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
    def convolve(maps, kernel, strides, padding):
        return correlate(pad(maps, *padding), kernel, strides)

    def forward(maps, kernel, strides, padding):
        return convolve(maps, kernel, strides, padding), (maps, kernel)

    def backward(strides, padding, saved, gradient):
        maps, kernel = saved
        # Each output goes back to where it came from, through the kernel turned round.
        spread = [
            (*_back_to_maps(length, side - 1, low, (count - 1) * stride), stride - 1)
            for (low, _, _), length, side, count, stride in zip(
                padding, maps.shape[1:3], kernel.shape, gradient.shape[1:3], strides, strict=False
            )
        ]
        return (
            correlate(pad(gradient, *spread), kernel[::-1, ::-1], (1, 1)),
            kernel_gradient(pad(maps, *padding), gradient, kernel, strides),
        )

    convolve.defvjp(forward, backward)

    def depthwise_conv(maps, kernel, strides, padding):
        sizes = lax.padtype_to_pads(maps.shape[1:3], kernel.shape[:2], strides, padding.upper())
        return convolve(maps, kernel, strides, tuple((*size, 0) for size in sizes))

    return depthwise_conv

"""Operations of encoders where Keras's own fail or are slow on a backend.

`python benchmarks/fast_operations.py` measures each of them against Keras's. A function whose ratio
is 1 on every backend can be deleted.
"""

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

    There JAX's attention asks for a product that its CPU compiler does not have and fails, so that
    float32 takes its place, as in [keras-hub](https://github.com/keras-team/keras-hub/pull/2354).
    Delete when `jax.nn.dot_product_attention` takes float16 on the CPU.

    Args:
        query: Queries `(batch, tokens, heads, dim)`.
        key: Keys of the same shape.
        value: Values of the same shape.

    Returns:
        Attended values, of the same shape and dtype.

    Example:
    ```python
    tokens = keras.ops.ones((2, 5, 3, 8), "float16")
    dot_product_attention(tokens, tokens, tokens).shape  # (2, 5, 3, 8)
    ```
    """
    dtype = keras.backend.standardize_dtype(query.dtype)
    if is_jax_on_cpu() and dtype == "float16":
        query, key, value = (keras.ops.cast(x, "float32") for x in (query, key, value))
    return keras.ops.cast(keras.ops.dot_product_attention(query, key, value), dtype)


# === Operations of convolutional encoders, channels last ===


def conv(inputs: Any, kernel: Any, strides: Sequence[int], **options: Any) -> Any:
    """Convolve as `keras.ops.conv` does, without copies on torch and slow gradients on JAX's CPU.

    Torch: Keras copies every input to change its layout. A training step of a 3×3 or 1×1
    convolution takes 0.87 times Keras's, and inference of ResNet-101 1.2 and not 2.0 times timm's.
    Delete when Keras no longer copies, which it does since
    [keras#23199](https://github.com/keras-team/keras/pull/23199), merged after 3.15.1.

    JAX on the CPU: XLA computes the gradients of 1×1 convolutions slower than those of the matrix
    products that they are, and those of others slower in a loop, unless their axes are in the order
    of a forward convolution. A step of a 1×1 convolution takes 0.8 times Keras's; within the loop
    of a gradient cache Keras's takes up to a hundred times as long. Delete when
    [jax#12868](https://github.com/jax-ml/jax/issues/12868), which reports it of loops, is closed.

    Args:
        inputs: Feature maps `(batch, height, width, channels)`.
        kernel: `(height, width, channels of a group, filters)`.
        strides: Two steps, of rows and columns.
        **options: `padding` and `dilation_rate`, as in Keras.

    Returns:
        Feature maps `(batch, new_height, new_width, filters)`.

    Example:
    ```python
    maps, kernel = keras.ops.ones((2, 8, 8, 3)), keras.ops.ones((3, 3, 3, 16))
    conv(maps, kernel, (2, 2), padding="same", dilation_rate=(1, 1)).shape  # (2, 4, 4, 16)
    ```
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
    return _without_copies(keras.ops.conv, inputs, kernel, strides=strides, **options)


def depthwise_conv(inputs: Any, kernel: Any, strides: Sequence[int], **options: Any) -> Any:
    """Convolve each channel by itself, as `keras.ops.depthwise_conv` does, for the same reasons.

    Torch: as in `conv`. A training step takes 0.6 times Keras's.

    JAX on the CPU: XLA goes channel by channel, slower than sums of shifted products. A training
    step takes 0.35 times Keras's, and one of EfficientNet-Lite0 2.1 and not 13.3 s.
    [jax#13800](https://github.com/jax-ml/jax/issues/13800) reports such gradients of a GPU; no
    report of the CPU is known. Delete when the benchmark's ratio is 1.

    Args:
        inputs: Feature maps `(batch, height, width, channels)`.
        kernel: `(height, width, channels, multiplier)`.
        strides: Two steps, of rows and columns.
        **options: `padding` and `dilation_rate`, as in Keras.

    Returns:
        Feature maps `(batch, new_height, new_width, channels * multiplier)`.

    Example:
    ```python
    maps, kernel = keras.ops.ones((2, 8, 8, 3)), keras.ops.ones((3, 3, 3, 1))
    depthwise_conv(maps, kernel, (2, 2), padding="same", dilation_rate=(1, 1)).shape  # (2, 4, 4, 3)
    ```
    """
    if is_jax_on_cpu() and kernel.shape[-1] == 1 and set(options["dilation_rate"]) == {1}:
        return jax_depthwise_conv()(inputs, kernel[..., 0], strides, options["padding"])
    return _without_copies(keras.ops.depthwise_conv, inputs, kernel, strides=strides, **options)


def pool(inputs: Any, mode: str, **options: Any) -> Any:
    """Pool as `keras.ops.max_pool` and `average_pool` do, on torch without copies.

    A training step takes 0.3 times Keras's. Delete when
    [keras#23649](https://github.com/keras-team/keras/issues/23649) is closed and released.

    Args:
        inputs: Feature maps `(batch, height, width, channels)`.
        mode: `"max"` or `"average"`.
        **options: `pool_size`, `strides` and `padding`, as in Keras.

    Returns:
        Feature maps `(batch, new_height, new_width, channels)`.

    Example:
    ```python
    maps = keras.ops.ones((2, 8, 8, 3))
    pool(maps, "max", pool_size=2, strides=2, padding="valid").shape  # (2, 4, 4, 3)
    ```
    """
    operation = {"max": keras.ops.max_pool, "average": keras.ops.average_pool}[mode]
    return _without_copies(operation, inputs, **options)


def _without_copies(operation, inputs, *args, **options):
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

    A training step takes 0.5 times Keras's on torch and 0.6 on TensorFlow. Keras's own report is
    [keras-core#225](https://github.com/keras-team/keras-core/issues/225), closed without a fused
    operation. Delete when `keras.ops.batch_normalization` calls one on both backends.

    Args:
        inputs: Feature maps `(batch, height, width, channels)`, float32.
        gamma: Scale of each channel.
        beta: Offset of each channel.
        epsilon: What is added to the variances.
        moments: Mean and variance of each channel. Defaults to `None`, those of the batch.

    Returns:
        The normalised maps, and the means and (biased) variances by which they are.

    Example:
    ```python
    maps, ones = keras.ops.ones((2, 8, 8, 3)), keras.ops.ones((3,))
    normalised, mean, variance = batch_norm(maps, gamma=ones, beta=ones, epsilon=1e-3)
    mean  # [1.0, 1.0, 1.0]
    ```
    """
    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf

        # `tf.nn` has no fused form.
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=gamma,
            offset=beta,
            mean=[] if moments is None else moments[0],
            variance=[] if moments is None else moments[1],
            epsilon=epsilon,
            is_training=moments is None,
        )
        if moments is not None:
            return outputs, *moments
        # A second reader keeps TensorFlow from joining this with a ReLU that turns NaN into 0, so
        # that the loss of a broken model would look like any other.
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
    not know the batch size without the constants that it
    [needs](https://github.com/pytorch/pytorch/issues/32282): the export fails. In time it is the
    same. Delete when a `LayerNormalization` exports to ONNX from torch with a batch of any size.

    Args:
        inputs: Tensor `(batch, ..., *shape)`.
        gamma: Scale `shape`, or `None`.
        beta: Offset `shape`, or `None`.
        epsilon: What is added to the variances.
        shape: Lengths of the axes that are normalised, the last ones.

    Returns:
        The normalised tensor.

    Example:
    ```python
    rows, ones = keras.ops.reshape(keras.ops.arange(4.0), (2, 2)), keras.ops.ones((2,))
    layer_norm(rows, gamma=ones, beta=None, epsilon=1e-6, shape=(2,))  # [[-1.0, 1.0], [-1.0, 1.0]]
    ```
    """
    if keras.backend.backend() == "torch":
        import torch

        return torch.nn.functional.layer_norm(inputs, tuple(shape), gamma, beta, epsilon)
    axes = tuple(range(-len(shape), 0))
    return keras.ops.layer_normalization(inputs, gamma, beta, axes, epsilon)


def gelu(inputs: Any) -> Any:
    """Compute the exact GELU, as `keras.ops.gelu(inputs, approximate=False)` does.

    TensorFlow computes it by `erfc`, which ONNX does not have: the export fails. In half precision,
    which Keras does not export to ONNX, `1 + erf` would lose what is left of small negative
    results. Delete when [tensorflow-onnx#2463](https://github.com/onnx/tensorflow-onnx/pull/2463)
    is released.

    Args:
        inputs: Tensor of any shape.

    Returns:
        A tensor of the same shape and dtype.

    Example:
    ```python
    gelu(keras.ops.convert_to_tensor([-1.0, 0.0, 1.0]))  # [-0.159, 0.0, 0.841]
    ```
    """
    float32 = keras.backend.standardize_dtype(inputs.dtype) == "float32"
    if keras.backend.backend() != "tensorflow" or not float32:
        return keras.ops.gelu(inputs, approximate=False)
    return 0.5 * inputs * (1.0 + keras.ops.erf(inputs * 2**-0.5))

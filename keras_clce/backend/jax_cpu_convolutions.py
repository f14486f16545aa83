"""Convolutions for JAX on the CPU, whose XLA is slow at their gradients."""

import functools
import operator

import keras
import numpy as np


def is_jax_on_cpu() -> bool:
    """Whether JAX computes, and on the CPU."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() == "cpu"


@functools.cache
def not_inlined(function, static=()):
    """Keep XLA from fusing a function with what is around it.

    Its CPU compiler fuses cheap work into every reader of the result, and so computes an activation
    or a gradient anew for each tap of a kernel; optimization barriers do not stop it. No upstream
    report is known. Delete together with the convolutions below.

    Args:
        function: Function of arrays.
        static: Positions of arguments that are no arrays. Defaults to none.

    Returns:
        A function that computes the same, compiled as one piece.
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
def jax_conv():
    """A convolution whose gradients are forward convolutions."""
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
def jax_depthwise_conv():
    """A depthwise convolution by sums of shifted products."""
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

    pad = not_inlined(pad, (1, 2))
    correlate = not_inlined(correlate, (2,))
    kernel_gradient = not_inlined(kernel_gradient, (3,))

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

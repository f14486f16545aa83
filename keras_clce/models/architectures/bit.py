"""BiT: ResNetV2 with GroupNorm and standardised convolutions, for ImageNet-21k weights."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_clce import backend

_GROUPS = 32
_EPSILON = 1e-5

# === Layers ===


@keras.saving.register_keras_serializable(package="keras_clce")
class StandardizedConv2D(keras.layers.Conv2D):
    """A convolution whose kernel is standardised over each filter before it is used.

    Args:
        *args: As in `keras.layers.Conv2D`.
        **kwargs: As in `keras.layers.Conv2D`.

    Call arguments:
        inputs: Feature maps `(batch, height, width, channels)`.

    Returns:
        Feature maps `(batch, new_height, new_width, filters)`.

    Reference:
        - [Weight standardization](https://arxiv.org/abs/1903.10520)

    Example:
    ```python
    StandardizedConv2D(64, 3)(np.zeros((2, 8, 8, 3))).shape  # (2, 6, 6, 64)
    ```
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Convolve with the standardised kernel."""
        # In float32: the spread of trained kernels is near 0.01, small for half precision.
        values = ops.cast(kernel, "float32")
        mean, variance = ops.moments(values, axes=(0, 1, 2), keepdims=True)
        standard = (values - mean) * ops.rsqrt(variance + 1e-8)
        return backend.conv(
            inputs,
            ops.cast(standard, kernel.dtype),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
        )


# === Functional model ===


def big_transfer(
    images: keras.KerasTensor, blocks: Sequence[int], stochastic_depth: float = 0.0
) -> keras.KerasTensor:
    """Build the graph of a BiT ResNet of width 1, from images to a feature map.

    Args:
        images: Symbolic images `(batch, side, side, 3)`, scaled as the weights expect.
        blocks: Number of bottleneck blocks of each stage, `(3, 4, 23, 3)` for 101 layers.
        stochastic_depth: Share of the images that skip the last block in training, growing
            linearly from 0 at the first. Defaults to 0.

    Returns:
        Symbolic feature maps `(batch, side / 32, side / 32, 2048)`.

    Reference:
        - [BiT](https://arxiv.org/abs/1912.11370)

    Example:
    ```python
    images = keras.Input((224, 224, 3))
    model = keras.Model(images, big_transfer(images, blocks=(3, 4, 6, 3)))
    ```
    """
    x = _conv(images, 64, 7, "stem_conv", stride=2)
    x = keras.layers.ZeroPadding2D(1, name="stem_pad")(x)
    x = keras.layers.MaxPooling2D(3, 2, name="stem_pool")(x)
    total, number = sum(blocks), 0
    for stage, count in enumerate(blocks):
        for block in range(count):
            rate = stochastic_depth * number / max(total - 1, 1)
            stride = 2 if stage and not block else 1
            name = f"stage{stage}_block{block}"
            x = _bottleneck(x, 256 * 2**stage, stride, block == 0, rate, name)
            number += 1
    return _norm_relu(x, "norm")


def _bottleneck(x, filters, stride, project, rate, name):
    active = _norm_relu(x, f"{name}_norm1")
    if project:
        x = _conv(active, filters, 1, f"{name}_downsample", stride)
    y = _conv(active, filters // 4, 1, f"{name}_conv1")
    y = _conv(_norm_relu(y, f"{name}_norm2"), filters // 4, 3, f"{name}_conv2", stride)
    y = _conv(_norm_relu(y, f"{name}_norm3"), filters, 1, f"{name}_conv3")
    if rate:
        y = keras.layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(y)
    return keras.layers.Add(name=f"{name}_add")([x, y])


def _norm_relu(x, name):
    x = keras.layers.GroupNormalization(_GROUPS, epsilon=_EPSILON, name=name)(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _conv(x, filters, kernel_size, name, stride=1):
    if kernel_size > 1:
        # On both sides alike: "same" pads a strided convolution of an even size on one side only.
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
    return StandardizedConv2D(filters, kernel_size, strides=stride, use_bias=False, name=name)(x)

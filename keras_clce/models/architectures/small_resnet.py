"""A small ResNet for images of about 32 pixels, quick enough to train on a CPU."""

import keras
from keras import layers


def small_resnet(
    inputs: keras.KerasTensor,
    filters: tuple[int, ...] = (16, 32, 64),
    blocks: int = 2,
) -> keras.KerasTensor:
    """Connect a small ResNet to a tensor of scaled pixels.

    A 3×3 convolution of stride 2, no pooling, then one stage of basic blocks per entry of
    `filters`, each stage after the first halving the resolution.

    Args:
        inputs: Symbolic pixels, (batch, height, width, 3), about zero mean and unit range.
        filters: Channels of each stage.
        blocks: Basic blocks in each stage.

    Returns:
        The symbolic feature map, (batch, height / 8, width / 8, 64) with the defaults.

    Reference:
        [Deep Residual Learning for Image Recognition](https://arxiv.org/abs/1512.03385), §4.2.

    Example:
    ```python
    pixels = keras.Input((32, 32, 3))
    small_resnet(pixels).shape  # (None, 4, 4, 64)
    ```
    """
    # Stride 2 here instead of in the first stage quarters the cost of every later layer; 32-px
    # images of digits or thumbnails lose little, and two CPU cores then fit a run in minutes.
    x = _conv_norm(inputs, filters[0], 3, strides=2, name="stem")
    x = layers.Activation("relu", name="stem_relu")(x)
    for stage, width in enumerate(filters):
        for block in range(blocks):
            strides = 2 if stage > 0 and block == 0 else 1
            x = _basic_block(x, width, strides, name=f"stage{stage + 1}_block{block + 1}")
    return x


def _basic_block(x, filters, strides, name):
    y = _conv_norm(x, filters, 3, strides, name=f"{name}_1")
    y = layers.Activation("relu", name=f"{name}_1_relu")(y)
    y = _conv_norm(y, filters, 3, 1, name=f"{name}_2")
    if strides > 1 or x.shape[-1] != filters:
        x = _conv_norm(x, filters, 1, strides, name=f"{name}_shortcut")
    x = layers.Add(name=f"{name}_add")([x, y])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _conv_norm(x, filters, kernel_size, strides, name):
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)

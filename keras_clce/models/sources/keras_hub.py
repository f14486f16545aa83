"""Image backbones of keras-hub: `hub:PRESET`, at any size, to one feature map or vector."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_clce.checks import import_module
from keras_clce.models.checkpoints.positions import resample_positions
from keras_clce.models.checkpoints.tensors import in_one_line
from keras_clce.models.graphs import check_features, plain_model
from keras_clce.models.pixels import UNSCALED, Statistics, pixel_input, scale_pixels
from keras_clce.models.presets import check_config, from_preset
from keras_clce.models.spec import Source, foreign_spec
from keras_clce.models.weights import refuse_weights

_PREFIX = "hub:"
# Encoders that give tokens: keras-hub's own classifiers take the first of them, or their mean.
_CLASS_TOKEN = ("ViTBackbone", "DeiTBackbone")
_NO_CLASS_TOKEN = ("SwinTransformerBackbone",)


def _spec(name, find_row):
    return foreign_spec(name, "hub", _preset_pixels(name.removeprefix(_PREFIX)) or UNSCALED)


def _build(name, image_size, weights):
    return build_preset(name.removeprefix(_PREFIX), image_size)


def build_preset(
    preset: str,
    image_size: int,
    name: str | None = None,
    pixels: Statistics | None = None,
    expected: dict[str, Any] | None = None,
    interpolation: str = "bilinear",
) -> keras.Model:
    """Build an image backbone from a keras-hub preset.

    Args:
        preset: Name of a preset, address, or local folder (keras-hub's own or timm's format).
        image_size: Height and width of the images in pixels.
        name: Name of the model; None keeps the preset's.
        pixels: `(mean, std)` to use where the preset has no image converter.
        expected: Entries that the backbone's configuration must have.
        interpolation: How images are resized for it. Defaults to "bilinear".

    Returns:
        A `keras.Model` on pixels from 0 to 255, to what `pooled_features` gives. Layers of
        keras-hub's own stay in it, so where the architecture has such, loading a saved model
        needs `import keras_hub`.

    Raises:
        ValueError: If the preset is unknown, is no image backbone, is another architecture, or
            does not go with the image size.
        ConnectionError: If it has to be downloaded and cannot be.

    Example:
    ```python
    build_preset("hub_folder", 64).output_shape  # (None, 16, 16, 64)
    ```
    """
    models = import_module("keras_hub.models", "An image backbone of keras-hub", "keras-hub")
    backbone = from_preset(models.Backbone.from_preset, preset)
    check_config(backbone, expected or {}, preset)
    if not isinstance(backbone.input, keras.KerasTensor) or len(backbone.input.shape) != 4:
        raise ValueError(
            "The preset must be an image backbone with one input, (batch, height, width, 3). "
            f"Received: preset={preset!r} with input={backbone.input}"
        )
    backbone = at_size(backbone, image_size, preset)
    mean, std = _preset_pixels(preset) or pixels or UNSCALED
    inputs = pixel_input(image_size, interpolation)
    outputs = pooled_features(backbone, scale_pixels(inputs, mean, std))
    check_features(outputs, f"preset={preset!r}")
    return plain_model(inputs, outputs, name or backbone.name)


def _preset_pixels(preset):
    layers = import_module("keras_hub.layers", "An image backbone of keras-hub", "keras-hub")
    try:
        converter = from_preset(layers.ImageConverter.from_preset, preset)
    except (ValueError, FileNotFoundError):  # keras-hub's answers where there is no converter
        if Path(preset, "image_converter.json").is_file():
            raise
        return None
    if converter is None:
        return None
    scale = np.broadcast_to(np.asarray(converter.scale or 1.0, "float64"), 3)
    offset = np.broadcast_to(np.asarray(converter.offset or 0.0, "float64"), 3)
    return tuple((-offset / scale).tolist()), tuple((1.0 / scale).tolist())


def at_size(backbone: keras.Model, image_size: int, preset: str) -> keras.Model:
    """Build a backbone of keras-hub for another image size, with the same weights.

    Args:
        backbone: What `keras_hub.models.Backbone.from_preset` gave.
        image_size: Height and width of the images in pixels.
        preset: Where it came from, for the message.

    Returns:
        The backbone itself where it takes the size; otherwise another, a ViT's positions
        resampled as timm does.

    Raises:
        ValueError: If the architecture cannot have that size.

    Example:
    ```python
    import keras_hub
    backbone = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3),
        patch_size=16,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=16,
    )
    at_size(backbone, 96, "my backbone").input_shape  # (None, 96, 96, 3)
    ```
    """
    if backbone.input.shape[1] in (None, image_size):
        return backbone
    config = {**backbone.get_config(), "image_shape": (image_size, image_size, 3)}
    try:
        other = type(backbone).from_config(config)
        values = []
        for old, new in zip(backbone.weights, other.weights, strict=True):
            value = keras.ops.convert_to_numpy(old)
            if new.path.endswith("position_embedding/embeddings"):
                value = resample_positions(value, new.shape[0])[0]
            values.append(value)
        other.set_weights(values)
    except (TypeError, ValueError) as error:  # each architecture's own checks
        raise ValueError(
            f"`image_size` must suit the preset, which is for {backbone.input.shape[1]} px "
            f"({in_one_line(error)}). Received: image_size={image_size}, preset={preset!r}"
        ) from error
    return other


def pooled_features(backbone: keras.Model, images: keras.KerasTensor) -> keras.KerasTensor:
    """Apply a backbone of keras-hub, and pool its tokens as keras-hub's own classifier does.

    Args:
        backbone: The backbone.
        images: Symbolic images (batch, height, width, 3), scaled as its weights expect.

    Returns:
        What the backbone gives; for ViT and DeiT the class token, (batch, dim), and for Swin the
        mean of the tokens.

    Example:
    ```python
    import keras_hub
    backbone = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3),
        patch_size=16,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=16,
    )
    pooled_features(backbone, keras.Input((32, 32, 3))).shape  # (None, 8)
    ```
    """
    kind = type(backbone).__name__
    if kind not in _CLASS_TOKEN + _NO_CLASS_TOKEN:
        return backbone.call(images)
    # Layers of these cannot be made again from their configurations; the whole backbone can.
    tokens = backbone(images)
    if kind in _NO_CLASS_TOKEN or not getattr(backbone, "use_class_token", True):
        return keras.layers.GlobalAveragePooling1D(name="pooled")(tokens)
    token = keras.layers.Cropping1D((0, tokens.shape[1] - 1), name="class_token")(tokens)
    return keras.layers.Flatten(name="pooled")(token)


SOURCE = Source(
    form="'hub:PRESET' (an image backbone of keras-hub: preset name, address or local folder)",
    prefix=_PREFIX,
    spec=_spec,
    check=refuse_weights,
    build=_build,
    is_trained=lambda name: True,
)

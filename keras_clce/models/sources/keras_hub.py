"""Image backbones of keras-hub: `hub:PRESET`, at any size, to one feature map or vector."""

from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from keras_clce.checks import import_module
from keras_clce.models.checkpoints.positions import resample_positions
from keras_clce.models.checkpoints.preprocessing import published_preprocessing
from keras_clce.models.checkpoints.tensors import in_one_line
from keras_clce.models.graphs import check_features, plain_model
from keras_clce.models.hub_encoders import (
    hub_kind,
    image_input,
    image_tower,
    pooled_features,
)
from keras_clce.models.pixels import UNSCALED, Statistics, pixel_input, scale_pixels
from keras_clce.models.presets import check_config, from_preset
from keras_clce.models.spec import Source, foreign_spec
from keras_clce.models.weights import refuse_weights

_PREFIX = "hub:"


def _spec(name, find_row):
    preset = name.removeprefix(_PREFIX)
    kind = hub_kind(preset)
    known = {"interpolation": kind.interpolation, "licence": kind.licence} if kind else {}
    return foreign_spec(name, "hub", _preset_pixels(preset) or UNSCALED, **known)


def _build(name, image_size, weights):
    preset = name.removeprefix(_PREFIX)
    kind = hub_kind(preset)
    return build_preset(
        preset, image_size, interpolation=kind.interpolation if kind else "bilinear"
    )


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
        needs keras-hub installed.

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
    tower = image_tower(backbone)
    if image_input(tower) is None:
        raise ValueError(
            "The preset must be an image backbone with one input, (batch, height, width, 3). "
            f"Received: preset={preset!r} with input={tower.input}"
        )
    tower = at_size(tower, image_size, preset)
    mean, std = _preset_pixels(preset) or pixels or UNSCALED
    inputs = pixel_input(image_size, interpolation)
    outputs = pooled_features(tower, scale_pixels(inputs, mean, std))
    # MetaCLIP 2 keeps the norm of its class token beside the tower.
    norm = getattr(backbone, "vision_post_layer_norm", None)
    outputs = outputs if norm is None else norm(outputs)
    check_features(outputs, f"preset={preset!r}")
    return plain_model(inputs, outputs, name or tower.name)


def _preset_pixels(preset):
    layers = import_module("keras_hub.layers", "An image backbone of keras-hub", "keras-hub")
    try:
        converter = from_preset(layers.ImageConverter.from_preset, preset)
    except (ValueError, FileNotFoundError):  # keras-hub's answers where there is no converter
        if Path(preset, "image_converter.json").is_file():
            raise
        converter = None
    if converter is None:
        return _known_pixels(preset)
    scale = np.broadcast_to(np.asarray(converter.scale or 1.0, "float64"), 3)
    offset = np.broadcast_to(np.asarray(converter.offset or 0.0, "float64"), 3)
    return tuple((-offset / scale).tolist()), tuple((1.0 / scale).tolist())


def _known_pixels(preset):
    """What lies beside a folder of Hugging Face's, or all encoders of a kind have."""
    published = published_preprocessing(Path(preset))
    if "mean" in published:
        return published["mean"], published["std"]
    kind = hub_kind(preset)
    return kind.pixels if kind else None


def at_size(backbone: keras.Model, image_size: int, preset: str) -> keras.Model:
    """Build a backbone of keras-hub for another image size, with the same weights.

    Args:
        backbone: What `keras_hub.models.Backbone.from_preset` gave.
        image_size: Height and width of the images in pixels.
        preset: Where it came from, for the message.

    Returns:
        The backbone itself where it takes the size; otherwise another, its positions resampled: a
        ViT's as timm does, those of DINOv2, CLIP and SigLIP as Hugging Face's library does.
        A token that only pre-training used is left out.

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
    own_size = cast(keras.KerasTensor, image_input(backbone)).shape[1]
    masked = getattr(backbone, "use_mask_token", False)
    if own_size in (None, image_size) and not masked:
        return backbone
    config = {**backbone.get_config(), "image_shape": (image_size, image_size, 3)}
    if masked:
        config["use_mask_token"] = False
    try:
        patch = getattr(backbone, "patch_size", 1)
        if isinstance(patch, int) and image_size % patch:
            raise ValueError(f"a multiple of the patch size {patch} is wanted")
        other = type(backbone).from_config(config)
        kept = [weight for weight in backbone.weights if weight.name != "mask_token"]
        values = [
            _fitted(old, new, kept, backbone) for old, new in zip(kept, other.weights, strict=True)
        ]
        other.set_weights(values)
    except (TypeError, ValueError) as error:  # each architecture's own checks
        raise ValueError(
            f"`image_size` must suit the preset, which is for {own_size} px "
            f"({in_one_line(error)}). Received: image_size={image_size}, preset={preset!r}"
        ) from error
    return other


def _fitted(old, new, weights, backbone):
    """The value of a weight at another image size."""
    if new.path.endswith("position_ids"):
        return np.arange(new.shape[-1])[None]
    if new.name == "interpolated_position_embeddings" and old.shape != new.shape:
        table = next(weight for weight in weights if weight.name == "position_embeddings")
        antialias = backbone.antialias_in_interpolation
        return resample_positions(_array(table), new.shape[1], antialias=antialias)
    value = _array(old)
    if new.path.endswith("position_embedding/embeddings"):
        kind = type(backbone).__name__
        rows = 0 if kind == "SigLIPVisionEncoder" else 1
        antialias = "VisionEncoder" not in kind
        return resample_positions(value, new.shape[0], rows, antialias)[0]
    return value


def _array(weight):
    return keras.ops.convert_to_numpy(weight)


SOURCE = Source(
    form="'hub:PRESET' (an image backbone of keras-hub: preset name, address or local folder)",
    prefix=_PREFIX,
    spec=_spec,
    check=refuse_weights,
    build=_build,
    is_trained=lambda name: True,
)

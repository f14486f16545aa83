"""Image encoders of keras-hub: what is known of each kind, the image tower, and its pooling."""

import dataclasses
import json
import re
from pathlib import Path

import keras

from keras_clce.models.pixels import CLIP, IMAGENET, SIGNED, Statistics

DINOV3_LICENCE = "DINOv3 License (ai.meta.com/resources/models-and-libraries/dinov3-license)"
NON_COMMERCIAL = "CC-BY-NC-4.0"


@dataclasses.dataclass(frozen=True)
class HubKind:
    """What all presets of a kind of encoder share, whether or not they say so.

    Args:
        pixels: Mean and standard deviation of the pixels.
        interpolation: How images were resized. Defaults to `"bicubic"`.
        licence: Licence of the weights. Defaults to `"its own"`.
    """

    pixels: Statistics
    interpolation: str = "bicubic"
    licence: str = "its own"


# By what occurs in the name of a preset, or in its `config.json`; the first that does.
_KINDS = {
    r"dinov3": HubKind(IMAGENET, licence=DINOV3_LICENCE),
    r"dinov2": HubKind(IMAGENET, licence="Apache-2.0"),
    r"siglip2": HubKind(SIGNED, "bilinear", "Apache-2.0"),
    r"siglip": HubKind(SIGNED, licence="Apache-2.0"),
    r"meta_?clip[-_]?2": HubKind(CLIP, licence=NON_COMMERCIAL),
    r"clip_?vit|clipbackbone|clipvision|openai/clip|\"clip": HubKind(CLIP, licence="MIT"),
}
# Encoders that give tokens: their own classifiers and papers take the first, or the mean.
_CLASS_TOKEN: tuple[str, ...] = ("ViTBackbone", "DeiTBackbone", "DINOV2Backbone", "DINOV3Backbone")
_CLASS_TOKEN += ("CLIPVisionEncoder", "MetaCLIP2VisionEncoder")
_NO_CLASS_TOKEN = ("SwinTransformerBackbone",)
# These give a vector, by attention over the tokens.
_POOLED = ("SigLIPVisionEncoder",)


def hub_kind(preset: str) -> HubKind | None:
    """Tell what is known of a preset's kind, without downloading it.

    Args:
        preset: Name, address or local folder.

    Returns:
        What is known, or `None` for other kinds.

    Example:
    ```python
    hub_kind("dinov3_vit_small_lvd1689m").licence[:14]  # "DINOv3 License"
    ```
    """
    text = preset
    if Path(preset).is_dir():
        text = _config_words(Path(preset))
    return next((kind for mark, kind in _KINDS.items() if re.search(mark, text.lower())), None)


def _config_words(folder):
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        words = [str(config.get(key, "")) for key in ("class_name", "model_type", "_name_or_path")]
    except (OSError, ValueError, AttributeError):
        return ""  # whose reader says what is wrong
    return " ".join(f'"{word}' for word in words)


def image_tower(backbone: keras.Model) -> keras.Model:
    """Take the part of a backbone of keras-hub that sees the images.

    Args:
        backbone: A backbone; of images and texts, as CLIP's, or of images alone.

    Returns:
        Its image encoder, or the backbone itself.

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
    image_tower(backbone) is backbone  # True
    ```
    """
    tower = getattr(backbone, "vision_encoder", None)
    return tower if isinstance(tower, keras.Model) else backbone


def image_input(tower: keras.Model) -> keras.KerasTensor | None:
    """Find the one input of an image encoder.

    Args:
        tower: An encoder.

    Returns:
        Its input, or `None` where it has several, or one that is no batch of images.

    Example:
    ```python
    images = keras.Input((32, 32, 3))
    encoder = keras.Model(images, keras.layers.Flatten()(images))
    image_input(encoder).shape  # (None, 32, 32, 3)
    ```
    """
    inputs = keras.tree.flatten(tower.input)
    return inputs[0] if len(inputs) == 1 and len(inputs[0].shape) == 4 else None


def pooled_features(tower: keras.Model, images: keras.KerasTensor) -> keras.KerasTensor:
    """Apply an image encoder of keras-hub, and pool its tokens as its own users do.

    Args:
        tower: The encoder.
        images: Symbolic images (batch, height, width, 3), scaled as its weights expect.

    Returns:
        What the encoder gives; for ViT, DeiT, DINOv2, DINOv3 and CLIP the class token, (batch,
        dim), for SigLIP its attention pooling, and for Swin the mean of the tokens.

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
    kind = type(tower).__name__
    if kind not in _CLASS_TOKEN + _NO_CLASS_TOKEN + _POOLED:
        return tower.call(images)
    # Layers of these cannot be made again from their configurations; the whole encoder can.
    names = tower.input.keys() if isinstance(tower.input, dict) else ()
    outputs = tower({name: images for name in names} or images)
    if kind in _POOLED:
        return outputs
    if kind in _NO_CLASS_TOKEN or not getattr(tower, "use_class_token", True):
        return keras.layers.GlobalAveragePooling1D(name="pooled")(outputs)
    # Register tokens stand behind it, and go with the patches.
    token = keras.layers.Cropping1D((0, outputs.shape[1] - 1), name="class_token")(outputs)
    return keras.layers.Flatten(name="pooled")(token)


def number_positions(tower: keras.Model) -> None:
    """Fill the tables of position numbers that some encoders of keras-hub load from their weights.

    Args:
        tower: The encoder; changed in place.
    """
    for weight in tower.weights:
        if weight.path.endswith("position_ids"):
            count = keras.ops.arange(weight.shape[-1], dtype=weight.dtype)
            weight.assign(keras.ops.reshape(count, weight.shape))

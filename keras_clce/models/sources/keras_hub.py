"""Bring image backbones of keras-hub to an image size, and to one feature map or vector."""

import keras

from keras_clce.models.checkpoints.layouts import resample_positions
from keras_clce.models.checkpoints.tensors import in_one_line

# Encoders that give tokens: keras-hub's own classifiers take the first of them, or their mean.
_CLASS_TOKEN = ("ViTBackbone", "DeiTBackbone")
_NO_CLASS_TOKEN = ("SwinTransformerBackbone",)


def at_size(backbone: keras.Model, image_size: int, preset: str) -> keras.Model:
    """Build a backbone of keras-hub for another image size, with the same weights.

    Args:
        backbone: what `keras_hub.models.Backbone.from_preset` gave.
        image_size: height and width of the images in pixels.
        preset: where it came from, for the message.

    Returns:
        The backbone itself where it takes the size; otherwise another, a ViT's positions
        resampled as timm does.

    Raises:
        ValueError: if the architecture cannot have that size.

    Example:
        >>> at_size(Backbone.from_preset("vit_base_patch16_224_imagenet"), 96, "…").input_shape
        (None, 96, 96, 3)
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
        backbone: the backbone.
        images: symbolic images (batch, height, width, 3), scaled as its weights expect.

    Returns:
        What the backbone gives; for ViT and DeiT the class token, (batch, dim), and for Swin the
        mean of the tokens.

    Example:
        >>> pooled_features(Backbone.from_preset("vit_base_patch16_224_imagenet"), images).shape
        (None, 768)
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

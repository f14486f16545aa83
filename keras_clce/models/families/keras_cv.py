"""Encoders of keras-cv, made plain graphs of Keras's own layers: what families of it share.

The library is no longer developed; of all of `models/` this file alone knows it.
"""

from pathlib import Path
from typing import Any

import keras

from keras_clce.checks import import_module
from keras_clce.models.graphs import plain_model
from keras_clce.models.pixels import pixel_input, scale_pixels
from keras_clce.models.presets import check_config, from_preset
from keras_clce.models.spec import Row
from keras_clce.models.weights import KAGGLE_ADDRESS, PublicWeights, Weights


def preset_weights(preset: str | None) -> Weights:
    """Describe the weights of an encoder that reads keras-cv's presets.

    Args:
        preset: Name of the public one, or `None`.

    Returns:
        The description.
    """
    return Weights(
        imagenet=PublicWeights(preset, "keras-cv preset") if preset else None,
        folders=("keras-cv preset",),
        addresses=(KAGGLE_ADDRESS,),
    )


def build_keras_cv(
    row: Row,
    image_size: int,
    weights: str | Path | None,
    class_name: str,
    arguments: dict[str, Any],
    **common: Any,
) -> keras.Model:
    """Build a backbone of keras-cv from its arguments or a preset.

    Args:
        row: The encoder.
        image_size: Height and width of the images in pixels.
        weights: `None`, `"imagenet"`, or the folder or address of a preset.
        class_name: Name of the class in `keras_cv.models`.
        arguments: What tells the architecture, which a preset of one's own must have.
        **common: Further arguments, which a preset takes as well.

    Returns:
        The model that `build_backbone` describes.

    Raises:
        ImportError: If keras-cv is not installed.
        ValueError: If the preset is of another architecture.
        ConnectionError: If it has to be downloaded and cannot be.
    """
    # It imports TensorFlow whatever the backend, and does not require it.
    models = import_module("keras_cv.models", row.spec.name, "keras-cv tensorflow")
    cls = getattr(models, class_name)
    # The pixel layer is ours, in float32, for every family alike. keras-cv pads by the size that it
    # is built for, so it is built for this one, odd or even.
    common |= {"include_rescaling": False, "input_shape": (image_size, image_size, 3)}
    if weights is None:
        backbone = cls(**arguments, **common)
    elif weights == "imagenet":
        backbone = from_preset(cls.from_preset, row.weights.public_address, **common)
    else:
        backbone = from_preset(cls.from_preset, str(weights), **common)
        check_config(backbone, arguments, str(weights))
    return _inlined(backbone, row.spec, image_size)


def _inlined(backbone, spec, image_size):
    """Inline a keras-cv backbone, which is a graph of stock layers and of blocks of them."""
    layers = import_module("keras_cv.layers", spec.name, "keras-cv tensorflow")
    blocks = (layers.MBConvBlock, layers.FusedMBConvBlock)
    pixels = pixel_input(image_size, spec.interpolation)
    scaled = scale_pixels(pixels, spec.mean, spec.std)
    if any(isinstance(layer, blocks) for layer in backbone.layers):
        # EfficientNetV2 is a chain; `call` on a symbolic tensor traces what is inside a block.
        x = scaled
        for layer in backbone.layers[1:]:
            x = layer.call(x) if isinstance(layer, blocks) else layer(x)
    else:
        x = backbone.call(scaled)
    return plain_model(pixels, x, spec.name)

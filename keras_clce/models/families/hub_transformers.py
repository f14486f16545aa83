"""What families of keras-hub's Vision Transformers share: how they are built, and their rows."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_clce.checks import import_module
from keras_clce.models.checkpoints.layouts import Layout
from keras_clce.models.checkpoints.tensors import FOLDER_FILES
from keras_clce.models.from_checkpoint import build_from_checkpoint
from keras_clce.models.hub_encoders import number_positions, pooled_features
from keras_clce.models.pixels import Statistics
from keras_clce.models.spec import DepthGroups, Row, make_row
from keras_clce.models.weights import HF_ADDRESS, TENSOR_FILES, PublicWeights, Weights

LEAVES = {"kernel": ".weight", "bias": ".bias", "gamma": ".weight", "beta": ".bias"}

# keras-hub puts the encoder's name before those of its layers.
DEPTH_GROUPS = DepthGroups(
    stem=r"(?:\w+_)?(?:embeddings?|pre_layer_norm)",
    block=r"(?:\w+_)?(?:encoder/layers|encoder_block)_(\d+)",
)


def build(
    row: Row,
    image_size: int,
    weights: str | Path | None,
    *,
    tower: str,
    settings: dict[str, Any],
    settings_of: Callable[..., dict[str, Any]] | None = None,
    **sizes: Any,
) -> keras.Model:
    """Build an image encoder of keras-hub; `weights` is a file or folder of Hugging Face's.

    Args:
        row: The encoder.
        image_size: Height and width of the images in pixels.
        weights: As in `build_backbone`.
        tower: Name of the class in `keras_hub.models`.
        settings: Its arguments that a file of weights may change.
        settings_of: As in `build_from_checkpoint`. Defaults to `None`.
        **sizes: Its other arguments.

    Returns:
        The model that `build_backbone` describes.

    Raises:
        ValueError: If the patches do not divide the images.
    """
    patch = sizes["patch_size"]
    if image_size % patch:
        raise ValueError(
            f"`image_size` must be a multiple of the patch size, {patch} px. "
            f"Received: image_size={image_size}"
        )

    def graph(images, **changed):
        models = import_module("keras_hub.models", row.spec.name, "keras-hub")
        shape = (image_size, image_size, 3)
        if tower == "DINOV2Backbone":
            # Files are resampled when they are read, so that nothing is left to interpolate.
            changed = {**changed, "position_embedding_shape": shape}
        encoder = getattr(models, tower)(**sizes, **changed, image_shape=shape, name="tower")
        number_positions(encoder)
        return pooled_features(encoder, images)

    return build_from_checkpoint(row, image_size, weights, graph, settings, settings_of)


def make_hub_row(
    name: str,
    family: str,
    tower: str,
    imagenet: str,
    widths: tuple[int, int, int, int],
    patch_size: int,
    parameters: float,
    *,
    layouts: tuple[Layout, ...],
    pixels: Statistics,
    interpolation: str = "bicubic",
    licence: str = "Apache-2.0",
    image_size: int = 224,
    settings: dict[str, Any] | None = None,
    settings_of: Callable[..., dict[str, Any]] | None = None,
    **sizes: Any,
) -> Row:
    """Make the row of a Vision Transformer of keras-hub.

    Args:
        name: As in `BackboneSpec`, and so are `family`, `parameters`, `interpolation`, `licence`
            and `image_size`.
        family: See `name`.
        tower: As in `build`, and so are `settings`, `settings_of` and `sizes`.
        imagenet: Address of the public weights.
        widths: Dimension of the tokens, blocks, heads, and dimension inside the MLP.
        patch_size: Side of a patch in pixels.
        parameters: See `name`.
        layouts: How files name the tensors.
        pixels: Mean and standard deviation of the pixels.
        interpolation: See `name`. Defaults to `"bicubic"`.
        licence: See `name`. Defaults to `"Apache-2.0"`.
        image_size: See `name`. Defaults to 224.
        settings: See `tower`. Defaults to none.
        settings_of: See `tower`. Defaults to `None`.
        **sizes: See `tower`.

    Returns:
        The row.
    """
    hidden_dim, num_layers, num_heads, intermediate_dim = widths
    return make_row(
        name,
        family,
        functools.partial(build, tower=tower, settings=settings or {}, settings_of=settings_of),
        image_size,
        parameters,
        sizes={
            "patch_size": patch_size,
            "hidden_dim": hidden_dim,
            "num_layers": num_layers,
            "num_heads": num_heads,
            "intermediate_dim": intermediate_dim,
            **sizes,
        },
        pixels=pixels,
        interpolation=interpolation,
        weights=Weights(
            imagenet=PublicWeights(imagenet),
            files=TENSOR_FILES,
            folders=FOLDER_FILES,
            addresses=(HF_ADDRESS,),
            licence=licence,
        ),
        layouts=layouts,
        depth_groups=DEPTH_GROUPS,
    )

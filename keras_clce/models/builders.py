"""How each family of the registry is built: explicit arguments, public weights, pixel layer.

Every builder takes `(spec, image_size, weights)` and its own sizes, and returns the model that
`build_backbone` describes. keras-cv and keras-hub are imported inside, since they take seconds.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras

from keras_clce.models.architectures.bit import big_transfer
from keras_clce.models.architectures.small_resnet import small_resnet
from keras_clce.models.architectures.vit import vision_transformer
from keras_clce.models.checkpoints.google_npz import GOOGLE_BIT, GOOGLE_VIT
from keras_clce.models.checkpoints.hugging_face_vit import HUGGING_FACE_EPSILON, HUGGING_FACE_VIT
from keras_clce.models.checkpoints.layouts import (
    Layout,
    find_layout,
    load_checkpoint,
    load_layout,
)
from keras_clce.models.checkpoints.official_beit3 import OFFICIAL_BEIT3
from keras_clce.models.checkpoints.preprocessing import (
    KERAS_SUFFIX,
    load_weights_file,
    local_weights,
    published_preprocessing,
)
from keras_clce.models.checkpoints.tensors import folder_config, read_tensors
from keras_clce.models.checkpoints.timm_bit import TIMM_BIT
from keras_clce.models.checkpoints.timm_resnet import TIMM_RESNET
from keras_clce.models.checkpoints.timm_vit import TIMM_VIT
from keras_clce.models.families import efficientnet_lite as lite_checkpoints
from keras_clce.models.graphs import AS_PUBLISHED, pixel_input, plain_model, scale_pixels
from keras_clce.models.sources.applications import build_hub, check_config, from_preset

if TYPE_CHECKING:  # the registry imports this module
    from keras_clce.models.registry import BackboneSpec


class Stages(NamedTuple):
    """Stem channels, then channels and repeats of each stage of an EfficientNetV2, unscaled."""

    stem: int
    filters: list[int]
    repeats: list[int]


def small_resnet_backbone(
    spec: "BackboneSpec",
    image_size: int,
    weights: str | Path | None,
) -> keras.Model:
    """Build the small ResNet for 32-px images; it has no public weights."""
    pixels = pixel_input(image_size, spec.interpolation)
    features = small_resnet(scale_pixels(pixels, spec.mean, spec.std))
    return plain_model(pixels, features, spec.name)


def efficientnet_lite_backbone(
    spec: "BackboneSpec",
    image_size: int,
    weights: str | Path | None,
    *,
    width: float,
    depth: float,
) -> keras.Model:
    """Build an EfficientNet-Lite of keras-cv; `weights` is "imagenet" or a `.pth` file."""
    path = lite_checkpoints.checkpoint_path(spec.name) if weights == "imagenet" else weights
    from keras_cv.models import EfficientNetLiteBackbone

    # keras-cv pads by the size it is built for, so it is built for this one, odd or even.
    backbone = EfficientNetLiteBackbone(
        stackwise_kernel_sizes=[3, 3, 5, 3, 5, 5, 3],
        stackwise_num_repeats=[1, 2, 2, 3, 3, 4, 1],
        stackwise_input_filters=[32, 16, 24, 40, 80, 112, 192],
        stackwise_output_filters=[16, 24, 40, 80, 112, 192, 320],
        stackwise_expansion_ratios=[1, 6, 6, 6, 6, 6, 6],
        stackwise_strides=[1, 2, 2, 2, 1, 2, 1],
        width_coefficient=width,
        depth_coefficient=depth,
        drop_connect_rate=0.0,
        include_rescaling=False,
        input_shape=(image_size, image_size, 3),
    )
    model = _from_keras_cv(backbone, spec, image_size)
    if path is not None:
        lite_checkpoints.load_efficientnet_lite(model, path)
    return model


def _from_keras_cv(backbone, spec, image_size):
    """Inline a keras-cv backbone, which is a graph of stock layers and of blocks of them."""
    from keras_cv.layers import FusedMBConvBlock, MBConvBlock

    pixels = pixel_input(image_size, spec.interpolation)
    scaled = scale_pixels(pixels, spec.mean, spec.std)
    if any(isinstance(layer, (MBConvBlock, FusedMBConvBlock)) for layer in backbone.layers):
        # EfficientNetV2 is a chain; `call` on a symbolic tensor traces what is inside a block.
        x = scaled
        for layer in backbone.layers[1:]:
            block = isinstance(layer, (MBConvBlock, FusedMBConvBlock))
            x = layer.call(x) if block else layer(x)
    else:
        x = backbone.call(scaled)
    return plain_model(pixels, x, spec.name)


def _keras_cv_backbone(cls, arguments, image_size, weights, preset, **common):
    """Build a keras-cv backbone from its arguments, or from a preset (public or a folder)."""
    # The pixel layer is ours, in float32, for every family alike.
    common |= {"include_rescaling": False, "input_shape": (image_size, image_size, 3)}
    if weights is None:
        return cls(**arguments, **common)
    if weights == "imagenet":
        return from_preset(cls.from_preset, preset, **common)
    backbone = from_preset(cls.from_preset, str(weights), **common)
    check_config(backbone, arguments, str(weights))
    return backbone


def resnet_backbone(
    spec: "BackboneSpec",
    image_size: int,
    weights: str | Path | None,
    *,
    version: int,
    blocks: list[int],
    block_type: str,
    preset: str | None,
) -> keras.Model:
    """Build a ResNet V1 or V2 of keras-cv; `weights` is "imagenet" or a preset's folder."""
    from keras_cv.models import ResNetBackbone, ResNetV2Backbone

    arguments = {
        "stackwise_filters": [64, 128, 256, 512],
        "stackwise_blocks": blocks,
        "stackwise_strides": [1, 2, 2, 2],
        "block_type": block_type,
    }
    cls = ResNetBackbone if version == 1 else ResNetV2Backbone
    backbone = _keras_cv_backbone(cls, arguments, image_size, weights, preset)
    return _from_keras_cv(backbone, spec, image_size)


def efficientnetv2_backbone(
    spec: "BackboneSpec",
    image_size: int,
    weights: str | Path | None,
    *,
    stages: Stages,
    width: float,
    depth: float,
    preset: str | None,
) -> keras.Model:
    """Build an EfficientNetV2 of keras-cv; `weights` is "imagenet" or a preset's folder."""
    from keras_cv.models import EfficientNetV2Backbone

    count = len(stages.repeats)
    arguments = {
        "stackwise_kernel_sizes": [3] * count,
        "stackwise_num_repeats": stages.repeats,
        "stackwise_input_filters": [stages.stem, *stages.filters[:-1]],
        "stackwise_output_filters": stages.filters,
        "stackwise_expansion_ratios": [1, 4, 4, 4, 6, 6, 6][:count],
        "stackwise_squeeze_and_excite_ratios": [0.0, 0.0, 0.0, 0.25, 0.25, 0.25, 0.25][:count],
        "stackwise_strides": [1, 2, 2, 2, 1, 2, 1][:count],
        "stackwise_conv_types": ["fused"] * 3 + ["unfused"] * (count - 3),
        "width_coefficient": width,
        "depth_coefficient": depth,
    }
    backbone = _keras_cv_backbone(
        EfficientNetV2Backbone, arguments, image_size, weights, preset, skip_connection_dropout=0.0
    )
    return _from_keras_cv(backbone, spec, image_size)


def hub_resnet_backbone(
    spec: "BackboneSpec",
    image_size: int,
    weights: str | Path | None,
    *,
    blocks: list[int],
    preset: str,
) -> keras.Model:
    """Build a ResNet of keras-hub, with timm's layout; `weights`: "imagenet", preset or file."""
    from keras_hub.models import ResNetBackbone

    arguments = {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [7],
        "stackwise_num_filters": [64, 128, 256, 512],
        "stackwise_num_blocks": blocks,
        "stackwise_num_strides": [1, 2, 2, 2],
        "block_type": "bottleneck_block",
        "use_pre_activation": False,
    }
    statistics, interpolation = (spec.mean, spec.std), spec.interpolation
    from_file = weights is not None and Path(weights).is_file()
    if weights is not None and not from_file:
        source = preset if weights == "imagenet" else str(weights)
        interpolation = published_preprocessing(Path(source)).get("interpolation", interpolation)
        return build_hub(source, image_size, spec.name, statistics, arguments, interpolation)
    pixels = pixel_input(image_size, interpolation)
    backbone = ResNetBackbone(**arguments, image_shape=(image_size, image_size, 3))
    features = backbone.call(scale_pixels(pixels, *statistics))
    model = plain_model(pixels, features, spec.name)
    if from_file and str(weights).endswith(KERAS_SUFFIX):
        load_weights_file(model, Path(weights))
    elif from_file:
        load_checkpoint(model, weights, RESNET_LAYOUTS)
    return model


# What each family's weights may be saved as.
RESNET_LAYOUTS = (TIMM_RESNET,)
BIT_LAYOUTS = (TIMM_BIT, GOOGLE_BIT)
VIT_LAYOUTS = (TIMM_VIT, HUGGING_FACE_VIT, GOOGLE_VIT)
BEIT3_LAYOUTS = (TIMM_VIT, OFFICIAL_BEIT3)

_POOLED_PATCHES = {"final_norm": False, "pool": "mean", "fc_norm": True}
_VIT = {"epsilon": 1e-6, "sub_norm": False, "final_norm": True, "pool": "token", "fc_norm": False}
_BEIT3 = {"epsilon": 1e-5, "sub_norm": True, **_POOLED_PATCHES}


def vit_backbone(
    spec: "BackboneSpec",
    image_size: int,
    weights: str | Path | None,
    *,
    patch_size: int,
    hidden_dim: int,
    num_layers: int,
    num_heads: int,
    beit3: bool = False,
    stochastic_depth: float = 0.0,
    remat: bool = False,
) -> keras.Model:
    """Build a ViT, MAE's encoder or BEiT-3's vision branch; `weights` is a file or folder."""
    usual = _BEIT3 if beit3 else _VIT
    layouts = BEIT3_LAYOUTS if beit3 else VIT_LAYOUTS

    def graph(images, settings):
        return vision_transformer(
            images,
            patch_size=patch_size,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            num_heads=num_heads,
            stochastic_depth=stochastic_depth,
            remat=remat,
            **settings,
        )

    return _from_layouts(spec, image_size, weights, layouts, graph, usual)


def bit_backbone(
    spec: "BackboneSpec",
    image_size: int,
    weights: str | Path | None,
    *,
    blocks: list[int],
    stochastic_depth: float = 0.0,
) -> keras.Model:
    """Build a BiT ResNet; `weights` is a file or folder."""

    def graph(images, settings):
        return big_transfer(images, blocks, stochastic_depth)

    return _from_layouts(spec, image_size, weights, BIT_LAYOUTS, graph, {})


def _from_layouts(
    spec: "BackboneSpec",
    image_size: int,
    weights: str | Path | None,
    layouts: tuple[Layout, ...],
    graph: Callable[[keras.KerasTensor, dict[str, Any]], keras.KerasTensor],
    usual: dict[str, Any],
) -> keras.Model:
    """Build what the file asks for, then load it."""
    tensors = layout = path = None
    published, settings = spec, usual
    if weights is not None:
        path = local_weights(spec.weights if weights == "imagenet" else weights)
    if path is not None and not path.name.endswith(KERAS_SUFFIX):
        tensors = read_tensors(path)
        layout = find_layout(tensors, layouts, str(path), spec.name)
        published = dataclasses.replace(spec, **published_preprocessing(path))
        if usual:
            settings = usual | _vit_settings(tensors, layout, folder_config(path))
    # A file of weights alone holds none of these settings, but the model's name.
    name = spec.name if (published, settings) == (spec, usual) else spec.name + AS_PUBLISHED
    pixels = pixel_input(image_size, published.interpolation)
    features = graph(scale_pixels(pixels, published.mean, published.std), settings)
    model = keras.Model(pixels, features, name=name)
    if layout is not None:
        load_layout(model, tensors, layout, str(path))
    elif path is not None:
        load_weights_file(model, path)
    return model


def _vit_settings(tensors, layout, config):
    """Read from a file how its encoder ends, with norms of the tokens or of their mean."""
    pooled = "fc_norm.weight" in tensors
    settings = dict(_POOLED_PATCHES) if pooled else {"final_norm": True, "fc_norm": False}
    if layout is HUGGING_FACE_VIT:
        epsilon = config.get("layer_norm_eps", HUGGING_FACE_EPSILON)
        if not isinstance(epsilon, float) or not 0 < epsilon < 1:
            raise ValueError(
                "`weights` must have a layer_norm_eps within (0, 1) in its config.json. "
                f"Received: layer_norm_eps={epsilon!r}"
            )
        settings["epsilon"] = epsilon
    return settings

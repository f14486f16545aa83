"""The rows of the registry: which encoders there are, how each is built, and its weights."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import keras

from keras_clce.models.builders import (
    BEIT3_LAYOUTS,
    BIT_LAYOUTS,
    RESNET_LAYOUTS,
    VIT_LAYOUTS,
    Stages,
    bit_backbone,
    efficientnet_lite_backbone,
    efficientnetv2_backbone,
    hub_resnet_backbone,
    resnet_backbone,
    small_resnet_backbone,
    vit_backbone,
)
from keras_clce.models.checkpoints.layouts import LoadReport, load_checkpoint
from keras_clce.models.families import efficientnet_lite as lite_checkpoints


@dataclasses.dataclass(frozen=True)
class BackboneSpec:
    """What is known about a backbone before it is built.

    Args:
        name: what `build_backbone` and `--backbone` take.
        family: architecture and the library that builds it.
        mean: per-channel pixel mean, RGB, on the scale from 0 to 255; already inside the model.
        std: per-channel pixel standard deviation, likewise.
        interpolation: how images were resized when its public weights were trained.
        image_size: the usual input size, in pixels.
        parameters: millions of trainable parameters, without a classifier; None where it has to
            be built to know.
        weights: where pretrained weights come from.
        licence: licence of code and weights.
    """

    name: str
    family: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    image_size: int
    parameters: float | None
    weights: str
    licence: str = "Apache-2.0"


@dataclasses.dataclass(frozen=True)
class Row:
    """One backbone: what is known about it, and how it comes to be.

    Args:
        spec: what users see.
        build: builds it from `(spec, image_size, weights)`.
        local: what kind of path `weights` may be; None where none is read.
        addresses: what kinds of address `weights` may be.
        imagenet: where `weights="imagenet"` come from; None where there are none.
        transformer: whether the name may end in a patch size, and `build` can rematerialise.
        stochastic_depth: whether `build` takes a share of skipped branches.
        load: loads a checkpoint into the built model and says what became of its tensors.
    """

    spec: BackboneSpec
    build: Callable[[BackboneSpec, int, str | Path | None], keras.Model]
    local: str | None = None
    addresses: tuple[str, ...] = ()
    imagenet: str | None = None
    transformer: bool = False
    stochastic_depth: bool = False
    load: Callable[[keras.Model, str | Path], LoadReport] | None = None


def _row_of(
    name,
    family,
    build,
    size,
    parameters,
    *,
    pixels,
    interpolation="bilinear",
    local=None,
    imagenet=None,
    licence="Apache-2.0",
    **options,
):
    mean, std = pixels
    spec = BackboneSpec(
        name=name,
        family=family,
        mean=mean,
        std=std,
        interpolation=interpolation,
        image_size=size,
        parameters=parameters,
        weights=imagenet or ("a local file or folder" if local else "random only"),
        licence=licence,
    )
    return Row(spec, build, local=local, imagenet=imagenet, **options)


_UNIT = ((0.0,) * 3, (255.0,) * 3)  # keras-cv's own weights expect pixels from 0 to 1
_SIGNED = ((127.5,) * 3, (127.5,) * 3)
_LITE = ((127.0,) * 3, (128.0,) * 3)
_IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
_HF = "hf://USER/NAME"
_KAGGLE = "kaggle://USER/MODEL/keras/NAME"
TENSORS = "file or folder (.safetensors, .pth, .bin, .npz), or .weights.h5 file"
_BOTTLENECK, _BASIC = "block", "basic_block"
_RESNETS = {  # depth: (blocks of each stage, kind of block, millions of parameters)
    18: ([2, 2, 2, 2], _BASIC, 11.2),
    34: ([3, 4, 6, 3], _BASIC, 21.3),
    50: ([3, 4, 6, 3], _BOTTLENECK, 23.5),
    101: ([3, 4, 23, 3], _BOTTLENECK, 42.5),
    152: ([3, 8, 36, 3], _BOTTLENECK, 58.2),
}
_LITES = {  # size: (width, depth, millions of parameters, usual pixels)
    0: (1.0, 1.0, 3.4, 224),
    1: (1.0, 1.1, 4.1, 240),
    2: (1.1, 1.2, 4.8, 260),
    3: (1.2, 1.4, 6.9, 300),
    4: (1.4, 1.8, 11.7, 380),
}


_VITS = {  # size: (dimension, blocks, heads, millions of parameters, the same of BEiT-3)
    "tiny": (192, 12, 3, 5.5, None),
    "small": (384, 12, 6, 21.7, None),
    "base": (768, 12, 12, 85.8, 85.9),
    "large": (1024, 24, 16, 303.3, 303.5),
}
_VIT_WEIGHTS = {  # name: (address, licence of the weights)
    "vit_tiny": ("hf://timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k", "Apache-2.0"),
    "vit_small": ("hf://timm/vit_small_patch16_224.augreg_in21k_ft_in1k", "Apache-2.0"),
    "vit_base": ("hf://timm/vit_base_patch16_224.augreg2_in21k_ft_in1k", "Apache-2.0"),
    "vit_large": ("hf://timm/vit_large_patch16_224.augreg_in21k_ft_in1k", "Apache-2.0"),
    "mae_base": ("hf://timm/vit_base_patch16_224.mae", "CC-BY-NC-4.0"),
    "mae_large": ("hf://timm/vit_large_patch16_224.mae", "CC-BY-NC-4.0"),
    "beit3_base": ("hf://timm/beit3_base_patch16_224.in22k_ft_in1k", "MIT"),
    "beit3_large": ("hf://timm/beit3_large_patch16_224.in22k_ft_in1k", "MIT"),
}
_VIT_FAMILIES = {
    "vit": "Vision Transformer",
    "mae": "Vision Transformer (MAE)",
    "beit3": "BEiT-3, vision branch",
}
_V2_B = Stages(32, [16, 32, 48, 96, 112, 192], [1, 2, 2, 3, 5, 8])
_V2_S = Stages(24, [24, 48, 64, 128, 160, 256], [2, 4, 4, 6, 9, 15])
_V2_M = Stages(24, [24, 48, 80, 160, 176, 304, 512], [3, 5, 5, 7, 14, 18, 5])
_V2_L = Stages(32, [32, 64, 96, 192, 224, 384, 640], [4, 7, 7, 10, 19, 25, 7])
_EFFICIENTNETV2 = {  # name: (stages, width, depth, millions of parameters, pixels, weights?)
    "b0": (_V2_B, 1.0, 1.0, 5.9, 224, True),
    "b1": (_V2_B, 1.0, 1.1, 6.9, 240, True),
    "b2": (_V2_B, 1.1, 1.2, 8.7, 260, True),
    "b3": (_V2_B, 1.2, 1.4, 12.8, 300, False),
    "s": (_V2_S, 1.0, 1.0, 20.2, 384, True),
    "m": (_V2_M, 1.0, 1.0, 52.9, 480, False),
    "l": (_V2_L, 1.0, 1.0, 117.2, 480, False),
}


def _rows():
    yield _row_of("small_resnet", "small ResNet", small_resnet_backbone, 32, 0.2, pixels=_SIGNED)
    for size, (width, depth, parameters, pixels) in _LITES.items():
        package = lite_checkpoints.PACKAGES.get(f"efficientnet_lite{size}")
        yield _row_of(
            f"efficientnet_lite{size}",
            "EfficientNet-Lite (keras-cv)",
            functools.partial(efficientnet_lite_backbone, width=width, depth=depth),
            pixels,
            parameters,
            pixels=_LITE,
            interpolation="bicubic" if size < 3 else "bilinear",
            local="file (.pth)",
            load=lite_checkpoints.load_efficientnet_lite,
            imagenet=package and f"package {package.replace('_', '-')}",
        )
    for size, (stages, width, depth, parameters, pixels, public) in _EFFICIENTNETV2.items():
        preset = f"efficientnetv2_{size}_imagenet" if public else None
        yield _row_of(
            f"efficientnetv2_{size}",
            "EfficientNetV2 (keras-cv)",
            functools.partial(
                efficientnetv2_backbone, stages=stages, width=width, depth=depth, preset=preset
            ),
            pixels,
            parameters,
            pixels=_UNIT,
            local="folder (keras-cv preset)",
            addresses=(_KAGGLE,),
            imagenet=preset and f"keras-cv preset {preset}",
        )
    for version, suffix in ((1, ""), (2, "_v2")):
        for depth, (blocks, block_type, parameters) in _RESNETS.items():
            preset = f"resnet50{suffix}_imagenet" if depth == 50 else None
            # `resnet101` alone is keras-hub's, the layout of the public weights.
            name = f"resnet{depth}{suffix}" if (depth, version) != (101, 1) else "resnet101_v1"
            yield _row_of(
                name,
                f"ResNet V{version} (keras-cv)",
                functools.partial(
                    resnet_backbone,
                    version=version,
                    blocks=blocks,
                    block_type=block_type,
                    preset=preset,
                ),
                224,
                parameters,
                pixels=_UNIT,
                local="folder (keras-cv preset)",
                addresses=(_KAGGLE,),
                imagenet=preset and f"keras-cv preset {preset}",
            )
    yield _row_of(
        "resnet101",
        "ResNet, stride on the 3x3 (keras-hub)",
        functools.partial(hub_resnet_backbone, blocks=[3, 4, 23, 3], preset="resnet_101_imagenet"),
        224,
        42.5,
        pixels=_IMAGENET,
        interpolation="bicubic",
        local="file (.safetensors, .pth, .bin, .weights.h5), or folder (keras-hub preset, or "
        "timm's config.json and model.safetensors)",
        addresses=(_HF, _KAGGLE),
        imagenet="keras-hub preset resnet_101_imagenet",
        load=functools.partial(load_checkpoint, layouts=RESNET_LAYOUTS),
    )
    yield _row_of(
        "resnet101_in21k",
        "BiT ResNetV2, ImageNet-21k",
        functools.partial(bit_backbone, blocks=[3, 4, 23, 3]),
        224,
        42.5,
        pixels=_SIGNED,
        local=TENSORS,
        addresses=(_HF,),
        imagenet="hf://timm/resnetv2_101x1_bit.goog_in21k",
        load=functools.partial(load_checkpoint, layouts=BIT_LAYOUTS),
        stochastic_depth=True,
    )
    for name, (address, licence) in _VIT_WEIGHTS.items():
        family, size = name.split("_")
        dim, layers, heads, plain, with_sub_norms = _VITS[size]
        yield _row_of(
            name,
            _VIT_FAMILIES[family],
            functools.partial(
                vit_backbone,
                patch_size=16,
                hidden_dim=dim,
                num_layers=layers,
                num_heads=heads,
                beit3=family == "beit3",
            ),
            224,
            with_sub_norms if family == "beit3" else plain,
            pixels=_SIGNED if family == "vit" else _IMAGENET,
            interpolation="bicubic",
            local=TENSORS,
            addresses=(_HF,),
            imagenet=address,
            licence=licence,
            transformer=True,
            load=functools.partial(
                load_checkpoint, layouts=BEIT3_LAYOUTS if family == "beit3" else VIT_LAYOUTS
            ),
            stochastic_depth=True,
        )


REGISTRY = {row.spec.name: row for row in _rows()}

"""The one registry of backbones: every encoder by name, on RGB pixels from 0 to 255."""

import dataclasses
import difflib
import functools
from collections.abc import Callable
from pathlib import Path

import keras

from keras_clce.models.builders import (
    Stages,
    efficientnet_lite_backbone,
    efficientnetv2_backbone,
    hub_resnet_backbone,
    resnet_backbone,
    small_resnet_backbone,
)
from keras_clce.models.checkpoints import efficientnet_lite as lite_checkpoints
from keras_clce.models.external import (
    EXTERNAL_FORMS,
    build_external,
    check_external_weights,
    external_pixels,
    is_external,
)

_MIN_IMAGE_SIZE = 8


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


def list_backbones() -> tuple[BackboneSpec, ...]:
    """List every named backbone, smallest family first.

    Returns:
        One `BackboneSpec` a name. `app:`, `hub:` and `.keras` files come on top.

    Example:
        >>> [spec.name for spec in list_backbones()][:2]
        ['small_resnet', 'efficientnet_lite0']
    """
    return tuple(row.spec for row in _REGISTRY.values())


def backbone_spec(name: str) -> BackboneSpec:
    """Look up a backbone without building it.

    Args:
        name: a name of `list_backbones()`, or `app:NAME`, `hub:PRESET`, `path/to/model.keras`.

    Returns:
        Its `BackboneSpec`.

    Raises:
        ValueError: if the name is unknown; the message lists what there is.
        FileNotFoundError: if a `.keras` file does not exist.

    Example:
        >>> backbone_spec("efficientnet_lite0").mean
        (127.0, 127.0, 127.0)
    """
    if isinstance(name, str) and is_external(name):
        mean, std = external_pixels(name)
        return BackboneSpec(
            name=name,
            family=name.partition(":")[0] if ":" in name else "file",
            mean=mean,
            std=std,
            interpolation="bilinear",
            image_size=224,
            parameters=None,
            weights="its own",
            licence="its own",
        )
    return _row(name).spec


def build_backbone(name: str, image_size: int, weights: str | Path | None = None) -> keras.Model:
    """Build an encoder that takes RGB pixels from 0 to 255.

    The pixel statistics that the weights expect are a layer of the model. Named backbones are
    plain graphs of Keras's own layers: a saved one loads with nothing but Keras. Every
    BatchNormalization has momentum 0.9, for short fine-tuning.

    Args:
        name: a name of `list_backbones()`; `app:ResNet50V2`, a model of `keras.applications`;
            `hub:PRESET`, an image backbone of keras-hub (name, address or folder); or the path
            of a `.keras` file, loaded in safe mode.
        image_size: height and width of the images in pixels, at least 8.
        weights: `None` starts at random; `"imagenet"` takes the public ImageNet weights, where
            `BackboneSpec.weights` names any; a path takes a file or folder of the kind given
            there. `hub:` and `.keras` bring their own: leave it `None`.

    Returns:
        A `keras.Model` from (batch, image_size, image_size, 3) to a feature map (batch, height,
        width, channels) or a vector (batch, channels).

    Raises:
        ValueError: if an argument is out of range, or the weights do not fit.
        FileNotFoundError: if the weights, or the package that holds them, are not there.
        ConnectionError: if public weights have to be downloaded and cannot be.

    Example:
        >>> build_backbone("efficientnet_lite0", 224, weights="imagenet").output_shape
        (None, 7, 7, 1280)
    """
    _check_image_size(image_size)
    check_weights(name, weights)
    if is_external(name):
        return build_external(name, image_size, weights)
    row = _row(name)
    return row.build(row.spec, image_size, weights)


def _row(name):
    if isinstance(name, str) and name in _REGISTRY:
        return _REGISTRY[name]
    near = difflib.get_close_matches(str(name), _REGISTRY, n=1, cutoff=0.4)
    raise ValueError(
        f"`name` must be a backbone, one of {', '.join(_REGISTRY)}; or {EXTERNAL_FORMS}."
        + (f" Did you mean {near[0]!r}?" if near else "")
        + f" Received: name={name!r}"
    )


def _check_image_size(image_size):
    if (
        not isinstance(image_size, int)
        or isinstance(image_size, bool)
        or image_size < _MIN_IMAGE_SIZE
    ):
        raise ValueError(
            f"`image_size` must be a whole number of pixels, at least {_MIN_IMAGE_SIZE}. "
            f"Received: image_size={image_size!r}"
        )


def check_weights(name: str, weights: str | Path | None) -> None:
    """Check that a backbone can start from these weights, without reading them.

    Args:
        name: as in `build_backbone`.
        weights: as in `build_backbone`.

    Raises:
        ValueError: if the name is unknown or takes no such weights.
        FileNotFoundError: if there is nothing at the path.

    Example:
        >>> check_weights("efficientnet_lite0", "imagenet")
    """
    if isinstance(name, str) and is_external(name):
        check_external_weights(name, weights)
        return
    row = _row(name)
    if weights is None:
        return
    if weights == "imagenet":
        if row.imagenet is None:
            have = [name for name, other in _REGISTRY.items() if other.imagenet]
            raise ValueError(
                f"There are no public ImageNet weights for {row.spec.name}; they exist for "
                f"{', '.join(have)}. Received: weights={weights!r}"
            )
        return
    if row.local is None:
        raise ValueError(
            f"{row.spec.name} reads no weights; to go on from a saved model give its `.keras` "
            f"path as the backbone. Received: weights={weights!r}"
        )
    if not isinstance(weights, (str, Path)):
        raise ValueError(
            f"`weights` must be None, 'imagenet' or a path. Received: weights={weights!r}"
        )
    path = Path(weights)
    if not (path.is_file() if row.local.startswith("file") else path.is_dir()):
        raise FileNotFoundError(
            f"`weights` must be None, 'imagenet' or, for {row.spec.name}, the path of a "
            f"{row.local}. Received: weights={str(weights)!r}"
        )


# === The registry ===


@dataclasses.dataclass(frozen=True)
class _Row:
    spec: BackboneSpec
    build: Callable[[BackboneSpec, int, str | Path | None], keras.Model]
    local: str | None = None  # what kind of path `weights` may be
    imagenet: str | None = None  # where weights="imagenet" come from


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
        weights=imagenet or "random only",
    )
    return _Row(spec, build, local, imagenet)


_UNIT = ((0.0,) * 3, (255.0,) * 3)  # keras-cv's own weights expect pixels from 0 to 1
_SIGNED = ((127.5,) * 3, (127.5,) * 3)
_LITE = ((127.0,) * 3, (128.0,) * 3)
_IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
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
        local="folder (keras-hub preset, or timm's config.json and model.safetensors)",
        imagenet="keras-hub preset resnet_101_imagenet",
    )


_REGISTRY = {row.spec.name: row for row in _rows()}

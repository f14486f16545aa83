"""The one registry of backbones: every encoder by name, on RGB pixels from 0 to 255."""

import dataclasses
import difflib
import functools
import re
from pathlib import Path

import keras

from keras_clce.models.checkpoints.layouts import LoadReport
from keras_clce.models.checkpoints.preprocessing import (
    HUB,
    KERAS_SUFFIX,
    local_weights,
    published_preprocessing,
)
from keras_clce.models.checkpoints.tensors import checkpoint_file
from keras_clce.models.fast_operations import use_fast_operations
from keras_clce.models.graphs import AS_PUBLISHED
from keras_clce.models.registry import REGISTRY, TENSORS, BackboneSpec
from keras_clce.models.sources.applications import (
    EXTERNAL_FORMS,
    EXTERNAL_PREFIXES,
    build_external,
    check_external_weights,
    external_pixels,
    is_external,
)
from keras_clce.models.sources.saved import saved_interpolation, saved_names

_MIN_IMAGE_SIZE = 8


def list_backbones() -> tuple[BackboneSpec, ...]:
    """List every named backbone, smallest family first.

    Returns:
        One `BackboneSpec` a name. `app:`, `hub:`, `zero:` and `.keras` files come on top.

    Example:
        >>> [spec.name for spec in list_backbones()][:2]
        ['small_resnet', 'efficientnet_lite0']
    """
    return tuple(row.spec for row in REGISTRY.values())


def backbone_spec(name: str, weights: str | Path | None = None) -> BackboneSpec:
    """Look up a backbone without building it.

    Args:
        name: a name of `list_backbones()`, or `app:NAME`, `hub:PRESET`, `zero:NAME`,
            `path/to/model.keras`.
        weights: as in `build_backbone`; what lies beside them about pixel statistics and
            interpolation takes the place of the name's own. Defaults to `None`.

    Returns:
        Its `BackboneSpec`.

    Raises:
        ValueError: if the name is unknown; the message lists what there is. If a `.keras` file or
            what lies beside weights is broken.
        FileNotFoundError: if a `.keras` file does not exist.
        ConnectionError: if weights have to be downloaded and cannot be.

    Example:
        >>> backbone_spec("efficientnet_lite0").mean
        (127.0, 127.0, 127.0)
    """
    if isinstance(name, str) and is_external(name):
        mean, std = external_pixels(name)
        names = [] if name.startswith(EXTERNAL_PREFIXES) else saved_names(Path(name))
        return BackboneSpec(
            name=name,
            family=name.partition(":")[0] if ":" in name else "file",
            mean=mean,
            std=std,
            interpolation=saved_interpolation(names),
            image_size=224,
            parameters=None,
            weights="its own",
            licence=_saved_licence(names),
        )
    spec = _row(name).spec
    source = spec.weights if weights == "imagenet" else weights
    if source is None or (weights == "imagenet" and not source.startswith(HUB)):
        return spec
    return dataclasses.replace(spec, **published_preprocessing(local_weights(source)))


def _saved_licence(names):
    rows = (_find_row(name.removesuffix(AS_PUBLISHED)) for name in names)
    spec = next((row.spec for row in rows if row), None)
    if spec is None:
        return "its own"
    return f"its own; {spec.licence} if it was made from the published weights of {spec.name}"


def build_backbone(
    name: str,
    image_size: int,
    weights: str | Path | None = None,
    stochastic_depth: float = 0.0,
    remat: bool = False,
) -> keras.Model:
    """Build an encoder that takes RGB pixels from 0 to 255.

    The pixel statistics that the weights expect are a layer of the model. Named backbones are
    plain graphs of Keras's own layers: a saved one loads with nothing but Keras. Every
    BatchNormalization has momentum 0.9, for short fine-tuning.

    Args:
        name: a name of `list_backbones()`; `app:ResNet50V2`, a model of `keras.applications`;
            `hub:PRESET`, an image backbone of keras-hub (name, address or folder);
            `zero:NAME`, an encoder of ZeroModels (a repository, or a type, random); or the path
            of a `.keras` file, loaded in safe mode. Vision Transformers take their patch size in
            the name, 16 px if none is given: `vit_tiny_patch4`.
        image_size: height and width of the images in pixels, at least 8.
        weights: `None` starts at random; `"imagenet"` takes the public ImageNet weights, where
            `BackboneSpec.weights` names any; a path takes a file or folder of the kind given
            there. `"hf://USER/NAME"` downloads such a folder for transformers and BiT;
            `resnet101` takes it and `"kaggle://USER/MODEL/keras/NAME"` as keras-hub does,
            keras-cv's ResNets and EfficientNetV2 take the latter. A `.weights.h5` file holds no
            settings: one of a model whose settings came from the file that it was built from is
            refused, save that as `.keras`. `hub:`, `zero:` and `.keras` bring their own: leave it
            `None`.
        stochastic_depth: share of the images that skip the last residual branch in training,
            growing linearly over the depth, in [0, 1); for transformers and BiT.
        remat: whether the branches of each block are computed anew in the backward pass, which
            saves memory at the price of a second forward pass; for transformers. A saved model does
            not keep it.

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
    check_options(name, stochastic_depth, remat)
    if is_external(name):
        return use_fast_operations(build_external(name, image_size, weights))
    row = _row(name)
    options = {"stochastic_depth": stochastic_depth, "remat": remat}
    options = {name: value for name, value in options.items() if value}
    return use_fast_operations(row.build(row.spec, image_size, weights, **options))


def check_options(
    name: str, stochastic_depth: float = 0.0, remat: bool = False, layer_decay: bool = False
) -> None:
    """Check that a backbone can be built and trained with these options.

    Args:
        name: as in `build_backbone`.
        stochastic_depth: as in `build_backbone`.
        remat: as in `build_backbone`.
        layer_decay: whether its learning rate shall differ from block to block.

    Raises:
        ValueError: if the share is out of range, or the backbone has no such option.

    Example:
        >>> check_options("vit_base", stochastic_depth=0.1)
    """
    if not 0 <= stochastic_depth < 1:
        raise ValueError(
            "`stochastic_depth` must be within [0, 1). "
            f"Received: stochastic_depth={stochastic_depth}"
        )
    row = None if is_external(name) else _row(name)
    for option, value, attribute in (
        ("stochastic_depth", stochastic_depth, "stochastic_depth"),
        ("remat", remat, "transformer"),
        ("layer_decay", layer_decay, "transformer"),
    ):
        if value and not (row and getattr(row, attribute)):
            have = [other for other, row in REGISTRY.items() if getattr(row, attribute)]
            raise ValueError(
                f"`{option}` is for {', '.join(have)}. Received: {option}={value!r}, name={name!r}"
            )


def load_weights(model: keras.Model, name: str, weights: str | Path) -> LoadReport:
    """Load a checkpoint into a built backbone, and say what became of its tensors.

    Args:
        model: what `build_backbone(name, …)` gave; changed in place.
        name: its name.
        weights: a file or folder of tensors.

    Returns:
        The tensors that were matched, dropped and resampled.

    Raises:
        ValueError: if the backbone reads no such files, or the file does not fit; the model is
            left as it was.
        FileNotFoundError: if there is no such file.

    Example:
        >>> load_weights(build_backbone("mae_base", 224), "mae_base", "mae_pretrain.pth").dropped
        ['mask_token']
    """
    check_weights(name, weights)
    row = None if is_external(name) else _row(name)
    if row is None or row.load is None:
        have = [other for other, row in REGISTRY.items() if row.load]
        raise ValueError(
            f"`name` must be an encoder that reads files of tensors: {', '.join(have)}. "
            f"Received: name={name!r}"
        )
    return row.load(model, weights)


def _find_row(name):
    if isinstance(name, str) and name in REGISTRY:
        return REGISTRY[name]
    patched = re.fullmatch(r"(.+)_patch([1-9]\d*)", str(name))
    if patched and patched[1] in REGISTRY and REGISTRY[patched[1]].transformer:
        row = REGISTRY[patched[1]]
        spec = dataclasses.replace(row.spec, name=name, weights="a local file or folder")
        build = functools.partial(row.build, patch_size=int(patched[2]))
        return dataclasses.replace(row, spec=spec, build=build, imagenet=None)
    return None


def _row(name):
    row = _find_row(name)
    if row:
        return row
    near = difflib.get_close_matches(str(name), REGISTRY, n=1, cutoff=0.4)
    raise ValueError(
        f"`name` must be a backbone, one of {', '.join(REGISTRY)}; or {EXTERNAL_FORMS}."
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
        ValueError: if the name is unknown or takes no such weights; the message says which.
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
            have = [name for name, other in REGISTRY.items() if other.imagenet]
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
    address = re.match(r"\w+://", str(weights))
    if address and any(form.startswith(address[0]) for form in row.addresses):
        return
    if address:
        forms = "".join(f"{form}, " for form in row.addresses)
        raise ValueError(
            f"`weights` must be None, 'imagenet' or, for {row.spec.name}, {forms}or the path of a "
            f"{row.local}; presets of keras-hub are backbones of their own, `hub:ADDRESS`. "
            f"Received: weights={weights!r}"
        )
    path = Path(weights)
    if row.local is TENSORS:
        if path.is_file() and path.name.endswith(KERAS_SUFFIX):
            return
        checkpoint_file(path)
        return
    allowed = (path.is_file() and "file" in row.local) or (path.is_dir() and "folder" in row.local)
    if not allowed:
        raise FileNotFoundError(
            f"`weights` must be None, 'imagenet' or, for {row.spec.name}, the path of a "
            f"{row.local}. Received: weights={str(weights)!r}"
        )

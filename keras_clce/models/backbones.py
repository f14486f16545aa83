"""Encoders by name, on RGB pixels from 0 to 255: list, look up, check, build, load weights."""

import dataclasses
import difflib
from pathlib import Path

import keras

from keras_clce.checks import is_whole_number
from keras_clce.models.checkpoints.download import HUB, local_weights
from keras_clce.models.checkpoints.loading import LoadReport, load_checkpoint
from keras_clce.models.checkpoints.preprocessing import published_preprocessing
from keras_clce.models.fast_operations import use_fast_operations
from keras_clce.models.registry import find_row, find_source, named_rows, names_in_words
from keras_clce.models.spec import BackboneSpec

_MIN_IMAGE_SIZE = 8


def list_backbones() -> tuple[BackboneSpec, ...]:
    """List every named backbone, smallest family first.

    Returns:
        One `BackboneSpec` per name. `app:`, `hub:`, `zero:` and `.keras` files come on top.

    Example:
    ```python
    [spec.name for spec in list_backbones()][:2]  # ['small_resnet', 'efficientnet_lite0']
    ```
    """
    return tuple(row.spec for row in named_rows().values())


def backbone_spec(name: str, weights: str | Path | None = None) -> BackboneSpec:
    """Look up a backbone without building it.

    Args:
        name: A name of `list_backbones()`, or `app:NAME`, `hub:PRESET`, `zero:NAME`,
            `path/to/model.keras`.
        weights: As in `build_backbone`; what lies beside them about pixel statistics and
            interpolation takes the place of the name's own. Defaults to `None`.

    Returns:
        Its `BackboneSpec`.

    Raises:
        ValueError: If the name is unknown; the message lists what there is. If a `.keras` file or
            what lies beside weights is broken.
        FileNotFoundError: If a `.keras` file does not exist.
        ConnectionError: If weights have to be downloaded and cannot be.

    Example:
    ```python
    backbone_spec("efficientnet_lite0").mean  # (127.0, 127.0, 127.0)
    ```
    """
    source = find_source(name)
    if source:
        return source.spec(name, find_row)
    row = _row(name)
    public = row.weights.imagenet
    address = public.address if public and weights == "imagenet" else weights
    if address is None or (weights == "imagenet" and not str(address).startswith(HUB)):
        return row.spec
    return dataclasses.replace(row.spec, **published_preprocessing(local_weights(address)))


def build_backbone(
    name: str,
    image_size: int,
    weights: str | Path | None = None,
    stochastic_depth: float = 0.0,
    remat: bool = False,
) -> keras.Model:
    """Build an encoder that takes RGB pixels from 0 to 255.

    The pixel statistics that the weights expect are a layer of the model. Named backbones are
    plain graphs of Keras's own layers: a saved one loads with nothing but Keras. DINOv2, DINOv3,
    SigLIP and CLIP keep layers of keras-hub, which a saved one needs installed. Every
    BatchNormalization has momentum 0.9, for short fine-tuning; a `.keras` file keeps its own.

    Convolutions, poolings and normalisations of the model are computed by operations of
    `keras_clce.backend` from then on, where those are faster than Keras's: the layers of the
    returned model carry them, also when they are used in other models. Weights, configuration and
    saved files are those of Keras's own layers: what is loaded elsewhere computes as Keras does.

    Args:
        name: A name of `list_backbones()`; `app:ResNet50V2`, a model of `keras.applications`;
            `hub:PRESET`, an image backbone of keras-hub (name, address or folder);
            `zero:NAME`, an encoder of ZeroModels (a repository, or a type, random); or the path
            of a `.keras` file, loaded in safe mode. Vision Transformers take their patch size in
            the name, 16 px if none is given: `vit_tiny_patch4`.
        image_size: Height and width of the images in pixels, at least 8.
        weights: `None` starts at random; `"imagenet"` takes the public weights, where
            `BackboneSpec.weights` names any; a path takes a file or folder of the kind given
            there. `"hf://USER/NAME"` downloads such a folder for transformers and BiT;
            `resnet101` takes it and `"kaggle://USER/MODEL/keras/NAME"` as keras-hub does,
            keras-cv's ResNets and EfficientNetV2 take the latter. A `.weights.h5` file holds no
            settings: one of a model whose settings came from the file that it was built from is
            refused, save that as `.keras`. `hub:`, `zero:` and `.keras` bring their own: leave it
            `None`.
        stochastic_depth: Share of the images that skip the last residual branch in training,
            growing linearly over the depth, in [0, 1); for transformers and BiT.
        remat: Whether the branches of each block are computed anew in the backward pass, which
            saves memory at the price of a second forward pass; for transformers. A saved model does
            not keep it.

    Returns:
        A `keras.Model` from (batch, image_size, image_size, 3) to a feature map (batch, height,
        width, channels) or a vector (batch, channels).

    Raises:
        ValueError: If an argument is out of range, or the weights do not fit.
        FileNotFoundError: If the weights, or the package that holds them, are not there.
        ConnectionError: If public weights have to be downloaded and cannot be.

    Example:
    ```python
    build_backbone("efficientnet_lite0", 224, weights="imagenet").output_shape  # (None, 7, 7, 1280)
    ```
    """
    _check_image_size(image_size)
    check_weights(name, weights)
    check_options(name, stochastic_depth, remat)
    source = find_source(name)
    if source:
        return use_fast_operations(source.build(name, image_size, weights))
    options = {"stochastic_depth": stochastic_depth, "remat": remat}
    options = {option: value for option, value in options.items() if value}
    return use_fast_operations(_row(name).create(image_size, weights, **options))


def check_options(
    name: str,
    stochastic_depth: float = 0.0,
    remat: bool = False,
    layer_decay: bool = False,
    lora_rank: int | None = None,
) -> None:
    """Check that a backbone can be built and trained with these options.

    Args:
        name: As in `build_backbone`.
        stochastic_depth: As in `build_backbone`.
        remat: As in `build_backbone`.
        layer_decay: Whether its learning rate shall differ from block to block.
        lora_rank: Rank of adapters in its dense layers. Defaults to `None`, no adapters.

    Raises:
        ValueError: If the share is out of range, or the backbone has no such option.

    Example:
    ```python
    check_options("vit_base", stochastic_depth=0.1)
    ```
    """
    if not 0 <= stochastic_depth < 1:
        raise ValueError(
            "`stochastic_depth` must be within [0, 1). "
            f"Received: stochastic_depth={stochastic_depth}"
        )
    row = None if find_source(name) else _row(name)
    for option, value, takes in (
        ("stochastic_depth", stochastic_depth, lambda row: "stochastic_depth" in row.options),
        ("remat", remat, lambda row: "remat" in row.options),
        ("layer_decay", layer_decay, lambda row: row.depth_groups is not None),
        # What has blocks here is a transformer, and learns in dense layers.
        ("lora_rank", lora_rank, lambda row: row.depth_groups is not None),
    ):
        if value and not (row and takes(row)):
            have = [other for other, row in named_rows().items() if takes(row)]
            raise ValueError(
                f"`{option}` is for {', '.join(have)}. Received: {option}={value!r}, name={name!r}"
            )


def load_weights(model: keras.Model, name: str, weights: str | Path) -> LoadReport:
    """Load a checkpoint into a built backbone, and say what became of its tensors.

    Args:
        model: What `build_backbone(name, …)` gave; changed in place.
        name: Its name.
        weights: A file or folder of tensors.

    Returns:
        The tensors that were matched, dropped and resampled.

    Raises:
        ValueError: If the backbone reads no such files, or the file does not fit; the model is
            left as it was.
        FileNotFoundError: If there is no such file.

    Example:
    ```python
    model = build_backbone("vit_tiny", 32)
    load_weights(model, "vit_tiny", "vit_tiny.safetensors").dropped  # ["mask_token"]
    ```
    """
    check_weights(name, weights)
    row = None if find_source(name) else _row(name)
    if row is None or not row.layouts:
        have = [other for other, row in named_rows().items() if row.layouts]
        raise ValueError(
            f"`name` must be an encoder that reads files of tensors: {', '.join(have)}. "
            f"Received: name={name!r}"
        )
    return load_checkpoint(model, weights, row.layouts)


def _row(name):
    row = find_row(name)
    if row:
        return row
    near = difflib.get_close_matches(str(name), named_rows(), n=1, cutoff=0.4)
    raise ValueError(
        f"`name` must be a backbone, {names_in_words()}."
        + (f" Did you mean {near[0]!r}?" if near else "")
        + f" Received: name={name!r}"
    )


def _check_image_size(image_size):
    if not is_whole_number(image_size, _MIN_IMAGE_SIZE):
        raise ValueError(
            f"`image_size` must be a whole number of pixels, at least {_MIN_IMAGE_SIZE}. "
            f"Received: image_size={image_size!r}"
        )


def check_weights(name: str, weights: str | Path | None) -> None:
    """Check that a backbone can start from these weights, without reading them.

    Args:
        name: As in `build_backbone`.
        weights: As in `build_backbone`.

    Raises:
        ValueError: If the name is unknown or takes no such weights; the message says which.
        FileNotFoundError: If there is nothing at the path, or a package that holds public weights
            or reads them is not installed.

    Example:
    ```python
    check_weights("efficientnet_lite0", "imagenet")
    ```
    """
    source = find_source(name)
    if source:
        source.check(name, weights)
        return
    row = _row(name)
    if weights is None:
        return
    if weights != "imagenet":
        row.weights.check(row.spec.name, weights)
    elif row.weights.imagenet is None:
        have = [name for name, other in named_rows().items() if other.weights.imagenet]
        raise ValueError(
            f"There are no public ImageNet weights for {row.spec.name}; they exist for "
            f"{', '.join(have)}. Received: weights={weights!r}"
        )
    elif row.weights.imagenet.check:
        row.weights.imagenet.check()

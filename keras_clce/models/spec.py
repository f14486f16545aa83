"""What is known about encoders before they are built: the values in the registry's tables."""

import dataclasses
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras

from keras_clce.models.checkpoints.layouts import Layout
from keras_clce.models.pixels import Statistics
from keras_clce.models.weights import NO_WEIGHTS, Weights


@dataclasses.dataclass(frozen=True)
class BackboneSpec:
    """What is known about a backbone before it is built.

    Args:
        name: What `build_backbone` and `--backbone` take.
        family: Architecture and the library that builds it.
        mean: Per-channel pixel mean, RGB, on the scale from 0 to 255; already inside the model.
        std: Per-channel pixel standard deviation, likewise.
        interpolation: How images were resized when its public weights were trained.
        image_size: The usual input size, in pixels.
        parameters: Millions of trainable parameters, without a classifier; `None` where it has to
            be built to know.
        weights: Where pretrained weights come from, in words.
        licence: Licence of code and weights. Defaults to `"Apache-2.0"`.

    Example:
    ```python
    from keras_clce.models import backbone_spec
    backbone_spec("vit_tiny").parameters  # 5.5
    ```
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
class DepthGroups:
    """How deep the weights of a family lie, by the names of its layers.

    Args:
        stem: Pattern of the layers before the first block.
        block: Pattern of the layers of a block; its group is the block's number.
    """

    stem: str
    block: str

    def block_of(self, path: str) -> int | None:
        """Number of the block that a layer or variable is part of.

        Args:
            path: Name of a layer, or path of a variable, `"vit_tiny/block3_mlp/fc1/kernel"`.

        Returns:
            The number from 0, or `None` outside of the blocks.
        """
        found = re.search(rf"(?:^|/){self.block}", path)
        return int(found[1]) if found else None

    def in_stem(self, path: str) -> bool:
        """Whether a variable lies before the first block.

        Args:
            path: Path of a variable.

        Returns:
            `True` if it does.
        """
        return re.search(rf"(?:^|/){self.stem}/", path) is not None

    def fit(self, paths: Iterable[str]) -> bool:
        """Whether any of some layers or variables is part of a block of this family.

        Args:
            paths: Names of layers, or paths of variables.

        Returns:
            `True` if there is one.
        """
        return any(self.block_of(path) is not None for path in paths)


@dataclasses.dataclass(frozen=True)
class Row:
    """One named backbone: what is known about it, and how it is built.

    Args:
        spec: What users see.
        build: Builder of the family, called as `build(row, image_size, weights, **sizes)` with the
            options that `options` names besides.
        sizes: What tells this backbone from others of its family. A size `patch_size` may be
            given in the name, as in `vit_tiny_patch4`. Defaults to none.
        weights: Which weights it can start from. Defaults to none.
        layouts: How files name its tensors. Defaults to none, for a family that reads no tensors.
        options: Which of `"stochastic_depth"` and `"remat"` the builder takes. Defaults to none.
        depth_groups: How deep its weights lie, for learning rates that differ by depth. Defaults
            to `None`: there are no such rates.
        timm_name: Name of the same architecture in timm, the reference of loaded files. Defaults
            to `None`.
    """

    spec: BackboneSpec
    build: Callable[..., keras.Model]
    sizes: dict[str, Any] = dataclasses.field(default_factory=dict)
    weights: Weights = NO_WEIGHTS
    layouts: tuple[Layout, ...] = ()
    options: tuple[str, ...] = ()
    depth_groups: DepthGroups | None = None
    timm_name: str | None = None

    def create(self, image_size: int, weights: str | Path | None, **options: Any) -> keras.Model:
        """Build the backbone.

        Args:
            image_size: Height and width of the images in pixels.
            weights: As in `build_backbone`.
            **options: Those that `options` names.

        Returns:
            The model that `build_backbone` describes.
        """
        return self.build(self, image_size, weights, **self.sizes, **options)


def make_row(
    name: str,
    family: str,
    build: Callable[..., keras.Model],
    image_size: int,
    parameters: float,
    *,
    pixels: Statistics,
    interpolation: str = "bilinear",
    weights: Weights = NO_WEIGHTS,
    **more: Any,
) -> Row:
    """Make a row of the registry, the words about its weights from the value that describes them.

    Args:
        name: As in `BackboneSpec`, and so are `family`, `image_size` and `parameters`.
        family: See `name`.
        build: As in `Row`.
        image_size: See `name`.
        parameters: See `name`.
        pixels: Mean and standard deviation of the pixels.
        interpolation: As in `BackboneSpec`. Defaults to `"bilinear"`.
        weights: As in `Row`.
        **more: Further arguments of `Row`.

    Returns:
        The row.

    Example:
    ```python
    from keras_clce.models.architectures.small_resnet import small_resnet
    from keras_clce.models.pixels import SIGNED
    row = make_row("tiny", "a tiny net", small_resnet, 32, 0.1, pixels=SIGNED)
    row.spec.weights  # "random only"
    ```
    """
    mean, std = pixels
    spec = BackboneSpec(
        name=name,
        family=family,
        mean=mean,
        std=std,
        interpolation=interpolation,
        image_size=image_size,
        parameters=parameters,
        weights=weights.in_words(),
        licence=weights.licence,
    )
    return Row(spec, build, weights=weights, **more)


@dataclasses.dataclass(frozen=True)
class Source:
    """Where encoders come from that have no row of their own: another library, or a file.

    All verbs take the whole name, prefix included.

    Args:
        form: How a name looks and what it means, for messages.
        spec: `spec(name, find_row)` tells what is known about an encoder before it is built;
            `find_row` gives the row of a named backbone, or `None`.
        check: `check(name, weights)` refuses weights that it cannot start from, unread.
        build: `build(name, image_size, weights)` builds the model that `build_backbone` describes.
        is_trained: `is_trained(name)` tells whether it has trained weights without being given any.
        prefix: How names begin. Defaults to `""`.
        suffix: How names end. Defaults to `""`.
    """

    form: str
    spec: Callable[[str, Callable[[str], Row | None]], BackboneSpec]
    check: Callable[[str, str | Path | None], None]
    build: Callable[[str, int, str | Path | None], keras.Model]
    is_trained: Callable[[str], bool]
    prefix: str = ""
    suffix: str = ""

    def has(self, name: str) -> bool:
        """Whether a name is one of this source's.

        Args:
            name: Name of a backbone.

        Returns:
            `True` if it is.
        """
        return name.startswith(self.prefix) and name.endswith(self.suffix)


def foreign_spec(
    name: str,
    family: str,
    pixels: Statistics,
    interpolation: str = "bilinear",
    licence: str = "its own",
) -> BackboneSpec:
    """Describe an encoder that has no row: what a source cannot know is left open.

    Args:
        name: As in `BackboneSpec`, and so are `family`, `interpolation` and `licence`.
        family: See `name`.
        pixels: Mean and standard deviation of the pixels.
        interpolation: See `name`. Defaults to `"bilinear"`.
        licence: See `name`. Defaults to `"its own"`.

    Returns:
        The description.

    Example:
    ```python
    from keras_clce.models.pixels import UNSCALED
    foreign_spec("hub:resnet_18_imagenet", "hub", UNSCALED).weights  # "its own"
    ```
    """
    mean, std = pixels
    return BackboneSpec(name, family, mean, std, interpolation, 224, None, "its own", licence)

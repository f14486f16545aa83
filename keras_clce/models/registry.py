"""Which encoders there are: the table of families, and the table of sources from elsewhere."""

import dataclasses
import re

from keras_clce.models.families import (
    beit3,
    bit,
    clip,
    dinov2,
    dinov3,
    efficientnet_lite,
    efficientnetv2,
    mae,
    resnet,
    siglip,
    small_resnet,
    vit,
)
from keras_clce.models.sources import applications, keras_hub, saved, zeromodels
from keras_clce.models.spec import DepthGroups, Row, Source

FAMILIES: dict[str, tuple[Row, ...]] = {
    "small_resnet": small_resnet.ROWS,
    "efficientnet_lite": efficientnet_lite.ROWS,
    "efficientnetv2": efficientnetv2.ROWS,
    "resnet": resnet.ROWS,
    "bit": bit.ROWS,
    "vit": vit.ROWS,
    "mae": mae.ROWS,
    "beit3": beit3.ROWS,
    "dinov2": dinov2.ROWS,
    "dinov3": dinov3.ROWS,
    "siglip": siglip.ROWS,
    "clip": clip.ROWS,
}

# The first that has a name takes it.
SOURCES: tuple[Source, ...] = (
    applications.SOURCE,
    keras_hub.SOURCE,
    zeromodels.SOURCE,
    saved.SOURCE,
)


def named_rows() -> dict[str, Row]:
    """List the rows of all families.

    Returns:
        Name to row, smallest family first.
    """
    return {row.spec.name: row for rows in FAMILIES.values() for row in rows}


def find_row(name: str) -> Row | None:
    """Look up a named backbone; a Vision Transformer's name may end in its patch size.

    Args:
        name: Name of a backbone.

    Returns:
        Its row, or `None`.

    Example:
    ```python
    find_row("vit_tiny_patch4").sizes["patch_size"]  # 4
    ```
    """
    rows = named_rows()
    if isinstance(name, str) and name in rows:
        return rows[name]
    patched = re.fullmatch(r"(.+)_patch([1-9]\d*)", str(name))
    row = rows.get(patched[1]) if patched else None
    if patched is None or row is None or "patch_size" not in row.sizes:
        return None
    weights = dataclasses.replace(row.weights, imagenet=None)
    return dataclasses.replace(
        row,
        spec=dataclasses.replace(row.spec, name=name, weights=weights.in_words()),
        sizes={**row.sizes, "patch_size": int(patched[2])},
        weights=weights,
    )


def find_source(name: str) -> Source | None:
    """Look up where a backbone comes from that has no row.

    Args:
        name: Name of a backbone.

    Returns:
        Its source, or `None` for a named backbone and for what is no name.

    Example:
    ```python
    find_source("app:ResNet50V2").prefix  # "app:"
    ```
    """
    if not isinstance(name, str):
        return None
    return next((source for source in SOURCES if source.has(name)), None)


def names_in_words() -> str:
    """Say which names a backbone can have, for messages.

    Returns:
        All named backbones, and the forms of the sources.
    """
    forms = ", ".join(source.form for source in SOURCES)
    return f"one of {', '.join(named_rows())}; or {forms}"


def is_external(name: str) -> bool:
    """Tell whether a backbone comes from another library or a file.

    Args:
        name: Name of a backbone.

    Returns:
        `True` for `app:…`, `hub:…`, `zero:…` and names that end in `.keras`.

    Example:
    ```python
    is_external("app:ResNet50V2"), is_external("resnet50")  # (True, False)
    ```
    """
    return find_source(name) is not None


def brings_weights(name: str) -> bool:
    """Tell whether a backbone has trained weights without being given any.

    Args:
        name: Name of a backbone.

    Returns:
        `False` for named backbones, `app:…` and ZeroModels' types.

    Example:
    ```python
    brings_weights("app:ResNet50V2"), brings_weights("hub:resnet_50_imagenet")  # (False, True)
    ```
    """
    source = find_source(name)
    return source is not None and source.is_trained(name)


def find_depth_groups(paths: list[str]) -> DepthGroups | None:
    """Tell which family's blocks some layers or variables are part of.

    Args:
        paths: Names of layers, or paths of variables.

    Returns:
        How deep they lie, or `None` where no family knows them.

    Example:
    ```python
    find_depth_groups(["vit_tiny/block3_mlp/fc1/kernel"]).block_of("block3_mlp")  # 3
    ```
    """
    known = {row.depth_groups: None for row in named_rows().values() if row.depth_groups}
    return next((groups for groups in known if groups.fit(paths)), None)

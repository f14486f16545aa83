"""What the names in a saved model tell: how its images are resized, and what it was made from."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_clce.models.checkpoints.preprocessing import INTERPOLATIONS
from keras_clce.models.checkpoints.tensors import in_one_line
from keras_clce.models.graphs import PIXELS


def saved_names(path: Path) -> list[str]:
    """Read the names of a saved model and of all that it is made of, without loading it.

    Args:
        path: a `.keras` file.

    Returns:
        The names, the model's own first.

    Raises:
        ValueError: if the file is no saved model.

    Example:
        >>> saved_names(Path("vit.keras"))[:2]
        ['vit_tiny', 'pixels_bicubic']
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return list(_names(json.loads(archive.read("config.json"))))
    except Exception as error:  # archives and JSON raise many kinds on damaged files
        raise ValueError(
            f"`name` must be a whole .keras file ({in_one_line(error)}). "
            f"Received: name={str(path)!r}"
        ) from error


def saved_interpolation(names: list[str]) -> str:
    """Tell how images are resized for a saved model.

    Args:
        names: of `saved_names`.

    Returns:
        What the name of its input says; "bilinear" where the model is not from here.

    Example:
        >>> saved_interpolation(["vit_tiny", "pixels_bicubic"])
        'bicubic'
    """
    wanted = {PIXELS + interpolation: interpolation for interpolation in INTERPOLATIONS}
    return next((wanted[name] for name in names if name in wanted), "bilinear")


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("name"), str):
            yield node["name"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _names(child)

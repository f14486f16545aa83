"""Pictures inside a page, within what it may weigh."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image


class Inlined(NamedTuple):
    """A picture as a page holds it.

    Args:
        uri: Its bytes as a `data:` address.
        width: Its width in pixels.
        height: Its height in pixels.

    Example:
    ```python
    Inlined("data:image/webp;base64,…", 1200, 400)
    ```
    """

    uri: str
    width: int
    height: int


def inline_pictures(paths: Sequence[Path], budget: int) -> dict[Path, Inlined]:
    """Read pictures into a page, as many as it can hold.

    Args:
        paths: The files, the most important first. What is no picture is left out.
        budget: Bytes that they may take together.

    Returns:
        The pictures by their file, without those that are too many.

    Example:
    ```python
    inline_pictures([Path("missing.png")], budget=2_000_000)  # {}
    ```
    """
    found = {}
    for path in dict.fromkeys(paths):
        try:
            picture = _inlined(path)
        except (OSError, ValueError):
            continue
        if len(picture.uri) <= budget:
            budget -= len(picture.uri)
            found[path] = picture
    return found


def _inlined(path: Path) -> Inlined:
    with Image.open(path) as image:
        image = image.convert("RGB")
    # Lines and letters are smaller without loss, photographs with it.
    encoded = min((_webp(image, lossless=lossless) for lossless in (True, False)), key=len)
    data = base64.b64encode(encoded).decode()
    return Inlined(f"data:image/webp;base64,{data}", *image.size)


def _webp(image: Image.Image, lossless: bool) -> bytes:
    data = io.BytesIO()
    image.save(data, "WEBP", lossless=lossless, quality=85)
    return data.getvalue()

"""Image files: decoding them with Pillow, and saying why one cannot be read."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import numpy as np

from keras_clce.data.installed import pillow
from keras_clce.files import printable_text

if TYPE_CHECKING:
    from PIL import Image

_CHECK_SIDE = 64
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_JPEG_XL_STARTS = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a")


class UnreadableImage(OSError):
    """An image that cannot be read, and why.

    Args:
        kind: The kind of reason, which many images share.
        detail: The details of this one, `""` where there are none.
        message: The whole message. Defaults to nothing but the reason.

    Example:
    ```python
    UnreadableImage("damaged or cut short", "image file is truncated").reason
    # "damaged or cut short: image file is truncated"
    ```
    """

    def __init__(self, kind: str, detail: str = "", message: str = "") -> None:
        super().__init__(message or in_words(kind, detail))
        self.kind, self.detail = kind, detail

    @property
    def reason(self) -> str:
        """The reason as one phrase."""
        return in_words(self.kind, self.detail)


def decode_image(path: str | pathlib.Path | Image.Image) -> np.ndarray:
    """Decode an image file of any kind that Pillow reads.

    The orientation written by cameras is applied, the first frame of an animation is taken,
    transparent pixels are laid on white, 16-bit gray is scaled to 8 bits, and floats are taken to
    be within [0, 1] where none exceeds 1.

    Args:
        path: The file, or an image that Pillow has opened.

    Returns:
        uint8 RGB array (height, width, 3).

    Raises:
        UnreadableImage: An `OSError`, if it is no image or is damaged; the message says why.

    Example:
    ```python
    keras.utils.save_img("1.png", np.zeros((4, 6, 3)))
    decode_image("1.png").shape  # (4, 6, 3)
    ```
    """
    pillow()  # a missing package is no damaged file
    try:
        return _decode(path)
    # Pillow's decoders raise many kinds of errors on damaged files.
    except Exception as error:
        kind, detail = _reason(path, error)
        raise UnreadableImage(
            kind,
            detail,
            f"`path` must be a readable image ({in_words(kind, detail)}). "
            f"Received: path={printable_text(path)!r}",
        ) from error


def is_readable(path: str | pathlib.Path) -> bool:
    """Say whether `decode_image` can decode the whole file."""
    return why_unreadable(path) is None


def why_unreadable(path: str | pathlib.Path) -> tuple[str, str] | None:
    """Say why `decode_image` cannot decode the whole file.

    Args:
        path: The file.

    Returns:
        The kind of reason, which many files share, and the details of this one, `""` where there
        are none; None where the file can be decoded.

    Example:
    ```python
    why_unreadable("no/such.png")  # ('missing file or dead link', '')
    ```
    """
    pillow()
    try:
        _decode(path, _CHECK_SIDE)
    except Exception as error:
        return _reason(path, error)
    return None


def in_words(kind: str, detail: str) -> str:
    """Write a reason of `why_unreadable` as one phrase."""
    return f"{kind}: {detail}" if detail else kind


def _decode(path: str | pathlib.Path | Image.Image, least_side: int | None = None) -> np.ndarray:
    """Decode, from a JPEG file no more pixels than give that side at least."""
    Image = pillow()
    if isinstance(path, Image.Image):
        return _pixels(path)
    with Image.open(path) as file:
        file.verify()  # a PNG file's checksums, which decoding passes over
    # Of a path, Pillow maps an uncompressed TIFF into memory, and turns it wrongly.
    with open(path, "rb") as stream, Image.open(stream) as file:
        if least_side is not None:
            file.draft("RGB", (least_side, least_side))
        return _pixels(file)


def _pixels(image: Image.Image) -> np.ndarray:
    Image, ImageOps = pillow(), pillow("ImageOps")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        # Pillow's own conversion cuts values above 255 off. It reads some 16-bit files as "I",
        # which tells nothing about the range.
        values = np.asarray(image, np.float64)
        if not np.isfinite(values).all():
            raise ValueError("it has pixels that are no finite numbers")
        sixteen_bits = image.mode.startswith("I;16") or values.max() > 255
        unit = image.mode == "F" and values.max() <= 1
        scale = 1 / 255 if unit else 257 if sixteen_bits else 1
        image = Image.fromarray(np.clip(np.rint(values / scale), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))


def _reason(path: str | pathlib.Path, error: Exception) -> tuple[str, str]:
    Image = pillow()
    message = " ".join(str(error).split())
    if isinstance(error, Image.DecompressionBombError):
        limit = f"raise PIL.Image.MAX_IMAGE_PIXELS, now {Image.MAX_IMAGE_PIXELS}"
        return "above Pillow's pixel limit", f"{message.partition(',')[0]}; {limit}, or shrink it"
    if isinstance(error, PermissionError):
        return "no permission", ""
    if isinstance(error, FileNotFoundError):
        return "missing file or dead link", ""
    if isinstance(error, MemoryError):
        return "too large for the memory", ""
    if isinstance(error, Image.UnidentifiedImageError):
        return _unidentified(path)
    if isinstance(error, OSError) and message.endswith("not available"):
        return "format that this Pillow cannot decode", message
    return "damaged or cut short", message or type(error).__name__


def _unidentified(path: str | pathlib.Path) -> tuple[str, str]:
    with open(path, "rb") as file:
        start = file.read(16)
    if not start:
        return "empty", ""
    name = None
    if start.startswith(_JPEG_XL_STARTS):
        name = "JPEG XL"
    elif start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS:
        name = "HEIC"
    elif start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis"):
        name = "AVIF"
    if name is None:
        return "no image format that Pillow knows", ""
    return f"{name} without a plug-in of Pillow", "convert it to JPEG or PNG"

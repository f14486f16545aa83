"""How an image of any size becomes the square that a model is evaluated on."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_clce.checks import as_array
from keras_clce.views.policies import check_image_size

INTERPOLATIONS = ("bilinear", "bicubic")


@keras.saving.register_keras_serializable("keras_clce")
@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """The un-augmented view of an image, as evaluation and prediction show it to a model.

    The image is resized in its own proportions, antialiased, and its middle square is cut out, as
    ImageNet is evaluated. `load_dataset` gives the value that it used as `data.preprocessing`, and
    takes one to show other images in the same way. It needs NumPy alone.

    Args:
        image_size: Side of the square, in pixels.
        crop_fraction: Share of the shorter side that the square keeps, in (0, 1]. 1 keeps the whole
            image, squeezed into the square. Defaults to 0.875.
        interpolation: Of the resize, `"bilinear"` or `"bicubic"`. Defaults to `"bilinear"`.

    Call arguments:
        images: RGB image `(height, width, 3)` or a batch `(batch, height, width, 3)` with values in
            0..255, of any numeric dtype and any framework.

    Returns:
        Called: float32 array `(image_size, image_size, 3)` or
        `(batch, image_size, image_size, 3)` of whole numbers in 0..255, equal to the pixels that
        `load_dataset(…).test` gives.

    Raises:
        ValueError: If an argument is out of range, or what it is called with has another shape.

    Example:
    ```python
    preprocessing = Preprocessing(224, crop_fraction=0.875, interpolation="bicubic")
    preprocessing(np.zeros((300, 400, 3), "uint8")).shape  # (224, 224, 3)
    ```
    """

    image_size: int
    crop_fraction: float = 0.875
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        check_image_size(self.image_size)
        check_crop_fraction(self.crop_fraction)
        check_interpolation(self.interpolation)
        # NumPy's numbers are no JSON.
        object.__setattr__(self, "image_size", int(self.image_size))
        object.__setattr__(self, "crop_fraction", float(self.crop_fraction))

    def __call__(self, images: Any) -> np.ndarray:
        """Give the evaluation view of an image, or of each image of a batch."""
        images = as_array(images)
        if images.ndim not in (3, 4) or images.shape[-1] != 3 or 0 in images.shape[-3:]:
            raise ValueError(
                "`images` must be RGB pixels of shape (height, width, 3) or "
                f"(batch, height, width, 3). Received: images of shape {images.shape}"
            )
        if images.dtype.kind not in "fiu":
            raise ValueError(
                f"`images` must be numbers in 0..255. Received: images of dtype {images.dtype}"
            )
        if images.ndim == 4:
            views = np.empty((len(images), self.image_size, self.image_size, 3), np.float32)
            for view, image in zip(views, images, strict=True):
                view[:] = self._view(image)
            return views
        return self._view(images)

    def get_config(self) -> dict[str, Any]:
        """Give the arguments of the constructor."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Preprocessing":
        """Build it from what `get_config` gives."""
        return cls(**config)

    def seen_box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Tell which part of an image its view shows.

        Args:
            height: Height of the image in pixels.
            width: Its width.

        Returns:
            Top, left, bottom and right of that part, in the image's pixels.

        Example:
        ```python
        Preprocessing(32, crop_fraction=0.5).seen_box(100, 200)  # (25.0, 75.0, 75.0, 125.0)
        ```
        """
        corner, kept, sides, offsets = self._geometry((height, width))
        near, far = (
            [c + k * (o + end) / s for c, k, s, o in zip(corner, kept, sides, offsets, strict=True)]
            for end in (0, self.image_size)
        )
        return near[0], near[1], far[0], far[1]

    def _view(self, image: np.ndarray) -> np.ndarray:
        (top, left), kept, sides, offsets = self._geometry(image.shape[:2])
        image = image[top : top + kept[0], left : left + kept[1]]
        weights = [
            _weights(length, side, offset, self.image_size, self.interpolation)
            for length, side, offset in zip(image.shape, sides, offsets, strict=False)
        ]
        return np.rint(np.clip(_weighted(image, *weights), 0.0, 255.0))

    def _geometry(self, shape: tuple[int, int]) -> tuple[Sequence[int], ...]:
        """Corner and sides of what is resized, its sides afterwards, and where the square lies."""
        if self.crop_fraction == 1.0:
            return (0, 0), shape, (self.image_size,) * 2, (0, 0)
        # Enlarging all of a panorama that is one pixel high would fill the memory.
        shorter = min(shape)
        kept = [min(side, 2 * shorter) for side in shape]
        corner = [(side - keep) // 2 for side, keep in zip(shape, kept, strict=True)]
        # The arithmetic of float32, as the tf.data pipeline does it.
        scale = np.float32(round(self.image_size / self.crop_fraction) / np.float32(shorter))
        sides = [int(np.rint(np.float32(keep) * scale)) for keep in kept]
        return corner, kept, sides, [(side - self.image_size) // 2 for side in sides]


def check_interpolation(interpolation: str) -> None:
    """Check the name of an interpolation.

    Raises:
        ValueError: If it is not one of `INTERPOLATIONS`.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"`interpolation` must be one of {', '.join(INTERPOLATIONS)}. Received: "
            f"interpolation={interpolation!r}"
        )


def check_crop_fraction(crop_fraction: float) -> None:
    """Check the share of the shorter side that an image keeps.

    Raises:
        ValueError: If it is no number within (0, 1].
    """
    number = isinstance(crop_fraction, (int, float, np.number))
    if not number or isinstance(crop_fraction, bool) or not 0 < crop_fraction <= 1:
        raise ValueError(
            f"`crop_fraction` must be within (0, 1]. Received: crop_fraction={crop_fraction!r}"
        )


# === Antialiased resize ===


@functools.lru_cache(maxsize=64)
def _weights(
    length: int, side: int, offset: int, count: int, interpolation: str
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of a resize of one axis, for some of the new pixels.

    They are those of TensorFlow's antialiased resize, in its order of float32 operations: the
    kernel is as wide as the new pixels are, and its weights within the image sum to 1.

    Args:
        length: Pixels of the axis.
        side: Pixels of the axis after the resize.
        offset: First of the new pixels that are meant.
        count: Number of new pixels that are meant.
        interpolation: `"bilinear"` or `"bicubic"`.

    Returns:
        The old pixels that each new one reads, and their weights, `(reads, count)` each.
    """
    kernel, radius = _KERNELS[interpolation]
    half, one = np.float32(0.5), np.float32(1)
    step = one / (np.float32(side) / np.float32(length))
    width = max(step, one)
    centres = (np.arange(offset, offset + count, dtype=np.float32) + half) * step
    first = np.maximum(np.ceil(centres - radius * width - half), 0).astype(int)
    last = np.minimum(np.floor(centres + radius * width - half), length - 1).astype(int)
    read = first + np.arange((last - first).max() + 1)[:, None]
    weights = kernel(np.abs(read.astype(np.float32) + half - centres) * (one / width))
    weights[read > last] = 0
    # One after another, since the order of a sum decides its last bit.
    weights *= one / functools.reduce(np.add, weights)
    return np.minimum(read, length - 1), weights


def _triangle(distances: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distances, 0)


def _cubic(distances: np.ndarray) -> np.ndarray:
    # Keys 1981 with a = -0.5, which TensorFlow and Pillow take.
    near = (1.5 * distances - 2.5) * distances * distances + 1
    far = ((-0.5 * distances + 2.5) * distances - 4) * distances + 2
    return np.where(distances < 1, near, np.where(distances < 2, far, 0)).astype(np.float32)


_KERNELS = {"bilinear": (_triangle, np.float32(1)), "bicubic": (_cubic, np.float32(2))}


def _weighted(image: np.ndarray, vertical: tuple, horizontal: tuple) -> np.ndarray:
    """Resize an image by the weights of its rows, then by those of its columns."""
    rows = np.zeros((vertical[0].shape[1], *image.shape[1:]), np.float32)
    for read, weights in zip(*vertical, strict=True):
        rows += weights[:, None, None] * image[read]
    view = np.zeros((len(rows), horizontal[0].shape[1], 3), np.float32)
    for read, weights in zip(*horizontal, strict=True):
        view += weights[:, None] * rows[:, read]
    return view

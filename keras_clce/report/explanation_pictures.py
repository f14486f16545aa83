"""Pictures of where a model looked: a map of colours over a photograph."""

from collections.abc import Sequence

import numpy as np

from keras_clce.checks import import_module

# How much of the photograph is left where the map is strongest, and what it was not shown.
_MOST_COLOUR, _UNSEEN = 0.8, 0.35
# Okabe and Ito's colours, which colour-blind readers can tell apart.
_FOR, _AGAINST = np.array([0xD5, 0x5E, 0x00]), np.array([0x00, 0x72, 0xB2])


def saliency_overlay(
    pixels: np.ndarray, saliency: np.ndarray, box: Sequence[float], side: int = 160
) -> np.ndarray:
    """Lay a saliency map over a photograph in shades of grey.

    What is above 0 is orange, what is below 0 is blue, and the strongest value has the strongest
    colour. Outside of the box, where the model did not look, the photograph is pale.

    Args:
        pixels: uint8 RGB photograph `(height, width, 3)`.
        saliency: Map `(rows, columns)` over the box.
        box: Top, left, bottom and right of the map in the photograph's pixels.
        side: Longer side of the picture, in pixels. A larger photograph is made smaller. Defaults
            to 160.

    Returns:
        uint8 RGB picture in the proportions of the photograph.

    Example:
    ```python
    grey = np.full((40, 60, 3), 128, "uint8")
    picture = saliency_overlay(grey, np.array([[0.0, 1.0], [0.0, -1.0]]), (0, 10, 40, 50))
    picture.shape  # (40, 60, 3)
    ```
    """
    image = import_module("PIL.Image", "A picture", "pillow")
    shrunk = image.fromarray(pixels)
    shrunk.thumbnail((side, side))
    grey = np.asarray(shrunk.convert("L"), dtype="float64")[..., None]
    scale = np.array(grey.shape[:2]) / pixels.shape[:2]
    top, left, bottom, right = np.rint(np.array(box) * np.tile(scale, 2)).astype(int)
    size = max(1, right - left), max(1, bottom - top)
    values = image.fromarray(saliency.astype("float32")).resize(size, image.Resampling.BILINEAR)
    strongest = np.abs(saliency).max()
    values = np.asarray(values) / strongest if strongest > 0 else np.zeros(size[::-1])
    picture = np.repeat(255 - _UNSEEN * (255 - grey), 3, axis=-1)
    seen = np.s_[top : top + size[1], left : left + size[0]]
    weight = _MOST_COLOUR * np.abs(values)[..., None]
    colours = np.where(values[..., None] > 0, _FOR, _AGAINST)
    picture[seen] = weight * colours + (1 - weight) * grey[seen]
    return np.rint(picture).clip(0, 255).astype("uint8")

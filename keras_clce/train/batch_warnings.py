"""What a look at a batch tells: images of another kind or scale, and batches of one class."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_clce.train.array_checks import check_image_shape, refuse_named_parts

_LARGEST_SAMPLE = 256
# Resizing may overshoot 0 and 255 a little; no batch of photographs is as dark as the third.
_LOWEST, _HIGHEST, _DARKEST = -64, 383, 32


def look_at_batch(
    image_shape: Sequence[int | None] | None,
    scales_pixels: bool,
    compares_classes: bool,
    batch: Any,
) -> None:
    """Refuse images of another kind, and warn of what else a batch tells about its data set.

    Args:
        image_shape: Shape of an image, `None` where any number fits; `None` for any shape.
        scales_pixels: Whether the encoder scales RGB in 0..255 itself.
        compares_classes: Whether a contrastive loss of the batch is meant to tell something.
        batch: Images, or images and labels and what follows; for images also a pair of views.

    Raises:
        ValueError: If the images have another shape.

    Example:
    ```python
    look_at_batch((32, 32, 3), True, False, (np.random.rand(8, 32, 32, 3), np.arange(8)))  # warns
    ```
    """
    refuse_named_parts(batch)
    images, *others = batch if isinstance(batch, (tuple, list)) else (batch,)
    if isinstance(images, (tuple, list)):
        images = images[0]
    if image_shape is not None and hasattr(images, "shape"):
        check_image_shape(images.shape, image_shape)
    if scales_pixels:
        _warn_of_range(images)
    if compares_classes and others:
        _warn_of_one_class(others[0])


def _warn_of_range(images):
    some = np.asarray(images[:_LARGEST_SAMPLE])
    if not some.size or some.dtype.kind not in "iuf":
        return
    low, high = float(some.min()), float(some.max())
    # One value everywhere, such as zeros that try a model out, tells nothing.
    if low == high or (_LOWEST <= low and _DARKEST <= high <= _HIGHEST):
        return
    warnings.warn(
        f"`x` has pixels from {low:.4g} to {high:.4g}, where this encoder expects RGB from 0 to "
        "255, which it scales itself. Pass the pixels as they are in image files.",
        stacklevel=2,
    )


def _warn_of_one_class(labels):
    labels = np.asarray(labels)
    classes = np.unique(labels.reshape(len(labels), -1), axis=0)
    if len(labels) > 1 and len(classes) == 1:
        warnings.warn(
            f"All {len(labels)} labels of the first validation batch are of one class. The "
            "contrastive loss compares classes within a batch, so that its validation value tells "
            "nothing: shuffle the validation data once, with a fixed seed.",
            stacklevel=2,
        )

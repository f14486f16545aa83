"""What changes of images do to pixels, for `keras.ops` and for TensorFlow inside `tf.data`.

All functions take `ops`, where the arithmetic comes from, and float32 images
`(batch, side, side, 3)` in 0..255, and give images of that shape and range.
"""

from typing import Any

Tensor = Any

_GRAY = (0.2989, 0.587, 0.114)


def gray(images: Tensor) -> Tensor:
    """Give images without colours, `(batch, side, side, 1)`."""
    red, green, blue = (images[..., place : place + 1] for place in range(3))
    return _GRAY[0] * red + _GRAY[1] * green + _GRAY[2] * blue


def brighten(ops: Any, images: Tensor, addition: Tensor) -> Tensor:
    """Add a number to all pixels of an image."""
    return ops.clip(images + addition, 0.0, 255.0)


def scale_contrast(ops: Any, images: Tensor, factor: Tensor) -> Tensor:
    """Multiply the distances from the mean of each channel."""
    means = ops.mean(images, axis=(1, 2), keepdims=True)
    return ops.clip((images - means) * factor + means, 0.0, 255.0)


def weaken_colors(ops: Any, images: Tensor, loss: Tensor) -> Tensor:
    """Move pixels towards gray by a share of the way, or away from it where that is below 0.

    It is torchvision's `adjust_saturation`, at a fraction of the cost of a way through HSV.
    """
    return ops.clip(images + loss * (gray(images) - images), 0.0, 255.0)


def turn_hue(ops: Any, images: Tensor, turn: Tensor) -> Tensor:
    """Add a share of the circle to the hue of an image; `turn` is `(batch,)`."""
    hsv = ops.rgb_to_hsv(images / 255.0)
    hue = hsv[..., 0] + turn[:, None, None]
    hue = ops.where(hue > 1.0, hue - 1.0, hue)
    hue = ops.where(hue < 0.0, hue + 1.0, hue)
    turned = ops.hsv_to_rgb(ops.stack([hue, hsv[..., 1], hsv[..., 2]], axis=-1))
    return ops.clip(turned, 0.0, 1.0) * 255.0


def blur(ops: Any, images: Tensor, widths: Tensor) -> Tensor:
    """Blur by a standard deviation `(batch,)` in pixels, as two products with banded matrices.

    Rows of the matrices are normalised, so that borders keep their brightness.
    """
    side = images.shape[1]
    places = ops.cast(ops.arange(side), "float32")
    distances = places[:, None] - places[None, :]
    widths = widths[:, None, None]
    weights = ops.softmax(-(distances * distances) / (2.0 * widths * widths), axis=-1)
    lines = ops.reshape(images, (-1, side, side * 3))
    images = ops.reshape(ops.matmul(weights, lines), (-1, side, side, 3))
    return ops.matmul(weights[:, None], images)


def solarize(ops: Any, images: Tensor, addition: Tensor, threshold: Tensor) -> Tensor:
    """Add a number, then invert the pixels that reach a threshold."""
    raised = ops.clip(images + addition, 0.0, 255.0)
    return ops.where(raised < threshold, raised, 255.0 - raised)


def stretch(ops: Any, images: Tensor) -> Tensor:
    """Stretch each channel of an image to 0..255; one of a single value stays."""
    low, high = _extreme(ops, ops.min, images), _extreme(ops, ops.max, images)
    scale = ops.where(high > low, 255.0 / ops.where(high > low, high - low, 1.0), 1.0)
    return (images - ops.where(high > low, low, 0.0)) * scale


def _extreme(ops, reduce, images):
    # The last axis is wide here, where TensorFlow reduces many numbers at once.
    side = images.shape[1]
    columns = reduce(ops.reshape(images, (-1, side, side * 3)), axis=1)
    return reduce(ops.reshape(columns, (-1, 1, side, 3)), axis=2, keepdims=True)


def equalize(ops: Any, images: Tensor) -> Tensor:
    """Equalise the histogram of each channel of an image; one of a single value stays."""
    count = ops.shape(images)[0]
    channels = ops.reshape(ops.arange(3 * count), (-1, 1, 1, 3))
    places = channels * 256 + ops.cast(images, "int32")
    histogram = ops.reshape(ops.count(ops.reshape(places, (-1,)), 3 * count * 256), (-1, 256))
    fewest = ops.min(ops.where(histogram > 0, histogram, 2**31 - 1), axis=1, keepdims=True)
    step = (ops.sum(histogram, axis=1, keepdims=True) - fewest) // 255
    before = ops.cumsum(histogram, axis=1) - histogram
    table = ops.clip((before + step // 2) // ops.maximum(step, 1), 0, 255)
    values = ops.arange(256)
    table = ops.where(values == 0, 0, table)
    table = ops.where(step > 0, table, values)
    return ops.look_up(ops.reshape(ops.cast(table, "float32"), (-1,)), places)


def slide(ops: Any, images: Tensor, shifts: Tensor, vertical: Tensor) -> Tensor:
    """Move each row or column of an image by some pixels; what leaves is mirrored.

    Shears and translations along one axis are of this kind.

    Args:
        ops: Where the arithmetic comes from.
        images: The images.
        shifts: Pixels that each line moves by, `(batch, side)`.
        vertical: Whether lines are columns, booleans `(batch, 1)`.

    Returns:
        The images.
    """
    side = images.shape[1]
    places = ops.cast(ops.arange(side), "float32") + shifts[:, :, None]
    places = ops.where(places < 0, -places - 1, places)
    places = ops.where(places > side - 1, 2 * side - 1 - places, places)
    places = ops.clip(places, 0.0, float(side - 1))
    first = ops.cast(places, "int32")
    second = ops.minimum(first + 1, side - 1)
    weight = places - ops.cast(first, "float32")
    lines = ops.arange(side)[:, None]

    def turned(along_rows, along_columns):
        # Indices are turned, not the images: XLA would gather anew for each use of a pixel.
        columns = ops.transpose(along_columns, (0, 2, 1))
        return ops.reshape(ops.where(vertical[:, :, None], columns, along_rows), (-1, side**2))

    flat = ops.reshape(images, (-1, side**2, 3))
    near = ops.take_pixels(flat, turned(lines * side + first, first * side + lines))
    far = ops.take_pixels(flat, turned(lines * side + second, second * side + lines))
    moved = near + (far - near) * turned(weight, weight)[..., None]
    return ops.reshape(moved, (-1, side, side, 3))

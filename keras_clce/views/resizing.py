"""Resizes of whole images, of their middle, and of boxes cut out of them."""

import tensorflow as tf


def resize(images: tf.Tensor, image_size: int, interpolation: str) -> tf.Tensor:
    """Resize whole images to a square, antialiased, without keeping the aspect.

    Args:
        images: (height, width, 3) or (batch, height, width, 3), values in 0..255, any dtype.
        image_size: Side of the square, in pixels.
        interpolation: `"bilinear"` or `"bicubic"`.

    Returns:
        float32 images in 0..255.

    Example:
    ```python
    resize(tf.ones((6, 4, 3)), 2, "bilinear").shape.as_list()  # [2, 2, 3]
    ```
    """
    resized = tf.image.resize(images, (image_size, image_size), interpolation, antialias=True)
    return tf.clip_by_value(resized, 0.0, 255.0)


def resize_middle(
    image: tf.Tensor, image_size: int, crop_fraction: float, interpolation: str
) -> tf.Tensor:
    """Resize images in their own aspect and cut the middle square out, as ImageNet is evaluated.

    Args:
        image: (height, width, 3) or (batch, height, width, 3), values in 0..255, any dtype.
        image_size: Side of the square, in pixels.
        crop_fraction: Share of the shorter side that the square keeps; 1 keeps the whole image,
            squeezed into a square.
        interpolation: `"bilinear"` or `"bicubic"`.

    Returns:
        float32 images in 0..255.

    Example:
    ```python
    resize_middle(tf.ones((6, 4, 3)), 2, 0.875, "bilinear").shape.as_list()  # [2, 2, 3]
    ```
    """
    if crop_fraction == 1.0:
        return resize(image, image_size, interpolation)
    # Enlarging all of a panorama that is one pixel high would fill the memory; its middle serves.
    sides = tf.shape(image)[-3:-1]
    kept = tf.minimum(sides, 2 * tf.reduce_min(sides))
    top, left = tf.unstack((sides - kept) // 2)
    image = image[..., top : top + kept[0], left : left + kept[1], :]
    sides = tf.cast(kept, tf.float32)
    scale = round(image_size / crop_fraction) / tf.reduce_min(sides)
    whole = tf.cast(tf.round(sides * scale), tf.int32)
    top, left = tf.unstack((whole - image_size) // 2)
    whole = tf.image.resize(image, whole, interpolation, antialias=True)
    middle = tf.image.crop_to_bounding_box(whole, top, left, image_size, image_size)
    return tf.clip_by_value(middle, 0.0, 255.0)


def aspect(image: tf.Tensor) -> tf.Tensor:
    """Give the width of images (…, height, width, 3) as a multiple of their height, float32."""
    height, width = tf.unstack(tf.cast(tf.shape(image)[-3:-1], tf.float32))
    return width / height


def middle_boxes(aspects: tf.Tensor, crop_fraction: float) -> tf.Tensor:
    """Give the boxes that `resize_middle` shows, for images that were squeezed into squares.

    Args:
        aspects: Width / height that the images had, (batch,).
        crop_fraction: Share of the shorter side that the box keeps.

    Returns:
        (batch, 4): y1, x1, y2, x2 as shares of the image's sides.

    Example:
    ```python
    middle_boxes(tf.constant([2.0]), 0.5).numpy().tolist()  # [[0.25, 0.375, 0.75, 0.625]]
    ```
    """
    height = crop_fraction * tf.minimum(aspects, 1.0)
    width = crop_fraction * tf.minimum(1.0 / aspects, 1.0)
    return 0.5 + 0.5 * tf.stack([-height, -width, height, width], axis=1)


@tf.function(jit_compile=True)
def crop_boxes(images: tf.Tensor, boxes: tf.Tensor, image_size: int) -> tf.Tensor:
    """Cut one box out of each image and resize it bilinearly to a square.

    Args:
        images: (batch, height, width, 3), any numeric dtype.
        boxes: (batch, 4): y1, x1, y2, x2 as shares of the image's sides.
        image_size: Side of the square, in pixels.

    Returns:
        float32 images (batch, image_size, image_size, 3).

    Example:
    ```python
    whole = tf.constant([[0.0, 0.0, 1.0, 1.0]])
    crop_boxes(tf.ones((1, 4, 4, 3)), whole, 2).shape.as_list()  # [1, 2, 2, 3]
    ```
    """
    # Rows, then columns: a fifth of the time of `tf.image.crop_and_resize`, which is scalar code.
    above, below, weight = _samples(boxes[:, 0], boxes[:, 2], tf.shape(images)[1], image_size)
    rows = blend(
        tf.cast(tf.gather(images, above, batch_dims=1), tf.float32),
        tf.cast(tf.gather(images, below, batch_dims=1), tf.float32),
        weight[:, :, None, None],
    )
    left, right, weight = _samples(boxes[:, 1], boxes[:, 3], tf.shape(images)[2], image_size)
    return blend(
        tf.gather(rows, left, axis=2, batch_dims=1),
        tf.gather(rows, right, axis=2, batch_dims=1),
        weight[:, None, :, None],
    )


def _samples(low, high, side, count):
    centres = (tf.range(count, dtype=tf.float32) + 0.5) / count
    places = (low[:, None] + (high - low)[:, None] * centres) * tf.cast(side, tf.float32) - 0.5
    return neighbours(places, side)


def neighbours(places: tf.Tensor, side: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Find the pixels on both sides of each place along an axis, and the weight of the second.

    Places outside the outermost pixel centres, 0 and `side - 1`, repeat the border.
    """
    places = tf.clip_by_value(places, 0.0, tf.cast(side - 1, tf.float32))
    first = tf.cast(places, tf.int32)
    return first, tf.minimum(first + 1, side - 1), places - tf.cast(first, tf.float32)


def blend(first: tf.Tensor, second: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Mix two tensors: `first` where `weight` is 0, `second` where it is 1."""
    return first + (second - first) * weight

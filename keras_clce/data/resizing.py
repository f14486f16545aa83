"""Resizes of whole images, the middle of them, and boxes cut out of them."""

import tensorflow as tf


def resize(images: tf.Tensor, image_size: int, interpolation: str) -> tf.Tensor:
    """Resize whole images to a square, antialiased, without keeping the aspect.

    Args:
        images: (height, width, 3) or (batch, height, width, 3), values in 0..255, any dtype.
        image_size: side of the square, in pixels.
        interpolation: `"bilinear"` or `"bicubic"`.

    Returns:
        float32 images in 0..255.

    Example:
        >>> resize(tf.ones((6, 4, 3)), 2, "bilinear").shape.as_list()
        [2, 2, 3]
    """
    resized = tf.image.resize(images, (image_size, image_size), interpolation, antialias=True)
    return tf.clip_by_value(resized, 0.0, 255.0)


def uncropped_size(image_size: int, crop_fraction: float) -> int:
    """Give the side of an image whose middle, cut to `image_size`, is `crop_fraction` of it."""
    return round(image_size / crop_fraction)


def central_crop(images: tf.Tensor, image_size: int) -> tf.Tensor:
    """Cut the middle square out of each image.

    Args:
        images: (batch, side, side, 3).
        image_size: side of the square, at most the images'.

    Returns:
        Images (batch, image_size, image_size, 3).

    Example:
        >>> central_crop(tf.ones((1, 6, 6, 3)), 4).shape.as_list()
        [1, 4, 4, 3]
    """
    start = (tf.shape(images)[1] - image_size) // 2
    return images[:, start : start + image_size, start : start + image_size]


def crop_boxes(images: tf.Tensor, boxes: tf.Tensor, image_size: int) -> tf.Tensor:
    """Cut one box out of each image and resize it bilinearly to a square.

    Args:
        images: (batch, height, width, 3), any numeric dtype.
        boxes: (batch, 4): y1, x1, y2, x2 as shares of the image's sides.
        image_size: side of the square, in pixels.

    Returns:
        float32 images (batch, image_size, image_size, 3).

    Example:
        >>> whole = tf.constant([[0.0, 0.0, 1.0, 1.0]])
        >>> crop_boxes(tf.ones((1, 4, 4, 3)), whole, 2).shape.as_list()
        [1, 2, 2, 3]
    """
    sides = tf.cast(tf.shape(images)[1:3], tf.float32)
    # `crop_and_resize` puts samples on the corners of a box given in pixel centres; half-pixel
    # centres, which every resize of the evaluation has, need the box moved by half a sample.
    scale = tf.concat([sides, sides], axis=0)[None]
    edges = boxes * scale
    half = (edges[:, 2:] - edges[:, :2]) / (2.0 * image_size)
    centres = tf.concat([edges[:, :2] + half, edges[:, 2:] - half], axis=1) - 0.5
    # Samples outside the outermost centres would be filled with zeros; they repeat the border.
    last = scale - 1.0
    normalised = tf.clip_by_value(centres, 0.0, last) / tf.maximum(last, 1.0)
    return tf.image.crop_and_resize(
        images, normalised, tf.range(tf.shape(images)[0]), (image_size, image_size)
    )

"""From undecoded records to a split: decode, resize, keep in memory or stream."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_clce.data import resizing
from keras_clce.data.dataset import ImageSplit
from keras_clce.data.records import Records

# A split below this size is decoded once and kept; above it, every epoch decodes anew.
MEMORY_LIMIT_BYTES = 2_000_000_000
# Training images are kept larger than the views, so that crops of them are not all enlarged.
TRAIN_ENLARGEMENT = 1.25
_LOADING_BATCH = 128


def build_split(
    records: Records,
    image_size: int,
    stored_size: int,
    flip: bool = True,
    interpolation: str = "bilinear",
    crop_fraction: float = 1.0,
) -> ImageSplit:
    """Resize every image of `records` to a square and keep them in memory if they fit.

    Args:
        records: the undecoded examples.
        image_size: side of what the split gives, in pixels.
        stored_size: side that the images are kept at, in pixels.
        flip: whether views may be mirrored.
        interpolation: of the resize.
        crop_fraction: share of the side that un-augmented batches keep, from the middle.

    Returns:
        The split: in memory up to `MEMORY_LIMIT_BYTES`, streaming beyond.
    """

    def resize(image, label):
        image = tf.round(resizing.resize(image, stored_size, interpolation))
        return tf.cast(image, tf.uint8), tf.cast(label, tf.int64)

    if records.num_examples * stored_size**2 * 3 > MEMORY_LIMIT_BYTES:
        decode = records.decode

        def decode_and_resize(*record):
            return resize(*decode(*record))

        stream = dataclasses.replace(records, decode=decode_and_resize)
        return ImageSplit(None, None, image_size, flip, interpolation, stream, crop_fraction)
    parallel = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
    decoded = records.dataset.map(records.decode, **parallel)
    if decoded.element_spec[0].shape.is_fully_defined():
        # Images of one size are resized a batch at a time, which is several times faster.
        resized = decoded.batch(_LOADING_BATCH).map(resize, **parallel)
    else:
        resized = decoded.map(resize, **parallel).batch(_LOADING_BATCH)
    images = np.empty((records.num_examples, stored_size, stored_size, 3), np.uint8)
    labels = np.empty(records.num_examples, np.int64)
    start = 0
    for batch, batch_labels in resized.prefetch(2).as_numpy_iterator():
        stop = start + len(batch)
        images[start:stop], labels[start:stop] = batch, batch_labels
        start = stop
    if start != records.num_examples:
        raise ValueError(
            f"The source announces {records.num_examples} examples but has {start}: prepare it anew"
        )
    return ImageSplit(images, labels, image_size, flip, interpolation, crop_fraction=crop_fraction)


def train_size(image_size: int) -> int:
    """Give the side that training images are kept at, in pixels."""
    return round(TRAIN_ENLARGEMENT * image_size)

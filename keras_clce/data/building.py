"""From undecoded records to a split: decode, resize, keep in memory or stream."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from keras_clce.data.examples import Records, damage_as_os_error
from keras_clce.data.image_split import ImageSplit
from keras_clce.views import Preprocessing, resizing

# A split below this size is decoded once and kept; above it, every epoch decodes anew.
MEMORY_LIMIT_BYTES = 2_000_000_000
# Training images are kept larger than the views, so that crops of them are not all enlarged.
TRAIN_ENLARGEMENT = 1.5
_LOADING_BATCH = 128


def build_split(
    records: Records,
    preprocessing: Preprocessing,
    training: bool,
    flip: bool = True,
    class_names: Sequence[str] | None = None,
) -> ImageSplit:
    """Resize every image of `records` to a square and keep them in memory if they fit.

    Training images are kept whole, squeezed into larger squares with their aspects beside them, so
    that crops keep the proportions; the others are kept as evaluation shows them. For their
    un-augmented views, training images are decoded anew, and are as sharp as the others.

    Args:
        records: The undecoded examples.
        preprocessing: How evaluation shows an image.
        training: Whether views will be drawn from the images.
        flip: Whether views may be mirrored. Defaults to True.
        class_names: Names of the classes, for messages. None, the default, gives their numbers.

    Returns:
        The split: in memory up to `MEMORY_LIMIT_BYTES`, streaming beyond.

    Raises:
        OSError: If what is read into memory is damaged.
        ValueError: If it has another number of examples than it announces.
    """
    image_size, interpolation = preprocessing.image_size, preprocessing.interpolation
    # Rows of several labels have an axis more.
    sets = records.label_axes
    stored_size = round(TRAIN_ENLARGEMENT * image_size) if training else image_size

    def finished(image, label, aspect):
        image = tf.cast(tf.round(image), tf.uint8)
        return (
            image,
            tf.cast(label, tf.int64),
            tf.fill(tf.shape(label)[: label.shape.rank - sets], aspect),
        )

    def show(image, label):
        return finished(
            resizing.resize_middle(image, **preprocessing.get_config()), label, tf.ones(())
        )

    def squeeze(image, label):
        small = resizing.resize(image, stored_size, interpolation)
        return finished(small, label, resizing.aspect(image))

    def split(images, labels, aspects, stream=None):
        fraction = preprocessing.crop_fraction if training else 1.0
        geometry = (image_size, flip, interpolation, stream, fraction, aspects)
        shown = _decoded_to(records, show) if training else None
        return ImageSplit(images, labels, *geometry, class_names, shown)

    resize = squeeze if training else show

    if records.num_examples * stored_size**2 * 3 > MEMORY_LIMIT_BYTES:
        return split(None, None, None, _decoded_to(records, resize))
    parallel = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
    decoded = records.dataset.map(records.decode, **parallel)
    if decoded.element_spec[0].shape.is_fully_defined():
        # Images of one size are resized batch by batch, which is several times faster.
        resized = decoded.batch(_LOADING_BATCH).map(resize, **parallel)
    else:
        resized = decoded.map(resize, **parallel).batch(_LOADING_BATCH)
    images = np.empty((records.num_examples, stored_size, stored_size, 3), np.uint8)
    labels = np.empty((records.num_examples, *decoded.element_spec[1].shape), np.int64)
    aspects = np.empty(records.num_examples, np.float32)
    start = 0
    with damage_as_os_error():
        for batch in resized.prefetch(2).as_numpy_iterator():
            stop = start + len(batch[0])
            images[start:stop], labels[start:stop], aspects[start:stop] = batch
            start = stop
    if start != records.num_examples:
        raise ValueError(
            f"The source announces {records.num_examples} examples but has {start}: prepare it anew"
        )
    return split(images, labels, aspects)


def _decoded_to(records: Records, resize: Callable) -> Records:
    """The same records, their images resized as they are decoded."""
    decode = records.decode
    return dataclasses.replace(records, decode=lambda *record: resize(*decode(*record)))

"""From undecoded records to a split: decode, resize, keep in memory or stream."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_clce.data.examples import Records, damage_as_os_error
from keras_clce.data.image_split import ImageSplit, check_interpolation
from keras_clce.views import resizing
from keras_clce.views.policies import check_image_size

# A split below this size is decoded once and kept; above it, every epoch decodes anew.
MEMORY_LIMIT_BYTES = 2_000_000_000
# Training images are kept larger than the views, so that crops of them are not all enlarged.
TRAIN_ENLARGEMENT = 1.5
_LOADING_BATCH = 128


def check_request(
    image_size: int,
    limit_examples: int | None,
    interpolation: str,
    data_dir: str | pathlib.Path | None,
    drop_small_classes: int | None,
) -> pathlib.Path | None:
    """Check what a loader was asked for, before it reads anything.

    Args:
        image_size: side of the images.
        limit_examples: number of training examples to keep, or None.
        interpolation: of the resize.
        data_dir: folder of the data, or None.
        drop_small_classes: number of images that a class must have to be kept, or None.

    Returns:
        The folder, if any.

    Raises:
        ValueError: if a value is out of range.
        FileNotFoundError: if the folder does not exist.
    """
    check_image_size(image_size)
    numbers = {"limit_examples": limit_examples, "drop_small_classes": drop_small_classes}
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(
                f"`{name}` must be a positive integer or None. Received: {name}={number!r}"
            )
    check_interpolation(interpolation)
    folder = None if data_dir is None else pathlib.Path(data_dir).expanduser()
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"`data_dir` must be a folder. Received: data_dir={data_dir!s}")
    return folder


def check_several_classes(name: str, class_names: Sequence[str], labels: np.ndarray | None) -> None:
    """Check that there is more than one class to learn.

    Args:
        name: name of the data set.
        class_names: names of the classes.
        labels: labels of the training images, None where they are not known.

    Raises:
        ValueError: if there is one class, or the images are of one class.
    """
    present = range(len(class_names)) if labels is None else np.unique(labels)
    if len(present) < 2:
        found = ", ".join(class_names[label] for label in present) or "none"
        images = "" if labels is None else f" {len(labels)} training images of"
        raise ValueError(
            f"There must be training images of two classes or more. Received: name={name!r}, with"
            f"{images} the classes: {found}"
        )


def build_split(
    records: Records,
    image_size: int,
    training: bool,
    flip: bool = True,
    interpolation: str = "bilinear",
    crop_fraction: float = 1.0,
    class_names: Sequence[str] | None = None,
) -> ImageSplit:
    """Resize every image of `records` to a square and keep them in memory if they fit.

    Training images are kept whole, squeezed into larger squares with their aspects beside them, so
    that crops keep the proportions; the others are kept as evaluation shows them.

    Args:
        records: the undecoded examples.
        image_size: side of what the split gives, in pixels.
        training: whether views will be drawn from the images.
        flip: whether views may be mirrored.
        interpolation: of the resize.
        crop_fraction: share of the shorter side that evaluation keeps, from the middle.
        class_names: names of the classes, for messages.

    Returns:
        The split: in memory up to `MEMORY_LIMIT_BYTES`, streaming beyond.

    Raises:
        OSError: if what is read into memory is damaged.
        ValueError: if it has another number of examples than it announces.
    """
    stored_size = round(TRAIN_ENLARGEMENT * image_size) if training else image_size

    def resize(image, label):
        if training:
            aspect = resizing.aspect(image)
            image = resizing.resize(image, stored_size, interpolation)
        else:
            aspect = tf.ones(())
            image = resizing.resize_middle(image, image_size, crop_fraction, interpolation)
        image = tf.cast(tf.round(image), tf.uint8)
        return image, tf.cast(label, tf.int64), tf.fill(tf.shape(label), aspect)

    def split(images, labels, aspects, stream=None):
        shown = crop_fraction if training else 1.0
        geometry = (image_size, flip, interpolation, stream, shown, aspects)
        return ImageSplit(images, labels, *geometry, class_names)

    if records.num_examples * stored_size**2 * 3 > MEMORY_LIMIT_BYTES:
        decode = records.decode

        def decode_and_resize(*record):
            return resize(*decode(*record))

        stream = dataclasses.replace(records, decode=decode_and_resize)
        return split(None, None, None, stream)
    parallel = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
    decoded = records.dataset.map(records.decode, **parallel)
    if decoded.element_spec[0].shape.is_fully_defined():
        # Images of one size are resized a batch at a time, which is several times faster.
        resized = decoded.batch(_LOADING_BATCH).map(resize, **parallel)
    else:
        resized = decoded.map(resize, **parallel).batch(_LOADING_BATCH)
    images = np.empty((records.num_examples, stored_size, stored_size, 3), np.uint8)
    labels = np.empty(records.num_examples, np.int64)
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

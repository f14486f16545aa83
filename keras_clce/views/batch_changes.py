"""Changes of images inside `tf.data`: what XLA compiles, and what it does not.

What is drawn is drawn outside, and the pixels are then changed in functions that XLA compiles,
which fuses the flip and the changes of colour: one pass over memory, a third of the time.
"""

import types
from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_clce.views import pixels
from keras_clce.views.changes import Change, RandomOperation, RandomOperations
from keras_clce.views.keyed_random import KeyedRandom

# XLA compiles a function anew for each number of images, so there are few different numbers.
_SHARE_MULTIPLE = 8


def make_changes(
    changes: Sequence[Change], image_size: int, draws: KeyedRandom
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Build the function that does changes to a batch, one after another.

    Args:
        changes: The changes.
        image_size: Side of the images, in pixels.
        draws: Where every random number comes from.

    Returns:
        A function from float32 images `(batch, image_size, image_size, 3)` in 0..255 to such
        images, for use in a graph.
    """
    operations = [change for change in changes if isinstance(change, RandomOperations)]
    fused = [change for change in changes if not isinstance(change, RandomOperations)]
    if [*fused, *operations] != list(changes):
        raise ValueError(f"`changes` must have random operations last. Received: changes={changes}")
    steps = [OperationStep(many.step, image_size) for many in operations for _ in range(many.times)]

    @tf.function(jit_compile=True)
    def change_all(images, drawn):
        for change, own in zip(fused, drawn, strict=True):
            images = change.apply(OPS, images, own)
        return tf.clip_by_value(images, 0.0, 255.0)

    def change_batch(images):
        batch = tf.shape(images)[0]
        drawn = [change.draw(draws, batch, image_size) for change in fused]
        images = change_all(images, drawn)
        for step in steps:
            images = step(images, step.change.draw(draws, batch, image_size))
        return images

    return change_batch


class OperationStep:
    """A step of RandAugment on a batch, each image passing through its own operation only.

    XLA takes the operations that look at one pixel at a time in one pass over all images; it is
    slow at extremes, histograms and sliding, and the batch is divided among these.

    Args:
        change: The step.
        image_size: Side of the images, in pixels.
    """

    def __init__(self, change: RandomOperation, image_size: int) -> None:
        self.change = change
        self._by_pixel = tf.function(self._apply_by_pixel, jit_compile=True)
        signature = [
            tf.TensorSpec((None, image_size, image_size, 3)),
            tf.TensorSpec((None, image_size)),
            tf.TensorSpec((None, 1), tf.bool),
        ]
        self._slide = tf.function(
            lambda *tensors: pixels.slide(OPS, *tensors), signature, jit_compile=True
        )

    def __call__(self, images: tf.Tensor, drawn: tuple) -> tf.Tensor:
        """Divide the batch, run the operations, put the images back."""
        number, *_, slides = drawn
        first = self.change.BY_PIXEL
        # The share of each image: by pixel, stretched, equalised, or slid.
        shares = tf.clip_by_value(number - first + 1, 0, 3)
        images = self._by_pixel(images, drawn)
        tensors = (images, *self.change.shifts(OPS, slides, images.shape[1]))
        rest, stretched, equalized, slid = tf.dynamic_partition(images, shares, 4)
        places = tf.dynamic_partition(tf.range(tf.shape(images)[0]), shares, 4)
        own_shifts = [tf.gather(tensor, places[3]) for tensor in tensors[1:]]
        done = [
            rest,
            _unless_empty(lambda part: pixels.stretch(OPS, part), stretched),
            _unless_empty(lambda part: pixels.equalize(OPS, part), equalized),
            _unless_empty(lambda part: self._slide_padded(part, *own_shifts), slid),
        ]
        done = [tf.clip_by_value(part, 0.0, 255.0) for part in done]
        return tf.reshape(tf.dynamic_stitch(places, done), tf.shape(images))

    def _apply_by_pixel(self, images, drawn):
        return self.change.apply_by_pixel(OPS, images, drawn)

    def _slide_padded(self, *tensors):
        return self._slide(*map(_pad, tensors))[: tf.shape(tensors[0])[0]]


def _unless_empty(change: Callable, images: tf.Tensor) -> tf.Tensor:
    # Extremes and counts of no image at all are not defined.
    return tf.cond(tf.size(images) > 0, lambda: change(images), lambda: images)


def _missing(count: tf.Tensor) -> tf.Tensor:
    return tf.math.floormod(-count, _SHARE_MULTIPLE)


def _pad(tensor: tf.Tensor) -> tf.Tensor:
    """Append some rows of nothing, so that XLA meets few different numbers of images."""
    more = _missing(tf.shape(tensor)[0])
    return tf.pad(tensor, [[0, more]] + [[0, 0]] * (tensor.shape.rank - 1))


@tf.function(jit_compile=True, reduce_retracing=True)
def _look_up_compiled(table, places):
    return tf.gather(table, places)


def _look_up(table, places):
    count = tf.shape(places)[0]
    table = tf.pad(table, [[0, 3 * 256 * _missing(count)]])
    return _look_up_compiled(table, _pad(places))[:count]


def _count(places, bins):
    return tf.math.bincount(places, minlength=bins, maxlength=bins)


# TensorFlow's operations under the names and with the arguments that `pixels.py` calls.
OPS = types.SimpleNamespace(
    arange=tf.range,
    cast=tf.cast,
    clip=tf.clip_by_value,
    count=_count,
    cumsum=tf.cumsum,
    flip=lambda images, axis: tf.reverse(images, [axis]),
    hsv_to_rgb=tf.image.hsv_to_rgb,
    look_up=_look_up,
    matmul=tf.matmul,
    max=tf.reduce_max,
    maximum=tf.maximum,
    mean=tf.reduce_mean,
    min=tf.reduce_min,
    minimum=tf.minimum,
    reshape=tf.reshape,
    rgb_to_hsv=tf.image.rgb_to_hsv,
    shape=tf.shape,
    softmax=tf.nn.softmax,
    stack=tf.stack,
    sum=tf.reduce_sum,
    take_pixels=lambda images, places: tf.gather(images, places, batch_dims=1),
    transpose=tf.transpose,
    where=tf.where,
    zeros_like=tf.zeros_like,
)

"""Augmentation layers on whole batches whose random numbers come from one keyed source.

keras-cv's image-by-image layers (crop, blur, RandAugment) cannot draw inside `tf.vectorized_map`
without a stateful generator; the batch forms here keep their geometry. What is drawn is drawn
outside, and the pixels are then changed in functions that XLA compiles, which fuses the flip and
the changes of colour: one pass over memory, a third of the time.
"""

import keras
import keras_cv
import tensorflow as tf

from keras_clce.views.keyed_random import KeyedRandom
from keras_clce.views.resizing import blend, neighbours

VALUE_RANGE = (0, 255)
# XLA compiles a function anew for each number of images, so there are few different numbers.
_SHARE_MULTIPLE = 8


class Uniform(keras_cv.core.FactorSampler):
    """`UniformFactorSampler` on a `KeyedRandom`."""

    def __init__(self, draws: KeyedRandom, lower: float, upper: float) -> None:
        self.draws, self.lower, self.upper = draws, lower, upper

    def __call__(self, shape=(), dtype="float32"):
        """Draw from [lower, upper)."""
        return self.draws.uniform(shape, self.lower, self.upper, tf.as_dtype(dtype))


class _ClippedNormal(keras_cv.core.FactorSampler):
    """`NormalFactorSampler` on a `KeyedRandom`."""

    def __init__(self, draws: KeyedRandom, sampler: keras_cv.core.NormalFactorSampler) -> None:
        self.draws, self.sampler = draws, sampler

    def __call__(self, shape=(), dtype="float32"):
        drawn = self.draws.normal(shape, self.sampler.mean, self.sampler.stddev, tf.as_dtype(dtype))
        return tf.clip_by_value(drawn, self.sampler.min_value, self.sampler.max_value)


class BatchGaussianBlur(keras_cv.layers.VectorizedBaseImageAugmentationLayer):
    """Blur each image of a batch with its own width, as two products with banded matrices.

    Rows of the matrices are normalised, so that borders keep their brightness.

    Args:
        image_size: side of the images, in pixels.
        factor: smallest and largest standard deviation, in pixels.
    """

    def __init__(self, image_size: int, factor: tuple[float, float]) -> None:
        super().__init__()
        self.image_size = image_size
        self.factor = factor

    def get_random_transformation_batch(self, batch_size, **kwargs):
        """Draw standard deviations, (batch,) in pixels."""
        return self._random_generator.uniform((batch_size,), *self.factor)

    def augment_images(self, images, transformations, **kwargs):
        """Blur along the rows, then along the columns."""
        sigmas = transformations[:, None, None]
        places = tf.range(self.image_size, dtype=tf.float32)
        distances = places[:, None] - places[None, :]
        weights = tf.nn.softmax(-tf.square(distances) / (2.0 * tf.square(sigmas)), axis=-1)
        rows = tf.shape(images)
        flat = tf.reshape(images, (rows[0], self.image_size, self.image_size * 3))
        images = tf.reshape(tf.matmul(weights, flat), rows)
        return tf.matmul(weights[:, None], images)


class SomeOf(keras_cv.layers.VectorizedBaseImageAugmentationLayer):
    """Pass a random share of the images through layers, and leave the others as they are.

    Args:
        layers: keras-cv layers that work on batches.
        rate: share of the images that pass.
    """

    def __init__(self, layers: list, rate: float) -> None:
        super().__init__()
        self.layers = layers
        self.rate = rate

    def get_random_transformation_batch(self, batch_size, **kwargs):
        """Draw which images pass, booleans (batch, 1, 1, 1), and what the layers do to them."""
        passing = self._random_generator.uniform((batch_size, 1, 1, 1)) < self.rate
        return passing, _draw(self.layers, batch_size)

    def augment_images(self, images, transformations, **kwargs):
        """Give back the layers' output where an image passes."""
        passing, drawn = transformations
        return tf.where(passing, _change(self.layers, images, drawn), images)


class BatchAutoContrast(keras_cv.layers.AutoContrast):
    """Stretch each channel of an image to 0..255, as its parent does, extremes column by column."""

    def augment_images(self, images, transformations=None, **kwargs):
        """Stretch the channels; one of a single value stays."""
        low, high = self._extreme(tf.reduce_min, images), self._extreme(tf.reduce_max, images)
        scale = tf.where(high > low, tf.math.divide_no_nan(255.0, high - low), 1.0)
        return (images - tf.where(high > low, low, 0.0)) * scale

    def _extreme(self, reduce, images):
        # The last axis is wide here, where TensorFlow reduces many numbers at once.
        count, height, width = tf.unstack(tf.shape(images)[:3])
        columns = reduce(tf.reshape(images, (count, height, width * 3)), axis=1)
        return reduce(tf.reshape(columns, (count, 1, width, 3)), axis=2, keepdims=True)


class BatchEqualization(keras_cv.layers.Equalization):
    """Equalise histograms as the parent does, all images and channels in one count."""

    def augment_images(self, images, transformations=None, **kwargs):
        """Map each value by its channel's table; a channel of a single value stays."""
        count = tf.shape(images)[0]
        channels = tf.reshape(tf.range(3 * count), (count, 1, 1, 3))
        places = channels * 256 + tf.cast(images, tf.int32)
        bins = 3 * count * 256
        histogram = tf.math.bincount(tf.reshape(places, (-1,)), minlength=bins, maxlength=bins)
        histogram = tf.reshape(histogram, (3 * count, 256))
        fewest = tf.reduce_min(tf.where(histogram > 0, histogram, tf.int32.max), axis=1)
        step = (tf.reduce_sum(histogram, axis=1) - fewest)[:, None] // 255
        table = (tf.cumsum(histogram, axis=1, exclusive=True) + step // 2) // tf.maximum(step, 1)
        table = tf.concat([tf.zeros_like(step), table[:, 1:]], axis=1)
        table = tf.where(step > 0, tf.clip_by_value(table, 0, 255), tf.range(256))
        table = tf.pad(table, [[0, 3 * _missing(count)], [0, 0]])
        table = tf.cast(tf.reshape(table, (-1,)), tf.float32)
        return _look_up(table, _pad(places))[:count]


@tf.function(jit_compile=True, reduce_retracing=True)
def _look_up(table, places):
    return tf.gather(table, places)


def _missing(count: tf.Tensor) -> tf.Tensor:
    return tf.math.floormod(-count, _SHARE_MULTIPLE)


def _pad(images: tf.Tensor) -> tf.Tensor:
    """Append some copies of nothing, so that XLA meets few different numbers of images."""
    more = _missing(tf.shape(images)[0])
    return tf.pad(images, [[0, more]] + [[0, 0]] * (images.shape.rank - 1))


class Slide(keras_cv.layers.VectorizedBaseImageAugmentationLayer):
    """Shear or translate each image along one axis, as one of some keras-cv layers draws it.

    Both move every row, or every column, as a whole by some pixels, what leaves on one side being
    mirrored. XLA does that at a fifth of the time of TensorFlow's projective transform.

    Args:
        layers: keras-cv `RandomShear` and `RandomTranslation` layers, each along one axis.
        image_size: side of the images, in pixels.
    """

    def __init__(self, layers: list, image_size: int) -> None:
        super().__init__()
        self.layers = layers
        self.image_size = image_size
        signature = [
            tf.TensorSpec((None, image_size, image_size, 3)),
            tf.TensorSpec((None, image_size)),
            tf.TensorSpec((None,), tf.bool),
        ]
        self._compiled = tf.function(self._slide, signature, jit_compile=True)

    def get_random_transformation_batch(self, batch_size, **kwargs):
        """Draw the pixels that each row moves by, (batch, rows), and whether they are columns."""
        numbers = self._random_generator.uniform((batch_size,), 0, len(self.layers), tf.int32)
        drawn = [self._shifts(layer, batch_size) for layer in self.layers]
        shifts = tf.gather(tf.stack([shift for shift, _ in drawn], 1), numbers, batch_dims=1)
        return shifts, tf.gather([vertical for _, vertical in drawn], numbers)

    def augment_images(self, images, transformations, **kwargs):
        """Move the rows or columns."""
        padded = [_pad(tensor) for tensor in (images, *transformations)]
        return self._compiled(*padded)[: tf.shape(images)[0]]

    def _shifts(self, layer, batch_size):
        drawn = layer.get_random_transformation_batch(batch_size)
        if isinstance(layer, keras_cv.layers.RandomShear):
            vertical = drawn["shear_x"] is None
            places = tf.range(self.image_size, dtype=tf.float32)
            return drawn["shear_y" if vertical else "shear_x"] * places, vertical
        vertical = layer.width_lower == layer.width_upper == 0
        moved = drawn["height_translations" if vertical else "width_translations"]
        return tf.repeat(-moved * self.image_size, self.image_size, axis=1), vertical

    def _slide(self, images, shifts, vertical):
        side = self.image_size
        places = tf.range(side, dtype=tf.float32) + shifts[:, :, None]
        places = tf.where(places < 0, -places - 1, places)
        places = tf.where(places > side - 1, 2 * side - 1 - places, places)
        first, second, weights = neighbours(places, side)
        lines = tf.range(side)[:, None]

        def turn(along_rows, along_columns):
            # Indices are turned, not the images: XLA would gather anew for each use of a pixel.
            turned = tf.transpose(along_columns, (0, 2, 1))
            return tf.reshape(tf.where(vertical[:, None, None], turned, along_rows), (-1, side**2))

        pixels = tf.reshape(images, (-1, side**2, 3))
        moved = blend(
            tf.gather(pixels, turn(lines * side + first, first * side + lines), batch_dims=1),
            tf.gather(pixels, turn(lines * side + second, second * side + lines), batch_dims=1),
            turn(weights, weights)[..., None],
        )
        return tf.reshape(moved, tf.shape(images))


class OneOf(keras_cv.layers.VectorizedBaseImageAugmentationLayer):
    """Pass each image through one layer of a list, drawn image by image: a step of RandAugment.

    XLA takes the `fused` layers in one pass over all images, each image keeping the output of its
    own layer; the batch is divided among the `others`, each of which works on its images only.

    Args:
        fused: keras-cv layers that XLA compiles.
        others: (layer, how many times as likely as one of `fused`), for layers that XLA does not
            compile, or only at a loss, or that work on fewer images at a profit.
    """

    def __init__(self, fused: list, others: list) -> None:
        super().__init__()
        self.fused = fused
        self.others = [layer for layer, _ in others]
        self.layers = fused + self.others
        # A number is drawn; the fused layers keep their images in the first share.
        self.shares = [0] * len(fused)
        for share, (_, chances) in enumerate(others, start=1):
            self.shares += [share] * chances
        self._compiled = tf.function(self._change_fused, jit_compile=True)

    def get_random_transformation_batch(self, batch_size, **kwargs):
        """Draw the number of a layer for each image, (batch,), and what all the layers do."""
        numbers = self._random_generator.uniform((batch_size,), 0, len(self.shares), tf.int32)
        return numbers, _draw(self.fused, batch_size), _draw(self.others, batch_size)

    def augment_images(self, images, transformations, **kwargs):
        """Run the fused layers, divide the batch, run the others, put the images back."""
        numbers, fused, others = transformations
        images = self._compiled(images, numbers, fused)
        count = len(self.others) + 1
        shares = tf.gather(self.shares, numbers)
        rest, *parts = tf.dynamic_partition(images, shares, count)
        places = tf.dynamic_partition(tf.range(tf.shape(images)[0]), shares, count)
        done = [
            _clip(_change_unless_empty(layer, part, _rows(drawn, rows)))
            for layer, part, drawn, rows in zip(self.others, parts, others, places[1:], strict=True)
        ]
        return tf.reshape(tf.dynamic_stitch(places, [rest, *done]), tf.shape(images))

    def _change_fused(self, images, numbers, drawn):
        changed = images
        for number, (layer, transformations) in enumerate(zip(self.fused, drawn, strict=True)):
            chosen = tf.reshape(numbers == number, (-1, 1, 1, 1))
            output = layer.augment_images(images, transformations=transformations)
            changed = tf.where(chosen, output, changed)
        return changed


class Fused(keras_cv.layers.VectorizedBaseImageAugmentationLayer):
    """Run layers one after another in one function that XLA compiles.

    Args:
        layers: keras-cv layers that work on batches and compile.
    """

    def __init__(self, layers: list) -> None:
        super().__init__()
        self.layers = layers
        self._compiled = tf.function(self._change_all, jit_compile=True)

    def get_random_transformation_batch(self, batch_size, **kwargs):
        """Draw what each layer does."""
        return _draw(self.layers, batch_size)

    def augment_images(self, images, transformations, **kwargs):
        """Change the images by each layer in turn."""
        return self._compiled(images, transformations)

    def _change_all(self, images, drawn):
        return _clip(_change(self.layers, images, drawn))


def _clip(images: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(images, *map(float, VALUE_RANGE))


def _draw(layers: list, batch_size: tf.Tensor) -> list:
    return [layer.get_random_transformation_batch(batch_size) for layer in layers]


def _change(layers: list, images: tf.Tensor, drawn: list) -> tf.Tensor:
    for layer, transformations in zip(layers, drawn, strict=True):
        images = layer.augment_images(images, transformations=transformations)
    return images


def apply_layers(layers: list, images: tf.Tensor) -> tf.Tensor:
    """Draw what each layer does to a batch of images, and pass them through one after another."""
    return _change(layers, images, _draw(layers, tf.shape(images)[0]))


def _change_unless_empty(layer, images: tf.Tensor, drawn) -> tf.Tensor:
    # Extremes and counts of no image at all are not defined.
    return tf.cond(tf.size(images) > 0, lambda: _change([layer], images, [drawn]), lambda: images)


def _rows(drawn, places: tf.Tensor):
    return tf.nest.map_structure(
        lambda rows: None if rows is None else tf.gather(rows, places), drawn
    )


def bind(layers: list, draws: KeyedRandom) -> list:
    """Make every random number of keras-cv `layers` come from `draws`."""
    for layer in layers:
        layer._random_generator = draws
        # A mixed-precision policy is about the network, not about pixels.
        layer.dtype_policy = keras.DTypePolicy("float32")
        for name, value in list(vars(layer).items()):
            if isinstance(value, keras_cv.core.UniformFactorSampler):
                setattr(layer, name, Uniform(draws, value.lower, value.upper))
            elif isinstance(value, keras_cv.core.NormalFactorSampler):
                setattr(layer, name, _ClippedNormal(draws, value))
        bind(getattr(layer, "layers", []), draws)
    return layers

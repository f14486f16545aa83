"""Random views by Keras layers, made inside the training step on any backend."""

import math

import keras
from keras import ops

from keras_clce.views.policies import check_image_size, check_policy

_VALUE_RANGE = (0, 255)


@keras.saving.register_keras_serializable("keras_clce")
class RandomResizedCrop(keras.layers.Layer):
    """Crop a random box out of each image and resize it.

    Keras's own RandomZoom, RandomTranslation and RandomCrop declare `supports_jit = False`, and one
    such layer turns compilation off for the whole model. Here bilinear resizing,
    antialiased where it makes smaller, is two products with banded matrices, which compile on every
    backend.

    Args:
        area: smallest and largest share of the image's area.
        aspect_ratio: smallest and largest width / height of a box, in pixels; a box that does not
            fit shrinks until it does.
        seed: seed of the draws.
        size: height and width of the results, in pixels; None is the size that the images have.

    Call arguments:
        images: (batch, height, width, channels), of any height and width.
        training: where it is False the box is the middle square instead, or all of the image where
            it has the right size.

    Example:
        >>> tuple(RandomResizedCrop(seed=1, size=6)(np.zeros((2, 9, 8, 3)), training=True).shape)
        (2, 6, 6, 3)
    """

    def __init__(
        self,
        area: tuple[float, float] = (0.25, 1.0),
        aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3),
        seed: int | None = None,
        size: int | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.area = tuple(area)
        self.aspect_ratio = tuple(aspect_ratio)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        """Crop each image of the batch at its own place."""
        images = ops.cast(images, self.compute_dtype)
        if training:
            return _resized_box(images, *self._random_box(images), self.size)
        if self.size is None:
            return images
        return _resized_middle(images, self.size)

    def _random_box(self, images):
        batch_size, *sides = ops.shape(images)[:3]
        height, width = (ops.cast(side, "float32") for side in sides)
        area = self._draw(batch_size, *self.area)
        ratio = ops.exp(self._draw(batch_size, *map(math.log, self.aspect_ratio)))
        ratio = ratio * height / width
        box_height, box_width = ops.sqrt(area / ratio), ops.sqrt(area * ratio)
        excess = ops.maximum(ops.maximum(box_height, box_width), 1.0)
        box_height, box_width = box_height / excess, box_width / excess
        top = self._draw(batch_size, 0.0, 1.0) * (1.0 - box_height)
        left = self._draw(batch_size, 0.0, 1.0) * (1.0 - box_width)
        return top, left, box_height, box_width

    def _draw(self, batch_size, low, high):
        return keras.random.uniform((batch_size,), low, high, seed=self.seed_generator)

    def compute_output_shape(self, input_shape):
        """Give the input's shape, of the new size."""
        return _of_size(input_shape, self.size)

    def get_config(self):
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "area": self.area,
            "aspect_ratio": self.aspect_ratio,
            "seed": self.seed,
            "size": self.size,
        }


@keras.saving.register_keras_serializable("keras_clce")
class MiddleSquare(keras.layers.Layer):
    """Cut the middle square out of each image and resize it.

    Args:
        size: height and width of the results, in pixels.

    Call arguments:
        images: (batch, height, width, channels), of any height and width.

    Example:
        >>> tuple(MiddleSquare(6)(np.zeros((2, 9, 8, 3))).shape)
        (2, 6, 6, 3)
    """

    def __init__(self, size: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, images):
        """Give the images themselves where they have the right size."""
        return _resized_middle(ops.cast(images, self.compute_dtype), self.size)

    def compute_output_shape(self, input_shape):
        """Give the input's shape, of the new size."""
        return _of_size(input_shape, self.size)

    def get_config(self):
        """Give the constructor's arguments."""
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("keras_clce")
class SeededGrayscale(keras.layers.RandomGrayscale):
    """`RandomGrayscale` whose config has its seed, which Keras's own leaves out.

    Example:
        >>> SeededGrayscale(0.2, seed=3).get_config()["seed"]
        3
    """

    def get_config(self):
        """Give the constructor's arguments."""
        return {**super().get_config(), "seed": self.seed}


def two_view_augmenter(
    image_size: int, policy: str = "light", flip: bool = True, seed: int = 0
) -> keras.Sequential:
    """Build the augmenter that a model calls once for each of its two views.

    It is for `model.fit(images, labels)` on arrays; `ImageSplit.view_pairs` makes views outside the
    training step. Each call draws anew from seed states that are part of the model; with
    `training=False` it gives the middle squares, or the images themselves where they have the size.

    | policy | what it does |
    |---|---|
    | `none` | the middle square, nothing random |
    | `light` | random resized crop (area 0.25 to 1), flip, mild colour jitter |
    | `simclr` | crop (area 0.08 to 1), flip, strong colour jitter, grayscale (0.2), blur (0.5) |
    | `randaugment` | crop of `light`, flip, two RandAugment operations |

    Keras draws the width of the blur and RandAugment's operations once for the whole batch, and
    some of RandAugment's layers declare `supports_jit = False`: with that policy pass
    `jit_compile=True` to `model.compile` on JAX, or the step is not compiled.

    Args:
        image_size: side of the views, in pixels.
        policy: one of `VIEW_POLICIES`.
        flip: whether images may be mirrored.
        seed: seed of all draws.

    Returns:
        A model from images (batch, height, width, 3) of any size with values in 0..255 to float32
        views (batch, image_size, image_size, 3) of the same range.

    Raises:
        ValueError: if the size is not positive or the policy is unknown.

    Example:
        >>> augmenter = two_view_augmenter(32, policy="simclr")
        >>> tuple(augmenter(np.zeros((4, 50, 40, 3), "float32"), training=True).shape)
        (4, 32, 32, 3)
    """
    check_image_size(image_size)
    check_policy(policy)
    layers = [keras.Input((None, None, 3), dtype="float32")]
    # A mixed-precision policy is about the network, not about pixels.
    common = {"dtype": "float32"}
    if policy == "none":
        layers.append(MiddleSquare(image_size, **common))
    else:
        area = (0.08 if policy == "simclr" else 0.25, 1.0)
        layers.append(RandomResizedCrop(area, seed=seed, size=image_size, **common))
    if policy != "none" and flip:
        layers.append(keras.layers.RandomFlip("horizontal", seed=seed + 1, **common))
    if policy == "light":
        layers += _color_jitter(0.08, 0.15, (0.45, 0.55), seed + 10, common)
    elif policy == "simclr":
        layers += [
            *_color_jitter(0.2, 0.4, (0.35, 0.6), seed + 10, common),
            keras.layers.RandomHue((0.0, 0.2), _VALUE_RANGE, seed=seed + 2, **common),
            SeededGrayscale(0.2, seed=seed + 3, **common),
            keras.layers.RandomGaussianBlur(
                (0.5, 0.5),
                max(3, 2 * (image_size // 20) + 1),
                (0.1, max(0.2, 2.0 * image_size / 224)),
                seed=seed + 4,
                **common,
            ),
        ]
    elif policy == "randaugment":
        layers.append(keras.layers.RandAugment(_VALUE_RANGE, 2, 0.3, seed=seed + 2, **common))
    # Keras's colour layers may leave the range; this clips to it.
    layers.append(keras.layers.ReLU(max_value=float(_VALUE_RANGE[1]), **common))
    return keras.Sequential(layers, name="two_view_augmenter")


def _color_jitter(brightness, contrast, saturation, seed, common):
    # Not RandomColorJitter: its inner layers take the global dtype policy, whatever its own is.
    return [
        keras.layers.RandomBrightness(brightness, _VALUE_RANGE, seed=seed, **common),
        keras.layers.RandomContrast(contrast, _VALUE_RANGE, seed=seed + 1, **common),
        keras.layers.RandomSaturation(saturation, _VALUE_RANGE, seed=seed + 2, **common),
    ]


def _of_size(shape, size):
    batch, height, width, channels = shape
    return (batch, size or height, size or width, channels)


def _resized_middle(images, size):
    if tuple(images.shape[1:3]) == (size, size):
        return images
    batch_size, *sides = ops.shape(images)[:3]
    height, width = (ops.cast(side, "float32") for side in sides)
    square = ops.minimum(height, width)
    extents = [ops.broadcast_to(square / side, (batch_size,)) for side in (height, width)]
    starts = [(1.0 - extent) / 2.0 for extent in extents]
    return _resized_box(images, *starts, *extents, size)


def _resized_box(images, top, left, box_height, box_width, size):
    _, height, width, _ = ops.shape(images)
    rows = ops.cast(_bilinear_weights(top, box_height, height, size), images.dtype)
    columns = ops.cast(_bilinear_weights(left, box_width, width, size), images.dtype)
    images = ops.einsum("bij,bjwc->biwc", rows, images)
    return ops.einsum("bwj,bijc->biwc", columns, images)


def _bilinear_weights(start, extent, length, size):
    """Weights (batch, size, length) that resize [start, start + extent) of an axis."""
    count = length if size is None else size
    pixels = ops.cast(length, "float32")
    step = extent[:, None] * pixels / ops.cast(count, "float32")
    centres = start[:, None] * pixels + step * (_range(count) + 0.5) - 0.5
    centres = ops.clip(centres, 0.0, pixels - 1.0)
    # As wide as the new pixels are, so that none of the old ones is left out between two.
    reach = ops.maximum(step, 1.0)[:, :, None]
    weights = ops.relu(1.0 - ops.abs(centres[:, :, None] - _range(length)) / reach)
    return weights / ops.sum(weights, axis=-1, keepdims=True)


def _range(length):
    return ops.cast(ops.arange(length), "float32")

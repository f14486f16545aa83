"""Random views by Keras layers, made inside the training step on any backend."""

import math
from typing import Any

import keras
from keras import ops

from keras_clce.views.changes import Change
from keras_clce.views.policies import POLICIES, check_image_size, check_policy
from keras_clce.views.step_changes import OPS, SeededDraws


@keras.saving.register_keras_serializable("keras_clce")
class RandomResizedCrop(keras.layers.Layer):
    """Crop a random box out of each image and resize it.

    Keras's own RandomZoom, RandomTranslation and RandomCrop declare `supports_jit = False`, and one
    such layer turns compilation off for the whole model. Here bilinear resizing,
    antialiased where it makes smaller, is two products with banded matrices, which compile on every
    backend.

    Args:
        area: Smallest and largest share of the image's area.
        aspect_ratio: Smallest and largest width / height of a box, in pixels; a box that does not
            fit shrinks until it does.
        seed: Seed of the draws.
        size: Height and width of the results, in pixels; None is the size that the images have.

    Call arguments:
        images: (batch, height, width, channels), of any height and width.
        training: Where it is False the box is the middle square instead, or all of the image where
            it has the right size.

    Example:
    ```python
    crop = RandomResizedCrop(seed=1, size=6)
    crop(np.zeros((2, 9, 8, 3)), training=True).shape  # (2, 6, 6, 3)
    ```
    """

    def __init__(
        self,
        area: tuple[float, float] = (0.25, 1.0),
        aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3),
        seed: int | None = None,
        size: int | None = None,
        **kwargs: Any,
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
        size: Height and width of the results, in pixels.

    Call arguments:
        images: (batch, height, width, channels), of any height and width.

    Example:
    ```python
    MiddleSquare(6)(np.zeros((2, 9, 8, 3))).shape  # (2, 6, 6, 3)
    ```
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
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
class RandomChange(keras.layers.Layer):
    """Change each image at random while training, and leave it as it is otherwise.

    Keras's own layers draw some amounts once for the whole batch, and some of them turn compilation
    off; here each image has its own, with the same arithmetic as in the `tf.data` pipeline.

    Args:
        change: What is done, such as `ColorJitter(…)`.
        seed: Seed of the draws.

    Call arguments:
        images: (batch, side, side, 3) with values in 0..255.
        training: Whether images are changed.

    Example:
    ```python
    from keras_clce.views.changes import Grayscale
    RandomChange(Grayscale(0.2), seed=1)(images, training=True).shape  # (240, 32, 32, 3)
    ```
    """

    def __init__(self, change: Change, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.change = change
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        """Change each image of the batch in its own way."""
        images = ops.cast(images, self.compute_dtype)
        if not training:
            return images
        draws = SeededDraws(self.seed_generator)
        drawn = self.change.draw(draws, ops.shape(images)[0], images.shape[1])
        return self.change.apply(OPS, images, drawn)

    def compute_output_shape(self, input_shape):
        """Give the input's shape."""
        return input_shape

    def get_config(self):
        """Give the constructor's arguments."""
        change = keras.saving.serialize_keras_object(self.change)
        return {**super().get_config(), "change": change, "seed": self.seed}

    @classmethod
    def from_config(cls, config):
        """Build the layer from what `get_config` gives."""
        change = keras.saving.deserialize_keras_object(config.pop("change"))
        return cls(change, **config)


@keras.saving.register_keras_serializable("keras_clce")
class SeededGrayscale(keras.layers.RandomGrayscale):
    """`RandomGrayscale` whose config has its seed, for models that were saved with it.

    Example:
    ```python
    SeededGrayscale(0.2, seed=3).get_config()["seed"]  # 3
    ```
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

    The policies are those of `ImageSplit.view_pairs`, with the same numbers (`policies.py`): `none`
    is the middle square and nothing random, `light` a crop, a flip and mild colour jitter, `simclr`
    a stronger jitter of 80 % of the images, gray (20 %) and blur (50 %), `randaugment` a crop, a
    flip and two random operations. Every image has its own draws, and all policies compile.

    Args:
        image_size: Side of the views, in pixels.
        policy: One of `VIEW_POLICIES`.
        flip: Whether images may be mirrored.
        seed: Seed of all draws.

    Returns:
        A model from images (batch, height, width, 3) of any size with values in 0..255 to float32
        views (batch, image_size, image_size, 3) of the same range.

    Raises:
        ValueError: If the size is not positive or the policy is unknown.

    Example:
    ```python
    augmenter = two_view_augmenter(32, policy="simclr")
    tuple(augmenter(np.zeros((4, 50, 40, 3), "float32"), training=True).shape)  # (4, 32, 32, 3)
    ```
    """
    check_image_size(image_size)
    check_policy(policy)
    # A mixed-precision policy is about the network, not about pixels.
    common: dict[str, Any] = {"dtype": "float32"}
    layers = [keras.Input((None, None, 3), dtype="float32")]
    numbers = POLICIES[policy]
    if numbers is None:
        layers.append(MiddleSquare(image_size, **common))
    else:
        crop = (numbers.area, numbers.aspect_ratio)
        layers.append(RandomResizedCrop(*crop, seed=seed, size=image_size, **common))
        layers += [
            RandomChange(change, seed=seed + place, **common)
            for place, change in enumerate(numbers.changes_with(flip), start=1)
        ]
    # Products with matrices may leave the range by a last bit; this clips to it.
    layers.append(keras.layers.ReLU(max_value=255.0, **common))
    return keras.Sequential(layers, name="two_view_augmenter")


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

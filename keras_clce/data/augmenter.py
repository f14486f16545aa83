"""Random views by Keras layers, made inside the training step on any backend."""

import math

import keras
from keras import ops

from keras_clce.data.dataset import check_image_size
from keras_clce.data.views import check_policy

_VALUE_RANGE = (0, 255)


@keras.saving.register_keras_serializable("keras_clce")
class RandomResizedCrop(keras.layers.Layer):
    """Crop a random box out of each image and resize it to the size that the image had.

    Keras's own RandomZoom, RandomTranslation and RandomCrop declare `supports_jit = False`, and one
    such layer turns compilation off for the whole model. Here bilinear resizing is two products
    with banded matrices, which compile on every backend.

    Args:
        area: smallest and largest share of the image's area.
        aspect_ratio: smallest and largest width / height of a box, in pixels; a box that does not
            fit shrinks until it does.
        seed: seed of the draws.

    Call arguments:
        images: (batch, height, width, channels).
        training: images are cropped where it is True, and given back unchanged otherwise.

    Example:
        >>> tuple(RandomResizedCrop(seed=1)(np.zeros((2, 8, 8, 3)), training=True).shape)
        (2, 8, 8, 3)
    """

    def __init__(
        self,
        area: tuple[float, float] = (0.25, 1.0),
        aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3),
        seed: int | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.area = tuple(area)
        self.aspect_ratio = tuple(aspect_ratio)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        """Crop each image of the batch at its own place."""
        if not training:
            return images
        batch_size, height, width = ops.shape(images)[:3]
        area = self._draw(batch_size, *self.area)
        ratio = ops.exp(self._draw(batch_size, *map(math.log, self.aspect_ratio)))
        ratio = ratio * height / width
        box_height, box_width = ops.sqrt(area / ratio), ops.sqrt(area * ratio)
        excess = ops.maximum(ops.maximum(box_height, box_width), 1.0)
        box_height, box_width = box_height / excess, box_width / excess
        top = self._draw(batch_size, 0.0, 1.0) * (1.0 - box_height)
        left = self._draw(batch_size, 0.0, 1.0) * (1.0 - box_width)
        rows = ops.cast(_bilinear_weights(top, box_height, height), images.dtype)
        columns = ops.cast(_bilinear_weights(left, box_width, width), images.dtype)
        images = ops.einsum("bij,bjwc->biwc", rows, images)
        return ops.einsum("bwj,bijc->biwc", columns, images)

    def _draw(self, batch_size, low, high):
        return keras.random.uniform((batch_size,), low, high, seed=self.seed_generator)

    def compute_output_shape(self, input_shape):
        """Give the input's shape."""
        return input_shape

    def get_config(self):
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "area": self.area,
            "aspect_ratio": self.aspect_ratio,
            "seed": self.seed,
        }


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
    `training=False` images pass unchanged.

    | policy | what it does |
    |---|---|
    | `none` | nothing |
    | `light` | random resized crop (area 0.25 to 1), flip, mild colour jitter |
    | `simclr` | crop (area 0.08 to 1), flip, strong colour jitter, grayscale (0.2), blur (0.5) |
    | `randaugment` | crop of `light`, flip, two RandAugment operations |

    Keras draws the width of the blur and RandAugment's operations once for the whole batch, and
    some of RandAugment's layers declare `supports_jit = False`: with that policy pass
    `jit_compile=True` to `model.compile` on JAX, or the step is not compiled.

    Args:
        image_size: side of the images, in pixels.
        policy: one of `VIEW_POLICIES`.
        flip: whether images may be mirrored.
        seed: seed of all draws.

    Returns:
        A model from images (batch, image_size, image_size, 3) with values in 0..255 to float32
        images of the same shape and range.

    Raises:
        ValueError: if the size is not positive or the policy is unknown.

    Example:
        >>> augmenter = two_view_augmenter(32, policy="simclr")
        >>> tuple(augmenter(np.zeros((4, 32, 32, 3), "float32"), training=True).shape)
        (4, 32, 32, 3)
    """
    check_image_size(image_size)
    check_policy(policy)
    layers = [keras.Input((image_size, image_size, 3), dtype="float32")]
    # A mixed-precision policy is about the network, not about pixels.
    common = {"dtype": "float32"}
    if policy != "none":
        smallest_area = 0.08 if policy == "simclr" else 0.25
        layers.append(RandomResizedCrop((smallest_area, 1.0), seed=seed, **common))
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


def _bilinear_weights(start, extent, size):
    """Weights (batch, size, size) that resize [start, start + extent) of an axis to its size."""
    places = ops.arange(size, dtype="float32")
    centres = (start[:, None] + extent[:, None] * (places + 0.5) / size) * size - 0.5
    centres = ops.clip(centres, 0.0, size - 1.0)
    return ops.relu(1.0 - ops.abs(centres[:, :, None] - places))

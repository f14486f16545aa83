"""Two augmented views of every image, by keras-cv layers inside `tf.data`.

Every draw is a pure function of a key, so that a batch depends on (seed, epoch, step, view) alone:
keras-cv's layers own stateful generators and samplers that start anew with each iterator, and both
are replaced here by one stateless source of random numbers (`view_layers.py`).
"""

import math
from collections.abc import Callable

import keras_cv
import tensorflow as tf

from keras_clce.views.batch_layers import (
    VALUE_RANGE,
    BatchAutoContrast,
    BatchEqualization,
    BatchGaussianBlur,
    Fused,
    OneOf,
    Slide,
    SomeOf,
    Uniform,
    apply_layers,
    bind,
)
from keras_clce.views.keyed_random import KeyedRandom
from keras_clce.views.policies import check_policy
from keras_clce.views.resizing import crop_boxes, middle_boxes, resize

# (images, aspects, key, share) -> views, all tensors but the share.
View = Callable[..., tf.Tensor]

_RAND_AUGMENT_STEPS = 2
_RAND_AUGMENT_MAGNITUDE = 0.3
_RAND_AUGMENT_STDDEV = 0.15


def _color_jitter(draws: KeyedRandom, brightness: float, contrast: float, saturation: float):
    # A degeneration by a negative factor raises the saturation: torchvision's adjust_saturation,
    # at a fraction of the cost of keras-cv's RandomSaturation, which goes through HSV.
    return [
        keras_cv.layers.RandomBrightness(brightness, VALUE_RANGE),
        keras_cv.layers.RandomContrast(VALUE_RANGE, contrast),
        keras_cv.layers.RandomColorDegeneration(Uniform(draws, -saturation, saturation)),
    ]


def _rand_augment_step(image_size: int) -> OneOf:
    standard = keras_cv.layers.RandAugment.get_standard_policy(
        VALUE_RANGE, _RAND_AUGMENT_MAGNITUDE, _RAND_AUGMENT_STDDEV
    )
    # XLA is slow at extremes and at histograms, and keras-cv takes these image by image.
    contrast, equalization = BatchAutoContrast(VALUE_RANGE), BatchEqualization(VALUE_RANGE)
    fused, sliding = [], []
    for layer in standard:
        if isinstance(layer, (keras_cv.layers.AutoContrast, keras_cv.layers.Equalization)):
            continue
        if isinstance(layer, keras_cv.layers.RandomShear):
            # The policy shears by 0 along the other axis, at the price of a second transform.
            for name in ("x_factor", "y_factor"):
                factor = getattr(layer, name)
                if isinstance(factor, keras_cv.core.ConstantFactorSampler) and not factor.value:
                    setattr(layer, name, None)
        if isinstance(layer, (keras_cv.layers.RandomShear, keras_cv.layers.RandomTranslation)):
            sliding.append(layer)
        else:
            fused.append(layer)
    return OneOf(fused, [(contrast, 1), (equalization, 1), (Slide(sliding, image_size), 4)])


def _random_boxes(
    draws: KeyedRandom, aspects: tf.Tensor, smallest_area: float, proportions=(3 / 4, 4 / 3)
) -> tf.Tensor:
    """Draw a box an image, (batch, 4) as y1, x1, y2, x2 in [0, 1].

    The area is uniform and the proportions, width / height in the photograph, are so in their
    logarithm. A box that does not fit shrinks until it does, where torchvision draws anew: no loop,
    and more of an elongated photograph is shown.
    """
    batch = tf.shape(aspects)
    area = draws.uniform(batch, smallest_area, 1.0)
    ratio = tf.exp(draws.uniform(batch, *(math.log(side) for side in proportions)))
    height = tf.sqrt(area * aspects / ratio)
    width = tf.sqrt(area * ratio / aspects)
    excess = tf.maximum(tf.maximum(height, width), 1.0)
    height, width = height / excess, width / excess
    top = draws.uniform(batch) * (1.0 - height)
    left = draws.uniform(batch) * (1.0 - width)
    return tf.stack([top, left, top + height, left + width], axis=1)


def _policy_layers(policy: str, image_size: int, flip: bool, draws: KeyedRandom) -> list:
    fused = [keras_cv.layers.RandomFlip("horizontal")] if flip else []
    steps = []
    if policy == "light":
        fused += _color_jitter(draws, brightness=0.08, contrast=0.15, saturation=0.15)
    elif policy == "simclr":
        jitter = _color_jitter(draws, brightness=0.2, contrast=0.4, saturation=0.4)
        jitter.append(keras_cv.layers.RandomHue(0.2, VALUE_RANGE))
        # Widths of 0.1 to 2 pixels are for views of 224 pixels.
        widths = (0.1, max(0.2, 2.0 * image_size / 224))
        fused += [
            SomeOf(jitter, rate=0.8),
            SomeOf([keras_cv.layers.Grayscale(3)], rate=0.2),
            SomeOf([BatchGaussianBlur(image_size, widths)], rate=0.5),
        ]
    elif policy == "randaugment":
        steps = [_rand_augment_step(image_size) for _ in range(_RAND_AUGMENT_STEPS)]
    return bind([Fused(fused), *steps], draws)


def make_view(
    policy: str,
    image_size: int,
    flip: bool = True,
    interpolation: str = "bilinear",
    crop_fraction: float = 1.0,
) -> View:
    """Build the function that draws one view of every image of a batch.

    | policy | what it does |
    |---|---|
    | `none` | what evaluation shows: the middle of the image, nothing random |
    | `light` | random resized crop (area 0.25 to 1, aspect 3:4 to 4:3), flip, mild colour jitter |
    | `simclr` | crop (area 0.08 to 1), flip, strong jitter (rate 0.8), gray (0.2), blur (0.5) |
    | `randaugment` | crop of `light`, flip, two keras-cv RandAugment operations of magnitude 0.3 |

    Args:
        policy: one of `VIEW_POLICIES`.
        image_size: side of the views, in pixels.
        flip: whether images may be mirrored.
        interpolation: of the resize by `"none"`: `"bilinear"` or `"bicubic"`.
        crop_fraction: share of the shorter side that `"none"` keeps; 1 keeps the whole image.

    Returns:
        `view(images, aspects, key)`: square images (batch, side, side, 3) with values in 0..255 of
        any dtype, the width / height that they had before they were squeezed (batch,), and an
        integer key (2,) give float32 views (batch, image_size, image_size, 3) in 0..255. The same
        key gives the same views; `"none"` needs no key. With `share=(index, count)` the images are
        every count-th of a larger batch from that index on, and get the views that they have in it.

    Raises:
        ValueError: if the policy is unknown.

    Reference:
        Chen et al. 2020 (SimCLR, arXiv 2002.05709); Khosla et al. 2020 (SupCon, arXiv 2004.11362),
        whose strengths `simclr` has; Cubuk et al. 2020 (RandAugment, arXiv 1909.13719).

    Example:
        >>> view = make_view("light", image_size=8)
        >>> view(tf.zeros((4, 10, 10, 3)), tf.ones(4), tf.constant([0, 1])).shape.as_list()
        [4, 8, 8, 3]
    """
    check_policy(policy)

    def middle(
        images: tf.Tensor, aspects: tf.Tensor, key: tf.Tensor | None, share=(0, 1)
    ) -> tf.Tensor:
        if crop_fraction != 1.0:
            # Twice as many samples as pixels, for an antialiased resize like the evaluation's.
            images = crop_boxes(images, middle_boxes(aspects, crop_fraction), 2 * image_size)
        return resize(images, image_size, interpolation)

    if policy == "none":
        return middle
    draws = KeyedRandom()
    layers = _policy_layers(policy, image_size, flip, draws)
    smallest_area = 0.08 if policy == "simclr" else 0.25

    def view(
        images: tf.Tensor, aspects: tf.Tensor, key: tf.Tensor | None, share=(0, 1)
    ) -> tf.Tensor:
        draws.start(key, share)
        boxes = _random_boxes(draws, aspects, smallest_area)
        views = apply_layers(layers, crop_boxes(images, boxes, image_size))
        return tf.ensure_shape(views, (images.shape[0], image_size, image_size, 3))

    return view

"""Random views of images inside `tf.data`, every draw a pure function of a key.

A batch depends on (seed, epoch, step, view) alone, whatever backend trains on it.
"""

import math
from collections.abc import Callable

import tensorflow as tf

from keras_clce.views.batch_changes import make_changes
from keras_clce.views.keyed_random import KeyedRandom
from keras_clce.views.policies import POLICIES, Policy, check_policy
from keras_clce.views.resizing import crop_boxes, middle_boxes, resize

# (images, aspects, key, share) -> views, all tensors but the share.
View = Callable[..., tf.Tensor]


def _random_boxes(draws: KeyedRandom, aspects: tf.Tensor, policy: Policy) -> tf.Tensor:
    """Draw a box for each image, (batch, 4) as y1, x1, y2, x2 in [0, 1].

    The area is uniform and the proportions, width / height in the photograph, are so in their
    logarithm. A box that does not fit shrinks until it does, where torchvision draws anew: no loop,
    and more of an elongated photograph is shown.
    """
    batch = tf.shape(aspects)
    area = draws.uniform(batch, *policy.area)
    ratio = tf.exp(draws.uniform(batch, *(math.log(side) for side in policy.aspect_ratio)))
    height = tf.sqrt(area * aspects / ratio)
    width = tf.sqrt(area * ratio / aspects)
    excess = tf.maximum(tf.maximum(height, width), 1.0)
    height, width = height / excess, width / excess
    top = draws.uniform(batch) * (1.0 - height)
    left = draws.uniform(batch) * (1.0 - width)
    return tf.stack([top, left, top + height, left + width], axis=1)


def make_view(
    policy: str,
    image_size: int,
    flip: bool = True,
    interpolation: str = "bilinear",
    crop_fraction: float = 1.0,
) -> View:
    """Build the function that draws one view of every image of a batch.

    `policies.py` has the numbers of each policy.

    Args:
        policy: One of `VIEW_POLICIES`.
        image_size: Side of the views, in pixels.
        flip: Whether images may be mirrored.
        interpolation: Of the resize by `"none"`: `"bilinear"` or `"bicubic"`.
        crop_fraction: Share of the shorter side that `"none"` keeps; 1 keeps the whole image.

    Returns:
        `view(images, aspects, key)`: square images (batch, side, side, 3) with values in 0..255 of
        any dtype, the width / height that they had before they were squeezed (batch,), and an
        integer key (2,) give float32 views (batch, image_size, image_size, 3) in 0..255. The same
        key gives the same views; `"none"` needs no key. With `share=(index, count)` the images are
        every count-th of a larger batch from that index on, and get the views that they have in it.

    Raises:
        ValueError: If the policy is unknown.

    Reference:
        Chen et al. 2020 (SimCLR, arXiv 2002.05709); Khosla et al. 2020 (SupCon, arXiv 2004.11362),
        whose strengths `simclr` has; Cubuk et al. 2020 (RandAugment, arXiv 1909.13719).

    Example:
    ```python
    view = make_view("light", image_size=8)
    view(tf.zeros((4, 10, 10, 3)), tf.ones(4), tf.constant([0, 1])).shape.as_list()  # [4, 8, 8, 3]
    ```
    """
    check_policy(policy)

    def middle(
        images: tf.Tensor,
        aspects: tf.Tensor,
        key: tf.Tensor | None,
        share: tuple[int, int] = (0, 1),
    ) -> tf.Tensor:
        if crop_fraction != 1.0:
            # Twice as many samples as pixels, for an antialiased resize like the evaluation's.
            images = crop_boxes(images, middle_boxes(aspects, crop_fraction), 2 * image_size)
        return resize(images, image_size, interpolation)

    draws, numbers = KeyedRandom(), POLICIES[policy]
    if numbers is None:
        return middle
    change = make_changes(numbers.changes_with(flip), image_size, draws)

    def view(
        images: tf.Tensor,
        aspects: tf.Tensor,
        key: tf.Tensor | None,
        share: tuple[int, int] = (0, 1),
    ) -> tf.Tensor:
        draws.start(key, share)
        boxes = _random_boxes(draws, aspects, numbers)
        views = change(crop_boxes(images, boxes, image_size))
        return tf.ensure_shape(views, (images.shape[0], image_size, image_size, 3))

    return view

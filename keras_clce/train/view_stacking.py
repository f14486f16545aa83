"""Two views of every image, stacked into one batch."""

from typing import Any

import keras
from keras import ops

from keras_clce.train.array_checks import check_image_shape, refuse_named_parts
from keras_clce.train.inputs import image_shape


def stack_views(model: keras.Model, data: Any) -> tuple:
    """Both views of every image as one batch, with labels and weights to match.

    Args:
        model: A `CLCEModel`; its augmenter makes the views of images that come alone.
        data: A batch as the data set gives it: images or a pair of views, labels, weights.

    Returns:
        `(images, labels, weights)` of twice as many rows, the views of an image side by side; the
        batch as it was where there is no augmenter.

    Raises:
        ValueError: If the views do not have one size and the number of the images.

    Example:
    ```python
    views, other_views = images, images[:, :, ::-1]
    stacked, labels, _ = stack_views(model, ((views, other_views), labels))
    stacked.shape  # (480, 32, 32, 3)
    ```
    """
    refuse_named_parts(data)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if isinstance(x, (tuple, list)):
        if len(x) != 2:
            raise ValueError(
                f"`x` must be images or a pair of views. Received: x with {len(x)} tensors"
            )
        views = x
    elif model.augmenter is not None:
        check_image_shape(x.shape, image_shape(model))
        views = [model.augmenter(x, training=True) for _ in range(2)]
    elif model.loss.trains_embedding and model.loss.contrastive.needs_views:
        raise ValueError(
            "Data must be pairs of views, or `augmenter` make them, for a loss with "
            "positives='view'. Received: images that come once, and augmenter=None"
        )
    else:
        return data
    expected = tuple(x[0].shape if isinstance(x, (tuple, list)) else x.shape)
    for view in views:
        shape = tuple(view.shape)
        if shape[:1] != expected[:1] or shape[1:] != tuple(views[0].shape)[1:]:
            raise ValueError(
                "`augmenter` and pairs of views must keep the number of images, "
                f"{expected[0]}, and give views of one size. Received: images of shape "
                f"{expected} and a view of shape {shape}"
            )
    # An image's views lie side by side, so that rows that are shared between devices stay where
    # they are: one view of all images before the other would send every image around.
    x = ops.stack([ops.cast(view, model.variable_dtype) for view in views], axis=1)
    x = ops.reshape(x, (-1, *ops.shape(x)[2:]))
    y = None if y is None else ops.repeat(y, 2, axis=0)
    if sample_weight is not None:
        sample_weight = ops.repeat(sample_weight, 2, axis=0)
    return x, y, sample_weight

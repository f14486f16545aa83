"""A picture of images beside their two views, to see what a policy does."""

import pathlib

import matplotlib.figure
import numpy as np
import tensorflow as tf

from keras_clce.data.dataset import ImageDataset, ImageSplit


def show_views(
    data: ImageSplit | ImageDataset,
    policy: str,
    n: int,
    path: str | pathlib.Path,
    seed: int = 0,
) -> pathlib.Path:
    """Write a PNG of the first `n` images, each with two views, one image a column.

    Args:
        data: a split, or a data set whose training split is meant.
        policy: one of `VIEW_POLICIES`.
        n: number of images, at most the split's.
        path: the file to write; its folder is made where it is not there.
        seed: seed of the views.

    Returns:
        The path of the picture.

    Raises:
        ValueError: if `n` is not between 1 and the number of examples, or the policy is unknown.

    Example:
        >>> split = ImageSplit(np.zeros((5, 10, 10, 3), np.uint8), np.arange(5), image_size=8)
        >>> show_views(split, "light", 2, "/tmp/views.png").name
        'views.png'
    """
    split = data.train if isinstance(data, ImageDataset) else data
    names = data.class_names if isinstance(data, ImageDataset) else None
    if not 1 <= n <= split.num_examples:
        raise ValueError(
            "`n` must be between 1 and the number of examples, "
            f"{split.num_examples}. Received: n={n}"
        )
    stored, labels, aspects = next(iter(split.stored_batches(n)))
    originals = split.view("none")(stored, aspects, None)
    draw = tf.function(split.view(policy))
    pair = [draw(stored, aspects, tf.constant([seed, number])) for number in range(2)]

    figure = matplotlib.figure.Figure(figsize=(1.6 * n + 0.5, 5.4), layout="constrained")
    axes = figure.subplots(3, n, squeeze=False)
    for row, (title, images) in enumerate(
        zip(("image", "view 1", "view 2"), (originals, *pair), strict=True)
    ):
        for column, image in enumerate(np.asarray(images)):
            axes[row, column].imshow(np.rint(image).astype(np.uint8))
            axes[row, column].set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(title)
    for column, label in enumerate(labels.numpy()):
        axes[0, column].set_title(str(names[label] if names else label)[:18], fontsize=8)
    figure.suptitle(f"policy {policy}, seed {seed}")
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, format="png")
    return path

"""A picture of images beside their two views, to see what a policy does."""

import pathlib

import matplotlib.figure
import numpy as np
import tensorflow as tf

from keras_clce.data.dataset import ImageDataset, ImageSplit
from keras_clce.files import printable_text, write_atomically


def show_views(
    data: ImageSplit | ImageDataset,
    policy: str,
    n: int,
    path: str | pathlib.Path,
    seed: int = 0,
) -> pathlib.Path:
    """Write a PNG of `n` images, spread over the data, each with two views, one image a column.

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
    # A split that streams would have to decode all that is passed over.
    every = 1 if split.streams else split.num_examples // n
    spread = split.stored_batches(1).shard(every, 0).unbatch().batch(n)
    stored, labels, aspects = next(iter(spread))
    draw = tf.function(split.view(policy))
    pair = [draw(stored, aspects, tf.constant([seed, number])) for number in range(2)]

    figure = matplotlib.figure.Figure(figsize=(1.6 * n + 0.5, 5.4), layout="constrained")
    axes = figure.subplots(3, n, squeeze=False)
    for row, (title, images) in enumerate(
        zip(("image", "view 1", "view 2"), (stored, *pair), strict=True)
    ):
        for column, image in enumerate(np.asarray(images)):
            # The stored square is shown in the proportions that the photograph had.
            stretch = 1.0 if row else 1.0 / float(aspects[column])
            axes[row, column].imshow(np.rint(image).astype(np.uint8), aspect=stretch)
            axes[row, column].set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(title)
    for column, label in enumerate(labels.numpy()):
        # Names of folders may hold $, which starts a formula, and bytes that are no characters.
        name = printable_text(str(names[label] if names else label)[:18])
        axes[0, column].set_title(name, fontsize=8, parse_math=False, usetex=False)
    figure.suptitle(f"policy {policy}, seed {seed}")
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda to: figure.savefig(to, dpi=100, format="png"))
    return path

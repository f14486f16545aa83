"""A picture of images beside their two views, to see what a policy does."""

import pathlib
from typing import TYPE_CHECKING

import numpy as np

from keras_clce.checks import import_module
from keras_clce.report.pictures import new_figure, save_figure

if TYPE_CHECKING:
    from keras_clce.data import ImageDataset, ImageSplit


def show_views(
    data: "ImageSplit | ImageDataset",
    policy: str,
    n: int,
    path: str | pathlib.Path,
    seed: int = 0,
) -> pathlib.Path:
    """Write a PNG of images, spread over the data, each with two views, one image per column.

    Args:
        data: A split, or a data set whose training split is meant.
        policy: One of `VIEW_POLICIES`.
        n: Number of images, at most the split's.
        path: The file to write. Its folder is made where it is not there.
        seed: Seed of the views. Defaults to 0.

    Returns:
        The path of the picture.

    Raises:
        ValueError: If `n` is not between 1 and the number of examples, or the policy is unknown.
        ImportError: If Matplotlib or TensorFlow is not installed.

    Example:
    ```python
    show_views(load_dataset("digits", image_size=32), "light", n=4, path="views.png")
    ```
    """
    # The pipeline of views is TensorFlow's, which nothing else of this package needs.
    tf = import_module("tensorflow", "A picture of views", "tensorflow")
    from keras_clce.data import ImageDataset

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

    figure = new_figure(figsize=(1.6 * n + 0.5, 5.4), layout="constrained")
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
        # Of several labels the row says which.
        own = np.flatnonzero(label) if np.ndim(label) else [label]
        title = ", ".join(str(names[number] if names else number) for number in own)
        axes[0, column].set_title(title[:18], fontsize=8)
    figure.suptitle(f"policy {policy}, seed {seed}")
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path, dpi=100)
    return path

"""Batches of P classes with K images each, so that an anchor has positives beside its own view."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_clce.data.splitting import named


def balanced_order(
    labels: np.ndarray, batch_size: int, images_per_class: int, seed: int, epoch: int
) -> np.ndarray:
    """Choose the examples of an epoch's batches.

    Each batch draws its classes without replacement; each class deals its images out in a shuffled
    order and shuffles anew where fewer than `images_per_class` are left. A class that has fewer in
    all repeats them.

    Args:
        labels: Integer classes (examples,).
        batch_size: Examples per batch, a multiple of `images_per_class`.
        images_per_class: Examples of each class in a batch, at least 2.
        seed: Seed of the choice.
        epoch: Number of the epoch, which changes the choice.

    Returns:
        Indices (steps, batch_size); steps is examples // batch_size.

    Raises:
        ValueError: If a number is out of its range, or there are too few classes.

    Example:
    ```python
    order = balanced_order(np.arange(40) % 8, 8, 2, seed=0, epoch=0)
    order.shape  # (5, 8)
    ```
    """
    labels = np.asarray(labels)
    check_balance(labels, batch_size, images_per_class)
    rng = np.random.default_rng([seed, epoch])
    names = np.unique(labels)
    members = [np.flatnonzero(labels == name) for name in names]
    dealt = [np.zeros(0, np.int64) for _ in names]
    steps, classes = len(labels) // batch_size, batch_size // images_per_class
    batches = np.empty((steps, classes, images_per_class), np.int64)
    for step in range(steps):
        for place, number in enumerate(rng.permutation(len(names))[:classes]):
            if len(dealt[number]) < images_per_class:
                rounds = -(-images_per_class // len(members[number]))
                dealt[number] = np.concatenate(
                    [rng.permutation(members[number]) for _ in range(rounds)]
                )
            batches[step, place] = dealt[number][:images_per_class]
            dealt[number] = dealt[number][images_per_class:]
    return batches.reshape(steps, batch_size)


class ClassBalancedBatches(keras.utils.PyDataset):
    """Batches of P classes with K images each, from arrays, for `fit` on any backend.

    With many classes and small batches, an anchor's only positive is otherwise its own other view.
    A class with fewer than K images repeats them, which a warning says once.

    Args:
        images: Images `(examples, height, width, channels)`, or a pair of arrays of views.
        labels: Integer classes `(examples,)`.
        batch_size: Examples per batch, a multiple of `images_per_class`. Defaults to 64.
        images_per_class: K, at least 2; P is `batch_size // images_per_class`. Defaults to 4.
        seed: Seed of the choice; every epoch chooses anew. Defaults to 0.
        **kwargs: As in `keras.utils.PyDataset`.

    Raises:
        ValueError: If a number is out of its range, or there are too few classes.

    Example:
    ```python
    batches = ClassBalancedBatches(images, labels, batch_size=32, images_per_class=4)
    model.fit(batches, epochs=1)
    ```
    """

    def __init__(
        self,
        images: Any,
        labels: np.ndarray,
        batch_size: int = 64,
        images_per_class: int = 4,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.images = images
        self.labels = np.asarray(labels)
        self.batch_size = batch_size
        self.images_per_class = images_per_class
        self.seed = seed
        self._epoch = 0
        self._order = self._draw()
        lengths = {len(part) for part in keras.tree.flatten(images)}
        if lengths != {len(self.labels)}:
            raise ValueError(
                f"`images` must have one row per label, {len(self.labels)}. "
                f"Received: images of lengths {sorted(lengths)}"
            )
        warn_of_repeats(self.labels, images_per_class)

    def __len__(self) -> int:
        """Number of batches per epoch."""
        return len(self._order)

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        """Images and labels of a batch."""
        rows = self._order[index]
        images = keras.tree.map_structure(lambda part: part[rows], self.images)
        return images, self.labels[rows]

    def on_epoch_end(self) -> None:
        """Choose the batches of the next epoch."""
        self._epoch += 1
        self._order = self._draw()

    def _draw(self):
        numbers = (self.batch_size, self.images_per_class, self.seed, self._epoch)
        return balanced_order(self.labels, *numbers)


def check_balance(labels: np.ndarray, batch_size: int, images_per_class: int) -> None:
    """Check that labels allow balanced batches, as `balanced_order` describes them.

    Raises:
        ValueError: If they do not.
    """
    if images_per_class < 2 or batch_size % images_per_class:
        raise ValueError(
            "`images_per_class` must be at least 2 and divide the batch size, "
            f"{batch_size}. Received: images_per_class={images_per_class}"
        )
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            "`labels` must be integers of shape (examples,). "
            f"Received: labels of shape {labels.shape} and dtype {labels.dtype}"
        )
    if batch_size > len(labels):
        raise ValueError(
            f"`batch_size` must be at most the number of examples, {len(labels)}. Received: "
            f"batch_size={batch_size}"
        )
    names = np.unique(labels)
    classes = batch_size // images_per_class
    if len(names) < classes:
        raise ValueError(
            f"`labels` must have at least batch_size / images_per_class = {classes} classes. "
            f"Received: {len(names)} classes"
        )


def warn_of_repeats(
    labels: np.ndarray, images_per_class: int, class_names: Sequence[str] | None = None
) -> None:
    """Warn of classes with fewer images than a batch shows of each.

    Args:
        labels: Integer classes (examples,).
        images_per_class: Examples of each class in a batch.
        class_names: Names of the classes; None gives their numbers.
    """
    numbers, counts = np.unique(labels, return_counts=True)
    few = [
        f"{class_names[number] if class_names else number} ({count})"
        for number, count in zip(numbers, counts, strict=True)
        if count < images_per_class
    ]
    if few:
        warnings.warn(
            f"{len(few)} of {len(numbers)} classes have fewer than images_per_class = "
            f"{images_per_class} images and repeat them in a batch: {named(few)}",
            stacklevel=3,
        )

"""A split of a data set, and the batches and pairs of views that it gives."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_clce.checks import is_whole_number
from keras_clce.data.balanced import balanced_order, check_balance, warn_of_repeats
from keras_clce.data.examples import Records
from keras_clce.data.installed import tensorflow
from keras_clce.data.stored_images import StoredArrays, StoredImages, StoredStream
from keras_clce.views.policies import check_image_size
from keras_clce.views.preprocessing import check_crop_fraction, check_interpolation

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_clce.views.pipeline import View


class ImageSplit:
    """One split of a data set: square uint8 images and integer labels.

    Splits come from `load_dataset`, or from arrays:

    Args:
        images: Uint8 array (examples, side, side, 3), or None where the split streams.
        labels: Integer array (examples,), rows of 0 and 1 (examples, classes) of several labels, or
            None where the split streams.
        image_size: Side of the images and views that the split gives, in pixels.
        flip: Whether views may be mirrored.
        interpolation: Of resizes, `"bilinear"` or `"bicubic"`.
        stream: `Records` whose `decode` gives (square uint8 image, label, aspect), for a split that
            is too large for memory; used where `images` is None.
        crop_fraction: Share of the shorter side that un-augmented images keep, from the middle; 1
            keeps the whole image.
        aspects: Width / height that the images had before they were squeezed into squares, float
            array (examples,); None means squares.
        class_names: Names of the classes, for messages; None gives their numbers.
        shown: `Records` of the same examples whose `decode` gives (uint8 image of `image_size` as
            evaluation shows it, label, aspect), for a split whose images are kept for views: a
            crop of such a copy would be less sharp. None crops what is kept.

    Raises:
        ValueError: If an argument is out of range or of another shape or dtype than described.

    Example:
    ```python
    split = ImageSplit(np.zeros((8, 10, 10, 3), np.uint8), np.arange(8), image_size=8)
    (view_1, view_2), labels = next(iter(split.view_pairs(4)))
    view_1.shape.as_list(), labels.shape.as_list()  # ([4, 8, 8, 3], [4])
    ```
    """

    def __init__(
        self,
        images: np.ndarray | None,
        labels: np.ndarray | None,
        image_size: int,
        flip: bool = True,
        interpolation: str = "bilinear",
        stream: Records | None = None,
        crop_fraction: float = 1.0,
        aspects: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
        shown: Records | None = None,
    ) -> None:
        check_image_size(image_size)
        check_interpolation(interpolation)
        check_crop_fraction(crop_fraction)
        if (images is None) == (stream is None):
            raise ValueError(
                "`images` or `stream` must be given, and not both. Received: "
                f"images={type(images).__name__}, stream={type(stream).__name__}"
            )
        self._stored: StoredImages
        if stream is not None:
            self._stored = StoredStream(stream)
        elif images is not None:
            _check_arrays(images, labels)
            labels = np.asarray(labels, np.int64)
            aspects = np.asarray(np.ones(len(labels)) if aspects is None else aspects, np.float32)
            _check_aspects(aspects, labels)
            self._stored = StoredArrays(images, labels, aspects)
        self._shown = None if shown is None else StoredStream(shown)
        self.image_size = image_size
        self.flip = flip
        self.crop_fraction = crop_fraction
        self.interpolation = interpolation
        self.class_names = class_names
        # Each number of images of a class is warned of once.
        self._checked_balance: set[int] = set()

    @property
    def num_examples(self) -> int:
        """Number of examples."""
        return self._stored.num_examples

    @property
    def labels(self) -> np.ndarray | None:
        """The int64 labels (examples,), None where the split streams and its records lack them."""
        return self._stored.labels

    @property
    def streams(self) -> bool:
        """Whether images are decoded anew in every pass, not kept in memory."""
        return self._stored.streams

    def batches(self, batch_size: int) -> tf.data.Dataset:
        """Give the examples once, in order and un-augmented.

        Where views are drawn from smaller copies, the examples are read and decoded once more.

        Args:
            batch_size: Images per batch; the last batch may be smaller.

        Returns:
            A dataset of (float32 images (batch, image_size, image_size, 3) in 0..255, int64 labels
            (batch,)).

        Raises:
            ValueError: If `batch_size` is not a positive integer.

        Example:
        ```python
        split = ImageSplit(np.zeros((5, 10, 10, 3), np.uint8), np.arange(5), image_size=8)
        [len(labels) for _, labels in split.batches(2)]  # [2, 2, 1]
        ```
        """
        tf, view = tensorflow(), self.view("none")

        def finish(images, labels, aspects):
            if self._shown is not None:
                return tf.cast(images, tf.float32), labels
            return view(images, aspects, None), labels

        _check_positive("batch_size", batch_size)
        batches = (self._shown or self._stored).batches(batch_size)
        return batches.map(finish, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    def stored_batches(self, batch_size: int) -> tf.data.Dataset:
        """Give the uint8 images as they are kept, larger than `image_size` in training splits.

        Args:
            batch_size: Images per batch; the last batch may be smaller.

        Returns:
            A dataset of (uint8 images (batch, side, side, 3), int64 labels (batch,), float32
            aspects (batch,), width / height before the images were squeezed), in order.

        Raises:
            ValueError: If `batch_size` is not a positive integer.

        Example:
        ```python
        split = ImageSplit(np.zeros((5, 10, 10, 3), np.uint8), np.arange(5), image_size=8)
        next(iter(split.stored_batches(2)))[0].shape.as_list()  # [2, 10, 10, 3]
        ```
        """
        _check_positive("batch_size", batch_size)
        return self._stored.batches(batch_size)

    def view(self, policy: str) -> View:
        """Give the function that draws one view of each image of a stored batch.

        Args:
            policy: One of `VIEW_POLICIES`.

        Returns:
            What `make_view` builds for this split.

        Raises:
            ValueError: If the policy is unknown.

        Example:
        ```python
        import tensorflow as tf
        split = ImageSplit(np.zeros((5, 10, 10, 3), np.uint8), np.arange(5), image_size=8)
        images, labels, aspects = next(iter(split.stored_batches(2)))
        split.view("light")(images, aspects, tf.constant([0, 1])).shape.as_list()  # [2, 8, 8, 3]
        ```
        """
        tensorflow("Making views")
        from keras_clce.views.pipeline import make_view

        return make_view(policy, self.image_size, self.flip, self.interpolation, self.crop_fraction)

    def view_pairs(
        self,
        batch_size: int,
        policy: str = "light",
        seed: int = 0,
        initial_epoch: int = 0,
        images_per_class: int | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> tf.data.Dataset:
        """Give two augmented views of every image, epoch after epoch without end.

        Order and views are a pure function of (seed, epoch, step): a run that starts again with
        `initial_epoch=k` sees exactly what the uninterrupted run saw from epoch k on. Each epoch
        shuffles anew and drops what does not fill its last batch.

        Args:
            batch_size: Images per batch; each batch has that many pairs.
            policy: One of `VIEW_POLICIES`.
            seed: Seed of the order and of the views.
            initial_epoch: Epoch to begin with, from 0.
            images_per_class: Images of each class in a batch, at least 2, where batches shall be
                balanced; None shuffles all.
            share: (index, count): give every count-th image of each batch from that index on, for
                processes that train on one batch together. What they give together is what one
                alone would give; no process decodes the images of another.

        Returns:
            A dataset of ((view_1, view_2), labels): float32 views
            (batch_size / count, image_size, image_size, 3) in 0..255, int64 labels
            (batch_size / count,). An epoch has `num_examples // batch_size` batches.

        Raises:
            ValueError: If an argument is out of range, or the split is smaller than a batch.

        Example:
        ```python
        split = ImageSplit(np.zeros((8, 10, 10, 3), np.uint8), np.arange(8), image_size=8)
        pairs = split.view_pairs(4, policy="simclr", seed=1)
        steps_per_epoch = split.num_examples // 4
        ```
        """
        _check_positive("batch_size", batch_size)
        tf, view = tensorflow(), self.view(policy)
        for name, value in (("seed", seed), ("initial_epoch", initial_epoch)):
            if not is_whole_number(value, 0):
                raise ValueError(
                    f"`{name}` must be an integer of 0 or more. Received: {name}={value!r}"
                )
        if batch_size > self.num_examples:
            raise ValueError(
                f"`batch_size` must be at most the number of examples, {self.num_examples}: an "
                f"epoch drops what does not fill a batch. Received: batch_size={batch_size}"
            )
        index, count = share
        if not 0 <= index < count or batch_size % count:
            raise ValueError(
                "`share` must be (index, count) with an index below the count, and the count must "
                f"divide the batch size, {batch_size}. Received: share={share!r}"
            )
        from keras_clce.data.epochs import VIEW_STREAM, epoch_key

        with tf.device("CPU:0"):
            root = tf.constant([seed % 2**31, seed // 2**31], tf.int32)
        balanced = None
        if images_per_class is not None:
            self.check_balanced(batch_size, images_per_class)
            numbers = (batch_size, images_per_class, seed)
            balanced = functools.partial(balanced_order, self.labels, *numbers)

        def draw_views(epoch, step, batch):
            images, labels, aspects = batch()
            if policy == "none":  # nothing random, so one view is both
                return (view(images, aspects, None),) * 2, labels
            key = tf.random.fold_in(epoch_key(root, epoch, VIEW_STREAM), step)
            pair = tuple(
                view(images, aspects, tf.random.fold_in(key, number), share) for number in range(2)
            )
            return pair, labels

        epochs = self._stored.epochs(batch_size, share, root, initial_epoch, draw_views, balanced)
        return epochs.prefetch(2)

    def check_balanced(self, batch_size: int, images_per_class: int) -> None:
        """Check that batches of that many images of each class can be drawn.

        It warns once of classes with fewer images, which repeat them.

        Args:
            batch_size: Images per batch.
            images_per_class: Images of each class in a batch.

        Raises:
            ValueError: If they cannot, or the split streams.

        Example:
        ```python
        split = ImageSplit(np.zeros((8, 9, 9, 3), np.uint8), np.arange(8) % 2, image_size=8)
        split.check_balanced(4, 2)
        ```
        """
        if self.streams:
            raise ValueError(
                "`images_per_class` must be None for a split that streams. "
                f"Received: images_per_class={images_per_class}"
            )
        check_balance(self.labels, batch_size, images_per_class)
        if images_per_class not in self._checked_balance:
            self._checked_balance.add(images_per_class)
            warn_of_repeats(self.labels, images_per_class, self.class_names)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the whole split as NumPy arrays.

        Returns:
            uint8 images (examples, image_size, image_size, 3) and int64 labels (examples,), or
            (examples, classes) of several.

        Example:
        ```python
        split = ImageSplit(np.zeros((5, 10, 10, 3), np.uint8), np.arange(5), image_size=8)
        split.arrays()[0].shape  # (5, 8, 8, 3)
        ```
        """
        kept = self._stored.arrays_of(self.image_size)
        if kept is not None:
            return kept
        images = np.empty((self.num_examples, self.image_size, self.image_size, 3), np.uint8)
        (_, of_batch, _) = self._stored.batches(1).element_spec
        labels = np.empty((self.num_examples, *of_batch.shape[1:]), np.int64)
        start = 0
        for batch, batch_labels in self.batches(256).as_numpy_iterator():
            stop = start + len(batch)
            images[start:stop] = np.rint(batch)
            labels[start:stop] = batch_labels
            start = stop
        return images, labels


def _check_positive(name: str, value: int) -> None:
    if not is_whole_number(value, 1):
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")


def _check_arrays(images: np.ndarray, labels: np.ndarray | None) -> None:
    shape: tuple[int, ...] = getattr(images, "shape", ())
    dtype = getattr(images, "dtype", None)
    if dtype != np.uint8 or len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3:
        raise ValueError(
            "`images` must be a uint8 array of shape (examples, side, side, 3). Received: "
            f"images={type(images).__name__} of shape {tuple(shape)} and dtype {dtype}"
        )
    labels = np.asarray(labels)
    several = labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "biuf"
    if several and labels.shape[0] == shape[0] and np.isin(labels, (0, 1)).all():
        return
    with np.errstate(invalid="ignore"):
        whole = labels.dtype.kind in "iuf" and np.array_equal(labels, labels.astype(np.int64))
    if labels.shape != shape[:1] or not whole:
        raise ValueError(
            f"`labels` must be integers of shape ({shape[0]},), one for each image. Received: "
            f"labels of shape {labels.shape} and dtype {labels.dtype}, such as "
            f"{labels.ravel()[:3].tolist()}"
        )


def _check_aspects(aspects: np.ndarray, labels: np.ndarray) -> None:
    if aspects.shape != labels.shape[:1] or not (np.isfinite(aspects) & (aspects > 0)).all():
        raise ValueError(
            f"`aspects` must be {len(labels)} finite numbers above 0, one for each image. "
            f"Received: aspects of shape {aspects.shape}, such as {aspects.ravel()[:3]}"
        )

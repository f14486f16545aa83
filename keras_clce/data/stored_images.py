"""Where a split keeps its images: whole in memory, or in records that every pass decodes anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

from keras_clce.data.examples import Records
from keras_clce.data.installed import tensorflow

if TYPE_CHECKING:
    import tensorflow as tf


class StoredImages(Protocol):
    """Square uint8 images with their labels and their aspects, the width / height they once had."""

    @property
    def num_examples(self) -> int:
        """Number of examples."""

    @property
    def labels(self) -> np.ndarray | None:
        """The int64 labels (examples,), None where they are not known before decoding."""

    @property
    def streams(self) -> bool:
        """Whether images are decoded anew in every pass."""

    def arrays_of(self, image_size: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Give images and labels where they are in memory and of this size."""

    def batches(self, batch_size: int) -> tf.data.Dataset:
        """Give batches of (images, labels, aspects) once, in order."""

    def epochs(
        self,
        batch_size: int,
        share: tuple[int, int],
        root: tf.Tensor,
        initial_epoch: int,
        draw_views: Callable,
        balanced: Callable[[int], np.ndarray] | None,
    ) -> tf.data.Dataset:
        """Give batches of views without end, as `epochs_in_memory` describes them."""


class StoredArrays:
    """Images in memory, as `StoredImages`.

    Args:
        images: Uint8 array (examples, side, side, 3).
        labels: int64 labels (examples,).
        aspects: float32 aspects (examples,).
    """

    streams = False

    def __init__(self, images: np.ndarray, labels: np.ndarray, aspects: np.ndarray) -> None:
        self.images = images
        self.labels = labels
        self.aspects = aspects

    @property
    def num_examples(self) -> int:
        """Number of examples."""
        return len(self.images)

    def arrays_of(self, image_size: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Give images and labels where they are of this size."""
        return (self.images, self.labels) if self.images.shape[1] == image_size else None

    def batches(self, batch_size: int) -> tf.data.Dataset:
        """Give batches of (images, labels, aspects) once, in order."""
        tf = tensorflow()
        with tf.device("CPU:0"):
            stored = (self.images, self.labels, self.aspects)
            return tf.data.Dataset.from_tensor_slices(stored).batch(batch_size)

    def epochs(self, batch_size, share, root, initial_epoch, draw_views, balanced):
        """Give batches of views without end."""
        from keras_clce.data.epochs import epochs_in_memory

        stored = (self.images, self.labels, self.aspects)
        numbers = (batch_size, share, root, initial_epoch)
        return epochs_in_memory(stored, *numbers, draw_views, balanced)


class StoredStream:
    """Images in records, as `StoredImages`.

    Args:
        records: Records whose `decode` gives (square uint8 image, label, aspect).
    """

    streams = True

    def __init__(self, records: Records) -> None:
        self.records = records

    @property
    def num_examples(self) -> int:
        """Number of examples."""
        return self.records.num_examples

    @property
    def labels(self) -> np.ndarray | None:
        """The int64 labels (examples,), None where they are not known before decoding."""
        return self.records.labels

    def arrays_of(self, image_size: int) -> None:
        """Give None: there are no arrays."""
        return None

    def batches(self, batch_size: int) -> tf.data.Dataset:
        """Give batches of (images, labels, aspects) once, in order."""
        parallel = tensorflow().data.AUTOTUNE
        decoded = self.records.dataset.map(self.records.decode, num_parallel_calls=parallel)
        return decoded.batch(batch_size)

    def epochs(self, batch_size, share, root, initial_epoch, draw_views, balanced):
        """Give batches of views without end; `balanced` is None."""
        from keras_clce.data.epochs import epochs_from_stream

        numbers = (batch_size, share, root, initial_epoch)
        return epochs_from_stream(self.records, *numbers, draw_views)

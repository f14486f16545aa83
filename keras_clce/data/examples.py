"""Examples before they are decoded: what loaders hand over, and what is made of them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from keras_clce.data.installed import tensorflow

if TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Records:
    """Where a split's examples come from, before they are decoded.

    Args:
        dataset: Undecoded records in a fixed order.
        decode: Turns one record into (image of any size, label), inside a `tf.data` graph.
        num_examples: Number of records.
        shuffle_buffer: How many records are shuffled together where the split streams.
        labels: int64 labels (examples,) where they are known before decoding.
        label_axes: 1 where the label of a record is a row of several labels, else 0.
    """

    dataset: tf.data.Dataset
    decode: Callable
    num_examples: int
    shuffle_buffer: int = 4096
    labels: np.ndarray | None = None
    label_axes: int = 0


@contextlib.contextmanager
def damage_as_os_error() -> Iterator[None]:
    """Turn TensorFlow's errors on damaged records into one that recipes print in one line.

    Raises:
        OSError: If a record or an image cannot be read.
    """
    try:
        yield
    except tensorflow().errors.OpError as error:
        reason = error.message.strip().splitlines()[0]
        raise OSError(
            f"The images could not be read ({type(error).__name__}: {reason}). Prepare the data "
            "set anew, or bring it back from a copy"
        ) from error


class ExampleSource(Protocol):
    """What a loader hands over for a split: examples that can be chosen from before decoding."""

    @property
    def num_examples(self) -> int:
        """Number of examples."""

    def read_labels(self) -> np.ndarray:
        """Give the int64 labels (examples,) in the order of the records."""

    def select(self, indices: np.ndarray) -> ExampleSource:
        """Give the examples at these sorted indices."""

    def mixed(self) -> ExampleSource:
        """Give the examples in an order that does not follow the classes."""

    def records(self) -> Records:
        """Give the undecoded records."""

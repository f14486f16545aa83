"""Examples before they are decoded: what loaders hand over, and what is made of them."""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Records:
    """Where a split's examples come from, before they are decoded.

    Args:
        dataset: undecoded records in a fixed order.
        decode: turns one record into (image of any size, label), inside a `tf.data` graph.
        num_examples: number of records.
        shuffle_buffer: how many records are shuffled together where the split streams.
        labels: int64 labels (examples,) where they are known before decoding.
    """

    dataset: tf.data.Dataset
    decode: Callable
    num_examples: int
    shuffle_buffer: int = 4096
    labels: np.ndarray | None = None


class ExampleSource(Protocol):
    """What a loader hands over for a split: examples that can be chosen from before decoding."""

    @property
    def num_examples(self) -> int:
        """Number of examples."""

    def read_labels(self) -> np.ndarray:
        """Give the int64 labels (examples,) in the order of the records."""

    def select(self, indices: np.ndarray) -> "ExampleSource":
        """Give the examples at these sorted indices."""

    def records(self) -> Records:
        """Give the undecoded records."""

"""Some classes of a source alone, with labels that count them from 0."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_clce.data.examples import ExampleSource, Records
from keras_clce.data.installed import tensorflow
from keras_clce.data.splitting import named


@dataclasses.dataclass(frozen=True)
class ClassSubset:
    """The examples of some classes, as an `ExampleSource`.

    Args:
        source: Examples of these classes alone, with their labels in the whole.
        new_labels: The label (classes of the whole,) that each class has here, -1 for the others.
    """

    source: ExampleSource
    new_labels: np.ndarray

    @property
    def num_examples(self) -> int:
        """Number of examples."""
        return self.source.num_examples

    def read_labels(self) -> np.ndarray:
        """Give the labels (examples,)."""
        return self.new_labels[self.source.read_labels()]

    def select(self, indices: np.ndarray) -> ClassSubset:
        """Give the examples at these sorted indices."""
        return ClassSubset(self.source.select(indices), self.new_labels)

    def mixed(self) -> ClassSubset:
        """Give the examples in an order that does not follow the classes."""
        return ClassSubset(self.source.mixed(), self.new_labels)

    def records(self) -> Records:
        """Give the undecoded records."""
        tf, records = tensorflow(), self.source.records()

        def decode(*record):
            image, label = records.decode(*record)
            return image, tf.gather(tf.constant(self.new_labels), label)

        return dataclasses.replace(records, decode=decode, labels=self.read_labels())


def of_classes(source: ExampleSource, classes: np.ndarray, num_classes: int) -> ClassSubset:
    """Keep the examples of these classes.

    Args:
        source: The examples.
        classes: Labels of the classes to keep, in the order of their new labels.
        num_classes: Number of classes of the source.

    Returns:
        Their examples, with labels from 0.
    """
    new_labels = np.full(num_classes, -1, np.int64)
    new_labels[classes] = np.arange(len(classes))
    rows = np.flatnonzero(new_labels[source.read_labels()] >= 0)
    return ClassSubset(source.select(rows), new_labels)


def without_small_classes(
    sources: Sequence[ExampleSource],
    class_names: Sequence[str],
    least: int | None,
    counted: Sequence[ExampleSource],
    what: str = "images",
) -> tuple[list[ExampleSource], tuple[str, ...], str]:
    """Leave classes with few images out of sources that share their classes.

    Args:
        sources: What the classes are left out of.
        class_names: Names of the classes.
        least: Number of images that a class must have to stay; None keeps all.
        counted: The sources whose images count.
        what: What is counted, for people to read.

    Returns:
        The sources, the names of the classes that stay, and a phrase for the split note that begins
        with `"; "`, `""` where all stay.

    Raises:
        ValueError: If fewer than two classes stay.
    """
    names = tuple(class_names)
    if least is None:
        return list(sources), names, ""
    labels = np.concatenate([source.read_labels() for source in counted])
    counts = np.bincount(labels, minlength=len(names))
    kept, small = np.flatnonzero(counts >= least), np.flatnonzero(counts < least)
    if not len(small):
        return list(sources), names, ""
    if len(kept) < 2:
        largest = [f"{names[label]} ({counts[label]})" for label in np.argsort(-counts)]
        raise ValueError(
            "`drop_small_classes` must leave two classes or more. Received: drop_small_classes="
            f"{least}, which leaves {len(kept)} of {len(names)}; the largest: {named(largest)}"
        )
    subsets: list[ExampleSource] = [of_classes(source, kept, len(names)) for source in sources]
    dropped = named([f"{names[label]} ({counts[label]})" for label in small])
    one = len(small) == 1
    note = f"; {len(small)} {'class' if one else 'classes'} with fewer than {least} {what} "
    return subsets, tuple(names[label] for label in kept), f"{note}left out: {dropped}"

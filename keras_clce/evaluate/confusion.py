"""What a classifier gets wrong: the accuracy of each class, and which one is taken for which."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_clce.checks import as_array, check_at_least, import_module, is_whole_number


@dataclasses.dataclass(frozen=True)
class ClassAccuracy:
    """How often examples of one class are classified rightly.

    Args:
        label: Number of the class.
        examples: How many examples of it there are.
        right: How many of them are classified rightly.
        accuracy: The share.
        low: Lower end of Wilson's 95 % interval.
        high: Upper end of it.

    Example:
    ```python
    class_accuracies([0, 0, 1], [0, 1, 1])[0].accuracy  # 0.5
    ```
    """

    label: int
    examples: int
    right: int
    accuracy: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
    """A class that is taken for another.

    Args:
        label: Number of the true class.
        predicted: Number of the class that is predicted.
        count: Examples of the true class that are taken for the other.
        share: Their share of all examples of the true class.

    Example:
    ```python
    confused_pairs([0, 0, 1], [0, 1, 1])[0].count  # 1
    ```
    """

    label: int
    predicted: int
    count: int
    share: float


def wilson_interval(right: int, examples: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share.

    Args:
        right: How many examples are right.
        examples: How many there are, at least 1.
        confidence: Probability that the interval covers the true share, within (0, 1). Defaults to
            0.95.

    Returns:
        Lower and upper end, within [0, 1].

    Raises:
        ValueError: If a number is out of its range.

    Reference:
        Wilson, Probable inference, the law of succession, and statistical inference (1927).

    Example:
    ```python
    wilson_interval(9, 10)  # (0.596, 0.982)
    ```
    """
    check_at_least("examples", examples, 1)
    if not is_whole_number(right, 0) or right > examples:
        raise ValueError(
            f"`right` must be a whole number within [0, {examples}]. Received: right={right!r}"
        )
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must be within (0, 1). Received: confidence={confidence!r}")
    stats = import_module("scipy.stats", "Wilson's interval", "scipy")
    test = stats.binomtest(int(right), int(examples))
    low, high = test.proportion_ci(confidence, method="wilson")
    return float(low), float(high)


def class_accuracies(
    labels: Sequence[int], predictions: Sequence[int]
) -> tuple[ClassAccuracy, ...]:
    """The accuracy of each class that has examples, with Wilson's 95 % interval, the worst first.

    Args:
        labels: Integer classes `(examples,)`.
        predictions: Integer classes that a model predicts `(examples,)`.

    Returns:
        A `ClassAccuracy` for each class among the labels. Of equal ones the class with more
        examples comes first.

    Raises:
        ValueError: If the arrays are empty, differ in length or are no integers from 0.

    Example:
    ```python
    [found.label for found in class_accuracies([0, 0, 1, 2, 2], [0, 0, 1, 1, 2])]  # [2, 0, 1]
    ```
    """
    labels, predictions = _checked(labels, predictions)
    examples = np.bincount(labels)
    right = np.bincount(labels[labels == predictions], minlength=len(examples))
    found = [
        ClassAccuracy(
            int(label),
            int(examples[label]),
            int(right[label]),
            float(right[label] / examples[label]),
            *wilson_interval(right[label], examples[label]),
        )
        for label in np.flatnonzero(examples)
    ]
    return tuple(sorted(found, key=lambda one: (one.accuracy, -one.examples, one.label)))


def confused_pairs(labels: Sequence[int], predictions: Sequence[int]) -> tuple[ConfusedPair, ...]:
    """The pairs of classes of which one is taken for the other, the most frequent first.

    Args:
        labels: As in `class_accuracies`.
        predictions: As in `class_accuracies`.

    Returns:
        A `ConfusedPair` for each that occurs. Of equally many the one with the larger share comes
        first.

    Raises:
        ValueError: As in `class_accuracies`.

    Example:
    ```python
    pair = confused_pairs([0, 0, 0, 1], [0, 2, 2, 0])[0]
    pair.label, pair.predicted, pair.count  # (0, 2, 2)
    ```
    """
    labels, predictions = _checked(labels, predictions)
    examples = np.bincount(labels)
    wrong = labels != predictions
    pairs, counts = np.unique(
        np.stack([labels[wrong], predictions[wrong]], axis=1), axis=0, return_counts=True
    )
    found = [
        ConfusedPair(int(label), int(predicted), int(count), float(count / examples[label]))
        for (label, predicted), count in zip(pairs, counts, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (-one.count, -one.share)))


def _checked(labels, predictions):
    labels, predictions = as_array(labels), as_array(predictions)
    for name, values in (("labels", labels), ("predictions", predictions)):
        if values.ndim != 1 or not len(values) or values.dtype.kind not in "iu" or values.min() < 0:
            raise ValueError(
                f"`{name}` must be integer classes from 0 of shape (examples,), at least one. "
                f"Received: {name} of shape {values.shape} and dtype {values.dtype}"
            )
    if len(labels) != len(predictions):
        raise ValueError(
            "`predictions` must hold one class per label. "
            f"Received: {len(predictions)} predictions and {len(labels)} labels"
        )
    return labels, predictions

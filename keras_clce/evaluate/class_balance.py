"""Accuracy where classes are unbalanced: balanced, of each class, and of rare and frequent ones."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_clce.checks import as_array, class_labels, import_module

# Beyond that ratio of the largest to the smallest class, classes count as unbalanced.
UNBALANCED = 2.0
GROUPS = ("many", "medium", "few")
_MANY, _FEW = 100, 20


@dataclasses.dataclass(frozen=True)
class GroupAccuracy:
    """Accuracy on the classes of which there are many, medium or few training images.

    Args:
        accuracy: Mean of the accuracies of its classes.
        classes: How many classes with examples it has.

    Example:
    ```python
    group_accuracies([0, 0, 1], [0, 0, 0], [500, 5])["few"].accuracy  # 0.0
    ```
    """

    accuracy: float
    classes: int


def balanced_accuracy(
    labels: Sequence[int] | np.ndarray, predictions: Sequence[int] | np.ndarray
) -> float:
    """Mean of the accuracies of the classes, however many examples each has.

    Args:
        labels: Integer classes `(examples,)`.
        predictions: Integer classes that a model predicts `(examples,)`.

    Returns:
        A fraction within [0, 1], as scikit-learn's `balanced_accuracy_score`: chance is 1 over the
        number of classes.

    Raises:
        ValueError: If there are no labels, no integers, or more or fewer predictions.

    Example:
    ```python
    balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0])  # 0.5
    ```
    """
    labels, predictions = _checked(labels, predictions)
    metrics = import_module("sklearn.metrics", "Balanced accuracy", "scikit-learn")
    with warnings.catch_warnings():
        # Of classes that are predicted and have no example, as where few images are tested.
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
        return float(metrics.balanced_accuracy_score(labels, predictions))


def group_accuracies(
    labels: Sequence[int] | np.ndarray,
    predictions: Sequence[int] | np.ndarray,
    class_counts: Sequence[int] | np.ndarray,
) -> dict[str, GroupAccuracy]:
    """Accuracy on classes with many (more than 100), medium (20 to 100) or few training images.

    Args:
        labels: As in `balanced_accuracy`.
        predictions: As in `balanced_accuracy`.
        class_counts: Number of training images of each class `(classes,)`.

    Returns:
        A `GroupAccuracy` for each of `"many"`, `"medium"` and `"few"` that has examples: the mean
        over its classes.

    Raises:
        ValueError: If arrays do not fit, or a label has no count.

    Reference:
        [Large-scale long-tailed recognition](https://arxiv.org/abs/1904.05160), for the bounds.

    Example:
    ```python
    groups = group_accuracies([0, 0, 1, 2], [0, 0, 1, 1], [500, 50, 5])
    [(name, group.accuracy) for name, group in groups.items()]
    # [("many", 1.0), ("medium", 1.0), ("few", 0.0)]
    ```
    """
    labels, predictions = _checked(labels, predictions)
    counts = as_array(class_counts)
    if counts.ndim != 1 or counts.dtype.kind not in "iu" or not 0 <= labels.max() < len(counts):
        raise ValueError(
            f"`class_counts` must be whole numbers, one for each class up to {labels.max()}. "
            f"Received: class_counts of shape {counts.shape} and dtype {counts.dtype}"
        )
    found: dict[str, list[float]] = {name: [] for name in GROUPS}
    for label in np.unique(labels):
        accuracy = float(np.mean(predictions[labels == label] == label))
        found[class_group(int(counts[label]))].append(accuracy)
    return {
        name: GroupAccuracy(float(np.mean(accuracies)), len(accuracies))
        for name, accuracies in found.items()
        if accuracies
    }


def class_group(training_images: int) -> str:
    """Which of `GROUPS` a class is in.

    Args:
        training_images: How many training images it has.

    Returns:
        `"many"` above 100, `"few"` below 20, else `"medium"`.

    Example:
    ```python
    class_group(100)  # "medium"
    ```
    """
    if training_images > _MANY:
        return "many"
    return "few" if training_images < _FEW else "medium"


def imbalance(class_counts: Sequence[int] | np.ndarray) -> float:
    """How many times more training images the largest class has than the smallest that has any.

    Args:
        class_counts: Number of training images of each class `(classes,)`.

    Returns:
        The ratio, 1 where all classes have equally many.

    Example:
    ```python
    imbalance([500, 50, 5])  # 100.0
    ```
    """
    counts = as_array(class_counts)
    counts = counts[counts > 0]
    return float(counts.max() / counts.min()) if counts.size else 1.0


def _checked(labels: Any, predictions: Any) -> tuple[np.ndarray, np.ndarray]:
    labels = as_array(labels)
    if labels.ndim != 1 or not labels.size or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(
            "`labels` must be integer classes from 0 of shape (examples,), at least one. "
            f"Received: labels of shape {labels.shape} and dtype {labels.dtype}"
        )
    return labels, class_labels("predictions", predictions, len(labels), "labels")

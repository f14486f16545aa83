"""Validation and test of several labels an image: mean average precision and F1."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_clce.evaluate import MeanAveragePrecision, multi_label_metrics

_LOGGED = ("map", "f1_micro", "f1_macro")


def metrics_of_labels(num_classes: int) -> list[keras.metrics.Metric]:
    """What is logged in training: mean average precision, and F1 at a probability of 1/2.

    Args:
        num_classes: Number of classes.

    Returns:
        Metrics of Keras.

    Example:
    ```python
    [metric.name for metric in metrics_of_labels(3)]
    # ["map", "f1_micro", "f1_macro"]
    ```
    """
    return [
        MeanAveragePrecision(num_classes, name="map"),
        keras.metrics.F1Score("micro", threshold=0.5, name="f1_micro"),
        keras.metrics.F1Score("macro", threshold=0.5, name="f1_macro"),
    ]


def validation_of_labels(row: Mapping[str, float]) -> dict[str, float]:
    """What `metrics.json` has of the validation split.

    Args:
        row: The logs of the epoch that is kept.

    Returns:
        The values by name.

    Example:
    ```python
    row = {"val_map": 0.8, "val_f1_micro": 0.7, "val_f1_macro": 0.6}
    validation_of_labels(row)["f1_micro"]  # 0.7
    ```
    """
    return {name: row[f"val_{name}"] for name in _LOGGED}


def test_of_labels(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """What `metrics.json` has of the test split.

    Args:
        labels: Rows of 0 and 1 `(images, classes)`.
        probabilities: Of that shape.
        class_names: Names of the classes.

    Returns:
        The values by name, with the average precision of each class that an image has.

    Example:
    ```python
    labels = np.array([[1, 0], [1, 1]])
    test_of_labels(labels, labels.astype("float32"), ["ant", "bee"])["examples"]  # 2
    ```
    """
    found = multi_label_metrics(labels, probabilities)
    of_classes = zip(class_names, found.pop("average_precision"), strict=True)
    known = {name: value for name, value in of_classes if value is not None}
    return {**found, "examples": len(labels), "average_precision": known}

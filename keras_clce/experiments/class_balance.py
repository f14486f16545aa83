"""Training classes that are not equally frequent: their weights, their priors, their accuracies."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_clce.checks import import_module
from keras_clce.data import FewShotDataset, ImageDataset, class_counts
from keras_clce.evaluate import (
    UNBALANCED,
    balanced_accuracy,
    class_accuracies,
    group_accuracies,
    imbalance,
)
from keras_clce.experiments.settings import Settings


def training_counts(
    settings: Settings, dataset: ImageDataset | FewShotDataset
) -> np.ndarray | None:
    """How many training images each class has.

    Args:
        settings: The settings.
        dataset: The data.

    Returns:
        Their numbers `(classes,)`; `None` where an image has several labels, or where they stream
        with the images and no setting asks for the numbers, for which all would have to be read.

    Example:
    ```python
    training_counts(Settings(), load_dataset("digits", image_size=32)).sum()  # 1259
    ```
    """
    if settings.multi_label:
        return None
    labels = dataset.train.labels
    if labels is not None:
        return np.bincount(labels[labels >= 0], minlength=dataset.num_classes)
    if settings.class_weight is None and not settings.logit_adjustment:
        return None
    return _counted(
        settings.dataset,
        few_shot=isinstance(dataset, FewShotDataset),
        data_dir=settings.data_dir,
        split_seed=settings.split_seed,
        limit_examples=settings.limit_examples,
        limit_per_class=settings.limit_per_class,
        strict=settings.strict,
        drop_small_classes=settings.drop_small_classes,
    )


@functools.lru_cache(maxsize=1)
def _counted(name: str, **options: Any) -> np.ndarray:
    return class_counts(name, **options)


def class_weights(settings: Settings, counts: np.ndarray | None) -> dict[int, float] | None:
    """Weights of the classes for `fit`, by scikit-learn's rule.

    Args:
        settings: The settings.
        counts: What `training_counts` gave.

    Returns:
        The weight of each class: training images over classes that have some and images of the
        class, so that weights are 1 on average over the images; `None` without weights.

    Example:
    ```python
    class_weights(Settings(class_weight="balanced"), np.array([30, 10]))  # {0: 0.667, 1: 2.0}
    ```
    """
    if settings.class_weight is None or counts is None:
        return None
    present = np.flatnonzero(counts)
    sklearn = import_module("sklearn.utils.class_weight", "Class weights", "scikit-learn")
    found = sklearn.compute_class_weight(
        settings.class_weight, classes=present, y=np.repeat(np.arange(len(counts)), counts)
    )
    # Keras looks weights up in a table that has to reach to the last class.
    known = dict(zip(present.tolist(), found.tolist(), strict=True))
    return {label: known.get(label, 1.0) for label in range(len(counts))}


def balance_in_words(counts: np.ndarray | None) -> str:
    """How unbalanced the training classes are, for the plan.

    Args:
        counts: What `training_counts` gave.

    Returns:
        A few words; nothing where no class has more than twice the images of another.

    Example:
    ```python
    balance_in_words(np.array([500, 50, 5]))  # "5 to 500 training images of a class, 100:1"
    ```
    """
    if counts is None or imbalance(counts) <= UNBALANCED:
        return ""
    present = counts[counts > 0]
    ratio = f"{imbalance(counts):.3g}:1"
    return f"{present.min()} to {present.max()} training images of a class, {ratio}"


def balance_metrics(
    labels: np.ndarray,
    predictions: np.ndarray,
    counts: np.ndarray | None,
    class_names: Sequence[str],
) -> dict[str, Any]:
    """What accuracy alone does not say of unbalanced classes, for `metrics.json`.

    Args:
        labels: Classes of the test images `(images,)`.
        predictions: Predicted classes `(images,)`.
        counts: What `training_counts` gave.
        class_names: Names of the classes.

    Returns:
        Balanced accuracy, the accuracy on classes with many, medium and few training images, and
        that of each class; nothing where training classes are balanced.

    Example:
    ```python
    found = balance_metrics(np.array([0, 1]), np.array([0, 0]), np.array([500, 5]), ["cat", "owl"])
    found["balanced_accuracy"], found["groups"]["few"]  # (0.5, {"accuracy": 0.0, "classes": 1})
    ```
    """
    if counts is None or imbalance(counts) <= UNBALANCED:
        return {}
    groups = group_accuracies(labels, predictions, counts)
    tested = {one.label: one for one in class_accuracies(labels, predictions)}
    return {
        "balanced_accuracy": balanced_accuracy(labels, predictions),
        "groups": {name: dataclasses.asdict(group) for name, group in groups.items()},
        "classes": {
            name: {
                "training_images": int(count),
                "examples": tested[label].examples if label in tested else 0,
                "accuracy": tested[label].accuracy if label in tested else None,
            }
            for label, (name, count) in enumerate(zip(class_names, counts, strict=True))
        },
    }

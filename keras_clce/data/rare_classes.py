"""Warnings of classes that have few training images, or far fewer than others."""

import warnings
from collections.abc import Sequence

import numpy as np

from keras_clce.data.splitting import named

FEW = 5
UNBALANCED = 10


def warn_of_rare_classes(labels: np.ndarray, class_names: Sequence[str]) -> None:
    """Warn of classes with fewer than 5 training images, and of imbalance beyond 10:1.

    Args:
        labels: Integer labels of the training images `(examples,)`.
        class_names: Names of the classes; one without an image is not warned of.

    Example:
    ```python
    warn_of_rare_classes(np.repeat([0, 1], [40, 6]), ["cat", "owl"])
    ```
    """
    counts = np.bincount(labels, minlength=len(class_names))
    present = np.flatnonzero(counts)
    rare = present[counts[present] < FEW]
    if len(rare):
        few = [f"{class_names[label]} ({counts[label]})" for label in rare]
        advice = "Bring more images of them"
        if len(present) - len(rare) > 1:
            advice += ", or leave small classes out with drop_small_classes (--drop_small_classes)"
        warnings.warn(
            f"{len(rare)} of {len(class_names)} classes have fewer than {FEW} training images, of "
            f"which little can be learned: {named(few)}. {advice}",
            stacklevel=3,
        )
    largest, smallest = (choose(present, key=lambda one: counts[one]) for choose in (max, min))
    if counts[largest] > UNBALANCED * counts[smallest]:
        warnings.warn(
            f"Training images are unbalanced: {counts[largest]} of {class_names[largest]}, "
            f"{counts[smallest]} of {class_names[smallest]}. Rare classes may be predicted too "
            "seldom: --logit_adjustment 1, --class_weight balanced and --negatives class_mean are "
            "made for that, and balanced accuracy tells of it",
            stacklevel=3,
        )

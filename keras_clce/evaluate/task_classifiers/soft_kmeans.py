"""Soft k-means that begins with the means of the support."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.evaluate.task_classifiers.algebra import (
    all_rows,
    class_means,
    closeness,
    softmax,
    support_classes,
)
from keras_clce.evaluate.task_classifiers.base import (
    OPTIONAL,
    TaskClassifier,
    check_positive,
    check_steps,
)
from keras_clce.evaluate.task_classifiers.centering import base_mean, centered_unit_rows


@dataclass(frozen=True)
class SoftKMeans(TaskClassifier):
    """Classify by soft k-means over support and queries, where the support keeps its classes.

    Rows are divided by their length, after the mean of the base classes is subtracted where their
    features are given.

    Args:
        temperature: What squared distances are multiplied by. Defaults to 10.
        steps: Rounds of assignments and means. Defaults to 5.

    Reference:
        - [Ren et al. 2018](https://arxiv.org/abs/1803.00676)
        - [BAVARDAGE](https://arxiv.org/abs/2209.08527), which begins with it

    Example:
    ```python
    predict_tasks(np.eye(2)[None, :, None], np.eye(2)[None], "soft_kmeans", steps=3)  # [[0, 1]]
    ```
    """

    temperature: float = 10.0
    steps: int = 5

    transductive = True
    together = 8
    base_features = OPTIONAL

    def __post_init__(self) -> None:
        check_positive(temperature=self.temperature)
        check_steps(steps=self.steps)

    def learn(self, base_features: np.ndarray | None, base_labels: np.ndarray | None) -> Any:
        """Mean of the base classes' features, or `None`."""
        return None if base_features is None else base_mean(base_features)

    def represent(self, features: np.ndarray, learned: Any = None) -> np.ndarray:
        """Rows of unit length, centred where there are base classes."""
        return centered_unit_rows(features, learned)

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Logarithms of the last assignments, but for what is the same of all classes."""
        rows = all_rows(support, queries)
        logits = self.logits(rows, class_means(support), support_classes(support))
        return logits[..., -queries.shape[1] :].swapaxes(1, 2)

    def logits(self, rows: np.ndarray, means: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Logits of the assignments after the last step.

        Args:
            rows: Features of support and queries `(tasks, examples, dim)`.
            means: Means to begin with `(tasks, ways, dim)`.
            known: One-hot classes of the first examples `(ways, support)`.

        Returns:
            Logits `(tasks, ways, examples)`.

        Example:
        ```python
        rows = np.eye(2)[None]
        SoftKMeans(steps=1).logits(rows, rows, np.eye(2))  # [[[10.0, -10.0], [-10.0, 10.0]]]
        ```
        """
        for step in range(self.steps):
            logits = 2 * self.temperature * closeness(means, rows)
            if step < self.steps - 1:
                assigned = assignments(logits, known)
                means = assigned @ rows / assigned.sum(axis=2, keepdims=True)
        return logits


def assignments(logits: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Assign examples to classes softly, and those of the support to their own.

    Args:
        logits: Logits `(tasks, ways, examples)`.
        known: One-hot classes of the first examples `(ways, support)`.

    Returns:
        Assignments `(tasks, ways, examples)`, which sum to 1 over the classes.

    Example:
    ```python
    assignments(np.zeros((1, 2, 3)), np.eye(2))  # [[[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]]
    ```
    """
    found = softmax(logits)
    found[..., : known.shape[1]] = known
    return found

"""SimpleShot: cosine similarity to class means, of centred features."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.evaluate.task_classifiers.algebra import class_means, cosine_similarities
from keras_clce.evaluate.task_classifiers.base import OPTIONAL, TaskClassifier
from keras_clce.evaluate.task_classifiers.centering import base_mean, centered_unit_rows


@dataclass(frozen=True)
class SimpleShot(TaskClassifier):
    """Classify by cosine similarity to the mean of a class's support.

    With features of the base classes, their mean is subtracted and rows are divided by their
    length first, which is the paper's CL2N; without them, features are taken as they are.

    Reference:
        - [SimpleShot](https://arxiv.org/abs/1911.04623)

    Example:
    ```python
    predict_tasks(np.eye(2)[None, :, None], np.eye(2)[None], "simple_shot")  # [[0, 1]]
    ```
    """

    base_features = OPTIONAL

    def learn(self, base_features: np.ndarray | None, base_labels: np.ndarray | None) -> Any:
        """Mean of the base classes' features, or `None`."""
        return None if base_features is None else base_mean(base_features)

    def represent(self, features: np.ndarray, learned: Any = None) -> np.ndarray:
        """Centred rows of unit length, or features as they are."""
        return features if learned is None else centered_unit_rows(features, learned)

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Cosine similarities."""
        return cosine_similarities(class_means(support), queries).swapaxes(1, 2)

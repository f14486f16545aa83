"""The closest mean of a class's support."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.evaluate.task_classifiers.algebra import class_means, products
from keras_clce.evaluate.task_classifiers.base import TaskClassifier


@dataclass(frozen=True)
class NearestCentroid(TaskClassifier):
    """Classify by the closest mean of a class's support, in Euclidean distance.

    Reference:
        - [Prototypical networks](https://arxiv.org/abs/1703.05175)

    Example:
    ```python
    predict_tasks(np.eye(2)[None, :, None], np.eye(2)[None], "nearest_centroid")  # [[0, 1]]
    ```
    """

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Half the negative squared distance, but for what is the same of all classes."""
        centroids = class_means(support)
        return products(queries, centroids) - 0.5 * (centroids**2).sum(axis=-1)[:, None]

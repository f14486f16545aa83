"""The mean of a class's support that points where a query does."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.evaluate.task_classifiers.algebra import products
from keras_clce.evaluate.task_classifiers.base import TaskClassifier


@dataclass(frozen=True)
class Cosine(TaskClassifier):
    """Classify by the mean of a class's support that has the highest cosine similarity.

    Example:
    ```python
    predict_tasks(np.eye(2)[None, :, None], np.eye(2)[None], "cosine")  # [[0, 1]]
    ```
    """

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Cosine similarity, times the length of the query, which is the same of all classes."""
        centroids = support.sum(axis=2)
        norms = np.linalg.norm(centroids, axis=-1, keepdims=True)
        centroids = centroids / np.maximum(norms, np.finfo(centroids.dtype).tiny)
        return products(queries, centroids)

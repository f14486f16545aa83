"""BD-CSPN: prototypes that are rectified by the queries."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.evaluate.task_classifiers.algebra import (
    class_means,
    cosine_similarities,
    rows_of,
    support_classes,
)
from keras_clce.evaluate.task_classifiers.base import TaskClassifier


@dataclass(frozen=True)
class BDCSPN(TaskClassifier):
    """Classify by cosine similarity to prototypes that queries take part in.

    Queries are shifted to the mean of the support; each joins the class that is closest, weighted
    by the exponential of its cosine similarity.

    Reference:
        - [Prototype rectification](https://arxiv.org/abs/1911.10713)

    Example:
    ```python
    predict_tasks(np.eye(2)[None, :, None], np.eye(2)[None], "bd_cspn")  # [[0, 1]]
    ```
    """

    transductive = True

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Cosine similarities."""
        prototypes = rectified_prototypes(support, queries)
        return cosine_similarities(prototypes, queries).swapaxes(1, 2)


def rectified_prototypes(support: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Mean of a class's support and of the queries that are closest to it.

    Args:
        support: Features `(tasks, ways, shots, dim)`.
        queries: Features `(tasks, examples, dim)`.

    Returns:
        Prototypes `(tasks, ways, dim)`.

    Example:
    ```python
    rectified_prototypes(np.eye(2)[None, :, None], np.eye(2)[None])  # [[[1.0, 0.0], [0.0, 1.0]]]
    ```
    """
    rows, ways = rows_of(support), support.shape[1]
    queries = queries + (rows.mean(axis=1) - queries.mean(axis=1))[:, None]
    means = class_means(support)
    cosines = cosine_similarities(means, queries)
    nearest = cosines.argmax(axis=1)[:, None] == np.arange(ways)[:, None]
    weights = np.exp(cosine_similarities(means, rows)) * support_classes(support)
    joined = np.exp(cosines) * nearest
    sums = weights.sum(axis=2, keepdims=True) + joined.sum(axis=2, keepdims=True)
    return (weights @ rows + joined @ queries) / sums

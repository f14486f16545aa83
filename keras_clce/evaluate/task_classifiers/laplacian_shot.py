"""LaplacianShot: neighbouring queries are of a class."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.evaluate.task_classifiers.algebra import softmax, squared_distances, squares
from keras_clce.evaluate.task_classifiers.base import (
    TaskClassifier,
    check_not_negative,
    check_steps,
)
from keras_clce.evaluate.task_classifiers.bd_cspn import rectified_prototypes


@dataclass(frozen=True)
class LaplacianShot(TaskClassifier):
    """Classify by distances to prototypes and by the classes of a query's nearest neighbours.

    Prototypes are those of `bd_cspn`. Assignments are updated until their bound changes by less
    than a millionth.

    Args:
        steps: Most updates. Defaults to 20.
        neighbors: Nearest queries that count, of which a query itself is the first and has no say.
            Defaults to 3.
        regularization: Weight of the neighbours. Defaults to 0.7.

    Reference:
        - [LaplacianShot](https://arxiv.org/abs/2006.15486)

    Example:
    ```python
    support, queries = np.eye(2)[None, :, None], np.eye(2)[None]
    predict_tasks(support, queries, "laplacian_shot", neighbors=2)  # [[0, 1]]
    ```
    """

    steps: int = 20
    neighbors: int = 3
    regularization: float = 0.7

    transductive = True

    def __post_init__(self) -> None:
        check_steps(steps=self.steps, neighbors=self.neighbors)
        check_not_negative(regularization=self.regularization)

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Logarithms of the assignments, but for what is the same of all classes."""
        distances = squared_distances(rectified_prototypes(support, queries), queries)
        nearest = _nearest(queries, self.neighbors)
        logits, assigned = -distances, softmax(-distances)
        bound = np.full(len(queries), np.inf)
        active = np.arange(len(queries))
        for step in range(self.steps):
            logits[active] = self.regularization * _sums(assigned[active], nearest[active])
            logits[active] -= distances[active]
            assigned[active] = softmax(logits[active])
            before = bound[active]
            bound[active] = self._bound(assigned[active], distances[active], nearest[active])
            if step > 1:
                change = np.abs(bound[active] - before)
                active = active[change > 1e-6 * np.abs(before)]
            if not len(active):
                break
        return logits.swapaxes(1, 2)

    def _bound(self, assigned, distances, nearest):
        pairwise = self.regularization * _sums(assigned, nearest)
        return (assigned * (np.log(assigned + 1e-12) + distances - pairwise)).sum(axis=(1, 2))


def _nearest(queries, number):
    """Nearest queries of each `(tasks, examples, number - 1)`, the query itself left out."""
    # Of one row, the length of the row itself changes nothing.
    distances = squares(queries)[:, None] - 2 * queries @ queries.swapaxes(1, 2)
    # Equal rows are no reason to take oneself for a neighbour.
    examples = np.arange(queries.shape[1])
    distances[:, examples, examples] = -np.inf
    number = min(number, len(examples))
    found = np.argpartition(distances, number - 1, axis=2)[..., :number]
    order = np.argsort(np.take_along_axis(distances, found, axis=2), axis=2)
    return np.take_along_axis(found, order, axis=2)[..., 1:]


def _sums(assigned, nearest):
    """Assignments of each query's neighbours, summed `(tasks, ways, examples)`."""
    tasks, ways, examples = assigned.shape
    places = nearest.reshape(tasks, 1, -1)
    found = np.take_along_axis(assigned, places, axis=2)
    return found.reshape(tasks, ways, examples, -1).sum(axis=3)

"""PT-MAP: power transform, and optimal transport of queries to classes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.evaluate.task_classifiers.algebra import (
    all_rows,
    class_means,
    closeness,
    support_classes,
)
from keras_clce.evaluate.task_classifiers.base import (
    TaskClassifier,
    check_positive,
    check_steps,
)

_EPSILON = 1e-6
_MOST_ITERATIONS = 1000


@dataclass(frozen=True)
class PTMAP(TaskClassifier):
    """Classify by optimal transport of queries to classes, each of which gets as many of them.

    Features lose what is negative and are raised to a power. Prototypes then move, step by step,
    towards the means of support and queries as they are transported.

    Args:
        steps: Steps of the prototypes. Defaults to 10.
        learning_rate: Share of the way that a prototype moves. Defaults to 0.2.
        regularization: What squared distances are multiplied by. Defaults to 10.
        power: Power of the transform. Defaults to 0.5.

    Reference:
        - [PT-MAP](https://arxiv.org/abs/2006.03806)

    Example:
    ```python
    predict_tasks(np.eye(2)[None, :, None], np.eye(2)[None], "pt_map", power=1.0)  # [[0, 1]]
    ```
    """

    steps: int = 10
    learning_rate: float = 0.2
    regularization: float = 10.0
    power: float = 0.5

    transductive = True

    def __post_init__(self) -> None:
        check_steps(steps=self.steps)
        check_positive(
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            power=self.power,
        )

    def represent(self, features: np.ndarray, learned: Any = None) -> np.ndarray:
        """Powers of what is positive."""
        return (np.maximum(features, 0) + np.float32(_EPSILON)) ** self.power

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Share of each query that goes to each class."""
        rows, known = all_rows(support, queries), support_classes(support)
        means, examples = class_means(support), known.shape[1]
        assigned = np.empty((len(rows), len(known), rows.shape[1]), rows.dtype)
        assigned[..., :examples] = known
        for _ in range(self.steps):
            assigned[..., examples:] = self._transported(means, queries)
            new = assigned @ rows / assigned.sum(axis=2, keepdims=True)
            means = means + self.learning_rate * (new - means)
        return self._transported(means, queries).swapaxes(1, 2)

    def _transported(self, means, queries):
        """Shares by Sinkhorn's iterations: 1 of each query, equally many of each class."""
        plan = 2 * self.regularization * closeness(means, queries)
        # A factor for each query does not change where the iterations end.
        plan -= plan.max(axis=1, keepdims=True)
        np.exp(plan, out=plan)
        share = plan.shape[2] / plan.shape[1]
        done, active = np.empty_like(plan), np.arange(len(plan))
        sums = plan.sum(axis=1, keepdims=True)
        for _ in range(_MOST_ITERATIONS):
            plan /= sums + 1e-10
            plan *= share / (plan.sum(axis=2, keepdims=True) + 1e-10)
            before, sums = sums, plan.sum(axis=1, keepdims=True)
            moved = np.abs(sums - before).max(axis=(1, 2)) >= _EPSILON
            if not moved.all():
                done[active[~moved]] = plan[~moved]
                plan, sums, active = plan[moved], sums[moved], active[moved]
            if not len(active):
                break
        done[active] = plan
        return done

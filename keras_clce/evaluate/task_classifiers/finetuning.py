"""A cosine classifier that begins with class means and is fitted to the support."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.evaluate.task_classifiers.adam import minimize
from keras_clce.evaluate.task_classifiers.algebra import (
    class_means,
    cosine_similarities,
    rows_of,
    support_classes,
)
from keras_clce.evaluate.task_classifiers.base import (
    TaskClassifier,
    check_positive,
    check_steps,
)
from keras_clce.evaluate.task_classifiers.losses import cross_entropy_slopes
from keras_clce.evaluate.task_classifiers.similarities import cosines


@dataclass(frozen=True)
class Finetuning(TaskClassifier):
    """Classify by cosine similarity to prototypes that are fitted to the support.

    They begin with the class means and take Adam's steps on the cross-entropy of the support. The
    encoder stays as it is.

    Args:
        steps: Number of steps. Defaults to 200.
        learning_rate: Size of a step. Defaults to 1e-4.
        temperature: What cosines are multiplied by. Defaults to 1.

    Reference:
        - [A closer look at few-shot classification](https://arxiv.org/abs/1904.04232)

    Example:
    ```python
    predict_tasks(np.eye(2)[None, :, None], np.eye(2)[None], "finetuning", steps=10)  # [[0, 1]]
    ```
    """

    steps: int = 200
    learning_rate: float = 1e-4
    temperature: float = 1.0

    together = 8

    def __post_init__(self) -> None:
        check_steps(steps=self.steps)
        check_positive(learning_rate=self.learning_rate, temperature=self.temperature)

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Cosine similarities, times the temperature."""
        known, similarity = support_classes(support), cosines(rows_of(support))

        def gradient(prototypes):
            logits, pull = similarity(prototypes)
            logits *= self.temperature
            slopes = cross_entropy_slopes(logits, known)
            slopes *= self.temperature
            return pull(slopes)

        prototypes = minimize(class_means(support), gradient, self.steps, self.learning_rate)
        return self.temperature * cosine_similarities(prototypes, queries).swapaxes(1, 2)

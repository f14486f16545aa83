"""TIM: transductive information maximisation."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.evaluate.task_classifiers.adam import minimize
from keras_clce.evaluate.task_classifiers.algebra import all_rows, class_means, support_classes
from keras_clce.evaluate.task_classifiers.base import (
    TaskClassifier,
    check_not_negative,
    check_positive,
    check_steps,
)
from keras_clce.evaluate.task_classifiers.losses import (
    cross_entropy_slopes,
    entropy_slopes,
    marginal_entropy_slopes,
)
from keras_clce.evaluate.task_classifiers.similarities import cosines


@dataclass(frozen=True)
class TIM(TaskClassifier):
    """Classify by prototypes that maximise the information between queries and their classes.

    They begin with the class means and take Adam's steps on the cross-entropy of the support, plus
    the entropy of each query's prediction, minus the entropy of the mean prediction.

    Args:
        steps: Number of steps. Defaults to 50.
        learning_rate: Size of a step. Defaults to 1e-4.
        temperature: What cosines are multiplied by. Defaults to 10.
        cross_entropy_weight: Weight of the cross-entropy. Defaults to 1.
        marginal_entropy_weight: Weight of the entropy of the mean prediction. Defaults to 1.
        conditional_entropy_weight: Weight of the entropy of each prediction. Defaults to 0.1.

    Reference:
        - [TIM](https://arxiv.org/abs/2008.11297)

    Example:
    ```python
    predict_tasks(np.eye(2)[None, :, None], np.eye(2)[None], "tim", temperature=15.0)  # [[0, 1]]
    ```
    """

    steps: int = 50
    learning_rate: float = 1e-4
    temperature: float = 10.0
    cross_entropy_weight: float = 1.0
    marginal_entropy_weight: float = 1.0
    conditional_entropy_weight: float = 0.1

    transductive = True
    together = 8

    def __post_init__(self) -> None:
        check_steps(steps=self.steps)
        check_positive(learning_rate=self.learning_rate, temperature=self.temperature)
        check_not_negative(
            cross_entropy_weight=self.cross_entropy_weight,
            marginal_entropy_weight=self.marginal_entropy_weight,
            conditional_entropy_weight=self.conditional_entropy_weight,
        )

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Cosine similarities, times the temperature."""
        known, rows = support_classes(support), all_rows(support, queries)
        similarity, examples = cosines(rows), known.shape[1]

        def gradient(prototypes):
            logits, pull = similarity(prototypes)
            logits *= self.temperature
            ours, theirs = logits[..., :examples], logits[..., examples:]
            slopes = np.empty_like(logits)
            slopes[..., :examples] = self.cross_entropy_weight * cross_entropy_slopes(ours, known)
            slopes[..., examples:] = self.conditional_entropy_weight * entropy_slopes(theirs)
            marginal = marginal_entropy_slopes(theirs)
            slopes[..., examples:] -= self.marginal_entropy_weight * marginal
            slopes *= self.temperature
            return pull(slopes)

        prototypes = minimize(class_means(support), gradient, self.steps, self.learning_rate)
        logits, _ = similarity(prototypes)
        return self.temperature * logits[..., examples:].swapaxes(1, 2)

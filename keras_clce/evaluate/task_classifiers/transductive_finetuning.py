"""Transductive fine-tuning: cross-entropy of the support and entropy of the queries."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.evaluate.task_classifiers.adam import minimize
from keras_clce.evaluate.task_classifiers.algebra import all_rows, class_means, support_classes
from keras_clce.evaluate.task_classifiers.base import (
    TaskClassifier,
    check_one_of,
    check_positive,
    check_steps,
)
from keras_clce.evaluate.task_classifiers.losses import cross_entropy_slopes, entropy_slopes
from keras_clce.evaluate.task_classifiers.similarities import cosines, negative_distances


@dataclass(frozen=True)
class TransductiveFinetuning(TaskClassifier):
    """Classify by prototypes that are fitted to the support and to be sure of the queries.

    They begin with the class means and take Adam's steps on the cross-entropy of the support plus
    the Shannon entropy of the queries. The encoder stays as it is, which the paper trains too.

    Args:
        steps: Number of steps. Defaults to 25.
        learning_rate: Size of a step. Defaults to 5e-5.
        temperature: What similarities are multiplied by. Defaults to 1.
        similarity: `"euclidean"`, the negative distance, which easyfsl has, or `"cosine"`, which
            the paper has. Defaults to `"euclidean"`.

    Reference:
        - [A baseline for few-shot image classification](https://arxiv.org/abs/1909.02729)

    Example:
    ```python
    support, queries = np.eye(2)[None, :, None], np.eye(2)[None]
    predict_tasks(support, queries, "transductive_finetuning", similarity="cosine")  # [[0, 1]]
    ```
    """

    steps: int = 25
    learning_rate: float = 5e-5
    temperature: float = 1.0
    similarity: str = "euclidean"

    transductive = True
    together = 8

    def __post_init__(self) -> None:
        check_steps(steps=self.steps)
        check_positive(learning_rate=self.learning_rate, temperature=self.temperature)
        check_one_of("similarity", self.similarity, ("euclidean", "cosine"))

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Similarities, times the temperature."""
        known, start = support_classes(support), class_means(support)
        rows, examples = all_rows(support, queries), known.shape[1]
        if self.similarity == "cosine":
            similarity = cosines(rows)
        else:
            similarity = negative_distances(rows, start)

        def gradient(prototypes):
            logits, pull = similarity(prototypes)
            logits *= self.temperature
            slopes = np.empty_like(logits)
            slopes[..., :examples] = cross_entropy_slopes(logits[..., :examples], known)
            slopes[..., examples:] = entropy_slopes(logits[..., examples:])
            slopes *= self.temperature
            return pull(slopes)

        prototypes = minimize(start, gradient, self.steps, self.learning_rate)
        logits, _ = similarity(prototypes)
        return self.temperature * logits[..., examples:].swapaxes(1, 2)

"""FewTURE: patch tokens of queries against those of the support, weighted by importance."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.evaluate.task_classifiers.algebra import unit_rows
from keras_clce.evaluate.task_classifiers.base import (
    TaskClassifier,
    check_not_negative,
    check_positive,
    check_steps,
)
from keras_clce.evaluate.task_classifiers.losses import cross_entropy_slopes

_MASK = -100.0
# Of one shot, tokens are masked that are fewer than this many places away.
_BAND = 5
# Cosines that are computed together, 32 MiB of them.
_COSINES = 2**23


@dataclass(frozen=True)
class FewTURE(TaskClassifier):
    """Classify by similarities of all patch tokens of a query to all of a class's support.

    The score of a class is the logarithm of the sum over all pairs of exp((cosine + importance) /
    temperature). The importance of each support token is learned by steps of gradient descent on
    the cross-entropy of the support, whose images may not see themselves: with one shot, a token
    does not see those that are fewer than 5 places away.

    Args:
        temperature: What similarities are divided by. Defaults to 0.05103.
        steps: Number of steps. Defaults to 15.
        learning_rate: Size of a step; 0 leaves all tokens as important. Defaults to 0.1.

    Reference:
        - [FewTURE](https://arxiv.org/abs/2206.07267)

    Example:
    ```python
    rng = np.random.default_rng(0)
    support, queries = rng.normal(size=(1, 2, 5, 9, 4)), rng.normal(size=(1, 3, 9, 4))
    predict_tasks(support, queries, "fewture").shape  # (1, 3)
    ```
    """

    temperature: float = 0.051031036307982884
    steps: int = 15
    learning_rate: float = 0.1

    tokens = True

    def __post_init__(self) -> None:
        check_positive(temperature=self.temperature)
        check_steps(steps=self.steps)
        check_not_negative(learning_rate=self.learning_rate)

    def represent(self, features: np.ndarray, learned: Any = None) -> np.ndarray:
        """Tokens of unit length."""
        return unit_rows(features)

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Logits."""
        return np.stack([self._task(*task) for task in zip(support, queries, strict=True)])

    # A task alone has millions of pairs of tokens.
    def _task(self, support, queries):
        ways, shots, tokens, dim = support.shape
        images = support.reshape(ways * shots, tokens, dim)
        rows = images.reshape(ways, shots * tokens, dim)
        importance = np.zeros(rows.shape[:2], rows.dtype)
        if self.learning_rate:
            seen = self._seen(rows, images, band=_BAND if shots == 1 else 0)
            if shots > 1:
                own = seen.reshape(ways * shots, tokens, ways * shots)
                own[np.arange(ways * shots), :, np.arange(ways * shots)] += _MASK / self.temperature
            known = np.repeat(np.eye(ways, dtype=rows.dtype), shots, axis=1)
            for _ in range(self.steps):
                importance -= self.learning_rate * self._slope(importance, seen, known)
        return self._logits(importance, self._seen(rows, queries)).T

    def _seen(self, rows, images, band=0):
        """Logarithm `(ways, support tokens, images)` of the sum over an image's tokens."""
        flat, tokens = rows.reshape(-1, rows.shape[-1]), images.shape[1]
        found = np.empty((len(flat), len(images)), rows.dtype)
        together = max(1, _COSINES // (len(flat) * tokens))
        for start in range(0, len(images), together):
            some = images[start : start + together]
            cosines = flat @ some.reshape(-1, some.shape[-1]).T
            if band:
                places = np.arange(cosines.shape[1]) + start * tokens
                cosines[np.abs(places - np.arange(len(flat))[:, None]) < band] += _MASK
            cosines /= self.temperature
            found[:, start : start + together] = _log_sum(
                cosines.reshape(len(flat), len(some), tokens), axis=2
            )
        return found.reshape(*rows.shape[:2], len(images))

    def _logits(self, importance, seen):
        return _log_sum(importance[..., None] / self.temperature + seen, axis=1)

    def _slope(self, importance, seen, known):
        """Gradient of the support's cross-entropy by the importances."""
        parts = importance[..., None] / self.temperature + seen
        logits = _log_sum(parts, axis=1)
        shares = np.exp(parts - logits[:, None])
        slopes = cross_entropy_slopes(logits[None], known)[0]
        return np.einsum("ksi,ki->ks", shares, slopes) / self.temperature


def _log_sum(values, axis):
    largest = values.max(axis=axis, keepdims=True)
    return np.log(np.exp(values - largest).sum(axis=axis)) + np.squeeze(largest, axis)

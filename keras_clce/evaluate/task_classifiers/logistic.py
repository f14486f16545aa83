"""Multinomial logistic regression of many supports at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.checks import import_module
from keras_clce.evaluate.task_classifiers.algebra import products, rows_of
from keras_clce.evaluate.task_classifiers.base import TaskClassifier

_TOLERANCE = 1e-5
# Any curvature above 1/4 converges, 1/2 bounds it from above; the true one is mostly below 1/4.
_CURVATURE = 0.3
# Features of length 1 take some 20 steps and those of length 10 some 700; they grow beyond bounds.
_MOST_STEPS = 500


@dataclass(frozen=True)
class Logistic(TaskClassifier):
    """Classify by multinomial logistic regression with C = 1, fitted to each support.

    The weights that minimise the regularised loss are combinations of the support rows, so the
    tasks are solved by their Gram matrices. Each step minimises a quadratic of constant curvature
    (Böhning 1992): its matrix is the same in all steps, and is inverted once. His bound of the
    curvature is 1/2; steps converge for anything above a half of that, and for 0.3 sooner. Tasks
    that are not solved after 500 steps, as of long features, are left to scikit-learn, one by one.
    The classes are those that scikit-learn's `LogisticRegression(C=1)` predicts.

    Reference:
        - [RFS](https://arxiv.org/abs/2003.11539)
        - Böhning, Multinomial logistic regression algorithm, 1992

    Example:
    ```python
    predict_tasks(np.eye(2)[None, :, None], np.eye(2)[None], "logistic")  # [[0, 1]]
    ```
    """

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Logits of the fitted regression."""
        ways, shots = support.shape[1:3]
        rows = rows_of(support)
        # For two classes scikit-learn has one vector of weights, the difference of the two here,
        # which as two vectors would be regularised half as much.
        penalty = 2 if ways == 2 else 1
        gram = products(rows, rows).astype("float64") / penalty
        with np.errstate(over="ignore", invalid="ignore"):
            coefficients, bias, solved = _fit(gram, np.repeat(np.eye(ways), shots, axis=0))
            weights = coefficients.swapaxes(1, 2).astype(rows.dtype) @ rows / penalty
            scores = products(queries, weights) + bias.astype(rows.dtype)
        for task in np.flatnonzero(~solved):
            scores[task] = _logits_by_scikit_learn(rows[task], queries[task], ways, shots)
        return scores


def _logits_by_scikit_learn(rows, queries, ways, shots):
    linear_model = import_module(
        "sklearn.linear_model", "Logistic regression of long features", "scikit-learn"
    )
    basis, _ = np.linalg.qr(rows.T.astype("float64"))
    model = linear_model.LogisticRegression(
        C=1, solver="newton-cholesky", tol=_TOLERANCE, max_iter=1000
    )
    model.fit(rows @ basis, np.repeat(np.arange(ways), shots))
    logits = model.decision_function(queries @ basis)
    # Of two classes it gives one number, the logit of the second.
    return logits if ways > 2 else np.stack([-logits, logits], axis=-1) / 2


def _fit(gram, targets):
    """Coefficients `(tasks, rows, ways)`, biases `(tasks, 1, ways)`, and which tasks are solved."""
    inverse = np.linalg.inv(np.eye(gram.shape[1]) + _CURVATURE * gram)
    sums = inverse.sum(axis=2, keepdims=True)
    # The bias is free, which takes the constant direction out of a step.
    step = inverse - sums @ sums.swapaxes(1, 2) / sums.sum(axis=1, keepdims=True)
    shift = (sums / sums.sum(axis=1, keepdims=True)).swapaxes(1, 2) / _CURVATURE
    coefficients = np.zeros((len(gram), *targets.shape))
    bias = np.zeros((len(gram), 1, targets.shape[1]))
    for _ in range(_MOST_STEPS):
        logits = gram @ coefficients + bias
        logits -= logits.max(axis=-1, keepdims=True)
        probabilities = np.exp(logits, out=logits)
        probabilities /= probabilities.sum(axis=-1, keepdims=True)
        residuals = targets - probabilities - coefficients
        coefficients += step @ residuals
        bias += shift @ residuals
        # Not the change, which is small along the longest directions from the start.
        solved = np.abs(residuals).max(axis=(1, 2)) < _TOLERANCE
        if solved.all():
            break
    return coefficients, bias, solved

"""Classifiers of few-shot tasks that solve many tasks at once."""

import numpy as np

from keras_clce.checks import import_module

_TOLERANCE = 1e-5
# Any curvature above 1/4 converges, 1/2 bounds it from above; the true one is mostly below 1/4.
_CURVATURE = 0.3
# Features of length 1 take some 20 steps and those of length 10 some 700; they grow beyond bounds.
_MOST_STEPS = 500


def nearest_centroid(support: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Classify by the closest mean of a class's support, in Euclidean distance.

    Args:
        support: Features `(tasks, ways, shots, dim)`.
        queries: Features `(tasks, examples, dim)`.

    Returns:
        Number of the class `(tasks, examples)`.

    Reference:
        - [Prototypical networks](https://arxiv.org/abs/1703.05175)

    Example:
    ```python
    nearest_centroid(np.eye(2)[None, :, None], np.eye(2)[None])  # [[0, 1]]
    ```
    """
    centroids = support.sum(axis=2) / support.shape[2]
    scores = queries @ centroids.swapaxes(1, 2)
    return (scores - 0.5 * (centroids**2).sum(axis=-1)[:, None]).argmax(axis=-1)


def cosine(support: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Classify by the mean of a class's support that has the highest cosine similarity.

    Args:
        support: Features `(tasks, ways, shots, dim)`.
        queries: Features `(tasks, examples, dim)`.

    Returns:
        Number of the class `(tasks, examples)`.

    Example:
    ```python
    cosine(np.eye(2)[None, :, None], np.eye(2)[None])  # [[0, 1]]
    ```
    """
    centroids = support.sum(axis=2)
    norms = np.linalg.norm(centroids, axis=-1, keepdims=True)
    centroids = centroids / np.maximum(norms, np.finfo(centroids.dtype).tiny)
    return (queries @ centroids.swapaxes(1, 2)).argmax(axis=-1)


def logistic(support: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Classify by multinomial logistic regression with C = 1, fitted to each support.

    The weights that minimise the regularised loss are combinations of the support rows, so the
    tasks are solved by their Gram matrices. Each step minimises a quadratic of constant curvature
    (Böhning 1992): its matrix is the same in all steps, and is inverted once. His bound of the
    curvature is 1/2; steps converge for anything above a half of that, and for 0.3 sooner. Tasks
    that are not solved after 500 steps, as of long features, are left to scikit-learn, one by one.

    Args:
        support: Features `(tasks, ways, shots, dim)`.
        queries: Features `(tasks, examples, dim)`.

    Returns:
        Number of the class `(tasks, examples)`, as scikit-learn's `LogisticRegression(C=1)`
        predicts it.

    Reference:
        - [RFS](https://arxiv.org/abs/2003.11539)
        - Böhning, Multinomial logistic regression algorithm, 1992

    Example:
    ```python
    logistic(np.eye(2)[None, :, None], np.eye(2)[None])  # [[0, 1]]
    ```
    """
    tasks, ways, shots, dim = support.shape
    rows = support.reshape(tasks, ways * shots, dim)
    # For two classes scikit-learn has one vector of weights, the difference of the two here, which
    # as two vectors would be regularised half as much.
    penalty = 2 if ways == 2 else 1
    gram = (rows @ rows.swapaxes(1, 2)).astype("float64") / penalty
    with np.errstate(over="ignore", invalid="ignore"):
        coefficients, bias, solved = _fit(gram, np.repeat(np.eye(ways), shots, axis=0))
        weights = coefficients.swapaxes(1, 2).astype(rows.dtype) @ rows / penalty
        scores = queries @ weights.swapaxes(1, 2) + bias.astype(rows.dtype)
    predicted = scores.argmax(axis=-1)
    for task in np.flatnonzero(~solved):
        predicted[task] = _classes_by_scikit_learn(rows[task], queries[task], ways, shots)
    return predicted


def _classes_by_scikit_learn(rows, queries, ways, shots):
    linear_model = import_module(
        "sklearn.linear_model", "Logistic regression of long features", "scikit-learn"
    )
    basis, _ = np.linalg.qr(rows.T.astype("float64"))
    model = linear_model.LogisticRegression(
        C=1, solver="newton-cholesky", tol=_TOLERANCE, max_iter=1000
    )
    model.fit(rows @ basis, np.repeat(np.arange(ways), shots))
    return model.predict(queries @ basis)


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


TASK_CLASSIFIERS = {
    "logistic": logistic,
    "nearest_centroid": nearest_centroid,
    "cosine": cosine,
}

"""Classifiers of few-shot tasks that solve many tasks at once."""

import numpy as np

_TOLERANCE = 1e-6
# Any curvature above 1/4 converges, 1/2 bounds it from above; the true one is mostly below 1/4.
_CURVATURE = 0.3
_MOST_STEPS = 2000


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
    curvature is 1/2; steps converge for anything above a half of that, and for 0.3 sooner.

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
    gram = (rows @ rows.swapaxes(1, 2)).astype("float64")
    coefficients, bias = _fit(gram, np.repeat(np.eye(ways), shots, axis=0))
    weights = coefficients.swapaxes(1, 2).astype(rows.dtype) @ rows
    return (queries @ weights.swapaxes(1, 2) + bias.astype(rows.dtype)).argmax(axis=-1)


def _fit(gram, targets):
    """Coefficients of the support rows `(tasks, rows, ways)`, and biases `(tasks, 1, ways)`."""
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
        change = step @ residuals
        coefficients += change
        bias += shift @ residuals
        if np.abs(change).max() < _TOLERANCE:
            break
    return coefficients, bias


TASK_CLASSIFIERS = {
    "logistic": logistic,
    "nearest_centroid": nearest_centroid,
    "cosine": cosine,
}

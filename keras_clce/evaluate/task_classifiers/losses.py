"""Gradients by logits of the losses that fine-tuning a classifier takes steps on.

Logits are `(tasks, ways, examples)`, and a loss is a mean over the examples of each task.
"""

import numpy as np

from keras_clce.evaluate.task_classifiers.algebra import softmax


def cross_entropy_slopes(logits: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Gradient of the cross-entropy.

    Args:
        logits: Logits.
        known: One-hot classes `(ways, examples)`.

    Returns:
        Gradient of the shape of the logits.

    Example:
    ```python
    cross_entropy_slopes(np.zeros((1, 2, 1)), np.array([[1.0], [0.0]]))  # [[[-0.5], [0.5]]]
    ```
    """
    slopes = softmax(logits)
    slopes -= known
    slopes /= logits.shape[2]
    return slopes


def entropy_slopes(logits: np.ndarray) -> np.ndarray:
    """Gradient of the Shannon entropy.

    Args:
        logits: Logits.

    Returns:
        Gradient of the shape of the logits.

    Example:
    ```python
    entropy_slopes(np.zeros((1, 2, 1)))  # [[[0.0], [0.0]]]
    ```
    """
    probabilities = softmax(logits)
    logarithms = np.log(np.maximum(probabilities, np.finfo(logits.dtype).tiny))
    entropy = -(probabilities * logarithms).sum(axis=1, keepdims=True)
    logarithms += entropy
    logarithms *= probabilities
    logarithms /= -logits.shape[2]
    return logarithms


def marginal_entropy_slopes(logits: np.ndarray) -> np.ndarray:
    """Gradient of the entropy of the mean prediction of each task.

    Args:
        logits: Logits.

    Returns:
        Gradient of the shape of the logits.

    Example:
    ```python
    marginal_entropy_slopes(np.zeros((1, 2, 1)))  # [[[0.0], [0.0]]]
    ```
    """
    probabilities = softmax(logits)
    marginal = probabilities.mean(axis=2, keepdims=True)
    logarithms = np.log(np.maximum(marginal, np.finfo(logits.dtype).tiny))
    slopes = (probabilities * logarithms).sum(axis=1, keepdims=True) - logarithms
    slopes *= probabilities
    slopes /= logits.shape[2]
    return slopes

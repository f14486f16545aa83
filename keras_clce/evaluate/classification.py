"""How well a trained encoder classifies: top-k, nearest neighbour and linear probe."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_clce.checks import (
    as_array,
    check_at_least,
    check_labels_within,
    finite_array,
    import_module,
)


def top_k_accuracy(labels: np.ndarray, scores: np.ndarray, k: int = 1) -> float:
    """Share of rows whose class is among the k highest scores.

    Args:
        labels: Integer classes `(examples,)` within [0, classes).
        scores: Scores `(examples, classes)`.
        k: How many scores count. With fewer classes than `k` all count. Defaults to 1.

    Returns:
        A fraction within [0, 1]. Ties count against the model.

    Raises:
        ValueError: If the arrays do not fit or are empty.

    Example:
    ```python
    top_k_accuracy(np.array([1, 0]), np.array([[0.1, 0.9], [0.2, 0.8]]))  # 0.5
    ```
    """
    labels, scores = as_array(labels), as_array(scores)
    if not labels.size or scores.ndim != 2 or scores.shape[:1] != labels.shape:
        raise ValueError(
            "`scores` must have shape (examples, classes) with one row per label. "
            f"Received: scores of shape {scores.shape}, labels of shape {labels.shape}"
        )
    check_labels_within(labels, scores.shape[1])
    check_at_least("k", k, 1)
    own = scores[np.arange(len(labels)), labels]
    # A model whose scores are all equal, or NaN, must not be called right.
    at_least = (~(scores < own[:, None])).sum(axis=1)
    return float(np.mean(at_least <= min(k, scores.shape[1])))


def nearest_neighbor_accuracy(
    train_embeddings: np.ndarray,
    train_labels: np.ndarray,
    embeddings: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    k: int = 1,
) -> float:
    """Share of examples whose class most of the k most similar training examples have, by cosine.

    Args:
        train_embeddings: Embeddings `(train examples, dim)` that are searched.
        train_labels: Their integer classes `(train examples,)`.
        embeddings: Embeddings `(examples, dim)` that are classified. Defaults to `None`: each
            training example is, by the others.
        labels: Their integer classes `(examples,)`; `None` where `embeddings` is.
        k: Number of neighbours that vote, each alike; of classes with equally many votes the first
            one wins. With fewer training examples than that all vote. Defaults to 1.

    Returns:
        A fraction within [0, 1].

    Raises:
        ValueError: If embeddings are no finite numbers `(examples, dim)`, there are more or fewer
            labels than embeddings, or scikit-learn refuses the arrays.

    Example:
    ```python
    nearest_neighbor_accuracy(np.eye(2), np.array([0, 1]), np.eye(2), np.array([0, 0]))  # 0.5
    ```
    """
    train_embeddings, train_labels = _checked_examples(
        "train_embeddings", train_embeddings, "train_labels", train_labels
    )
    check_at_least("k", k, 1)
    others = len(train_embeddings)
    if embeddings is None and labels is None:
        labels, others = train_labels, others - 1
    else:
        embeddings, labels = _checked_examples("embeddings", embeddings, "labels", labels)
    neighbors = import_module("sklearn.neighbors", "Nearest-neighbour accuracy", "scikit-learn")
    search = neighbors.KNeighborsClassifier(min(k, others), metric="cosine", algorithm="brute")
    return float(search.fit(train_embeddings, train_labels).score(embeddings, labels))


def linear_probe(
    train_embeddings: np.ndarray,
    train_labels: np.ndarray,
    validation_embeddings: np.ndarray,
    validation_labels: np.ndarray,
    strengths: Sequence[float] = (0.1, 1.0, 10.0, 100.0),
) -> Any:
    """Multinomial logistic regression on embeddings, its regularisation chosen on validation.

    Args:
        train_embeddings: Embeddings `(train examples, dim)`.
        train_labels: Their integer classes.
        validation_embeddings: Embeddings that choose the regularisation.
        validation_labels: Their integer classes.
        strengths: Inverse regularisation strengths C to choose from. Defaults to
            `(0.1, 1.0, 10.0, 100.0)`.

    Returns:
        The fitted `sklearn.linear_model.LogisticRegression` that is best on validation.

    Raises:
        ValueError: If there is no strength, embeddings are no finite numbers `(examples, dim)`,
            there are more or fewer labels than embeddings, or scikit-learn refuses the arrays.

    Example:
    ```python
    probe = linear_probe(embeddings, labels, val_embeddings, val_labels)
    accuracy = probe.score(test_embeddings, test_labels)
    ```
    """
    if not len(strengths):
        raise ValueError(f"`strengths` must hold at least one. Received: strengths={strengths!r}")
    train_embeddings, train_labels = _checked_examples(
        "train_embeddings", train_embeddings, "train_labels", train_labels
    )
    validation_embeddings, validation_labels = _checked_examples(
        "validation_embeddings", validation_embeddings, "validation_labels", validation_labels
    )
    linear_model = import_module("sklearn.linear_model", "A linear probe", "scikit-learn")
    probes = [
        linear_model.LogisticRegression(C=strength, max_iter=2000).fit(
            train_embeddings, train_labels
        )
        for strength in strengths
    ]
    return max(probes, key=lambda probe: probe.score(validation_embeddings, validation_labels))


def _checked_examples(name, embeddings, labels_name, labels):
    embeddings, labels = finite_array(name, embeddings, ndim=2), as_array(labels)
    if labels.shape[:1] != embeddings.shape[:1]:
        raise ValueError(
            f"`{labels_name}` must hold {len(embeddings)} labels, one per row of `{name}`. "
            f"Received: {labels_name} of shape {labels.shape}"
        )
    return embeddings, labels

"""Classifiers of enrolled classes: fitted to a few embeddings a class, in no time."""

import dataclasses
from collections.abc import Callable

import numpy as np

from keras_clce.checks import import_module
from keras_clce.evaluate import get_task_classifier
from keras_clce.evaluate.embedding_geometry import unit_rows

Scores = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class EnrollClassifier:
    """How enrolled classes are told apart.

    Args:
        fit: Function from unit rows `(examples, dim)` and their classes from 0 on to a function
            from queries `(queries, dim)` to scores `(queries, classes)`.
        score: What a score is, in a word.
        least_classes: Fewest classes that it can be fitted to.

    Example:
    ```python
    scores = ENROLL_CLASSIFIERS["cosine"].fit(np.eye(2), np.array([0, 1]))
    scores(np.array([[0.6, 0.8]]))  # [[0.6, 0.8]]
    ```
    """

    fit: Callable[[np.ndarray, np.ndarray], Scores]
    score: str
    least_classes: int


def class_means(embeddings: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean of the embeddings of each class.

    Args:
        embeddings: Rows `(examples, dim)`.
        labels: Their classes `(examples,)`, from 0 on, none without an example.

    Returns:
        Rows `(classes, dim)`.

    Example:
    ```python
    class_means(np.eye(2), np.array([0, 0]))  # [[0.5, 0.5]]
    ```
    """
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    counts = np.diff([*starts, len(labels)])
    return np.add.reduceat(embeddings[order], starts) / counts[:, None]


def closest_classes(
    embeddings: np.ndarray, labels: np.ndarray
) -> tuple[tuple[int, float] | None, ...]:
    """For each class the one that is most like it, and the cosine of their mean embeddings.

    Args:
        embeddings: Rows `(examples, dim)`.
        labels: Their classes, as in `class_means`.

    Returns:
        A class and a cosine for each, `None` where there is no other.

    Example:
    ```python
    closest_classes(np.array([[1, 0], [0.6, 0.8]]), np.array([0, 1]))[0]  # (1, 0.6)
    ```
    """
    means = unit_rows(class_means(embeddings, labels).astype("float64"))
    if len(means) < 2:
        return (None,)
    cosines = means @ means.T
    np.fill_diagonal(cosines, -np.inf)
    best = cosines.argmax(axis=1)
    return tuple((int(other), float(cosines[own, other])) for own, other in enumerate(best))


def _cosine(embeddings: np.ndarray, labels: np.ndarray) -> Scores:
    prototypes = class_means(embeddings, labels)[None, :, None]
    classifier = get_task_classifier("cosine")
    return lambda queries: classifier.scores(prototypes, queries[None])[0]


def _logistic(embeddings: np.ndarray, labels: np.ndarray) -> Scores:
    linear_model = import_module("sklearn.linear_model", "Logistic regression", "scikit-learn")
    # The regularisation of the task classifier of this name, which needs as many examples of each
    # class.
    fitted = linear_model.LogisticRegression(C=1.0, max_iter=1000).fit(embeddings, labels)
    return fitted.predict_proba


ENROLL_CLASSIFIERS: dict[str, EnrollClassifier] = {
    "cosine": EnrollClassifier(_cosine, "cosine", 1),
    "logistic": EnrollClassifier(_logistic, "probability", 2),
}

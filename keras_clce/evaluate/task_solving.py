"""What few-shot evaluation does with any classifier: checks, the base classes, threads."""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from keras_clce.checks import as_array, import_module
from keras_clce.evaluate.feature_transforms import transform_features
from keras_clce.evaluate.task_classifiers import TASK_CLASSIFIERS, TaskClassifier
from keras_clce.evaluate.task_classifiers.base import REQUIRED
from keras_clce.evaluate.task_classifiers.priors import check_base_labels

_BYTES_TOGETHER = 2**27


def feature_rows(
    name: str,
    features: Any,
    classifier: TaskClassifier,
    transform: str | None = None,
    center: Any = None,
) -> np.ndarray:
    """Check features for a classifier, and transform them.

    Args:
        name: Name of the argument, for the message.
        features: Finite features `(examples, dim)`, or patch tokens `(examples, tokens, dim)` for a
            classifier of tokens.
        classifier: The classifier.
        transform: As in `few_shot_accuracy`, of each token where there are any. Defaults to `None`.
        center: As in `few_shot_accuracy`. Defaults to `None`.

    Returns:
        Features of the same shape in float32.

    Raises:
        ValueError: If they are no such features.

    Example:
    ```python
    feature_rows("features", [[3.0, 4.0]], get_task_classifier("cosine"), "l2")  # [[0.6, 0.8]]
    ```
    """
    features = as_array(features)
    check_shape(name, features, classifier.axes)
    rows = features.reshape(-1, features.shape[-1])
    return transform_features(rows, transform, center, name).reshape(features.shape)


def check_shape(name: str, features: np.ndarray, axes: tuple[str, ...]) -> None:
    """Refuse what are no numbers with these axes.

    Args:
        name: Name of the argument, for the message.
        features: An array.
        axes: Names of its axes.

    Raises:
        ValueError: If it has other axes, is empty or has no numbers.

    Example:
    ```python
    check_shape("features", np.zeros((3, 8)), ("examples", "dim"))
    ```
    """
    if features.ndim == len(axes) and features.size and features.dtype.kind in "fiu":
        return
    hint = ""
    if "tokens" in axes or features.ndim == len(axes) + 1:
        of_tokens = [known for known, kind in TASK_CLASSIFIERS.items() if kind.tokens]
        hint = f"; patch tokens are what {' and '.join(of_tokens)} takes, and no other classifier"
    raise ValueError(
        f"`{name}` must be numbers of shape ({', '.join(axes)}){hint}. "
        f"Received: {name} of shape {features.shape} and dtype {features.dtype}"
    )


def learn_base(
    name: str,
    classifier: TaskClassifier,
    example: tuple[int, ...],
    base_features: Any = None,
    base_labels: Any = None,
    transform: str | None = None,
    center: Any = None,
) -> Any:
    """Let a classifier learn from the base classes, if it takes them.

    Args:
        name: Name of the classifier, for the message.
        classifier: The classifier.
        example: Shape of an example, such as `(dim,)`.
        base_features: As in `few_shot_accuracy`. Defaults to `None`.
        base_labels: As in `few_shot_accuracy`. Defaults to `None`.
        transform: As in `few_shot_accuracy`. Defaults to `None`.
        center: As in `few_shot_accuracy`. Defaults to `None`.

    Returns:
        What its `represent` and `scores` take.

    Raises:
        ValueError: If the classifier needs base features and there are none, or they do not fit
            the features, the labels or the transform.

    Example:
    ```python
    classifier = get_task_classifier("soft_kmeans")
    learn_base("soft_kmeans", classifier, (8,), features, labels).shape  # (8,)
    ```
    """
    if base_features is None and classifier.base_features == REQUIRED:
        raise ValueError(
            f"The classifier {name} needs `base_features` and `base_labels`, features of the "
            "classes that the encoder was trained on. Received: base_features=None"
        )
    if base_features is None or classifier.base_features is None:
        return classifier.learn(None, None)
    base = feature_rows("base_features", base_features, classifier, transform, center)
    if base.shape[1:] != example:
        raise ValueError(
            f"`base_features` must have {example[-1]} dimensions, as the features have. "
            f"Received: base_features of shape {base.shape}"
        )
    if base_labels is None:
        raise ValueError(
            f"The classifier {name} needs `base_labels`, the classes of `base_features`. "
            "Received: base_labels=None"
        )
    return classifier.learn(base, check_base_labels(base_labels, base))


def tasks_together(classifier: TaskClassifier, bytes_of_task: int) -> int:
    """How many tasks are solved together.

    Args:
        classifier: The classifier.
        bytes_of_task: Size of the features of a task.

    Returns:
        The number, smaller where a task is large.

    Example:
    ```python
    tasks_together(get_task_classifier("cosine"), 100 * 640 * 4)  # 32
    ```
    """
    return max(1, min(classifier.together, _BYTES_TOGETHER // max(1, bytes_of_task)))


def on_threads(
    solve: Callable[..., np.ndarray], batches: Iterable[Iterable[tuple[np.ndarray, ...]]]
) -> Iterator[np.ndarray]:
    """Solve batches of tasks on all processors.

    Args:
        solve: Function from some tasks to an array with a row for each.
        batches: Batches, each of which yields the arguments for some tasks after the other.

    Yields:
        The rows of each batch.

    Example:
    ```python
    next(on_threads(np.add, [[(np.ones(2), 1), (np.zeros(1), 1)]]))  # [2.0, 2.0, 1.0]
    ```
    """
    limit_threads = import_module(
        "threadpoolctl", "Classifying few-shot tasks", "threadpoolctl"
    ).threadpool_limits
    # The tasks are divided between threads, and BLAS's own would only get in their way.
    with limit_threads(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        ahead: collections.deque[list[Future[np.ndarray]]] = collections.deque()
        for batch in batches:
            ahead.append([pool.submit(solve, *part) for part in batch])
            # The next tasks are drawn meanwhile.
            if len(ahead) > 1:
                yield np.concatenate([part.result() for part in ahead.popleft()])
        for parts in ahead:
            yield np.concatenate([part.result() for part in parts])

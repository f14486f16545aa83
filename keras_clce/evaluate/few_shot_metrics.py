"""Few-shot accuracy of any features, over thousands of tasks."""

import collections
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from keras_clce.checks import as_array, import_module, number_array
from keras_clce.evaluate.feature_transforms import transform_features
from keras_clce.evaluate.few_shot_results import FewShotResult
from keras_clce.evaluate.task_classifiers import TASK_CLASSIFIERS
from keras_clce.evaluate.tasks import Tasks, draw_tasks

_TASKS_TOGETHER = 32


def few_shot_accuracy(
    features: Any,
    labels: Any,
    ways: int = 5,
    shots: int = 1,
    queries: int = 15,
    tasks: int = 3000,
    classifier: str = "logistic",
    transform: str | None = "l2",
    center: Any = None,
    seed: int = 0,
) -> FewShotResult:
    """Accuracy of few-shot classification on tasks drawn from features of novel classes.

    Args:
        features: Finite features `(examples, dim)`, of any framework.
        labels: Integer classes `(examples,)`.
        ways: Classes per task. Defaults to 5.
        shots: Labelled examples per class. Defaults to 1.
        queries: Classified examples per class. Defaults to 15.
        tasks: Number of tasks. Defaults to 3000.
        classifier: `"logistic"`, multinomial logistic regression with C = 1, as RFS has it;
            `"nearest_centroid"` or `"cosine"`. Defaults to `"logistic"`.
        transform: `"l2"` divides features by their length, `"cl2"` subtracts `center` first, and
            `None` leaves them, where regression may take many times as long. Defaults to `"l2"`.
        center: What `"cl2"` subtracts `(dim,)`, the mean feature of the base classes. Defaults to
            `None`.
        seed: Seed of the tasks. Equal labels, numbers and seeds give equal tasks, whatever the
            features. Defaults to 0.

    Returns:
        A `FewShotResult`.

    Raises:
        ValueError: If an argument is out of its range, features are not finite or do not fit the
            labels, or a class has too few examples (it is named).

    Reference:
        - [RFS](https://arxiv.org/abs/2003.11539)
        - [SimpleShot](https://arxiv.org/abs/1911.04623)

    Example:
    ```python
    features = encoder.predict(images)
    result = few_shot_accuracy(features, labels, shots=5, tasks=100)
    print(f"{result.mean:.2%} ± {result.ci95:.2%}")
    ```
    """
    features, labels = number_array("features", features, ndim=2), as_array(labels)
    if labels.shape != features.shape[:1]:
        raise ValueError(
            f"`labels` must have shape {features.shape[:1]}, one for each row of `features`. "
            f"Received: labels of shape {labels.shape}"
        )
    drawn = draw_tasks(labels, ways, shots, queries, tasks, seed)
    first = next(drawn)
    # NumPy's integers are written otherwise than Python's.
    ways, shots, queries, tasks, seed = (int(n) for n in (ways, shots, queries, tasks, seed))
    accuracies = [
        (predicted == np.arange(ways)[:, None]).mean(axis=(1, 2))
        for predicted in classify_tasks(
            features, itertools.chain([first], drawn), classifier, transform, center
        )
    ]
    fingerprint = hashlib.sha256(str([ways, shots, queries, tasks, seed]).encode())
    for rows in (labels, first.support, first.queries):
        fingerprint.update(rows.astype("int64").tobytes())
    return FewShotResult(
        np.concatenate(accuracies),
        ways=ways,
        shots=shots,
        queries=queries,
        classifier=classifier,
        transform=transform,
        seed=seed,
        drawn_from=fingerprint.hexdigest(),
    )


def classify_tasks(
    features: Any,
    tasks: Iterable[Tasks],
    classifier: str = "logistic",
    transform: str | None = "l2",
    center: Any = None,
) -> Iterator[np.ndarray]:
    """Classify the queries of few-shot tasks.

    Args:
        features: As in `few_shot_accuracy`.
        tasks: What `draw_tasks` gives.
        classifier: As in `few_shot_accuracy`. Defaults to `"logistic"`.
        transform: As in `few_shot_accuracy`. Defaults to `"l2"`.
        center: As in `few_shot_accuracy`. Defaults to `None`.

    Yields:
        For each `Tasks` the predicted class of every query `(tasks, ways, queries)`, as its place
        in `Tasks.classes`: it is right where it equals the second index.

    Raises:
        ValueError: If an argument is out of its range, or features are not finite.

    Example:
    ```python
    drawn = next(draw_tasks(labels, ways=5, shots=1, queries=15, tasks=1))
    predicted = next(classify_tasks(features, [drawn]))
    drawn.classes[0][predicted[0]].shape  # (5, 15)
    ```
    """
    features = transform_features(features, transform, center)
    if not isinstance(classifier, str) or classifier not in TASK_CLASSIFIERS:
        raise ValueError(
            f"`classifier` must be one of {', '.join(TASK_CLASSIFIERS)}. "
            f"Received: classifier={classifier!r}"
        )
    classify = TASK_CLASSIFIERS[classifier]

    def classify_some(support, queries):
        rows = queries.reshape(len(queries), -1)
        predicted = classify(features[support], features[rows])
        return predicted.reshape(queries.shape)

    limit_threads = import_module(
        "threadpoolctl", "Classifying few-shot tasks", "threadpoolctl"
    ).threadpool_limits
    # The tasks are divided between threads, and BLAS's own would only get in their way.
    with limit_threads(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        ahead = collections.deque()
        for drawn in tasks:
            # Few at a time: what was gathered is still in the processor's cache when it is used.
            parts = range(_TASKS_TOGETHER, len(drawn.support), _TASKS_TOGETHER)
            parts = np.split(drawn.support, parts), np.split(drawn.queries, parts)
            ahead.append(pool.map(classify_some, *parts))
            # The next tasks are drawn meanwhile.
            if len(ahead) > 1:
                yield np.concatenate(list(ahead.popleft()))
        yield from (np.concatenate(list(parts)) for parts in ahead)

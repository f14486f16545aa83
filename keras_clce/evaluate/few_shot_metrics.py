"""Few-shot accuracy of any features, over thousands of tasks."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_clce.checks import as_array
from keras_clce.evaluate.few_shot_results import FewShotResult
from keras_clce.evaluate.task_classifiers import get_task_classifier
from keras_clce.evaluate.task_solving import (
    check_shape,
    feature_rows,
    learn_base,
    on_threads,
    tasks_together,
)
from keras_clce.evaluate.tasks import Tasks, draw_tasks


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
    base_features: Any = None,
    base_labels: Any = None,
    classifier_options: Mapping[str, Any] | None = None,
    query_distribution: str = "balanced",
) -> FewShotResult:
    """Accuracy of few-shot classification on tasks drawn from features of novel classes.

    Args:
        features: Finite features `(examples, dim)`, of any framework, or patch tokens
            `(examples, tokens, dim)` for `"fewture"`.
        labels: Integer classes `(examples,)`.
        ways: Classes per task. Defaults to 5.
        shots: Labelled examples per class. Defaults to 1.
        queries: Classified examples per class, on average. Defaults to 15.
        tasks: Number of tasks. Defaults to 3000.
        classifier: A key of `TASK_CLASSIFIERS`, such as `"logistic"`, multinomial logistic
            regression with C = 1, as RFS has it; `"nearest_centroid"` or `"bavardage"`. Those that
            are transductive see all queries of a task together. Defaults to `"logistic"`.
        transform: `"l2"` divides features by their length, `"cl2"` subtracts `center` first, and
            `None` leaves them, where regression may take many times as long. Defaults to `"l2"`.
        center: What `"cl2"` subtracts `(dim,)`, the mean feature of the base classes. Defaults to
            `None`.
        seed: Seed of the tasks. Equal labels, numbers and seeds give equal tasks, whatever the
            features. Defaults to 0.
        base_features: Features of the classes that the encoder was trained on
            `(base examples, dim)`, for the classifiers that take them; the others leave them.
            They are transformed as the features are. Defaults to `None`.
        base_labels: Their integer classes `(base examples,)`. Defaults to `None`.
        classifier_options: Options of the classifier by name; the defaults are the papers'.
            Defaults to `None`.
        query_distribution: `"balanced"`, equally many queries of each class, or `"dirichlet"`,
            `ways * queries` of them in shares from a Dirichlet distribution with α = 2, as
            α-TIM has it. Defaults to `"balanced"`.

    Returns:
        A `FewShotResult`.

    Raises:
        ValueError: If an argument is out of its range, features are not finite or do not fit the
            labels, a class has too few examples (it is named), the classifier lacks base
            features or tokens, or has no such option.

    Reference:
        - [RFS](https://arxiv.org/abs/2003.11539)
        - [SimpleShot](https://arxiv.org/abs/1911.04623)
        - [α-TIM](https://arxiv.org/abs/2106.08063), its Dirichlet tasks

    Example:
    ```python
    features = encoder.predict(images)
    result = few_shot_accuracy(features, labels, shots=5, tasks=100)
    print(f"{result.mean:.2%} ± {result.ci95:.2%}")
    ```
    """
    chosen = get_task_classifier(classifier, **(classifier_options or {}))
    features, labels = as_array(features), as_array(labels)
    check_shape("features", features, chosen.axes)
    if labels.shape != features.shape[:1]:
        raise ValueError(
            f"`labels` must have shape {features.shape[:1]}, one for each row of `features`. "
            f"Received: labels of shape {labels.shape}"
        )
    drawn = draw_tasks(labels, ways, shots, queries, tasks, seed, query_distribution)
    first = next(drawn)
    # NumPy's integers are written otherwise than Python's.
    ways, shots, queries, tasks, seed = (int(n) for n in (ways, shots, queries, tasks, seed))
    drawn, truths = itertools.tee(itertools.chain([first], drawn))
    classified = classify_tasks(
        features,
        drawn,
        classifier,
        transform,
        center,
        base_features,
        base_labels,
        classifier_options,
    )
    accuracies = [
        (predicted == some.query_classes).reshape(len(predicted), -1).mean(axis=1)
        for predicted, some in zip(classified, truths, strict=True)
    ]
    return FewShotResult(
        np.concatenate(accuracies),
        ways=ways,
        shots=shots,
        queries=queries,
        classifier=classifier,
        transform=transform,
        seed=seed,
        drawn_from=_fingerprint([ways, shots, queries, tasks, seed], labels, first),
        query_distribution=query_distribution,
        classifier_options=dict(classifier_options or {}),
    )


def _fingerprint(numbers, labels, first):
    # Balanced tasks have the fingerprint that they had before there were others.
    fingerprint = hashlib.sha256(str(numbers).encode())
    if first.queries.ndim == 2:
        fingerprint.update(b"dirichlet 2")
    for rows in (labels, first.support, first.queries):
        fingerprint.update(rows.astype("int64").tobytes())
    return fingerprint.hexdigest()


def classify_tasks(
    features: Any,
    tasks: Iterable[Tasks],
    classifier: str = "logistic",
    transform: str | None = "l2",
    center: Any = None,
    base_features: Any = None,
    base_labels: Any = None,
    classifier_options: Mapping[str, Any] | None = None,
) -> Iterator[np.ndarray]:
    """Classify the queries of few-shot tasks.

    Args:
        features: As in `few_shot_accuracy`.
        tasks: What `draw_tasks` gives.
        classifier: As in `few_shot_accuracy`. Defaults to `"logistic"`.
        transform: As in `few_shot_accuracy`. Defaults to `"l2"`.
        center: As in `few_shot_accuracy`. Defaults to `None`.
        base_features: As in `few_shot_accuracy`. Defaults to `None`.
        base_labels: As in `few_shot_accuracy`. Defaults to `None`.
        classifier_options: As in `few_shot_accuracy`. Defaults to `None`.

    Yields:
        For each `Tasks` the predicted class of every query, in the shape of `Tasks.queries`, as its
        place in `Tasks.classes`: it is right where it equals `Tasks.query_classes`, which for
        balanced tasks is the second index.

    Raises:
        ValueError: If an argument is out of its range, features are not finite, or the classifier
            lacks what it needs.

    Example:
    ```python
    drawn = next(draw_tasks(labels, ways=5, shots=1, queries=15, tasks=1))
    predicted = next(classify_tasks(features, [drawn]))
    drawn.classes[0][predicted[0]].shape  # (5, 15)
    ```
    """
    chosen = get_task_classifier(classifier, **(classifier_options or {}))
    features = feature_rows("features", features, chosen, transform, center)
    example = features.shape[1:]
    learned = learn_base(classifier, chosen, example, base_features, base_labels, transform, center)
    features = chosen.represent(features, learned)

    def solve(support, queries):
        rows = queries.reshape(len(queries), -1)
        scores = chosen.scores(features[support], features[rows], learned)
        return scores.argmax(axis=-1).reshape(queries.shape)

    def parts(drawn):
        examples = drawn.support[0].size + drawn.queries[0].size
        size = tasks_together(chosen, examples * features[0].nbytes)
        places = range(size, len(drawn.support), size)
        return zip(np.split(drawn.support, places), np.split(drawn.queries, places), strict=True)

    yield from on_threads(solve, map(parts, tasks))

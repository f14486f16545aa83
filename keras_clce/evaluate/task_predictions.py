"""Classes of few-shot tasks whose features are given task by task."""

from typing import Any

import numpy as np

from keras_clce.checks import as_array
from keras_clce.evaluate.feature_transforms import transform_features
from keras_clce.evaluate.task_classifiers import get_task_classifier
from keras_clce.evaluate.task_solving import (
    check_shape,
    learn_base,
    on_threads,
    tasks_together,
)


def predict_tasks(
    support: Any,
    queries: Any,
    classifier: str = "logistic",
    base_features: Any = None,
    base_labels: Any = None,
    scores: bool = False,
    **options: Any,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Classify the queries of few-shot tasks by their features, which are not transformed.

    Args:
        support: Finite features `(tasks, ways, shots, dim)` of any framework, or patch tokens
            `(tasks, ways, shots, tokens, dim)` for `"fewture"`.
        queries: Features `(tasks, examples, dim)`, or tokens `(tasks, examples, tokens, dim)`. A
            transductive classifier sees all queries of a task together.
        classifier: A key of `TASK_CLASSIFIERS`. Defaults to `"logistic"`.
        base_features: Features of the base classes `(examples, dim)`, for the classifiers that
            take them; the others leave them. Defaults to `None`.
        base_labels: Their integer classes `(examples,)`. Defaults to `None`.
        scores: Whether scores are returned too. Defaults to `False`.
        **options: Options of the classifier; the defaults are the papers'.

    Returns:
        Number of the class of each query `(tasks, examples)`; with `scores=True` a tuple of it and
        of finite scores `(tasks, examples, ways)`, the highest of which is that of the class.

    Raises:
        ValueError: If features have another shape or are not finite, the classifier lacks base
            features or tokens, or an option is unknown or out of its range.

    Example:
    ```python
    support = features[:40].reshape(1, 10, 4, 8)[:, :5]
    predict_tasks(support, features[None, 40:60], "tim", temperature=15.0).shape  # (1, 20)
    ```
    """
    chosen = get_task_classifier(classifier, **options)
    support, queries = as_array(support), as_array(queries)
    example = ("tokens", "dim") if chosen.tokens else ("dim",)
    check_shape("support", support, ("tasks", "ways", "shots", *example))
    check_shape("queries", queries, ("tasks", "examples", *example))
    if support.shape[1] < 2:
        raise ValueError(
            f"`support` must have two classes at least. Received: support of shape {support.shape}"
        )
    if (len(queries), *queries.shape[2:]) != (len(support), *support.shape[3:]):
        raise ValueError(
            "`queries` must be as many tasks as `support`, of features of the same shape. "
            f"Received: queries of shape {queries.shape}, support of shape {support.shape}"
        )
    learned = learn_base(classifier, chosen, support.shape[3:], base_features, base_labels)

    def solve(support, queries):
        return chosen.scores(
            chosen.represent(support, learned), chosen.represent(queries, learned), learned
        )

    support, queries = (
        transform_features(rows.reshape(-1, rows.shape[-1]), None, name=name).reshape(rows.shape)
        for name, rows in (("support", support), ("queries", queries))
    )
    size = tasks_together(chosen, support[0].nbytes + queries[0].nbytes)
    parts = [slice(i, i + size) for i in range(0, len(support), size)]
    (found,) = on_threads(solve, [[(support[part], queries[part]) for part in parts]])
    return (found.argmax(axis=-1), found) if scores else found.argmax(axis=-1)

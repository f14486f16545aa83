"""Kinds of few-shot tasks: what is classified how, and which kinds gave the same."""

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_clce.evaluate.statistics import confidence_interval
from keras_clce.runs.record import Record

IN_WORDS = {"cl2": "features minus the base classes' mean, on unit length"}


@dataclass(frozen=True)
class KindOfTask:
    """A kind of task of few-shot runs, and the features that all gave the same results.

    Args:
        name: Its key in `metrics["few_shot"]`.
        features: Names of the features, of which the first is the kind's own.
        transform: What is done to the features.
        classifier: What they are classified by. Defaults to nothing.

    Example:
    ```python
    KindOfTask("5w1s", ("pooled", "embedding"), "l2")
    ```
    """

    name: str
    features: tuple[str, ...]
    transform: str
    classifier: str = ""

    @property
    def tasks(self) -> str:
        """Size of its tasks, such as `"5-way 1-shot"`."""
        return size_in_words(self.name)

    @property
    def classified(self) -> str:
        """What is classified, such as `"pooled = embedding features, l2"`."""
        return in_features(self.features, self.transform)

    @property
    def in_words(self) -> str:
        """Its tasks and what is classified, in two lines."""
        return f"{self.tasks}\n{self.classified}"


def in_features(features: Sequence[str], transform: str) -> str:
    """What is classified.

    Args:
        features: Names of features that gave the same results.
        transform: What is done to them.

    Returns:
        Such as `"pooled = embedding features, l2"`.

    Example:
    ```python
    in_features(["pooled"], "l2")  # "pooled features, l2"
    ```
    """
    return f"{' = '.join(features)} features, {transform}"


def size_in_words(kind: str) -> str:
    """Size of a kind of task.

    Args:
        kind: Its key in `metrics["few_shot"]`.

    Returns:
        Such as `"5-way 1-shot"`.

    Example:
    ```python
    size_in_words("5w1s pooled cl2")  # "5-way 1-shot"
    ```
    """
    size = kind.partition(" ")[0]
    return re.sub(r"^(\d+)w(\d+)s$", r"\1-way \2-shot", size)


def kinds_of(records: Iterable[Record]) -> list[str]:
    """Keys of all kinds of task, in the order of their first run.

    Args:
        records: Few-shot runs.

    Returns:
        The keys.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    kinds_of(records)  # ["5w1s", "5w5s"]
    ```
    """
    return list(dict.fromkeys(kind for run in records for kind in run.metrics["few_shot"]))


def result_of(records: Iterable[Record], kind: str) -> dict[str, Any]:
    """The result of a kind of task, of the first run that has it.

    Args:
        records: Few-shot runs.
        kind: Its key in `metrics["few_shot"]`.

    Returns:
        The result.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    result_of(records, "5w1s")["classifier"]  # "logistic"
    ```
    """
    return next(filter(None, (run.metrics["few_shot"].get(kind) for run in records)))


def distinct_kinds(
    records: Sequence[Record], shown: Callable[[str], Hashable]
) -> list[tuple[KindOfTask, Any]]:
    """Kinds of task that differ in what is shown of them.

    Features that differ by a norm alone give the same where a transform takes the norm away.

    Args:
        records: Few-shot runs.
        shown: Gives what is shown of a kind, from its key.

    Returns:
        The kinds, each with what is shown of it; features with the same results in one.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    [kind.tasks for kind, _ in distinct_kinds(records, lambda key: key)]
    # ["5-way 1-shot", "5-way 5-shot"]
    ```
    """
    merged: dict[tuple, KindOfTask] = {}
    for key in kinds_of(records):
        result = result_of(records, key)
        about = (result.get(name, "") for name in ("transform", "classifier"))
        kind = KindOfTask(key, (result.get("features", ""),), *about)
        same = (kind.tasks, kind.transform, kind.classifier, shown(key))
        if same in merged:
            kind = replace(merged[same], features=merged[same].features + kind.features)
        merged[same] = kind
    return [(kind, seen) for (*_, seen), kind in merged.items()]


def dot_of(results: Sequence[dict[str, Any]]) -> tuple[float, float, bool]:
    """What is drawn of a loss on a kind of task.

    Args:
        results: Its results, one for each seed.

    Returns:
        Mean and half width of its 95 % interval in percent, and whether that is across seeds: of
        one it is over the tasks.

    Example:
    ```python
    dot_of([{"mean": 0.61, "ci95": 0.01}])  # (61.0, 1.0, False)
    ```
    """
    means = [100 * result["mean"] for result in results]
    several = len(means) > 1
    half = confidence_interval(means) if several else 100 * results[0]["ci95"]
    return float(np.mean(means)), half, several

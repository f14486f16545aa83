"""Kinds of few-shot tasks: what is classified how, and which kinds gave the same."""

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from keras_clce.runs.record import Record

IN_WORDS = {"cl2": "features minus the base classes' mean, on unit length"}


@dataclass(frozen=True)
class KindOfTask:
    """A kind of task of few-shot runs, and the features that all gave the same results.

    Args:
        name: Its key in `metrics["few_shot"]`.
        features: Names of the features, of which the first is the kind's own.
        transform: What is done to the features.

    Example:
    ```python
    KindOfTask("5w1s", ("pooled", "embedding"), "l2")
    ```
    """

    name: str
    features: tuple[str, ...]
    transform: str

    @property
    def tasks(self) -> str:
        """Size of its tasks, such as `"5-way 1-shot"`."""
        return size_in_words(self.name)

    @property
    def classified(self) -> str:
        """What is classified, such as `"pooled = embedding features, l2"`."""
        return f"{' = '.join(self.features)} features, {self.transform}"

    @property
    def in_words(self) -> str:
        """Its tasks and what is classified, in two lines."""
        return f"{self.tasks}\n{self.classified}"


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
        result = next(filter(None, (run.metrics["few_shot"].get(key) for run in records)))
        kind = KindOfTask(key, (result.get("features", ""),), result.get("transform", ""))
        same = (kind.tasks, kind.transform, shown(key))
        if same in merged:
            kind = replace(merged[same], features=merged[same].features + kind.features)
        merged[same] = kind
    return [(kind, seen) for (*_, seen), kind in merged.items()]

"""What runs are compared by: accuracy of each loss and seed, and the pairs that share a seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.report.few_shot_kinds import KindOfTask, distinct_kinds
from keras_clce.report.few_shot_tables import FROZEN, accuracies_by_loss
from keras_clce.report.names import Name, by_name
from keras_clce.runs.record import Record


@dataclass(frozen=True)
class Measure:
    """One measure of runs that belong together.

    Args:
        name: What is measured, such as `"top-1"` or `"5-way 1-shot"`.
        results: Accuracy of each loss by seed, fractions: one number, or one a task `(tasks,)`. An
            encoder before training has `None` in place of a seed.
        unit: What one number of a seed is of, where there are several. Defaults to nothing.

    Example:
    ```python
    ce, clce = Name("ce", "", False), Name("clce", "", False)
    Measure("top-1", {ce: {0: np.array(0.80)}, clce: {0: np.array(0.82)}})
    ```
    """

    name: str
    results: Mapping[Name, Mapping[int | None, np.ndarray]]
    unit: str = ""

    def pairs(self, ours: Name, theirs: Name) -> tuple[list, np.ndarray, np.ndarray]:
        """Results of two losses with the seeds that they share.

        Args:
            ours: One loss.
            theirs: The other.

        Returns:
            The seeds, and the results of each `(seeds,)` or `(seeds, tasks)`.

        Example:
        ```python
        ce, clce = Name("ce", "", False), Name("clce", "", False)
        measure = Measure("top-1", {ce: {0: 0.80, 1: 0.81}, clce: {1: 0.82}})
        measure.pairs(clce, ce)[0]  # [1]
        ```
        """
        first, second = self.results[ours], self.results[theirs]
        shared = [
            seed
            for seed in dict.fromkeys((*first, *second))
            if all(seed in results or None in results for results in (first, second))
        ]
        found = (
            [results.get(seed, results.get(None)) for seed in shared] for results in (first, second)
        )
        return shared, *map(np.array, found)


def tested_measures(records: Sequence[Record]) -> list[Measure]:
    """What runs that belong together are compared by: top-1, mAP or each size of few-shot tasks.

    Args:
        records: Runs of one recipe, data set and encoder. Of several kinds of features, the first
            of each size of tasks is judged by.

    Returns:
        The measures.

    Raises:
        ValueError: If few-shot runs were tested on different tasks.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    [measure.name for measure in tested_measures(records)]  # ["5-way 1-shot", "5-way 5-shot"]
    ```
    """
    if not records[0].is_few_shot:
        key, measure = records[0].measure
        results: dict[Name, dict[int | None, Any]] = {
            name: {run.seed: np.float64(run.metrics["test"][key]) for run in group}
            for name, group in by_name(records).items()
        }
        return [Measure(measure, results)]
    first: dict[str, KindOfTask] = {}
    for kind, _ in distinct_kinds(records, lambda key: key):
        first.setdefault(kind.tasks, kind)
    return [
        Measure(tasks, accuracies_by_loss(records, kind.name), "tasks")
        for tasks, kind in first.items()
    ]


def chosen_name(records: Sequence[Record], loss: str) -> tuple[Name | None, str]:
    """Which settings of a loss speak for it, where it was trained with several.

    Those with the most seeds, and of these the ones with the best validation accuracy, since the
    test split must not choose. Where a run has no validation accuracy, the ones without a label.

    Args:
        records: Runs of one recipe, data set and encoder.
        loss: Name of the loss.

    Returns:
        The name, `None` where the loss was not trained, and how it was chosen in words; nothing
        where there was no choice.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    chosen_name(records, "clce")[0].loss  # "clce"
    ```
    """
    groups = {
        name: group
        for name, group in by_name(run for run in records if run.loss != FROZEN).items()
        if name.loss == loss
    }
    if len(groups) < 2:
        return next(iter(groups), None), ""
    most = max(map(len, groups.values()))
    candidates = {name: group for name, group in groups.items() if len(group) == most}
    among = f"of {len(groups)} settings of `{loss}`"
    if len(candidates) < len(groups):
        among += f", {len(candidates)} of them with the most seeds"
    if len(candidates) == 1:
        (name,) = candidates
        return name, f"of {len(groups)} settings of `{loss}` the one with the most seeds, `{name}`"
    validation = {name: [run.validation for run in group] for name, group in candidates.items()}
    if any(value is None for values in validation.values() for value in values):
        name = next((name for name in candidates if not name.variant), next(iter(candidates)))
        return name, f"{among}, `{name}`, since not all have a validation accuracy"
    name = max(candidates, key=lambda name: np.mean(validation[name]))
    return name, f"{among}, the best on validation, `{name}`"

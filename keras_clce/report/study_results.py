"""What came out at each point of a study, beside the baseline at the same point."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from keras_clce.report.answers import Difference
from keras_clce.report.few_shot_kinds import kinds_of, size_in_words
from keras_clce.report.few_shot_tables import FROZEN
from keras_clce.report.names import count_of
from keras_clce.runs.record import Record
from keras_clce.runs.study_plan import StudyPlan, StudyPoint

AXES_IN_WORDS = {
    "batch_size": "images in a batch",
    "contrastive_weight": "weight of the contrastive part, λ",
    "temperature": "temperature, τ",
    "hardness": "concentration on hard negatives, β",
    "limit_per_class": "training images of a class",
    "epochs": "epochs",
    "learning_rate": "highest learning rate",
    "embedding_dim": "size of the projection",
}
# How much data there is, which nobody picks.
_GIVEN = {"limit_per_class", "limit_examples"}


@dataclasses.dataclass(frozen=True)
class PointResult:
    """What the runs of a point have come to.

    Args:
        point: The point.
        loss: The loss of its runs.
        validation: Accuracy on the validation split by seed; empty where nothing was trained.
        test: Accuracy on the test split by seed, for each measure; empty of runs that were not
            tested.
        seconds: Mean time of training, NaN where nothing was trained.
        baseline: The point that it is compared with, `None` where there is none.
        differences: Difference from that point for each measure, of the seeds that both have.
        is_best: Whether validation picks it: the highest mean of its curve, or of all arms. Of
            numbers of images, none is picked.

    Example:
    ```python
    plan = read_plan(Path("runs/transfer/digits/small_resnet"))
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    results = study_results(plan, records)
    results[1].differences["top1"].mean  # 0.021
    ```
    """

    point: StudyPoint
    loss: str
    validation: Mapping[int, float]
    test: Mapping[str, Mapping[int, float]]
    seconds: float
    baseline: StudyPoint | None = None
    differences: Mapping[str, Difference] = dataclasses.field(default_factory=dict)
    is_best: bool = False

    @property
    def seeds(self) -> list[int]:
        """The seeds that were trained."""
        of_test = [seed for values in self.test.values() for seed in values]
        return sorted({*self.validation, *of_test})

    def values(self, measure: str | None) -> np.ndarray:
        """Accuracies of a measure in the order of the seeds; `None` is validation."""
        found = self.validation if measure is None else self.test.get(measure, {})
        return np.array([found[seed] for seed in sorted(found)], "float64")


def measures_of(records: Sequence[Record]) -> dict[str, str]:
    """What the runs of a study are tested by.

    Args:
        records: Its records.

    Returns:
        The measures with their names: top-1, or few-shot accuracy for each number of shots.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    measures_of(records)  # {"5w1s": "5-way 1-shot", "5w5s": "5-way 5-shot"}
    ```
    """
    tested = [record for record in records if record.is_tested]
    if not tested:
        return {}
    if not tested[0].is_few_shot:
        return dict([tested[0].measure])
    # Other kinds of features of the same tasks have more words in their names.
    return {kind: size_in_words(kind) for kind in kinds_of(tested) if " " not in kind}


def study_results(
    plan: StudyPlan, records: Sequence[Record], baseline: str = "ce"
) -> list[PointResult]:
    """What came out at each point of a study, in the order of the plan.

    Args:
        plan: The points.
        records: The records of the study's folder; those of other runs are passed over.
        baseline: Loss that the others are compared with, at the same place. Defaults to `"ce"`.

    Returns:
        One result for each point that has a finished run.

    Example:
    ```python
    plan = read_plan(Path("runs/transfer/digits/small_resnet"))
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    [str(result.point) for result in study_results(plan, records)]  # ["ce", "clce"]
    ```
    """
    measures = measures_of(records)
    runs: dict[str, list[Record]] = {}
    for record in records:
        name = record.folder.name.removesuffix(f"-seed{record.seed}")
        runs.setdefault(name, []).append(record)
    results = [
        _result(point, runs[point.run], measures) for point in plan.points if point.run in runs
    ]
    results = [_compared(result, results, baseline) for result in results]
    best = {id(found) for found in _best(results, plan.axes)}
    return [dataclasses.replace(one, is_best=id(one) in best) for one in results]


def _result(
    point: StudyPoint, records: Sequence[Record], measures: Mapping[str, str]
) -> PointResult:
    tested = [record for record in records if record.is_tested]
    seconds = [record.metrics["seconds"] for record in records if "seconds" in record.metrics]
    return PointResult(
        point,
        records[0].loss,
        {one.seed: one.validation for one in records if one.validation is not None},
        {
            name: {one.seed: value for one in tested if (value := _tested(one, name)) is not None}
            for name in measures
        },
        float(np.mean(seconds)) if seconds else float("nan"),
    )


def _tested(record: Record, measure: str) -> float | None:
    if record.is_few_shot:
        return record.metrics["few_shot"].get(measure, {}).get("mean")
    return record.metrics["test"].get(measure)


def _compared(result: PointResult, results: Sequence[PointResult], baseline: str) -> PointResult:
    """A result beside the baseline's at the same place in the same panel."""
    point = result.point
    at_its_place = [
        other
        for other in results
        if other.loss == baseline
        and other.point.panel == point.panel
        and other.point.at.items() <= point.at.items()
    ]
    # As in other tables: the plain baseline, else that of the same label.
    suffix = point.curve.removeprefix(result.loss)
    for curve in (baseline, baseline + suffix, None):
        for other in at_its_place:
            if curve in (None, other.point.curve):
                if other is result:
                    return result
                differences = {
                    name: _difference(_for_seeds(result, name, other), other.test[name])
                    for name in result.test
                }
                found = {name: value for name, value in differences.items() if value}
                return dataclasses.replace(result, baseline=other.point, differences=found)
    return result


def _for_seeds(result: PointResult, measure: str, other: PointResult) -> Mapping[int, float]:
    """Accuracies by seed; those of the encoder before training stand beside every seed."""
    values = result.test[measure]
    if result.loss != FROZEN or not values:
        return values
    return dict.fromkeys(other.test[measure], next(iter(values.values())))


def _difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Difference | None:
    shared = sorted({*ours} & {*theirs})
    if not shared:
        return None
    first, second = (np.array([values[seed] for seed in shared]) for values in (ours, theirs))
    return Difference.paired(first, second, f"over {count_of(len(shared), 'seed')}")


def _best(results: Sequence[PointResult], axes: Sequence[str]) -> list[PointResult]:
    """What validation picks of each curve, or of all arms of a panel."""
    if _GIVEN & {*axes}:
        return []
    groups: dict[tuple, list[PointResult]] = {}
    for result in results:
        if len(result.validation) and (result.point.at or not axes):
            curve = result.point.curve if axes else None
            groups.setdefault((result.point.panel, curve), []).append(result)
    return [
        max(group, key=lambda one: one.values(None).mean())
        for group in groups.values()
        if len(group) > 1
    ]

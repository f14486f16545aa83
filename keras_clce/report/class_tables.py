"""Tables of runs whose training classes are unbalanced: by groups of classes, and by class."""

from collections.abc import Sequence

import numpy as np

from keras_clce.evaluate.class_balance import GROUPS
from keras_clce.report.answers import wrapped
from keras_clce.report.names import Run, as_record, baseline_of, by_name
from keras_clce.report.tables import TABLE_WIDTH, fit_table, mean_cell, versus_cell
from keras_clce.runs.record import Record

_BOUNDS = {"many": "> 100", "medium": "20-100", "few": "< 20"}
# The rarest are shown of more.
MOST_CLASSES = 200


def balance_table(runs: Sequence[Run], baseline: str = "ce") -> str:
    """Balanced accuracy of each loss over its seeds, and that on rare and frequent classes.

    Args:
        runs: The records of the runs, or their `metrics.json`.
        baseline: Loss that the others are compared with, seed by seed. Defaults to `"ce"`.

    Returns:
        The table as text, in percent; `""` where no run has unbalanced training classes.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    balance_table(records)  # ""
    ```
    """
    found = balance_cells(runs, baseline)
    if found is None:
        return ""
    caption, header, rows = found
    return f"{wrapped(caption)}\n{fit_table(header, rows, TABLE_WIDTH)}"


def balance_cells(
    runs: Sequence[Run], baseline: str = "ce"
) -> tuple[str, list[str], list[list[str]]] | None:
    """The caption and the cells of `balance_table`.

    Args:
        runs: The records of the runs, or their `metrics.json`.
        baseline: Loss that the others are compared with. Defaults to `"ce"`.

    Returns:
        The caption, the header and a row for each loss with its label; `None` where no run has
        unbalanced training classes.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    balance_cells(records)  # None
    ```
    """
    records = _unbalanced(runs)
    if not records:
        return None
    groups = [
        name for name in GROUPS if any(name in run.metrics["test"]["groups"] for run in records)
    ]
    header = ["loss", "seeds", "balanced", *(f"{name} ({_BOUNDS[name]})" for name in groups)]
    header.append(f"balanced vs {baseline}")
    by_seed = {name: {run.seed: run for run in group} for name, group in by_name(records).items()}
    rows = []
    for name, seeds in by_seed.items():
        tests = [run.metrics["test"] for run in seeds.values()]
        cells = [
            str(name),
            str(len(seeds)),
            mean_cell([test["balanced_accuracy"] for test in tests]),
        ]
        for group in groups:
            cells.append(
                mean_cell([(test["groups"].get(group) or {}).get("accuracy") for test in tests])
            )
        other = baseline_of(name, by_seed, baseline)
        cells.append(
            "-" if other is None else versus_cell(*map(_balanced, (seeds, by_seed[other])))
        )
        rows.append(cells)
    counts = [one["training_images"] for one in records[0].metrics["test"]["classes"].values()]
    present = [count for count in counts if count]
    caption = (
        "Mean accuracy of the classes in %, of all and by how many training images a class has "
        f"({min(present)} to {max(present)})"
    )
    return caption, header, rows


def class_cells(
    runs: Sequence[Run],
) -> tuple[str, list[str], list[list[str]]] | None:
    """The caption and the cells of a table of the accuracy on each class, the rarest first.

    Args:
        runs: The records of the runs, or their `metrics.json`.

    Returns:
        The caption, the header and a row for each class, with the mean over the seeds of each
        loss; `None` where no run has unbalanced training classes.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    class_cells(records)  # None
    ```
    """
    records = _unbalanced(runs)
    if not records:
        return None
    names = by_name(records)
    classes = records[0].metrics["test"]["classes"]
    ordered = sorted(classes, key=lambda name: classes[name]["training_images"])
    rows = []
    for one in ordered[:MOST_CLASSES]:
        cells = [one, str(classes[one]["training_images"]), str(classes[one]["examples"])]
        for group in names.values():
            found = [run.metrics["test"]["classes"].get(one, {}).get("accuracy") for run in group]
            known = [value for value in found if value is not None]
            cells.append(f"{100 * np.mean(known):.1f}" if known else "-")
        rows.append(cells)
    which = "each class" if len(rows) == len(ordered) else f"the {len(rows)} rarest classes"
    caption = f"Accuracy on {which} in %, the mean over seeds"
    return caption, ["class", "training images", "test images", *map(str, names)], rows


def _unbalanced(runs: Sequence[Run]) -> list[Record]:
    return [
        run
        for run in map(as_record, runs)
        if run.is_tested and "balanced_accuracy" in (run.metrics.get("test") or {})
    ]


def _balanced(by_seed):
    return {seed: run.metrics["test"]["balanced_accuracy"] for seed, run in by_seed.items()}

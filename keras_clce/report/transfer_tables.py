"""The table of transfer runs, and its answer in one sentence."""

from collections.abc import Sequence

import numpy as np

from keras_clce.report.answers import (
    Difference,
    best_in_words,
    means_over_shared_seeds,
    sentence,
)
from keras_clce.report.fairness import apart_clause, apart_in_words
from keras_clce.report.names import Name, Run, as_record, baseline_of, by_name, count_of
from keras_clce.report.tables import TABLE_WIDTH, fold_table, mean_cell, versus_cell
from keras_clce.runs.record import Record

COLUMNS_OF_LABELS = (
    ("map", "mAP"),
    ("f1_micro", "F1 micro"),
    ("f1_macro", "F1 macro"),
)
COLUMNS = (("top1", "top-1"), ("top5", "top-5"), ("nearest_neighbor", "1-NN"))
_RETRIEVAL = "MAP@R"
RETRIEVAL_NOTE = (
    "MAP@R is of retrieval among the test images: each is a query, all others are the gallery, and "
    "precision is averaged over as many of the nearest as its class has others. Below are the "
    "queries of the lowest; what is nearest to them has a green frame if it is of their class, "
    "else an orange one."
)


def summary_table(runs: Sequence[Run], baseline: str = "ce") -> str:
    """Test accuracy of each loss over its seeds, in percent, with the test against a baseline.

    Args:
        runs: The records of the runs, or their `metrics.json`.
        baseline: Loss that the others are compared with, seed by seed. Defaults to `"ce"`.

    Returns:
        The table as text: mean ± half width of the 95 % interval over seeds, and the paired
        t-test of top-1, or of mAP of several labels, where both losses share at least two seeds.
        MAP@R, of retrieval among the test images, is there if any run has it.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    print(summary_table(records))
    ```
    """
    header, rows = summary_cells(runs, baseline)
    return fold_table(header, rows, at=header.index("seconds"), width=TABLE_WIDTH)


def summary_cells(
    runs: Sequence[Run], baseline: str = "ce"
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The cells of `summary_table`.

    Args:
        runs: The records of the runs, or their `metrics.json`.
        baseline: Loss that the others are compared with. Defaults to `"ce"`.

    Returns:
        The header and the rows.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    header, rows = summary_cells(records)
    rows[1][0]  # "clce"
    ```
    """
    tops = _by_seed(runs)
    retrieved = any(_map_at_r(run) is not None for run in map(as_record, runs))
    key, measure = next(run.measure for seeds in tops.values() for run in seeds.values())
    columns = COLUMNS if key == "top1" else COLUMNS_OF_LABELS
    titles = [*(title for _, title in columns), *[_RETRIEVAL] * retrieved]
    header = ["loss", "seeds", *titles, "seconds", f"{measure} vs {baseline}"]
    rows = []
    for name, seeds in tops.items():
        cells = [str(name), str(len(seeds))]
        for column, _ in columns:
            values = [run.metrics["test"][column] for run in seeds.values()]
            cells.append(mean_cell(values))
        if retrieved:
            cells.append(mean_cell([*map(_map_at_r, seeds.values())]))
        cells.append(f"{np.mean([run.metrics['seconds'] for run in seeds.values()]):.0f}")
        other = baseline_of(name, tops, baseline)
        cells.append("-" if other is None else _versus(seeds, tops[other]))
        rows.append(cells)
    return header, rows


def transfer_answer(runs: Sequence[Run], baseline: str = "ce") -> str:
    """Say which loss has the best top-1 or mAP, by how much, and whether that can be told.

    Args:
        runs: The records of the runs, or their `metrics.json`.
        baseline: Loss that the others are compared with, seed by seed. Defaults to `"ce"`.

    Returns:
        One sentence, in lines of at most 100 characters.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    print(transfer_answer(records))
    ```
    """
    tops = _by_seed(runs)

    def difference(ours, theirs):
        shared, *pair = _shared(tops[ours], tops[theirs])
        over = f"over {count_of(len(shared), 'seed')}"
        sides = ([*tops[name].values()] for name in (ours, theirs))
        caveat = apart_clause(apart_in_words(*sides))
        return Difference.paired(*pair, over, caveat) if shared else None

    means = means_over_shared_seeds(
        {
            name: {seed: _measured(run) for seed, run in seeds.items()}
            for name, seeds in tops.items()
        }
    )
    _, measure = next(run.measure for seeds in tops.values() for run in seeds.values())
    return sentence(f"by {measure}, {best_in_words(means, difference, baseline)}")


def _by_seed(runs: Sequence[Run]) -> dict[Name, dict[int, Record]]:
    groups = by_name(map(as_record, runs))
    return {name: {run.seed: run for run in group} for name, group in groups.items()}


def _measured(run):
    key, _ = run.measure
    return run.metrics["test"][key]


def _map_at_r(run):
    return (run.metrics["test"].get("retrieval") or {}).get("map@r")


def _shared(ours, theirs):
    shared = sorted(set(ours) & set(theirs))
    return shared, *(
        np.array([_measured(runs[seed]) for seed in shared]) for runs in (ours, theirs)
    )


def _versus(seeds, baseline):
    return versus_cell(
        *({seed: _measured(run) for seed, run in runs.items()} for runs in (seeds, baseline))
    )

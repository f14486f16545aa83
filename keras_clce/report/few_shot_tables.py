"""Tables and pictures of few-shot runs: each figure says over what its interval is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.evaluate.statistics import (
    confidence_interval,
    paired_t_test,
    sign_flip_p_value,
)
from keras_clce.report.tables import format_table
from keras_clce.runs.record import read_accuracies, run_name

FROZEN = "frozen"
FEW_SHOT_NOTE = """\
median ± seeds  the CLCE paper's figure: median over tasks, then mean and interval across seeds;
                a median moves in steps of one query, so seeds may agree by chance
mean ± seeds    mean over tasks, then mean and interval across seeds: how training anew varies
mean ± tasks    the same mean; interval over tasks, each averaged over seeds: it takes the trained
                models and the novel images as given, and training anew may differ by more
minus           difference on the same tasks, or of the same seeds, with its interval
frozen          the encoder before training: one, beside every seed of the others
p, t; p, flips  paired t-test; sign-flip permutation test of 9,999 flips, so at least 0.0001
All intervals are 95 %, Student's t."""


def few_shot_table(
    accuracies: Mapping[tuple[str, int | None], np.ndarray], baseline: str = "ce"
) -> str:
    """Few-shot accuracy of each loss in percent, with intervals and paired tests of two kinds.

    `FEW_SHOT_NOTE` says what each column is. Over tasks, the trained models are taken as given;
    across seeds, training is repeated. An interval that is missing needs two seeds.

    Args:
        accuracies: Accuracy of each task `(tasks,)` for each loss and seed, the same tasks for all.
            A model that no seed changes has `None` in place of a seed, and is compared with every
            seed of the baseline.
        baseline: Loss that the others are compared with. Defaults to `"ce"`.

    Returns:
        The table as text, at most 120 columns wide.

    Example:
    ```python
    print(few_shot_table({("ce", 0): ce.accuracies, ("clce", 0): clce.accuracies}))
    ```
    """
    by_loss: dict[str, dict[int | None, np.ndarray]] = {}
    for (loss, seed), values in accuracies.items():
        by_loss.setdefault(loss, {})[seed] = np.asarray(values)
    minus = f"minus {baseline}\n± "
    header = ["\nloss", "\nseeds", "median\n± seeds", "mean\n± seeds", "mean\n± tasks"]
    header += [f"{minus}tasks", "\np, t", "\np, flips", f"{minus}seeds", "\np, t"]
    rows = []
    for loss, runs in by_loss.items():
        cells = [loss, "-" if None in runs else str(len(runs))]
        for statistic in (np.median, np.mean):
            values = [statistic(run) for run in runs.values()]
            cells.append(_percent(np.mean(values), confidence_interval(values)))
        over_tasks = np.mean(list(runs.values()), axis=0)
        cells.append(_percent(over_tasks.mean(), confidence_interval(over_tasks)))
        rows.append(cells + _versus(runs, {} if loss == baseline else by_loss.get(baseline, {})))
    return format_table(header, rows)


def few_shot_tables(runs: Sequence[Mapping[str, Any]], home: Path) -> str:
    """Few-shot accuracy of runs on the same tasks, one `few_shot_table` a kind of task.

    Args:
        runs: The `metrics.json` of each few-shot run.
        home: Folder that the run folders stand in.

    Returns:
        The tables as text, each under a line that says what was classified, and how.

    Raises:
        ValueError: If a file is missing or damaged, or runs were tested on different tasks.

    Example:
    ```python
    home = Path("runs/few_shot/cifar_fs/vit_tiny")
    print(few_shot_tables([json.loads(p.read_text()) for p in home.glob("*/metrics.json")], home))
    ```
    """
    tables = []
    for kind in _kinds(runs):
        tested = [run for run in runs if kind in run["few_shot"]]
        results = [run["few_shot"][kind] for run in tested]
        other = [
            f"{run_name(run)}, seed {run['seed']}"
            for run, result in zip(tested, results, strict=True)
            if result["drawn_from"] != results[0]["drawn_from"]
        ]
        if other:
            raise ValueError(
                f"The runs of {home} were not tested on the same tasks. Delete the metrics.json of "
                "those that differ, and pass --resume to test them anew. Received: "
                f"{run_name(tested[0])}, seed {tested[0]['seed']}, and on other {kind} tasks "
                + "; ".join(other)
            )
        accuracies = {
            (run_name(run), None if run["loss"] == FROZEN else run["seed"]): read_accuracies(
                home / run["accuracies"], kind
            )
            for run in tested
        }
        of = "{features} features, {transform}; {tasks} tasks, {queries} queries a class, "
        of = (of + "{classifier}").format(**results[0])
        tables.append(f"{kind}: {of}\n{few_shot_table(accuracies)}")
    return "\n\n".join(tables)


def _kinds(runs):
    return list(dict.fromkeys(kind for run in runs for kind in run["few_shot"]))


def _percent(mean, half, sign=""):
    return f"{100 * mean:{sign}.2f}" + ("" if np.isnan(half) else f" ± {100 * half:.2f}")


def _versus(runs, baseline):
    shared = [seed for seed in baseline if seed in runs or None in runs]
    if not shared:
        return ["-"] * 5
    ours = np.array([runs.get(seed, runs.get(None)) for seed in shared])
    theirs = np.array([baseline[seed] for seed in shared])
    test = paired_t_test(ours.mean(axis=0), theirs.mean(axis=0))
    flipped = sign_flip_p_value((ours - theirs).mean(axis=0))
    by_task = [_percent(test.mean_difference, test.ci95, "+"), _p(test.p_value), _p(flipped)]
    if len(shared) < 2:
        return [*by_task, _percent(test.mean_difference, np.nan, "+"), "-"]
    test = paired_t_test(ours.mean(axis=1), theirs.mean(axis=1))
    return [*by_task, _percent(test.mean_difference, test.ci95, "+"), _p(test.p_value)]


def _p(value):
    if np.isnan(value):
        return "-"
    return "<1e-16" if value < 1e-16 else f"{value:.2g}"

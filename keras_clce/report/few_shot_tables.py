"""Tables of few-shot runs, and their answer in one sentence: each interval says over what it is."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_clce.evaluate.statistics import (
    confidence_interval,
    paired_t_test,
    sign_flip_p_value,
)
from keras_clce.report.answers import (
    Difference,
    best_in_words,
    means_over_shared_seeds,
    sentence,
)
from keras_clce.report.fairness import apart_clause, apart_in_words
from keras_clce.report.few_shot_kinds import IN_WORDS, KindOfTask, distinct_kinds, result_of
from keras_clce.report.names import Name, Run, as_record, baseline_of, by_name, count_of
from keras_clce.report.tables import (
    TABLE_WIDTH,
    fold_table,
    format_table,
    format_terms,
    p_value,
    percent,
)
from keras_clce.runs.record import Record

FROZEN = "frozen"
FEW_SHOT_TERMS = {
    "median ± seeds": "the CLCE paper's figure: median over tasks, then mean and interval across "
    "seeds; a median moves in steps of one query, so seeds may agree by chance",
    "mean ± seeds": "mean over tasks, then mean and interval across seeds: how training anew "
    "varies",
    "mean ± tasks": "the same mean; interval over tasks, each averaged over seeds: it takes the "
    "trained models and the novel images as given; training anew may differ by more",
    "minus": "difference on the same tasks, or of the same seeds, with its interval",
    "frozen": "the encoder before training: one, beside every seed of the others",
    "p, t; p, flips": "paired t-test; sign-flip permutation test of 9,999 flips, so at least "
    "0.0001",
}
INTERVALS = "All intervals are 95 %, Student's t."
FEW_SHOT_NOTE = f"{format_terms(FEW_SHOT_TERMS)}\n{INTERVALS}"
# Accuracy on each task, by seed; the encoder before training has None in place of a seed.
_Seeds = Mapping[int | None, np.ndarray]


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
    ce = few_shot_accuracy(features, labels, tasks=100)
    clce = few_shot_accuracy(embeddings, labels, tasks=100)
    print(few_shot_table({("ce", 0): ce.accuracies, ("clce", 0): clce.accuracies}))
    ```
    """
    by_loss: dict[str, dict[int | None, np.ndarray]] = {}
    for (loss, seed), values in accuracies.items():
        by_loss.setdefault(loss, {})[seed] = np.asarray(values)
    baselines = {loss: baseline for loss in by_loss if loss != baseline and baseline in by_loss}
    return format_table(*_cells(by_loss, baselines, baseline))


def few_shot_tables(runs: Sequence[Run], home: Path = Path(), baseline: str = "ce") -> str:
    """Few-shot accuracy of runs on the same tasks, one table per kind of task.

    Features that gave the same results share a table. A table too wide for a page has its
    differences below.

    Args:
        runs: The records of few-shot runs, or their `metrics.json`.
        home: Folder that the run folders stand in, where `runs` are no records. Defaults to the
            current one.
        baseline: Loss that the others are compared with. Defaults to `"ce"`.

    Returns:
        The tables as text, each under a line that says what was classified, and how.

    Raises:
        ValueError: If a file is missing or damaged, or runs were tested on different tasks.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    print(few_shot_tables(records))
    ```
    """
    records = [as_record(run, home) for run in runs]
    return "\n\n".join(
        f"{heading}\n{fold_table(header, rows, at=5, width=TABLE_WIDTH)}"
        for heading, header, rows in few_shot_cells(records, baseline)
    )


def few_shot_cells(
    records: Sequence[Record], baseline: str = "ce"
) -> list[tuple[str, Sequence[str], Sequence[Sequence[str]]]]:
    """The cells of `few_shot_tables`.

    Args:
        records: Few-shot runs.
        baseline: Loss that the others are compared with. Defaults to `"ce"`.

    Returns:
        For each kind of task what was classified and how, the header in two lines, and the rows.

    Raises:
        ValueError: If a file is missing or damaged, or runs were tested on different tasks.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    heading, header, rows = few_shot_cells(records)[0]
    rows[0][0]  # "ce"
    ```
    """

    def cells(kind):
        by_loss = accuracies_by_loss(records, kind)
        found = {name: baseline_of(name, by_loss, baseline) for name in by_loss}
        baselines = {str(name): str(other) for name, other in found.items() if other}
        named = {str(name): seeds for name, seeds in by_loss.items()}
        header, rows = _cells(named, baselines, baseline)
        return tuple(header), tuple(map(tuple, rows))

    return [(_heading(kind, records), *shown) for kind, shown in distinct_kinds(records, cells)]


def few_shot_answer(runs: Sequence[Run], home: Path = Path(), baseline: str = "ce") -> str:
    """Say which loss is best at each number of shots, by how much, and whether that can be told.

    With two seeds or more, the difference is tested across seeds, else over the tasks of one.

    Args:
        runs: The records of few-shot runs, or their `metrics.json`. Of several kinds of features
            and classifiers, the first is judged by.
        home: As in `few_shot_tables`, and so is the other.
        baseline: Defaults to `"ce"`.

    Returns:
        One sentence, in lines of at most 100 characters.

    Raises:
        ValueError: If a file is missing or damaged, or runs were tested on different tasks.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    print(few_shot_answer(records))
    ```
    """
    records = [as_record(run, home) for run in runs]
    kinds = [kind for kind, _ in distinct_kinds(records, lambda kind: kind)]
    first: dict[str, KindOfTask] = {}
    for kind in kinds:
        first.setdefault(kind.tasks, kind)
    clauses = []
    groups = by_name(records)

    def apart(ours, theirs):
        if FROZEN in (ours.loss, theirs.loss):
            # What was not trained has no settings of a training.
            return ""
        return apart_clause(apart_in_words(groups.get(ours, []), groups.get(theirs, [])))

    for tasks, kind in first.items():
        by_loss = accuracies_by_loss(records, kind.name)
        means = means_over_shared_seeds(
            {
                name: {seed: float(np.mean(values)) for seed, values in seeds.items()}
                for name, seeds in by_loss.items()
            }
        )
        best = best_in_words(means, _difference_within(by_loss, apart), baseline)
        clauses.append(f"at {tasks}, {best}")
    judged = next(iter(first.values()))
    of = judged.classified
    if len({kind.classifier for kind in kinds}) > 1:
        of = f"{judged.classifier} of {of}"
    return sentence("; ".join(clauses) + (f" (by {of})" if len(kinds) > len(first) else ""))


def accuracies_by_loss(records: Sequence[Record], kind: str) -> dict[Name, _Seeds]:
    """Accuracy on each task of one kind, which must be the same for all runs.

    Args:
        records: Few-shot runs.
        kind: Kind of task, as in `metrics["few_shot"]`; runs without it are passed over.

    Returns:
        Accuracies `(tasks,)` by seed for each loss; `None` stands for the seed of the encoder
        before training.

    Raises:
        ValueError: If a file is missing or damaged, or runs were tested on different tasks.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    [str(name) for name in accuracies_by_loss(records, "5w1s")]  # ["ce", "clce"]
    ```
    """
    tested = [run for run in records if kind in run.metrics["few_shot"]]
    drawn_from = [run.metrics["few_shot"][kind]["drawn_from"] for run in tested]
    other = [
        f"{run.name}, seed {run.seed}"
        for run, tasks in zip(tested, drawn_from, strict=True)
        if tasks != drawn_from[0]
    ]
    if other:
        raise ValueError(
            f"The runs of {tested[0].folder.parent} were not tested on the same tasks. Delete the "
            "metrics.json of those that differ, and pass --resume to test them anew. Received: "
            f"{tested[0].name}, seed {tested[0].seed}, and on other {kind} tasks "
            + "; ".join(other)
        )
    return {
        name: {None if run.loss == FROZEN else run.seed: run.task_accuracies(kind) for run in group}
        for name, group in by_name(tested).items()
    }


def _heading(kind: KindOfTask, records: Sequence[Record]) -> str:
    result = result_of(records, kind.name)
    tasks = count_of(result["tasks"], "task")
    queries = count_of(result["queries"], "query", "queries")
    balance = result.get("query_distribution", "balanced")
    queries += " a class" if balance == "balanced" else f" a class on average, {balance}"
    said = f"{kind.name}: {kind.classified}; {tasks}, {queries}, {result['classifier']}"
    in_words = IN_WORDS.get(kind.transform)
    return f"{said}\n{kind.transform}: {in_words}" if in_words else said


def _cells(
    by_loss: Mapping[str, _Seeds], baselines: Mapping[str, str], baseline: str
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table."""
    minus = f"minus {baseline}\n± "
    header = ["\nloss", "\nseeds", "median\n± seeds", "mean\n± seeds", "mean\n± tasks"]
    header += [f"{minus}tasks", "\np, t", "p,\nflips", f"{minus}seeds", "\np, t"]
    rows = []
    for loss, runs in by_loss.items():
        cells = [loss, "-" if None in runs else str(len(runs))]
        for statistic in (np.median, np.mean):
            values = [statistic(run) for run in runs.values()]
            cells.append(percent(np.mean(values), confidence_interval(values)))
        over_tasks = np.mean(list(runs.values()), axis=0)
        cells.append(percent(over_tasks.mean(), confidence_interval(over_tasks)))
        other = by_loss[baselines[loss]] if loss in baselines else {}
        rows.append(cells + _versus(runs, other))
    return header, rows


def shared_seeds(runs: _Seeds, baseline: _Seeds) -> tuple[np.ndarray, np.ndarray] | None:
    """Accuracies of two losses with the seeds that they share.

    Args:
        runs: Accuracies `(tasks,)` of one loss by seed; `None` stands for any seed.
        baseline: Those of the other.

    Returns:
        Accuracies `(seeds, tasks)` of both; `None` where they share no seed.

    Example:
    ```python
    shared_seeds({0: np.zeros(9), 1: np.ones(9)}, {1: np.ones(9)})[0].shape  # (1, 9)
    ```
    """
    shared = [
        seed
        for seed in dict.fromkeys((*runs, *baseline))
        if all(seed in seeds or None in seeds for seeds in (runs, baseline))
    ]
    if not shared:
        return None
    ours, theirs = (
        np.array([seeds.get(seed, seeds.get(None)) for seed in shared])
        for seeds in (runs, baseline)
    )
    return ours, theirs


def _difference_within(
    by_loss: Mapping[Name, _Seeds], apart: Callable[[Name, Name], str]
) -> Callable[[Name, Name], Difference | None]:
    return lambda ours, theirs: _difference(by_loss[ours], by_loss[theirs], apart(ours, theirs))


def _difference(runs: _Seeds, baseline: _Seeds, caveat: str) -> Difference | None:
    shared = shared_seeds(runs, baseline)
    if shared is None:
        return None
    ours, theirs = shared
    seeds, tasks = ours.shape
    if seeds > 1:
        means = (ours.mean(axis=1), theirs.mean(axis=1))
        return Difference.paired(*means, f"across {seeds} seeds", caveat)
    return Difference.paired(
        *(ours[0], theirs[0]),
        f"over {count_of(tasks, 'task')} of one seed",
        f" for these models, while training anew may differ by more{caveat}",
    )


def _versus(runs: _Seeds, baseline: _Seeds) -> list[str]:
    shared = shared_seeds(runs, baseline)
    if shared is None:
        return ["-"] * 5
    ours, theirs = shared
    test = paired_t_test(ours.mean(axis=0), theirs.mean(axis=0))
    flipped = sign_flip_p_value((ours - theirs).mean(axis=0))
    difference = percent(test.mean_difference, test.ci95, "+")
    by_task = [difference, p_value(test.p_value), p_value(flipped)]
    if len(ours) < 2:
        return [*by_task, percent(test.mean_difference, np.nan, "+"), "-"]
    test = paired_t_test(ours.mean(axis=1), theirs.mean(axis=1))
    return [*by_task, percent(test.mean_difference, test.ci95, "+"), p_value(test.p_value)]

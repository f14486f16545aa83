"""Kinds of tables of README.md, each made of the runs that stand beside it.

Figures are fractions of test images in %, means over the seeds. "Minus" is the mean of the
differences over the seeds that both have, with its 95 % interval (Student's t) and the p-value of
the paired t-test where there are at least three.
"""

import csv
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from keras_clce.evaluate import paired_t_test
from keras_clce.report.few_shot_tables import few_shot_cells
from keras_clce.runs import find_records

RESULTS = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Row:
    """One row: its name on the page, and the folders of its runs without `-seedN`.

    Two folders, where seeds of one setting stand apart, are separated by a space.
    """

    name: str
    runs: str

    def metrics(self) -> dict[int, dict]:
        """`metrics.json` of each seed."""
        files = [
            file
            for runs in self.runs.split()
            for file in sorted(RESULTS.glob(f"{runs}-seed*/metrics.json"))
        ]
        if not files:
            raise FileNotFoundError(f"no run of {self.runs} in {RESULTS}")
        records = (json.loads(file.read_text(encoding="utf-8")) for file in files)
        return {record["seed"]: record for record in records}


@dataclasses.dataclass(frozen=True)
class Column:
    """One figure of a run, and whether the first row's is taken from it in a further column."""

    name: str
    figure: Callable[[Mapping], float]
    is_compared: bool = True


TOP_1 = Column("top-1", lambda metrics: metrics["test"]["top1"])
TOP_5 = Column("top-5", lambda metrics: metrics["test"]["top5"])
NEAREST = Column("1-NN", lambda metrics: metrics["test"]["nearest_neighbor"])
VALIDATION = Column("validation", lambda metrics: metrics["validation"]["top1"])
BALANCED = Column("balanced accuracy", lambda metrics: metrics["test"]["balanced_accuracy"])


def of_tasks(kind: str, name: str) -> Column:
    """Mean accuracy on few-shot tasks of one kind, such as "5w1s"."""
    return Column(name, lambda metrics: metrics["few_shot"][kind]["mean"])


def of_group(name: str) -> Column:
    """Accuracy of the classes with many, medium or few training images."""
    return Column(name, lambda metrics: metrics["test"]["groups"][name]["accuracy"], False)


def paired(rows: Sequence[Row], columns: Sequence[Column], first: str = "") -> str:
    """A table of rows against the first of them."""
    base = rows[0].metrics()
    minus = f"minus {rows[0].name}"
    head = [first, "seeds"]
    head += [title for each in columns for title in (each.name, minus)[: 1 + each.is_compared]]
    lines = []
    for row in rows:
        metrics = row.metrics()
        cells = [row.name, ", ".join(map(str, metrics))]
        for column in columns:
            values = {seed: 100 * column.figure(each) for seed, each in metrics.items()}
            cells.append(f"{sum(values.values()) / len(values):.2f}")
            if column.is_compared:
                both = [seed for seed in values if seed in base and row is not rows[0]]
                cells.append(
                    difference(
                        [values[seed] for seed in both],
                        [100 * column.figure(base[seed]) for seed in both],
                    )
                )
        lines.append(cells)
    return table(head, lines)


def grid(
    columns: Sequence[str],
    rows: Mapping[str, Sequence[str]],
    first: str = "",
    figures: Sequence[Column] = (TOP_1, NEAREST),
    most_seeds: int | None = None,
) -> str:
    """A table of a few figures by two settings, with the seeds side by side.

    Args:
        columns: Their names.
        rows: By their names, the folders of the runs in each column; empty for none.
        first: Title of the rows' names.
        figures: What a cell says of each run.
        most_seeds: Show the first runs alone. Defaults to `None`: all.

    Returns:
        The table.
    """
    lines = []
    for name, folders in rows.items():
        cells = [name]
        for folder in folders:
            runs = [*Row(name, folder).metrics().values()][:most_seeds] if folder else ()
            each_run = (
                ", ".join(f"{100 * each.figure(run):.1f}" for each in figures) for run in runs
            )
            cells.append("; ".join(each_run))
        lines.append(cells)
    return table([first, *columns], lines)


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Cells in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def difference(ours: Sequence[float], theirs: Sequence[float], digits: int = 1) -> str:
    """Mean difference in words, with interval and p-value where the seeds allow them."""
    if not ours:
        return ""
    if len(ours) < 3:
        mean = sum(a - b for a, b in zip(ours, theirs, strict=True)) / len(ours)
        return f"{mean:+.{digits}f}"
    test = paired_t_test(ours, theirs)
    mean, half = test.mean_difference, test.ci95
    return f"{mean:+.{digits}f} ± {half:.{digits}f}, p = {test.p_value:.2g}"


def in_parts(parts: Mapping[str, str]) -> str:
    """Several tables, each below its title."""
    return "\n\n".join(f"**{title}**\n\n{text}" for title, text in parts.items())


def by_seed(
    first: Sequence[str], rows: Sequence[tuple[Sequence[str], str]], columns: Sequence[Column]
) -> str:
    """A table with a line for each run: settings in words, its seed, and its figures.

    Args:
        first: Titles of the settings.
        rows: Settings in words, and the folder of their runs.
        columns: The figures.

    Returns:
        The table.
    """
    lines = [
        [*settings, str(seed), *(f"{100 * each.figure(run):.2f}" for each in columns)]
        for settings, folder in rows
        for seed, run in Row("", folder).metrics().items()
    ]
    return table([*first, "seed", *(each.name for each in columns)], lines)


def epoch_by_epoch(
    first: Sequence[str], rows: Sequence[tuple[Sequence[str], str]], column: str, name: str
) -> str:
    """A table with a line for each run of one seed: a column of its `history.csv`, and top-1.

    Args:
        first: Titles of the settings.
        rows: Settings in words, and the folder of the run.
        column: The column.
        name: Its title.

    Returns:
        The table.
    """
    lines = []
    for settings, folder in rows:
        ((seed, run),) = Row("", folder).metrics().items()
        history = RESULTS / f"{folder}-seed{seed}" / "history.csv"
        with open(history, newline="", encoding="utf-8") as file:
            values = ", ".join(f"{float(row[column]):.2f}" for row in csv.DictReader(file))
        lines.append([*settings, values, f"{100 * TOP_1.figure(run):.2f}"])
    return table([*first, name, f"test {TOP_1.name}"], lines)


def crossed(rows: Mapping[str, tuple[str, str]], names: tuple[str, str], column: Column) -> str:
    """Two rows by two columns of one figure, with all four differences over the seeds.

    Args:
        rows: By their names, two folders of runs each.
        names: Names of the columns.
        column: The figure.

    Returns:
        The table.
    """
    found = {
        name: [
            [100 * column.figure(run) for run in Row(name, folder).metrics().values()]
            for folder in folders
        ]
        for name, folders in rows.items()
    }
    lines = [
        [name, *(f"{sum(each) / len(each):.2f}" for each in pair), difference(pair[1], pair[0])]
        for name, pair in found.items()
    ]
    (first, below), (second, above) = found.items()
    lines.append(
        [
            f"{second} minus {first}",
            *(difference(ours, theirs) for ours, theirs in zip(above, below, strict=True)),
            "",
        ]
    )
    return table([column.name, *names, f"{names[1]} minus {names[0]}"], lines)


def searches(folders: Mapping[str, Sequence[str]], loss: str) -> str:
    """What searches of one loss found, each minus the first of its data.

    Args:
        folders: By the name of the data, the folders of the searches, named after their methods.
        loss: The loss.

    Returns:
        The table: trials that finished, the best of them on validation, and its settings on test.
    """
    lines = []
    for name, of_data in folders.items():
        first: tuple[float, dict[int, float]] | None = None
        for folder in of_data:
            with open(RESULTS / folder / "trials.csv", newline="", encoding="utf-8") as file:
                trials = [row for row in csv.DictReader(file) if row["status"] == "finished"]
            best = 100 * max(float(row["validation"]) for row in trials)
            runs = Row("", f"{folder}/{loss}-tuned").metrics()
            test = {seed: 100 * TOP_1.figure(run) for seed, run in runs.items()}
            epochs = sum(int(row["epochs"]) for row in trials)
            minus_best, minus_test = "", ""
            if first:
                minus_best = f"{best - first[0]:+.1f}"
                minus_test = difference([*test.values()], [first[1][seed] for seed in test])
            first = first or (best, test)
            mean = f"{sum(test.values()) / len(test):.1f}"
            cells = [name, Path(folder).name, str(epochs), f"{best:.1f}", minus_best]
            lines.append([*cells, mean, minus_test])
    head = ["data", "method", "epochs", "best validation", "minus grid"]
    return table([*head, "test, means over seeds", "minus grid"], lines)


def few_shot(folder: str, kinds: Sequence[str] = ("5w1s", "5w5s")) -> str:
    """The report's tables of the few-shot runs in a folder, one for each kind of task.

    Args:
        folder: Where the runs are.
        kinds: The kinds, as in `metrics.json`.

    Returns:
        The tables, each below what was classified.
    """
    records, damaged = find_records(RESULTS / folder)
    assert not damaged, damaged
    parts = []
    for heading, head, rows in few_shot_cells(records):
        kind, _, how = heading.splitlines()[0].partition(": ")
        if kind not in kinds:
            continue
        titles = [" ".join(each.split()) for each in head]
        # Sums that tie but for their rounding count one way or the other, by the processor.
        kept = [number for number, title in enumerate(titles) if "flips" not in title]
        lines = [[cells[number] for number in kept] for cells in [titles, *rows]]
        parts.append(f"**{kind}**: {how}\n\n{table(lines[0], lines[1:])}")
    return "\n\n".join(parts)

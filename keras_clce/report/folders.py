"""Two folders of runs side by side: two machines, two versions, before and after a change."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_clce.evaluate import confidence_interval
from keras_clce.files import made_folder
from keras_clce.report.answer_blocks import Question
from keras_clce.report.blocks import Block, Details, Items, Page, Section, Table, Text
from keras_clce.report.comparisons import (
    TESTS_HEADER,
    TESTS_NOTE,
    Comparison,
    cells_of_tests,
)
from keras_clce.report.few_shot_kinds import distinct_kinds
from keras_clce.report.names import count_of, run_title
from keras_clce.report.page import readable_runs, write_page
from keras_clce.report.pairing import Pairing, pair_runs, settings_apart
from keras_clce.report.provenance import Command, runs_details
from keras_clce.report.tables import percent
from keras_clce.report.verdicts import Verdict, capitalized
from keras_clce.runs import Record


def write_comparison(
    first: str | Path,
    second: str | Path,
    output_dir: str | Path,
    include_quick: bool = False,
    command: Command | None = None,
) -> Path:
    """Write the page that compares the runs of two folders.

    Runs are paired by settings, loss and seed, whatever folders they stand in.

    Args:
        first: Folder below which the first runs stand.
        second: Folder below which the others stand.
        output_dir: Where `report.html` and `report.md` go; made where it is not there.
        include_quick: Whether runs of a few batches, `--quick`, are compared too. Defaults to
            `False`.
        command: Gives the command that makes a run again. Defaults to `None`, no commands.

    Returns:
        The path of `report.md`; `report.html` stands beside it.

    Raises:
        ValueError: If no runs pair, or `output_dir` is no folder that can be written.

    Example:
    ```python
    path = write_comparison("runs", "runs", "report")
    path.read_text().splitlines()[0]  # "# What changed from runs (first) to runs (second)?"
    ```
    """
    folders = [Path(first), Path(second)]
    names = _names(folders)
    found = [readable_runs(folder, include_quick) for folder in folders]
    groups: dict[tuple, tuple[list[Record], list[Record]]] = {}
    for side, (records, _) in enumerate(found):
        for record in records:
            key = (
                *(record.dataset, record.backbone),
                *(record.is_few_shot, record.is_multi_label, record.quick),
            )
            groups.setdefault(key, ([], []))[side].append(record)
    pairings = [pair_runs(*both) for both in groups.values()]
    if not any(pairing.pairs for pairing in pairings):
        raise ValueError(_nothing_pairs(folders, found, [*groups.values()]))
    output = made_folder(output_dir)
    question = Question(f"What changed from {names[0]} to {names[1]}?")
    paired = [pairing for pairing in pairings if pairing.pairs]
    for number, pairing in enumerate(paired, start=1):
        title = _title(pairing)
        question.add(title, f"section-{number}", title, _comparisons(pairing, names))
    answer = question.blocks(output)
    sections = [
        Section(
            _title(pairing),
            _section(pairing, names, question.of(f"section-{number}"), command),
            f"section-{number}",
        )
        for number, pairing in enumerate(paired, start=1)
    ]
    alone = [f"`{run.folder}`" for pairing in pairings for run in pairing.alone]
    if alone:
        why = Text("No run of the other folder, or more than one, has their settings and seed.")
        sections.append(Section("Not paired", [why, Items(alone, "paths")], "not-paired"))
    left_out = [line for _, lines in found for line in lines]
    if left_out:
        sections.append(Section("Left out", [Items(left_out, "paths")], "left-out"))
    count = count_of(sum(len(pairing.pairs) for pairing in paired), "pair")
    about = f"{count} of runs with the same settings and seed, below `{first}` and `{second}`"
    return write_page(Page(question.title, about, answer, sections), output)


def _names(folders: Sequence[Path]) -> list[str]:
    """What the folders are called, shortly where that tells them apart."""
    names = [folder.resolve().name for folder in folders]
    if names[0] != names[1]:
        return names
    names = [str(folder) for folder in folders]
    return names if names[0] != names[1] else [f"{names[0]} (first)", f"{names[0]} (second)"]


def _nothing_pairs(
    folders: Sequence[Path],
    found: Sequence[tuple[list[Record], list[str]]],
    groups: Sequence[tuple[list[Record], list[Record]]],
) -> str:
    counts = " and ".join(
        f"{folder} with {count_of(len(records), 'run')}"
        for folder, (records, _) in zip(folders, found, strict=True)
    )
    lines = [
        "`compare` must be two folders with finished runs of the same settings and seeds. "
        f"Received: {counts}, of which none pair"
    ]
    for first, second in groups:
        if first and second:
            apart = ", ".join(settings_apart(first, second)) or "several runs of the same settings"
            lines.append(f"Runs on {run_title(first[0])} differ: {apart}")
    return "\n".join([*lines, *(line for _, left_out in found for line in left_out)])


def _title(pairing: Pairing) -> str:
    return run_title(pairing.pairs[0][0]) or "Runs"


def _comparisons(pairing: Pairing, names: Sequence[str]) -> list[Comparison]:
    """The second folder against the first, in each measure of each loss."""
    comparisons = []
    for name, pairs in pairing.by_name().items():
        pairs = sorted(pairs, key=lambda pair: pair[0].seed)
        for measure in _measures(pairs):
            first, second = (
                np.array([_result(pair[side], measure) for pair in pairs]) for side in (0, 1)
            )
            what = f"`{name}`, {measure[0]}"
            seeds = tuple(pair[0].seed for pair in pairs)
            comparisons.append(Comparison(what, names[1], names[0], seeds, second, first))
    return comparisons


def _measures(pairs: Sequence[tuple[Record, Record]]) -> list[tuple[str, str | None]]:
    """What all runs of some pairs were tested by, with its key among few-shot results."""
    runs = [run for pair in pairs for run in pair]
    if not runs[0].is_few_shot:
        return [(runs[0].measure[1], None)]
    first: dict[str, str] = {}
    for kind, _ in distinct_kinds(runs, lambda key: key):
        if all(kind.name in run.metrics["few_shot"] for run in runs):
            first.setdefault(kind.tasks, kind.name)
    return [*first.items()]


def _result(run: Record, measure: tuple[str, str | None]) -> float:
    _, kind = measure
    if kind is None:
        return run.metrics["test"][run.measure[0]]
    return run.metrics["few_shot"][kind]["mean"]


def _section(
    pairing: Pairing,
    names: Sequence[str],
    compared: tuple[Sequence[Comparison], Sequence[Verdict]],
    command: Command | None,
) -> list[Block]:
    comparisons, found = compared
    blocks: list[Block] = [
        Text(capitalized(f"{comparison.measure}: {verdict.sentence}"), "lead")
        for comparison, verdict in zip(comparisons, found, strict=True)
    ]
    warnings = _warnings(pairing, names)
    if warnings:
        blocks.append(Text(f"Between {names[0]} and {names[1]} there differ:", "warning"))
        blocks.append(Items(warnings, "warning"))
    header = ["loss and measure", "seeds", *names, "difference"]
    rows = [
        [
            comparison.measure.replace("`", ""),
            str(len(comparison.seeds)),
            *(_mean(results) for results in (comparison.second, comparison.first)),
            percent(comparison.mean, confidence_interval(comparison.by_seed), "+"),
        ]
        for comparison in comparisons
    ]
    blocks.append(Table("Test accuracy in %, means over seeds ± 95 % interval", header, rows))
    tested = [comparison for comparison in comparisons if comparison.test is not None]
    if tested:
        tests = Table("All tests", TESTS_HEADER, cells_of_tests(tested))
        blocks.append(Details("All tests", [tests, Text(TESTS_NOTE, "note")]))
    by_run = [
        [comparison.measure.replace("`", ""), str(seed), *(f"{100 * x:.2f}" for x in both)]
        for comparison in comparisons
        for seed, *both in zip(comparison.seeds, comparison.second, comparison.first, strict=True)
    ]
    runs = Table("Test accuracy in % of each run", ["loss and measure", "seed", *names], by_run)
    blocks.append(Details("Run by run", [runs]))
    for side, name in enumerate(names):
        details = runs_details([pair[side] for pair in pairing.pairs], command)
        blocks.append(Details(f"{name}: {details.summary}", details.blocks))
    return blocks


def _mean(results: np.ndarray) -> str:
    return percent(results.mean(), confidence_interval(results))


def _warnings(pairing: Pairing, names: Sequence[str]) -> list[str]:
    """What is not the same in both folders: settings, data, tasks."""
    found = list(pairing.differing)
    notes = [{pair[side].data for pair in pairing.pairs} for side in (0, 1)]
    if notes[0] != notes[1]:
        found += [
            f"the data in {name}: {'; '.join(sorted(of))}"
            for name, of in zip(names, notes, strict=True)
        ]
    if pairing.pairs[0][0].is_few_shot:
        tasks = [
            {
                (kind, result["drawn_from"])
                for pair in pairing.pairs
                for kind, result in pair[side].metrics["few_shot"].items()
            }
            for side in (0, 1)
        ]
        if tasks[0] != tasks[1]:
            found.append("the few-shot tasks that were drawn")
    return found

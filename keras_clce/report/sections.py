"""A section of the page: all that is known of runs of one recipe, data set and encoder."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from keras_clce.report.answer_blocks import chosen_in_words
from keras_clce.report.beside_paper import paper_blocks, paper_figures
from keras_clce.report.blocks import Block, Details, Picture, Table, Terms, Text
from keras_clce.report.class_tables import balance_cells, class_cells
from keras_clce.report.comparisons import (
    IN_WORDS,
    TESTS_HEADER,
    TESTS_NOTE,
    Comparison,
    apart_note,
    baseline_comparisons,
    cells_of_tests,
)
from keras_clce.report.curves import curves_by_name, plot_curves
from keras_clce.report.few_shot_classifiers import (
    CLASSIFIER_TERMS,
    classifier_cells,
    finetuned_cells,
    has_several_classifiers,
)
from keras_clce.report.few_shot_pictures import plot_few_shot
from keras_clce.report.few_shot_tables import (
    FEW_SHOT_TERMS,
    FROZEN,
    INTERVALS,
    few_shot_answer,
    few_shot_cells,
)
from keras_clce.report.names import by_name, run_title
from keras_clce.report.pictures import drawing
from keras_clce.report.provenance import Command, runs_details, settings_table
from keras_clce.report.study_blocks import study_blocks
from keras_clce.report.transfer_tables import RETRIEVAL_NOTE, summary_cells, transfer_answer
from keras_clce.report.verdicts import Verdict, capitalized
from keras_clce.runs.record import Record


def section_blocks(
    records: Sequence[Record],
    comparisons: Sequence[Comparison],
    found: Sequence[Verdict],
    output: Path,
    number: int,
    command: Command | None = None,
) -> list[Block]:
    """All blocks of a section; its pictures are drawn.

    Args:
        records: Runs of one recipe, data set and encoder.
        comparisons: CLCE against cross-entropy, as `clce_comparisons` gave them.
        found: Their verdicts.
        output: Folder that pictures go to.
        number: Number of the section, which their names end with.
        command: Gives the command of a run. Defaults to `None`, no commands.

    Returns:
        The blocks, the answer first.

    Raises:
        ValueError: If few-shot runs were tested on different tasks.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    comparisons = clce_comparisons(records)
    section_blocks(records, comparisons, verdicts(comparisons), Path(), 1)[0].kind  # "lead"
    ```
    """
    settings = settings_table(records)
    study, tables = study_blocks(records, output, number), _tables(records)
    if any(isinstance(block, Table) for block in study):
        tables = [*study, Details("Results of every loss with its settings", tables)]
    else:
        tables = [*study, *tables]
    return [
        *_answer(records, comparisons, found),
        *tables,
        *paper_blocks(records),
        *_pictures(records, output, number),
        *([settings] if settings else []),
        *_tests(records),
        *_photographs(records),
        runs_details(records, command),
    ]


def _answer(
    records: Sequence[Record], comparisons: Sequence[Comparison], found: Sequence[Verdict]
) -> list[Block]:
    blocks: list[Block] = [
        Text(capitalized(f"{comparison.measure}: {verdict.sentence}"), "lead")
        for comparison, verdict in zip(comparisons, found, strict=True)
    ]
    chosen = chosen_in_words(comparisons)
    if chosen:
        blocks.append(Text(chosen, "note"))
    compared = {(loss, "") for loss in IN_WORDS} | {(FROZEN, "")}
    others = {(name.loss, name.variant) for name in by_name(records)} - compared
    if others or not comparisons:
        best = few_shot_answer if records[0].is_few_shot else transfer_answer
        text = " ".join(best(records).split())
        blocks.append(Text(f"Of all: {text[0].lower()}{text[1:]}" if comparisons else text))
    return blocks


def _tables(records: Sequence[Record]) -> list[Block]:
    data = "; ".join(sorted({run.data for run in records} - {""}))
    if not records[0].is_few_shot:
        header, rows = summary_cells(records)
        figures = paper_figures(records)
        header, rows = _with_paper(header, rows, figures, 3, "paper")
        what = "mAP and F1" if records[0].is_multi_label else "accuracy"
        return [Table(f"Test {what} in %, {data}", header, rows), *_of_classes(records)]
    blocks: list[Block] = [Text(f"Accuracy on the novel classes in %, {data}")]
    several = has_several_classifiers(records)
    if several:
        blocks += [Table(*cells) for cells in classifier_cells(records)]
        blocks.append(Terms(CLASSIFIER_TERMS))
    of_encoder = finetuned_cells(records)
    if of_encoder:
        blocks.append(Table(*of_encoder))
    others: list[Block] = []
    sizes = set()
    for heading, header, rows in few_shot_cells(records):
        size = re.match(r"\d+w(\d+)s", heading)
        shots = int(size[1]) if size else None
        header, rows = _with_paper(header, rows, paper_figures(records, shots), 3, "\npaper")
        # The first kind of each size is judged by.
        (others if several or shots in sizes else blocks).append(
            Table(heading.replace("\n", "; "), header, rows)
        )
        sizes.add(shots)
    if others:
        which = (
            "Each classifier and kind of features"
            if several
            else "The same tasks by other features"
        )
        blocks.append(Details(which, others))
    return [*blocks, Details("What the columns are", [Terms(FEW_SHOT_TERMS), Text(INTERVALS)])]


def _of_classes(records: Sequence[Record]) -> list[Block]:
    """Accuracies by groups of classes and by class, where training classes are unbalanced."""
    groups, classes = balance_cells(records), class_cells(records)
    if groups is None or classes is None:
        return []
    return [Table(*groups), Details("Accuracy on each class", [Table(*classes)])]


def _with_paper(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    figures: Mapping[str, str],
    at: int,
    title: str,
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The cells with a column of the paper's figures, where there are some."""
    if not figures:
        return header, rows
    titled = [*header[:at], title, *header[at:]]
    losses = [row[0].partition(",")[0].partition(" ")[0] for row in rows]
    return titled, [
        [*row[:at], figures.get(loss, "-"), *row[at:]]
        for row, loss in zip(rows, losses, strict=True)
    ]


def _pictures(records: Sequence[Record], output: Path, number: int) -> list[Block]:
    shown: list[Block] = []
    names = ", ".join(str(name) for name in by_name(records))
    curves = curves_by_name(records)
    if curves:
        path = output / f"curves-{number}.png"
        with drawing(path):
            plot_curves(curves, path, run_title(records[0]))
            what = "Mean average precision" if records[0].is_multi_label else "Accuracy"
            alt = f"{what} and both parts of the loss by epoch, of {names}"
            caption = "By epoch: training dashed, validation solid; one line a seed."
            shown.append(Picture(path, alt, caption))
    if records[0].is_few_shot:
        path = output / f"few_shot-{number}.png"
        with drawing(path):
            plot_few_shot(records, path)
            alt = f"Mean accuracy with its 95 % interval on each kind of few-shot tasks, of {names}"
            shown.append(Picture(path, alt))
    return shown


def _tests(records: Sequence[Record]) -> list[Block]:
    tested = [one for one in baseline_comparisons(records) if one.test is not None]
    if not tested:
        return []
    table = Table("All tests of these runs against `ce`", TESTS_HEADER, cells_of_tests(tested))
    notes = filter(None, (apart_note(tested), TESTS_NOTE))
    return [Details("All tests", [table, *(Text(note, "note") for note in notes)])]


def _photographs(records: Sequence[Record]) -> list[Block]:
    """The first task, or the worst queries, of one run of each name, where its picture is."""
    if records[0].is_few_shot:
        file, heading = "task.png", "One few-shot task of each loss"
        alt = "One few-shot task as {} classified it: support, queries and predictions"
        about = []
    else:
        file, heading = "retrieval.png", "The worst queries of each loss"
        alt = "Test images that {} finds none or few of their class for, and what is nearest"
        about = [Text(RETRIEVAL_NOTE, "note")]
    pictures = []
    for name, group in by_name(records).items():
        path = next((path for run in group if (path := run.folder / file).is_file()), None)
        if path is not None:
            caption = f"`{name}`, `{path.parent.name}`"
            pictures.append(Picture(path, alt.format(name), caption, is_photo=True))
    return [Details(heading, [*about, *pictures])] if pictures else []

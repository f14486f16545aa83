"""Studies on the page: curves over an axis, and embeddings of trained models."""

import json
from collections.abc import Sequence
from pathlib import Path

from keras_clce.report.blocks import Block, Details, Items, Picture, Section, Table, Text
from keras_clce.report.embedding_tables import (
    MEANINGS,
    embedding_answer,
    embedding_cells,
    paper_isotropy,
)
from keras_clce.report.pictures import drawing
from keras_clce.report.study_crossing import crossings_in_words
from keras_clce.report.study_pictures import plot_study
from keras_clce.report.study_tables import STUDY_NOTE, panels_of, study_answer, study_cells
from keras_clce.runs.record import Record
from keras_clce.runs.study_plan import read_plan

_MAPS = {"cosines": "Histograms of cosines of pairs of one class and of two"}


def study_blocks(records: Sequence[Record], output: Path, number: int) -> list[Block]:
    """What a study over more than the loss found, from the plan beside its runs.

    Args:
        records: Runs of one folder.
        output: Folder that the picture goes to.
        number: Number of the section, which its name ends with.

    Returns:
        What validation picks, where curves cross, the picture and its tables; nothing where the
        runs compare losses alone, and a warning where the plan is damaged.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    study_blocks(records, Path(), 1)  # []
    ```
    """
    try:
        plan = read_plan(records[0].folder.parent)
    except ValueError as error:
        return [Text(f"The study is not shown: {error}.", "warning")]
    if plan is None or plan.compares_losses_alone:
        return []
    found = [study_answer(plan, records), crossings_in_words(plan, records)]
    blocks: list[Block] = [Text(" ".join(text.split())) for text in found if text]
    path = output / f"study-{number}.png"
    axes = " and ".join(plan.axes)
    with drawing(path):
        plot_study(plan, records, path)
        alt = f"Accuracy of the study {plan.name}{f' over {axes}' if axes else ''}"
        blocks.append(Picture(path, alt, "Mean and 95 % interval; ringed: picked by validation."))
    for panel in panels_of(plan):
        (_, *header), rows = study_cells(plan, records, panel)
        if rows:
            caption = f"{plan.name}{f', {panel}' if panel else ''}: accuracy in %. {STUDY_NOTE}"
            blocks.append(Table(caption, ["point", *header], rows))
    return blocks


def embedding_sections(runs: Path) -> tuple[list[Section], list[str]]:
    """Sections on the embeddings that were studied below a folder.

    Args:
        runs: The folder.

    Returns:
        A section for each `embeddings.json`, and a line on each that is damaged.

    Example:
    ```python
    embedding_sections(Path("runs"))  # ([], [])
    ```
    """
    sections, left_out = [], []
    for number, path in enumerate(sorted(runs.rglob("embeddings.json")), start=1):
        try:
            study = json.loads(path.read_text("utf-8"))
            blocks = _embedding_blocks(study, path.parent)
            models = " and ".join(study["models"])
            title = ", ".join(filter(None, (models, study.get("dataset"))))
        except Exception as error:  # whatever is missing in it
            left_out.append(f"Left out, {path} is damaged ({type(error).__name__}: {error})")
            continue
        home = path.parent
        place = str(home.relative_to(runs)) if runs in home.parents else home.name
        sections.append(Section(f"Embeddings of {title}", blocks, f"embeddings-{number}", place))
    return sections, left_out


def _embedding_blocks(study: dict, folder: Path) -> list[Block]:
    blocks: list[Block] = [Text(embedding_answer(study), "lead")]
    if study.get("data"):
        blocks.append(Text(study["data"], "note"))
    captions = ("Measures of the embeddings", "Cosines of positive and negative pairs")
    blocks += [
        Table(caption, header, _named(rows))
        for caption, (header, rows) in zip(captions, embedding_cells(study), strict=False)
    ]
    models = " and ".join(study["models"])
    for path in sorted(folder.glob("*.png")):
        what = _MAPS.get(path.stem, f"Map by {path.stem}")
        blocks.append(Picture(path, f"{what}, of {models}", f"{what}."))
    blocks.append(Text(paper_isotropy(study.get("dataset"))))
    return [*blocks, Details("What is measured", [Items(MEANINGS)])]


def _named(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Rows of which each has its name, since a reader may sort them."""
    named, name = [], ""
    for first, *others in rows:
        name = first or name
        named.append([name, *others])
    return named

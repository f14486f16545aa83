"""The page that puts finished runs side by side, wherever and whenever they were made."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from keras_clce.files import write_atomically
from keras_clce.report.answers import wrapped
from keras_clce.report.curves import curves_by_name, plot_curves
from keras_clce.report.few_shot_pictures import plot_few_shot
from keras_clce.report.few_shot_tables import FEW_SHOT_NOTE, few_shot_answer, few_shot_tables
from keras_clce.report.names import count_of, run_title
from keras_clce.report.pictures import drawing
from keras_clce.report.transfer_tables import summary_table, transfer_answer
from keras_clce.runs import Record, find_records


def write_report(runs: str | Path, output_dir: str | Path, include_quick: bool = False) -> Path:
    """Write tables and pictures of all finished runs below a folder.

    Runs of one recipe, data set and encoder make a section, which begins with the answer. What was
    left out stands at the end, with reasons.

    Args:
        runs: Folder below which the run folders stand.
        output_dir: Where `report.md` and its pictures go; made where it is not there.
        include_quick: Whether runs of a few batches, `--quick`, have sections too. Defaults to
            `False`.

    Returns:
        The path of `report.md`.

    Raises:
        ValueError: If there is no finished run, few-shot runs of one section were tested on
            different tasks, or `output_dir` is no folder that can be written.

    Example:
    ```python
    print(write_report("runs", "report").read_text())
    ```
    """
    runs, output = Path(runs), Path(output_dir)
    sections, left_out = _sections(runs, include_quick)
    if not sections:
        raise ValueError(
            "\n".join(
                [f"`runs` must hold at least one finished run. Received: runs={runs}", *left_out]
            )
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"`output_dir` must be a folder that can be written. Received: {error}"
        ) from None
    text = []
    for number, members in enumerate(sections, start=1):
        home = members[0].folder.parent
        place = home.relative_to(runs) if runs in home.parents else home.name
        quick = " (quick)" if members[0].quick and home.name != "quick" else ""
        text += [f"## {place}{quick}", *_section(members, output, number)]
    text += ["## Left out", "\n".join(f"- {line}" for line in left_out)] if left_out else []
    path = output / "report.md"
    content = "\n\n".join(text) + "\n"
    write_atomically(path, lambda to: to.write_text(content))
    return path


def _sections(runs: Path, include_quick: bool) -> tuple[list[list[Record]], list[str]]:
    """Runs that belong together, and what is left out, with reasons."""
    records, others = find_records(runs)
    left_out = [reason for _, reason in others]
    sections: dict[tuple, list[Record]] = {}
    quick = 0
    for record in records:
        try:
            curves_by_name([record])
        except ValueError as error:
            left_out.append(f"{record.folder} has settings that its loss does not take: {error}")
            continue
        if not record.is_tested:
            left_out.append(f"{record.folder} was not tested")
            continue
        if record.quick and not include_quick:
            quick += 1
            continue
        key = (record.folder.parent, record.is_few_shot, record.quick)
        sections.setdefault(key, []).append(record)
    if quick:
        shown = "it is" if quick == 1 else "they are"
        left_out.append(f"{count_of(quick, 'quick run')}: with --include_quick {shown} reported")
    return [*sections.values()], [f"Left out, {reason}" for reason in left_out]


def _section(records: Sequence[Record], output: Path, number: int) -> list[str]:
    """Paragraphs on runs that belong together; their pictures are drawn."""
    is_few_shot = records[0].is_few_shot
    if is_few_shot:
        answer = few_shot_answer(records)
        table, of = (
            f"{few_shot_tables(records)}\n\n{FEW_SHOT_NOTE}",
            "Accuracy on the novel classes",
        )
    else:
        answer, of = transfer_answer(records), "Test accuracy"
        table = summary_table(records)
    pictures = {}
    curves = curves_by_name(records)
    if curves:
        picture = output / f"curves-{number}.png"
        with drawing(picture):
            plot_curves(curves, picture, run_title(records[0]))
            pictures["curves"] = picture
    if is_few_shot:
        picture = output / f"few_shot-{number}.png"
        with drawing(picture):
            plot_few_shot(records, picture)
            pictures["accuracy"] = picture
    return [
        answer,
        *(wrapped(f"{of} in %, {data}") for data in sorted({run.data for run in records})),
        textwrap.indent(table, "    "),
        *(f"![{name}]({picture.name})" for name, picture in pictures.items()),
    ]

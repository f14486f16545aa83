"""The page of all finished runs below a folder: the answer, then what it rests on."""

import json
from collections.abc import Sequence
from pathlib import Path

from keras_clce.files import made_folder, write_atomically
from keras_clce.report.answer_blocks import Question
from keras_clce.report.blocks import Block, Details, Items, Page, Picture, Section
from keras_clce.report.comparisons import clce_comparisons
from keras_clce.report.curves import curves_by_name
from keras_clce.report.inlined import inline_pictures
from keras_clce.report.markdown import to_markdown
from keras_clce.report.markup import to_html
from keras_clce.report.names import count_of, run_title
from keras_clce.report.provenance import Command
from keras_clce.report.sections import section_blocks
from keras_clce.report.study_blocks import embedding_sections
from keras_clce.runs import Record, find_records

MAX_BYTES = 3_000_000
_MOST_NAMED = 5


def write_report(
    runs: str | Path,
    output_dir: str | Path,
    include_quick: bool = False,
    command: Command | None = None,
) -> Path:
    """Write the page of all finished runs below a folder: whether CLCE helped, and all details.

    Runs of one recipe, data set and encoder make a section. What was left out stands at the end,
    with reasons.

    Args:
        runs: Folder below which the run folders stand.
        output_dir: Where the page goes, `report.html`, which holds all that it shows, and
            `report.md` with its pictures; made where it is not there.
        include_quick: Whether runs of a few batches, `--quick`, have sections too. Defaults to
            `False`.
        command: Gives the command that makes a run again, as `experiments.command_of` does.
            Defaults to `None`: no commands are shown.

    Returns:
        The path of `report.md`; `report.html` stands beside it.

    Raises:
        ValueError: If there is no finished run, few-shot runs of one section were tested on
            different tasks, or `output_dir` is no folder that can be written.

    Example:
    ```python
    print(write_report("runs", "report").read_text())
    ```
    """
    runs = Path(runs)
    records, left_out = readable_runs(runs, include_quick)
    groups = groups_of(records)
    if not groups:
        raise ValueError(
            "\n".join(
                [f"`runs` must hold at least one finished run. Received: runs={runs}", *left_out]
            )
        )
    output = made_folder(output_dir)
    titles = section_titles(groups, runs)
    question = Question("Did CLCE help?")
    for number, (members, (title, _)) in enumerate(zip(groups, titles, strict=True), start=1):
        kind = run_title(members[0]) or title
        question.add(title, f"section-{number}", kind, clce_comparisons(members))
    answer = question.blocks(output)
    sections = [
        Section(
            title,
            section_blocks(members, *question.of(f"section-{number}"), output, number, command),
            f"section-{number}",
            place,
        )
        for number, (members, (title, place)) in enumerate(
            zip(groups, titles, strict=True), start=1
        )
    ]
    studied, damaged = embedding_sections(runs)
    sections += studied
    left_out += damaged
    if left_out:
        sections.append(Section("Left out", [Items(left_out, "paths")], "left-out"))
    about = f"{count_of(len(records), 'finished run')} below `{runs}`"
    if left_out:
        about += "; what is left out stands at the end"
    page = Page(question.title, about, answer, sections)
    return write_page(page, output)


def write_page(page: Page, output: Path, name: str = "report") -> Path:
    """Write a page as Markdown and HTML.

    Args:
        page: The page, whose pictures are drawn.
        output: The folder, which is there.
        name: Name of both files, without its suffix. Defaults to `"report"`.

    Returns:
        The path of the Markdown file.

    Example:
    ```python
    write_page(Page("Did CLCE help?", "no runs", [], []), Path()).name  # "report.md"
    ```
    """
    path = output / f"{name}.md"
    write_text(path, to_markdown(page, output))
    blocks = [*page.answer, *(block for section in page.sections for block in section.blocks)]
    shown = _pictures(blocks, folded=False) + _pictures(blocks, folded=True)
    # Base64 and all tags are plain letters, so that characters are bytes but for a few.
    budget = MAX_BYTES - len(to_html(page, {}).encode()) - 400 * len(shown)
    write_text(output / f"{name}.html", to_html(page, inline_pictures(shown, budget)))
    return path


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all.

    Args:
        path: The file.
        text: Its content.

    Example:
    ```python
    write_text(Path("notes.md"), "done")
    ```
    """
    write_atomically(path, lambda to: to.write_text(text, encoding="utf-8"))


def readable_runs(runs: Path, include_quick: bool) -> tuple[list[Record], list[str]]:
    """Runs that can be reported, and what is left out.

    Of a run and its copies in one folder, the first by its path is reported.

    Args:
        runs: Folder below which the run folders stand.
        include_quick: Whether quick runs count.

    Returns:
        The records, and a line on all others with the reason.

    Example:
    ```python
    records, left_out = readable_runs(Path("runs"), include_quick=False)
    len(records)  # 10
    ```
    """
    records, others = find_records(runs)
    left_out = [reason for _, reason in others]
    readable, quick = [], 0
    untested: dict[Path, list[Record]] = {}
    originals: dict[tuple, Record] = {}
    for record in records:
        try:
            curves_by_name([record])
        except ValueError as error:
            left_out.append(f"{record.folder} has settings that its loss does not take: {error}")
            continue
        if not record.is_tested:
            untested.setdefault(record.folder.parent, []).append(record)
        elif record.quick and not include_quick:
            quick += 1
        elif (first := originals.setdefault(_identity(record), record)) is not record:
            left_out.append(
                f"{record.folder} has the same loss, settings and seed as {first.folder}"
            )
        else:
            readable.append(record)
    for home, members in untested.items():
        # A search leaves many.
        few = [f"{record.folder} was not tested" for record in members]
        many = [f"{len(members)} runs in {home} were not tested"]
        left_out += few if len(few) <= _MOST_NAMED else many
    if quick:
        shown = "it is" if quick == 1 else "they are"
        left_out.append(f"{count_of(quick, 'quick run')}: with --include_quick {shown} reported")
    return readable, [f"Left out, {reason}" for reason in left_out]


def groups_of(records: Sequence[Record]) -> list[list[Record]]:
    """Runs that belong together: those of one folder, kind and length.

    Args:
        records: The runs.

    Returns:
        The groups, in the order of their first runs.

    Example:
    ```python
    records, _ = find_records(Path("runs"))
    len(groups_of(records))  # 2
    ```
    """
    groups: dict[tuple, list[Record]] = {}
    for record in records:
        kind = (record.is_few_shot, record.is_multi_label)
        key = (record.folder.parent, *kind, record.quick)
        groups.setdefault(key, []).append(record)
    return [*groups.values()]


def section_titles(groups: Sequence[Sequence[Record]], runs: Path) -> list[tuple[str, str]]:
    """Titles of sections, of which no two are the same, and the folders of their runs.

    Args:
        groups: Runs that belong together.
        runs: Folder that they stand below.

    Returns:
        Title and folder of each; the title is the data set and the encoder, and the folder where
        others have the same.

    Example:
    ```python
    records, _ = find_records(Path("runs"))
    section_titles(groups_of(records), Path("runs"))[0]
    # ("cifar_fs, vit_tiny", "few_shot/cifar_fs/vit_tiny")
    ```
    """
    places = []
    for members in groups:
        home = members[0].folder.parent
        place = str(home.relative_to(runs)) if runs in home.parents else home.name
        quick = " (quick)" if members[0].quick and home.name != "quick" else ""
        places.append(f"{place}{quick}")
    plain = [run_title(members[0]) or place for members, place in zip(groups, places, strict=True)]
    # A study stands above the folders of data set and encoder, which the title has already.
    studies = [str(Path(place).parents[1]) if place.count("/") > 1 else place for place in places]
    titles = plain
    for added in (studies, places):
        titles = [
            f"{first} ({more})" if titles.count(title) > 1 else title
            for title, first, more in zip(titles, plain, added, strict=True)
        ]
    return list(zip(titles, places, strict=True))


def _identity(record: Record) -> tuple:
    """What no two runs of one folder share, unless one is a copy of the other."""
    named = (record.loss, record.label, record.dataset, record.backbone, record.quick)
    settings = json.dumps(record.settings, sort_keys=True)
    return (record.folder.parent, *named, record.seed, record.is_few_shot, record.data, settings)


def _pictures(blocks: Sequence[Block], folded: bool) -> list[Path]:
    """Files of pictures; those that are folded, or the others."""
    found = [block.path for block in blocks if isinstance(block, Picture) and not folded]
    for block in blocks:
        if isinstance(block, Details) and folded:
            found += _pictures(block.blocks, False) + _pictures(block.blocks, True)
    return found

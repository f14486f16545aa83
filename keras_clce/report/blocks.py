"""What a page is made of, whether it becomes HTML or Markdown.

Texts are plain, with `names` in backticks, **what matters** between asterisks, and [links](#name)
to a section; whatever else stands in them is shown as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Args:
        text: Its text.
        kind: `"plain"`, `"lead"` (the answer), `"note"` or `"warning"`. Defaults to `"plain"`.

    Example:
    ```python
    Text("`clce` is best", kind="lead")
    ```
    """

    text: str
    kind: str = "plain"


@dataclass(frozen=True)
class Items:
    """A list.

    Args:
        items: The text of each item.
        kind: As in `Text`, or `"paths"`, whose lines are kept whole. Defaults to `"plain"`.

    Example:
    ```python
    Items(["resolution: 96 px", "weights: random"], kind="warning")
    ```
    """

    items: Sequence[str]
    kind: str = "plain"


@dataclass(frozen=True)
class Terms:
    """Terms with what they mean.

    Args:
        terms: The meaning of each.

    Example:
    ```python
    Terms({"frozen": "the encoder before training"})
    ```
    """

    terms: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A table, whose first column names the row.

    Args:
        caption: What it shows.
        header: Titles of the columns; line breaks in them are spaces.
        rows: Cells, as many in each row as there are titles.
        badges: Kind of a verdict by the text of a cell, which is then marked so. Defaults to none.

    Example:
    ```python
    Table("Test accuracy in %", ["loss", "top-1"], [["ce", "84.1"], ["clce", "85.9"]])
    ```
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    badges: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """A picture in a file.

    Args:
        path: The file.
        alt: What is to be seen, for those who do not see it.
        caption: What stands below. Defaults to nothing.
        is_photo: Whether it shows images, whose colours stay as they are. Defaults to `False`.

    Example:
    ```python
    Picture(Path("curves.png"), "Accuracy by epoch of ce and clce")
    ```
    """

    path: Path
    alt: str
    caption: str = ""
    is_photo: bool = False


@dataclass(frozen=True)
class Code:
    """Commands, each in a block that can be copied.

    Args:
        text: The lines.

    Example:
    ```python
    Code("python recipes/transfer.py --losses=clce")
    ```
    """

    text: str


@dataclass(frozen=True)
class Details:
    """What is folded until it is asked for.

    Args:
        summary: What it is.
        blocks: What it holds.

    Example:
    ```python
    Details("All tests", [Text("Paired by seed.")])
    ```
    """

    summary: str
    blocks: Sequence["Block"]


Block = Text | Items | Terms | Table | Picture | Code | Details


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading.

    Args:
        title: The heading.
        blocks: What it holds.
        name: What a link to it ends with, of letters, digits and hyphens.
        place: Folder of the runs that it is on, the heading of a plain text. Defaults to `None`.

    Example:
    ```python
    Section("Left out", [Items(["ce-seed1: not finished"])], "left-out")
    ```
    """

    title: str
    blocks: Sequence[Block]
    name: str
    place: str | None = None


@dataclass(frozen=True)
class Page:
    """A page.

    Args:
        title: Its title, the one heading of the first rank.
        about: A line below it.
        answer: What stands first.
        sections: The sections, in their order.

    Example:
    ```python
    Page("Did CLCE help?", "2 runs", [Text("One seed: cannot say.", "lead")], [])
    ```
    """

    title: str
    about: str
    answer: Sequence[Block]
    sections: Sequence[Section]

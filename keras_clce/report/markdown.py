"""A page as Markdown, which reads well as plain text too."""

import os
import re
import textwrap
from pathlib import Path
from urllib.parse import quote

from keras_clce.report.answers import wrapped
from keras_clce.report.blocks import (
    Block,
    Code,
    Details,
    Items,
    Page,
    Picture,
    Table,
    Terms,
    Text,
)
from keras_clce.report.tables import TABLE_WIDTH, fit_table, format_terms

_LINK = re.compile(r"\[([^\]]*)\]\(#[\w-]+\)")


def to_markdown(page: Page, folder: Path = Path()) -> str:
    """Write a page as Markdown, whose pictures stay in their files.

    Args:
        page: The page.
        folder: Where the text goes, which paths of pictures start from. Defaults to the current
            one.

    Returns:
        The text, in lines of at most 100 characters where its paragraphs and tables allow that.

    Example:
    ```python
    print(to_markdown(Page("Did CLCE help?", "2 runs", [Text("One seed: cannot say.")], [])))
    ```
    """
    parts = [f"# {page.title}", wrapped(page.about)]
    parts += [_block(one, folder) for one in page.answer]
    for section in page.sections:
        parts.append(f"## {section.place or section.title}")
        parts += [_block(one, folder) for one in section.blocks]
    return "\n\n".join(parts) + "\n"


def without_details(text: str) -> str:
    r"""Leave out what is folded in a page's Markdown, for a terminal.

    Args:
        text: What `to_markdown` gave.

    Returns:
        The text.

    Example:
    ```python
    without_details("Answer\n\n<details>\nAll tests\n</details>\n\nTable")  # "Answer\n\nTable"
    ```
    """
    return re.sub(r"<details>\n.*?\n</details>\n\n?", "", text, flags=re.DOTALL)


def _block(block: Block, folder: Path) -> str:
    match block:
        case Text(text, _):
            return wrapped(_without_links(text))
        case Items(items, "paths"):
            # Whole, so that a path can be searched for with what is said of it.
            return "\n".join(f"- {item}" for item in items)
        case Items(items, _):
            return "\n".join(
                f"- {textwrap.indent(wrapped(_without_links(item), 98), '  ')[2:]}"
                for item in items
            )
        case Terms(terms):
            return textwrap.indent(format_terms(terms), "    ")
        case Table():
            table = fit_table(block.header, block.rows, TABLE_WIDTH)
            return f"{wrapped(block.caption)}\n\n{textwrap.indent(table, '    ')}"
        case Picture():
            path = quote(Path(os.path.relpath(block.path, folder)).as_posix())
            return wrapped(f"![{block.alt}]({path})")
        case Code(text):
            return f"```sh\n{text}\n```"
        case Details(summary, blocks):
            inner = "\n\n".join(_block(one, folder) for one in blocks)
            return f"<details>\n<summary>{summary}</summary>\n\n{inner}\n\n</details>"


def _without_links(text: str) -> str:
    return _LINK.sub(r"\1", text)

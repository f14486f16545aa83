"""A page as one HTML file that loads nothing."""

import html
import re
from collections.abc import Mapping
from pathlib import Path

from keras_clce.files import printable_text
from keras_clce.report.blocks import (
    Block,
    Code,
    Details,
    Items,
    Page,
    Picture,
    Section,
    Table,
    Terms,
    Text,
)
from keras_clce.report.inlined import Inlined

_NUMERIC = ' class="number"'
_WIDE = 800
_NUMBER = re.compile(r"[<+*]?(-?\d+(?:\.\d*)?(?:e[+-]?\d+)?)", re.IGNORECASE)
_TOGETHER = re.compile(
    r" (?=±)|(?<=±) |(?<=\bp) (?=[=&])|(?<=[=;]) (?=\d)|(?<=\d) (?=%|px|points|seeds)"
)
# Nothing is loaded from elsewhere, whatever the page's texts hold.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def to_html(page: Page, pictures: Mapping[Path, Inlined]) -> str:
    """Write a page as HTML, with its style, its script and its pictures inside.

    Args:
        page: The page.
        pictures: The pictures that it holds, by their file. One that is missing is named in its
            place.

    Returns:
        The HTML.

    Example:
    ```python
    page = Page("Did CLCE help?", "2 runs", [Text("One seed: cannot say.", "lead")], [])
    to_html(page, {})[:15]  # "<!doctype html>"
    ```
    """
    folder = Path(__file__).parent
    style, script = ((folder / name).read_text("utf-8") for name in ("page.css", "page.js"))
    links = "\n".join(
        f'<li><a href="#{section.name}">{_escape(section.title)}</a></li>'
        for section in page.sections
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{_escape(page.title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#answer">Skip to the answer</a>
<header>
<h1>{_escape(page.title)}</h1>
<p class="about">{_inline(page.about)}</p>
</header>
<main>
<section id="answer" aria-labelledby="answer-title">
<h2 id="answer-title">The answer</h2>
{_blocks(page.answer, pictures)}
</section>
<nav aria-labelledby="contents-title">
<h2 id="contents-title">Contents</h2>
<ol>
{links}
</ol>
</nav>
{"".join(_section(section, pictures) for section in page.sections)}
</main>
<script>
{script}</script>
</body>
</html>
"""


def _section(section: Section, pictures: Mapping[Path, Inlined]) -> str:
    place = ""
    if section.place:
        place = f'<p class="place">Runs in <code>{_escape(section.place)}</code></p>\n'
    return f"""<section id="{section.name}" aria-labelledby="{section.name}-title">
<h2 id="{section.name}-title">{_escape(section.title)}</h2>
{place}{_blocks(section.blocks, pictures)}
</section>
"""


def _blocks(blocks, pictures):
    return "\n".join(_block(block, pictures) for block in blocks)


def _block(block: Block, pictures: Mapping[Path, Inlined]) -> str:
    match block:
        case Text(text, kind):
            return f'<p class="{kind}">{_inline(text)}</p>'
        case Items(items, kind):
            rows = "\n".join(f"<li>{_inline(item)}</li>" for item in items)
            return f'<ul class="{kind}">\n{rows}\n</ul>'
        case Terms(terms):
            rows = "\n".join(
                f"<dt>{_escape(term)}</dt><dd>{_inline(meaning)}</dd>"
                for term, meaning in terms.items()
            )
            return f"<dl>\n{rows}\n</dl>"
        case Table():
            return _table(block)
        case Picture():
            return _picture(block, pictures.get(block.path))
        case Code(text):
            return f'<pre tabindex="0"><code>{_escape(text)}</code></pre>'
        case Details(summary, inner):
            return (
                f"<details>\n<summary>{_inline(summary)}</summary>\n{_blocks(inner, pictures)}\n"
                "</details>"
            )


def _table(table: Table) -> str:
    numeric = [
        number > 0 and all(cell in ("", "-") or _NUMBER.match(cell) for cell in column)
        for number, column in enumerate(zip(*table.rows, strict=True))
    ] or [False] * len(table.header)
    titles = "".join(
        f'<th scope="col"{_NUMERIC if of_numbers else ""}>{_escape(" ".join(title.split()))}</th>'
        for title, of_numbers in zip(table.header, numeric, strict=True)
    )
    rows = "\n".join(_row(row, numeric, table.badges) for row in table.rows)
    caption = _inline(table.caption)
    # Keyboards scroll what has the focus alone.
    return f"""<div class="scroll" tabindex="0" role="region" aria-label="{_escape(table.caption)}">
<table>
<caption>{caption}</caption>
<thead><tr>{titles}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


def _row(row, numeric, badges):
    first, *others = row
    cells = "".join(
        _cell(cell, of_numbers, badges.get(cell))
        for cell, of_numbers in zip(others, numeric[1:], strict=True)
    )
    return f'<tr><th scope="row">{_escape(first)}</th>{cells}</tr>'


def _cell(cell, of_numbers, badge):
    text = f'<span class="badge {badge}">{_escape(cell)}</span>' if badge else _escape(cell)
    if not of_numbers:
        return f"<td>{text}</td>"
    number = _NUMBER.match(cell)
    # What is sorted by, since a cell may hold an interval too.
    sort = f' data-sort="{number[1]}"' if number else ' data-sort=""'
    return f"<td{_NUMERIC}{sort}>{text}</td>"


def _picture(picture: Picture, inlined: Inlined | None) -> str:
    caption = picture.caption and f"<figcaption>{_inline(picture.caption)}</figcaption>"
    if inlined is None:
        name = _escape(picture.path.name)
        return f"<p>The picture <code>{name}</code> would make this page too large: {caption}</p>"
    kind = "photo" if picture.is_photo else "chart"
    image = (
        f'<img class="{kind}" src="{inlined.uri}" alt="{_escape(picture.alt)}" '
        f'width="{inlined.width}" height="{inlined.height}">'
    )
    if inlined.width > _WIDE:
        # On a phone it is scrolled, since its letters would be too small.
        label = f"Picture: {_escape(picture.alt)}"
        image = f'<div class="wide" tabindex="0" role="region" aria-label="{label}">{image}</div>'
    return f"<figure>{image}{caption}</figure>"


def _inline(text: str) -> str:
    """Text with its names, bold words and links to sections; all else is escaped."""
    # A number stays with its sign and its unit.
    text = _TOGETHER.sub("\N{NO-BREAK SPACE}", _escape(text))
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"\[([^\]]*)\]\(#([\w-]+)\)", r'<a href="#\2">\1</a>', text)


def _escape(text: str) -> str:
    return html.escape(printable_text(text))

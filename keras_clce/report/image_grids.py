"""Pictures of many photographs, each with what is said of it."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.report.pictures import fitted_text, new_figure, save_figure

# In inches: a photograph, the lines below it, what is between two, a heading, the edge.
_CELL, _LINE, _GAP, _HEADING, _EDGE = 1.3, 0.15, 0.14, 0.34, 0.15
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = {"right": "#009E73", "wrong": "#D55E00", "unsure": "#E69F00", "query": "#0072B2"}


@dataclasses.dataclass(frozen=True, eq=False)
class Tile:
    """A photograph in a grid.

    Args:
        pixels: uint8 array `(height, width, 3)`, or `None` where there is no photograph.
        lines: What stands below it.
        kind: `"right"`, `"wrong"`, `"unsure"` or `"query"`, which has a frame in its colour.
            Defaults to `None`, no frame.

    Example:
    ```python
    Tile(np.zeros((4, 6, 3), "uint8"), ("tulip", "98 %"), "right").kind  # "right"
    ```
    """

    pixels: np.ndarray | None
    lines: tuple[str, ...] = ()
    kind: str | None = None


def plot_image_grid(
    sections: Sequence[tuple[str, Sequence[Tile]]],
    path: Path,
    title: str,
    columns: int = 8,
    first_apart: int = 0,
) -> None:
    """Draw photographs in rows, in sections with a heading each.

    Args:
        sections: Pairs of a heading, `""` for none, and its photographs.
        path: The PNG file to write.
        title: What stands above all.
        columns: Most photographs a row. Defaults to 8.
        first_apart: So many of each section stand to the left of the others, as a query beside its
            neighbours. Defaults to 0.

    Example:
    ```python
    tiles = [Tile(image.astype("uint8"), ("tulip", "98 %")) for image in images[:3]]
    plot_image_grid([("Most sure", tiles)], Path("sheet.png"), "my photographs")
    ```
    """
    widest = max(len(tiles) - first_apart for _, tiles in sections)
    columns = max(1, min(columns, widest))
    lead = first_apart * (_CELL + _GAP) + 2 * _GAP * (first_apart > 0)
    lines = max((len(tile.lines) for _, tiles in sections for tile in tiles), default=0)
    row = _CELL + _LINE * lines + _GAP
    rows = [max(1, math.ceil((len(tiles) - first_apart) / columns)) for _, tiles in sections]
    width = 2 * _EDGE + lead + columns * (_CELL + _GAP) - _GAP
    words, size = fitted_text(title, max(width, 4.0) - 2 * _EDGE, sizes=(11, 10, 9))
    height = 0.42 + sum(n * row + _HEADING * bool(head) for n, (head, _) in _paired(rows, sections))
    width = max(width, 4.0)
    figure = new_figure(figsize=(width, height))
    figure.text(_EDGE / width, 1 - 0.12 / height, words, fontsize=size, va="top", weight="bold")
    top = 0.42
    for count, (heading, tiles) in _paired(rows, sections):
        if heading:
            words, size = fitted_text(heading, width - 2 * _EDGE, sizes=(9.5, 8.5))
            place = _EDGE / width, 1 - (top + 0.08) / height
            figure.text(*place, words, fontsize=size, va="top")
            top += _HEADING
        for number, tile in enumerate(tiles[:first_apart]):
            _draw(figure, tile, _EDGE + number * (_CELL + _GAP), top)
        for number, tile in enumerate(tiles[first_apart:]):
            left = _EDGE + lead + (number % columns) * (_CELL + _GAP)
            _draw(figure, tile, left, top + (number // columns) * row)
        top += count * row
    save_figure(figure, path, dpi=110)


def _paired(rows: Sequence[int], sections: Any) -> Any:
    return zip(rows, sections, strict=True)


def _draw(figure: Any, tile: Tile, left: float, top: float) -> None:
    """Draw a photograph whose upper left corner stands at these inches."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes(
        (left / width, 1 - (top + _CELL) / height, _CELL / width, _CELL / height)
    )
    axes.set(xticks=[], yticks=[], anchor="S")
    colour = COLOURS.get(tile.kind or "")
    if tile.pixels is None:
        axes.set_facecolor("0.9")
    else:
        axes.imshow(tile.pixels, interpolation="nearest" if max(tile.pixels.shape) < 64 else None)
    if colour is None:
        axes.spines[:].set_visible(tile.pixels is None)
        axes.spines[:].set(color="0.7")
    else:
        axes.spines[:].set(color=colour, linewidth=2.5)
    for number, line in enumerate(tile.lines):
        words, size = fitted_text(line, _CELL + 0.6 * _GAP, sizes=(7.5, 6.75, 6))
        figure.text(
            (left + _CELL / 2) / width,
            1 - (top + _CELL + 0.05 + number * _LINE) / height,
            words,
            fontsize=size,
            ha="center",
            va="top",
            # Yellow on white is hard to read.
            color="black" if colour is None or tile.kind == "unsure" else colour,
        )

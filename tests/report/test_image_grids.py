"""Grids of photographs: where they stand and what is said of them."""

import numpy as np
import pytest
from PIL import Image

from keras_clce.report import Tile, plot_image_grid

pytestmark = pytest.mark.any_backend

RED = np.full((20, 40, 3), (255, 0, 0), np.uint8)
# Matplotlib's pixels an inch, a photograph, the lines below it, what is between two, the top.
DPI, CELL, LINE, GAP, TOP, EDGE = 110, 1.3, 0.15, 0.14, 0.42, 0.15


def centres(path):
    """Centres of the red photographs, in inches from the upper left, row by row."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    red = (pixels[..., 0] > 250) & (pixels[..., 1] < 5) & (pixels[..., 2] < 5)
    rows = np.flatnonzero(np.diff(np.r_[False, red.any(axis=1), False]))
    found = []
    for top, bottom in rows.reshape(-1, 2):
        cuts = np.flatnonzero(np.diff(np.r_[False, red[(top + bottom) // 2], False]))
        found.append([(left + right) / 2 / DPI for left, right in cuts.reshape(-1, 2)])
    return found


def test_photographs_stand_in_rows(tmp_path):
    tiles = [Tile(RED, ("tulip", "98 %"), kind) for kind in (None, "right", None, "wrong", None)]
    path = tmp_path / "sheet.png"
    plot_image_grid([("Most sure", tiles), ("Least sure", tiles[:1])], path, "title", columns=3)
    found = centres(path)
    assert [len(row) for row in found] == [3, 2, 1]
    expected = [EDGE + CELL / 2 + n * (CELL + GAP) for n in range(3)]
    np.testing.assert_allclose(found[0], expected, atol=0.02)


def test_a_query_stands_apart_and_what_is_gone_leaves_its_place(tmp_path):
    path = tmp_path / "neighbors.png"
    gone = Tile(None, ("gone",))
    rows = [("", [Tile(RED, ("q",), "query"), Tile(RED), gone, Tile(RED)])] * 2
    plot_image_grid(rows, path, "title", first_apart=1)
    expected = [EDGE + CELL / 2]
    expected += [EDGE + CELL + 3 * GAP + CELL / 2 + n * (CELL + GAP) for n in (0, 2)]
    for row in centres(path):
        np.testing.assert_allclose(row, expected, atol=0.02)


def test_two_stand_apart(tmp_path):
    path = tmp_path / "explanations.png"
    plot_image_grid([("", [Tile(RED)] * 4)], path, "title", first_apart=2)
    centre = EDGE + CELL / 2
    second = centre + CELL + GAP
    others = EDGE + 2 * (CELL + GAP) + 2 * GAP + CELL / 2
    (found,) = centres(path)
    np.testing.assert_allclose(found, [centre, second, others, others + CELL + GAP], atol=0.02)


def test_long_and_odd_texts(tmp_path):
    texts = ("a name that is much longer than any photograph is wide", "$x_1", "a\udce9")
    plot_image_grid([(texts[0] * 3, [Tile(RED, texts)])], tmp_path / "a.png", texts[0] * 3)
    assert Image.open(tmp_path / "a.png").size[0] == round(4 * DPI)

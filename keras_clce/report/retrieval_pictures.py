"""The picture of retrieval: the worst queries with what stands nearest to them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_clce.report.image_grids import Tile, plot_image_grid


@dataclasses.dataclass(frozen=True, eq=False)
class Retrieved:
    """A photograph of a query or of one of its neighbours.

    Args:
        pixels: uint8 array `(height, width, 3)`.
        class_name: Its class.
        said: What else stands below it, such as the cosine.

    Example:
    ```python
    Retrieved(np.zeros((4, 6, 3), "uint8"), "tulip", "cosine 0.98").class_name  # "tulip"
    ```
    """

    pixels: np.ndarray
    class_name: str
    said: str


def plot_retrieval(
    queries: Sequence[tuple[Retrieved, Sequence[Retrieved]]], path: Path, title: str
) -> None:
    """Draw queries, each beside its neighbours, in green of its own class and in orange of another.

    Args:
        queries: Pairs of a query and its neighbours, the nearest first.
        path: The PNG file to write.
        title: What stands above all.

    Example:
    ```python
    black = np.zeros((8, 8, 3), "uint8")
    near = [Retrieved(black, "tulip", "cosine 0.98"), Retrieved(black, "rose", "cosine 0.97")]
    plot_retrieval([(Retrieved(black, "rose", "MAP@R 0 %"), near)], Path("retrieval.png"), "clce")
    ```
    """
    sections = []
    for query, neighbors in queries:
        tiles = [Tile(query.pixels, (query.class_name, query.said), "query")]
        for one in neighbors:
            kind = "right" if one.class_name == query.class_name else "wrong"
            tiles.append(Tile(one.pixels, (one.class_name, one.said), kind))
        sections.append(("", tiles))
    plot_image_grid(sections, path, title, columns=10, first_apart=1)

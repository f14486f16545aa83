r"""Find the photographs most similar to others, by the cosine of their embeddings.

    python recipes/search.py --query photograph.jpg --index mine.npz
    python recipes/search.py --query holiday --index mine.npz --k 5 --model RUN/model.keras

`--index` is a file of recipes/embed.py; the model has to be the one that made it, and is found by
itself where it still is. A photograph that is its own neighbour is left out. In `--output_dir`
stand `neighbors.csv`, with a line for each neighbour, and `neighbors.png`, the first queries at the
left and their neighbours beside them.

The search is exact, in blocks that take a few megabytes beside the index. Above 100,000 embeddings
from 2,000 queries on Faiss searches approximately (`pip install "keras-clce[search]"`), which then
is faster: so widely that at least 95 % of the true neighbours of 100 queries are found, and the
share is printed. `--exact` and `--noexact` decide otherwise.
"""

import csv
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_clce.experiments import (
    QueryFlags,
    load_named_model,
    name_of,
    named_or_remembered,
    results_folder,
    tool_command,
    tool_flag,
)

if TYPE_CHECKING:
    from keras_clce.inference import EmbeddingIndex, Prediction

RESULTS = "Results"
SHOWN_QUERIES, DRAWN_QUERIES, SHOWN_ERRORS = 5, 12, 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchFlags(QueryFlags):
    """What is found, and where it goes."""

    k: int = tool_flag(10, "Neighbours of each photograph.", RESULTS, least=1)
    exact: bool | None = tool_flag(
        None,
        "Compare with all embeddings, or (--noexact) with those that are near. If not given exact "
        "up to 100,000 embeddings or for fewer than 2,000 photographs.",
        RESULTS,
    )
    output_dir: str | None = tool_flag(
        None, "Where the results go; runs/search/NAME OF THE QUERY if not given.", RESULTS
    )


@dataclasses.dataclass(frozen=True)
class Found:
    """A query with its neighbours: rows of the index and cosines."""

    query: "Prediction"
    neighbors: tuple[tuple[int, float], ...]


def search(asked: SearchFlags) -> None:
    """Embed the queries, search, write, print and draw."""
    from keras_clce.inference import EmbeddingIndex, predict_images

    index = EmbeddingIndex.load(Path(asked.index).expanduser())
    path = named_or_remembered(asked.model, index.model.get("path"), "the index was made by")
    model = load_named_model(path)
    index.check_model(model, path)
    print(f"Model:    {path}")
    print(f"Index:    {asked.index}, {len(index)} embeddings")
    size = asked.image_size or index.model.get("image_size")
    queries = predict_images(
        model, asked.query, 1, asked.batch_size, True, image_size=size, limit=asked.limit
    )
    for row in queries.unreadable[:SHOWN_ERRORS]:
        print(f"Skipped:  {row.name}: {row.error}")
    if not queries:
        raise ValueError(f"`query` must have one that can be read. Received: {asked.query}")
    start = time.perf_counter()
    # One more, since a photograph of the index finds itself.
    found = index.search(queries.embeddings, asked.k + 1, asked.exact)
    seconds = time.perf_counter() - start
    results = [
        Found(query, index.others(query.photograph, rows, cosines)[: asked.k])
        for query, rows, cosines in zip(queries, found.rows, found.cosines, strict=True)
    ]
    folder = results_folder(asked.output_dir, "search", asked.query)
    write(results, index, folder / "neighbors.csv")
    tell(results, index)
    how = "exact"
    if found.recall is not None:
        how = (
            f"approximate; {100 * found.recall:.1f} % of the true neighbours of "
            f"{found.recall_queries} queries were found, --exact finds all"
        )
    count = f"{len(results)} photograph{'s' * (len(results) != 1)}"
    print(f"Searched: {count} in {seconds:.2f} s, {how}")
    print(f"Table:    {folder / 'neighbors.csv'}")
    draw(results, index, folder / "neighbors.png", name_of(asked.query))


def write(results: Sequence[Found], index: "EmbeddingIndex", path: Path) -> None:
    """Write a line for each neighbour."""
    from keras_clce.files import printable_text, write_atomically

    def write_lines(to):
        with open(to, "w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(["query", "rank", "file", "cosine", "class"])
            for result in results:
                for rank, (row, cosine) in enumerate(result.neighbors, 1):
                    name = printable_text(index.files[row])
                    cells = [result.query.name, rank, name, f"{cosine:.6f}"]
                    lines.writerow([*cells, index.class_of(row) or ""])

    write_atomically(path, write_lines)


def tell(results: Sequence[Found], index: "EmbeddingIndex") -> None:
    """Print the neighbours of the first queries."""
    from keras_clce.files import printable_text
    from keras_clce.report import format_table

    for result in results[:SHOWN_QUERIES]:
        rows = [
            [printable_text(index.files[row]), f"{cosine:.3f}", index.class_of(row) or "-"]
            for row, cosine in result.neighbors
        ]
        print("\n" + format_table([result.query.name, "cosine", "class"], rows))
    more = len(results) - SHOWN_QUERIES
    print(f"\n… and {more} more photographs\n" if more > 0 else "")


def draw(results: Sequence[Found], index: "EmbeddingIndex", path: Path, name: str) -> None:
    """Draw the first queries with their neighbours."""
    from keras_clce.inference import Photograph
    from keras_clce.report import Tile, drawing, plot_image_grid

    def tile(row, cosine):
        photograph = Photograph(index.files[row], index.path_of(row))
        said = index.class_of(row) or Path(index.files[row]).name
        return Tile(photograph.thumbnail(), (said, f"cosine {cosine:.3f}"))

    sections = []
    for result in results[:DRAWN_QUERIES]:
        query = result.query
        own = Tile(query.photograph.thumbnail(), (Path(query.name).name, "query"), "query")
        sections.append(("", [own, *(tile(*pair) for pair in result.neighbors)]))
    more = len(results) - DRAWN_QUERIES
    title = f"Neighbours of {name}" + (f", and {more} more in the table" if more > 0 else "")
    with drawing(path):
        plot_image_grid(sections, path, title, columns=10, first_apart=1)
        print(f"Picture:  {path}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Search as flags say."""
    tool_command(__doc__, SearchFlags, search, arguments)


if __name__ == "__main__":
    main()

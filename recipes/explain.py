r"""Show where a saved model looked in photographs, beside the most similar photographs it knows.

    python recipes/explain.py --model RUN/model.keras --images my_photographs
    python recipes/embed.py --model RUN/model.keras --images training_photographs --output mine.npz
    python recipes/explain.py --model RUN/model.keras --images photograph.jpg --index mine.npz

One patch after another is covered with the mean colour of the view, the square that the model sees
(occlusion: Zeiler and Fergus, 2014). A place counts by how much the log-odds of the class fall, for
the most probable class or that of `--target`. That works for encoders of any kind, and takes 170
predictions a photograph; `--cells 8` takes 50. In `--output_dir` stand

    explanations.csv  a line a file: class, probability, the lowest probability with a patch
                      covered, the part of the photograph that the model sees, neighbours
    explanations.npz  the maps, `saliency` (photographs, cells, cells), over `boxes`, top, left,
                      bottom and right in the photograph's pixels; `files`, `targets`,
                      `probabilities`, `covered_probabilities`
    explanations.png  photographs with their maps, and with `--index` their neighbours

In the picture orange speaks for the class and blue against it; colours are as strong as each map
allows, and the probabilities below say how much depends on one patch. What is pale the model does
not see.
"""

import csv
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_clce.experiments import (
    PhotographFlags,
    class_names_flag,
    index_flag,
    load_named_model,
    name_of,
    results_folder,
    tool_command,
    tool_flag,
)

if TYPE_CHECKING:
    from keras_clce.inference import EmbeddingIndex, Explanation
    from keras_clce.report import Tile

WHAT, RESULTS = "Model and photographs", "Results"
SHOWN_ERRORS, DRAWN, PAIRS_A_ROW = 10, 12, 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExplainFlags(PhotographFlags):
    """What is explained, and where it goes."""

    limit: int | None = tool_flag(
        12, "Most photographs, spread evenly over all that there are.", WHAT, least=1
    )
    index: str | None = index_flag(
        "Embeddings of training photographs, a .npz file of recipes/embed.py, for neighbours."
    )
    class_names: str | None = class_names_flag(RESULTS)
    target: str | None = tool_flag(
        None, "The class that is explained; the most probable one if not given.", RESULTS
    )
    cells: int = tool_flag(
        14, "Cells along a side of the map; a patch is two by two of them.", RESULTS, least=3
    )
    k: int = tool_flag(4, "Neighbours of each photograph.", RESULTS, least=1)
    output_dir: str | None = tool_flag(
        None, "Where the results go; runs/explain/NAME OF THE IMAGES if not given.", RESULTS
    )


def explain(asked: ExplainFlags) -> None:
    """Explain, write, print and draw."""
    from keras_clce.inference import EmbeddingIndex, iterate_explanations, read_class_names

    model = load_named_model(asked.model)
    index = EmbeddingIndex.load(Path(asked.index).expanduser()) if asked.index else None
    if index is not None:
        index.check_model(model, asked.model)
    names = read_class_names(asked.class_names) if asked.class_names else None
    rows = iterate_explanations(
        model,
        asked.images,
        asked.target,
        index,
        asked.k,
        asked.cells,
        asked.batch_size,
        names,
        asked.image_size,
        asked.limit,
    )
    folder = results_folder(asked.output_dir, "explain", asked.images)
    print(f"Model:    {asked.model}")
    if index is not None:
        print(f"Index:    {asked.index}, {len(index)} embeddings")
    found, start = [], time.perf_counter()
    try:
        for row in rows:
            found.append(row)
    finally:
        # What was explained before a stop is kept.
        if found:
            write(found, index, asked.k, folder)
    tell(found, index, time.perf_counter() - start)
    read = [row for row in found if row.prediction.error is None]
    if not read:
        raise ValueError(f"`images` must have one that can be read. Received: {asked.images}")
    print(f"Table:    {folder / 'explanations.csv'}")
    print(f"Maps:     {folder / 'explanations.npz'}")
    draw(read, index, folder / "explanations.png", name_of(asked.images))


def write(
    rows: "Sequence[Explanation]", index: "EmbeddingIndex | None", k: int, folder: Path
) -> None:
    """Write a line for each photograph, and the maps."""
    import numpy as np

    from keras_clce.files import printable_text, write_atomically

    sides = ("top", "left", "bottom", "right")
    near = [] if index is None else range(1, k + 1)
    header = ["file", "class", "probability", "target", "target_probability"]
    header += ["covered_probability", *sides, "label"]
    header += [
        f"{kind}_{rank}" for rank in near for kind in ("neighbor", "cosine", "neighbor_class")
    ]

    def cells(row):
        said = row.prediction
        if said.error is not None:
            return [said.name, *[""] * 9, said.label or "", *[""] * (3 * len(near)), said.error]
        values = [said.name, said.class_name, f"{said.probability:.6f}", row.target]
        values += [f"{row.probability:.6f}", f"{row.covered_probability:.6f}"]
        values += [*(f"{edge:.1f}" for edge in row.box), said.label or ""]
        for place, cosine in row.neighbors:
            name = printable_text(index.files[place])
            values += [name, f"{cosine:.6f}", index.class_of(place) or ""]
        return values + [""] * (len(header) + 1 - len(values))

    def write_lines(to):
        with open(to, "w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow([*header, "error"])
            lines.writerows(map(cells, rows))

    write_atomically(folder / "explanations.csv", write_lines)
    read = [row for row in rows if row.prediction.error is None]
    arrays = {
        "files": [row.prediction.photograph.name for row in read],
        "targets": [row.target for row in read],
        "probabilities": [row.probability for row in read],
        "covered_probabilities": [row.covered_probability for row in read],
        "saliency": [row.saliency for row in read],
        "boxes": [row.box for row in read],
    }
    arrays = {name: np.array(values) for name, values in arrays.items()}
    write_atomically(folder / "explanations.npz", lambda to: np.savez(to, **arrays))


def tell(rows: "Sequence[Explanation]", index: "EmbeddingIndex | None", seconds: float) -> None:
    """Print a line for each of the first photographs, and what could not be read."""
    from keras_clce.report import format_table

    read = [row for row in rows if row.prediction.error is None]
    if read:
        header = ["file", "class", "probability", "with a patch covered"]
        header += [] if index is None else ["neighbours of the class"]
        lines = []
        for row in read[:DRAWN]:
            line = [row.prediction.name, row.target, percent(row.probability)]
            line.append(f"down to {percent(row.covered_probability)}")
            if index is not None:
                same = sum(index.class_of(place) == row.target for place, _ in row.neighbors)
                known = index.labels is not None
                line.append(f"{same} of {len(row.neighbors)}" if known else "-")
            lines.append(line)
        print("\n" + format_table(header, lines))
        print(f"… and {len(read) - DRAWN} more\n" if len(read) > DRAWN else "")
    skipped = [row.prediction for row in rows if row.prediction.error is not None]
    rate = f" in {seconds:.1f} s" if read else ""
    print(f"Read:     {len(read)} of {len(rows)} files{rate}")
    for row in skipped[:SHOWN_ERRORS]:
        print(f"Skipped:  {row.name}: {row.error}")
    if len(skipped) > SHOWN_ERRORS:
        print(f"          … and {len(skipped) - SHOWN_ERRORS} more")


def percent(share: float) -> str:
    """A probability in percent."""
    return f"{100 * share:.1f} %"


def draw(
    rows: "Sequence[Explanation]", index: "EmbeddingIndex | None", path: Path, name: str
) -> None:
    """Draw the first photographs with their maps, and their neighbours."""
    from keras_clce.inference import Photograph
    from keras_clce.report import Tile, drawing, plot_image_grid

    def neighbor(place, cosine):
        photograph = Photograph(index.files[place], index.path_of(place))
        said = index.class_of(place) or Path(index.files[place]).name
        return Tile(photograph.thumbnail(), (said, f"cosine {cosine:.3f}"))

    title = f"Where the model looked, {name}: orange speaks for the class, blue against it"
    with drawing(path):
        pairs = [pair(row) for row in rows[:DRAWN]]
        if index is None:
            sections = [("", [tile for tiles in pairs for tile in tiles])]
            plot_image_grid(sections, path, title, columns=2 * PAIRS_A_ROW)
        else:
            sections = [
                ("", [*tiles, *(neighbor(*each) for each in row.neighbors)])
                for row, tiles in zip(rows, pairs, strict=False)
            ]
            plot_image_grid(sections, path, title, columns=10, first_apart=2)
        print(f"Picture:  {path}")


def pair(row: "Explanation") -> "list[Tile]":
    """A photograph, and its map."""
    from keras_clce.report import Tile, saliency_overlay

    said = row.prediction
    kind = None
    if said.label is not None:
        kind = "right" if said.label == said.class_name else "wrong"
    lines = [said.class_name, percent(said.probability)]
    lines += [f"is {said.label}"] * (kind == "wrong")
    covered = (
        f"for {row.target}, {percent(row.probability)}",
        f"a patch covered: {percent(row.covered_probability)}",
    )
    overlay = saliency_overlay(said.photograph.pixels(), row.saliency, row.box)
    return [Tile(said.photograph.thumbnail(), tuple(lines), kind), Tile(overlay, covered)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Explain photographs as flags say."""
    tool_command(__doc__, ExplainFlags, explain, arguments)


if __name__ == "__main__":
    main()

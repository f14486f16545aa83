r"""Find training images whose label a trained model contradicts.

    python recipes/suspects.py --model RUN/model.keras
    python recipes/suspects.py --model RUN/model.keras --images my_photographs/train

An image is suspect where its nearest neighbours by the embedding, itself left out, have another
label, and where the classifier gives its label a low probability: the suspicion is one minus the
mean of the two, or one minus one of them with `--by`. `--images` is a folder of class folders;
without it the training split of the model's run is looked at. Where the folders are of other
classes than the model's, neighbours alone are asked. Nothing is moved or deleted. In `--output_dir`
stand

    suspects.csv    a line an image, the most suspect first: suspicion, its label, what the
                    neighbours and the classifier say, the share of neighbours and the probability
                    of the label
    suspects.png    the most suspect images, each with its nearest neighbours
"""

import contextlib
import csv
import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_clce.experiments import (
    ViewFlags,
    model_flag,
    name_of,
    results_folder,
    tool_command,
    tool_flag,
    without_start_up_messages,
)

if TYPE_CHECKING:
    from keras_clce.experiments import Suspects

WHAT, FITTED, RESULTS = "Model and photographs", "What is measured", "Results"
FOLDER = ((os.path.isdir, "must be a folder"),)
SHOWN_ROWS, DRAWN, NEIGHBORS, SHOWN_ERRORS = 20, 16, 6, 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuspectFlags(ViewFlags):
    """The model, the images, and where the results go."""

    model: str = model_flag("The model: a .keras file, the folder of a preset or hf://OWNER/NAME.")
    images: str | None = tool_flag(
        None,
        "A folder of class folders; the training split of the model's run if not given.",
        WHAT,
        checks=FOLDER,
    )
    dataset: str | None = tool_flag(
        None, "In place of --images, a data set; that of the model's run if not given.", WHAT
    )
    data_dir: str | None = tool_flag(
        None, "Its folder; that of the model's run if not given.", WHAT, checks=FOLDER
    )
    split: str = tool_flag(
        "train", "Split of the data set.", WHAT, choices=("train", "validation", "test")
    )
    limit: int | None = tool_flag(
        None, "Most images, drawn by the seed as evenly over classes as they allow.", WHAT, least=2
    )
    k: int = tool_flag(10, "Neighbours of each image that are asked.", FITTED, least=1)
    by: str | None = tool_flag(
        None,
        "What decides; both, or neighbors for other classes than the model's, if not given.",
        FITTED,
        choices=("neighbors", "classifier", "both"),
    )
    seed: int = tool_flag(0, "Seed of the draw of --limit.", FITTED, least=0)
    output_dir: str | None = tool_flag(
        None, "Where the results go; runs/suspects/NAME OF THE IMAGES if not given.", RESULTS
    )


def suspects(asked: SuspectFlags) -> None:
    """Find, write, print and draw."""
    with without_start_up_messages():
        from keras_clce.experiments import find_suspects, load_source

        # A data set is read by TensorFlow, whatever the backend; without it a message tells.
        if asked.images is None:
            with contextlib.suppress(ImportError):
                import tensorflow  # noqa: F401
    source = load_source(asked.model)
    print(f"Model:    {asked.model}, {source.model.num_classes} classes")
    start = time.perf_counter()
    options = dataclasses.asdict(asked)
    for name in ("model", "output_dir"):
        options.pop(name)
    result = find_suspects(source, **options)
    what = asked.images or asked.dataset or source.run["dataset"]
    folder = results_folder(asked.output_dir, "suspects", what)
    print(f"Images:   {result.note}")
    count, seconds = len(result.labels), time.perf_counter() - start
    write(result, folder / "suspects.csv")
    tell(result)
    for name, reason in result.unreadable[:SHOWN_ERRORS]:
        print(f"Skipped:  {name}: {reason}")
    more = len(result.unreadable) - SHOWN_ERRORS
    if more > 0:
        print(f"          … and {more} more")
    print(f"Read:     {count} images in {seconds:.1f} s")
    print(f"Table:    {folder / 'suspects.csv'}")
    draw(result, folder / "suspects.png", name_of(what))


def write(result: "Suspects", path: Path) -> None:
    """Write a line for each image, the most suspect first."""
    from keras_clce.files import write_atomically

    found, names, order = result.found, result.class_names, result.found.ranked
    head = ["suspicion", "label", "neighbors_say", "neighbor_share", "classifier_says"]

    def write_lines(to):
        with open(to, "w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(["file", *head, "confidence"])
            for place, name in zip(order, result.names(order), strict=True):
                said, sure = "", ""
                if found.predicted is not None:
                    said = names[found.predicted[place]]
                    sure = f"{found.confidence[place]:.6f}"
                cells = [f"{found.suspicion[place]:.6f}", names[result.labels[place]]]
                cells += [names[found.neighbor_labels[place]]]
                cells += [f"{found.neighbor_share[place]:.6f}", said, sure]
                lines.writerow([name, *cells])

    write_atomically(path, write_lines)


def tell(result: "Suspects") -> None:
    """Print the most suspect images."""
    from keras_clce.report import format_table

    found, names = result.found, result.class_names
    order = found.ranked[:SHOWN_ROWS]
    rows = []
    for place, name in zip(order, result.names(order), strict=True):
        row = [name, names[result.labels[place]], names[found.neighbor_labels[place]]]
        row += [f"{100 * found.neighbor_share[place]:.0f} %"]
        if found.predicted is not None:
            row += [names[found.predicted[place]], f"{100 * found.confidence[place]:.1f} %"]
        rows.append([*row, f"{found.suspicion[place]:.3f}"])
    head = ["file", "label", "neighbours say", "share of label"]
    if found.predicted is not None:
        head += ["classifier says", "probability of label"]
    print("\n" + format_table([*head, "suspicion"], rows))
    more = len(result.labels) - len(rows)
    print(f"… and {more} more in the table\n" if more > 0 else "")
    disagree = int((found.neighbor_labels != result.labels).sum())
    share = 100 * disagree / len(result.labels)
    print(f"Others:   {disagree} images ({share:.1f} %) whose neighbours have another label")


def draw(result: "Suspects", path: Path, name: str) -> None:
    """Draw the most suspect images with their neighbours."""
    import numpy as np

    from keras_clce.report import Tile, drawing, plot_image_grid

    found, names = result.found, result.class_names
    order = found.ranked[:DRAWN]
    shown = np.unique([*order, *found.neighbors[order, :NEIGHBORS].ravel()])
    with drawing(path):
        pictures = dict(zip(shown, result.thumbnails(shown), strict=True))
        sections = []
        for place in order:
            lines = (names[result.labels[place]], f"suspicion {found.suspicion[place]:.2f}")
            tiles = [Tile(pictures[place], lines, "query")]
            for other in found.neighbors[place, :NEIGHBORS]:
                same = result.labels[other] == result.labels[place]
                tiles.append(
                    Tile(pictures[other], (names[result.labels[other]],), "right" if same else None)
                )
            sections.append(("", tiles))
        title = f"{name}: the most suspect, and their neighbours; green has the same label"
        plot_image_grid(sections, path, title, columns=NEIGHBORS, first_apart=1)
        print(f"Picture:  {path}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Find suspects as flags say."""
    tool_command(__doc__, SuspectFlags, suspects, arguments)


if __name__ == "__main__":
    main()

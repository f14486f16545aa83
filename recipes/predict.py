r"""Classify photographs with a saved model.

    python recipes/predict.py --model RUN/model.keras --images my_photographs
    python recipes/predict.py --model model.keras --images "photos/*.jpg" --top_k 3 --threshold 0.8

Photographs are decoded and cut as those of the test split are in training. Files that cannot be
read are listed with the reason, and the rest goes on. In `--output_dir` stand

    predictions.csv    a line a file: classes, probabilities, whether they are sure, class of the
                       folder, error; until it is whole, predictions.part.csv, which a kill leaves
                       with all that was read so far
    contact_sheet.png  the most and the least sure photographs

Where folders in `--images` bear names of the model's classes, the accuracy is printed too. A model
that was saved without names of its classes takes them from `--class_names`.
"""

import collections
import dataclasses
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_clce.experiments import (
    PhotographFlags,
    class_names_flag,
    load_named_model,
    name_of,
    results_folder,
    tool_command,
    tool_flag,
)

if TYPE_CHECKING:
    from keras_clce.inference import Prediction

RESULTS = "Results"
COLOURS = {True: ": green is right, orange wrong", False: ""}
SHOWN_ROWS, SHOWN_ERRORS, SHOWN_CLASSES, ON_SHEET = 10, 10, 20, 24


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictFlags(PhotographFlags):
    """What is said of the photographs, and where it goes."""

    class_names: str | None = class_names_flag(RESULTS)
    top_k: int = tool_flag(5, "Classes a photograph.", RESULTS, least=1)
    threshold: float = tool_flag(
        0.5, 'Probability below which a class is called "not sure".', RESULTS, least=0, most=1
    )
    output_dir: str | None = tool_flag(
        None, "Where the results go; runs/predict/NAME OF THE IMAGES if not given.", RESULTS
    )


class Seen:
    """What is kept of predictions that stream by."""

    def __init__(self) -> None:
        self.first, self.errors = [], []
        self.classes: dict[str, list[float]] = {}
        self.kinds = collections.Counter()
        self.read = self.labelled = self.right = self.unsure = 0
        self._extremes: list[Prediction] = []

    def add(self, row: "Prediction", threshold: float) -> None:
        """Count a prediction."""
        if row.error is not None:
            self.errors += [row] * (len(self.errors) < SHOWN_ERRORS)
            self.kinds[row.error.partition(":")[0]] += 1
            return
        self.read += 1
        self.first += [row] * (len(self.first) < SHOWN_ROWS)
        count, total = self.classes.get(row.class_name, (0, 0.0))
        self.classes[row.class_name] = count + 1, total + row.probability
        self.unsure += row.probability < threshold
        self.labelled += row.label is not None
        self.right += row.label == row.class_name
        self._extremes.append(row)
        if len(self._extremes) > 8 * ON_SHEET:
            self._extremes = [*self.most_sure(), *self.least_sure()]

    def most_sure(self) -> "list[Prediction]":
        """The surest, at most 24, the surest first."""
        return sorted(self._extremes, key=lambda row: -row.probability)[:ON_SHEET]

    def least_sure(self) -> "list[Prediction]":
        """The least sure of the others, at most 24, the least sure first."""
        least = sorted(self._extremes, key=lambda row: row.probability)
        return least[: min(ON_SHEET, max(0, len(least) - ON_SHEET))]


def predict(asked: PredictFlags) -> None:
    """Classify, write, print and draw."""
    from keras_clce.inference import (
        PredictionFile,
        iterate_predictions,
        preprocessing_of,
        read_class_names,
    )

    model = load_named_model(asked.model)
    names = read_class_names(asked.class_names) if asked.class_names else None
    view = preprocessing_of(model, asked.image_size)
    rows = iterate_predictions(
        model,
        asked.images,
        asked.top_k,
        asked.batch_size,
        class_names=names,
        image_size=asked.image_size,
        limit=asked.limit,
    )
    folder = results_folder(asked.output_dir, "predict", asked.images)
    known = "" if names or model.class_names else ", without names: see --class_names"
    usual = "" if model.preprocessing else ", the usual one, since the model does not know its own"
    print(f"Model:    {asked.model}, {model.num_classes} classes{known}")
    print(f"View:     {view}{usual}")
    print(f"Results:  {folder}")
    top_k, seen, start = min(asked.top_k, model.num_classes), Seen(), time.perf_counter()
    try:
        with PredictionFile(folder / "predictions.csv", top_k, asked.threshold) as file:
            for row in rows:
                file.write(row)
                seen.add(row, asked.threshold)
    except KeyboardInterrupt:
        print(f"\nWhat was read so far: {file.part}")
        raise
    tell(seen, time.perf_counter() - start, asked.threshold)
    print(f"Table:    {folder / 'predictions.csv'}")
    if not seen.read:
        raise ValueError(f"`images` must have one that can be read. Received: {asked.images}")
    draw(seen, folder / "contact_sheet.png", asked)


def tell(seen: Seen, seconds: float, threshold: float) -> None:
    """Print the first rows, the classes, and what could not be read."""
    from keras_clce.report import format_table

    if seen.read:
        rows = [[row.name, *cells(row, 0, threshold), *cells(row, 1, 0.0)] for row in seen.first]
        print("\n" + format_table(["file", "class", "probability", "next", "probability"], rows))
        if seen.read > len(rows):
            print(f"… and {seen.read - len(rows)} more")
        by_count = sorted(seen.classes.items(), key=lambda item: -item[1][0])
        rows = [
            [name, str(count), f"{100 * count / seen.read:.1f} %", f"{100 * total / count:.1f} %"]
            for name, (count, total) in by_count[:SHOWN_CLASSES]
        ]
        print("\n" + format_table(["class", "photographs", "share", "mean probability"], rows))
        more = len(by_count) - len(rows)
        print(f"… and {more} more classes\n" if more > 0 else "")
    skipped = sum(seen.kinds.values())
    rate = f" in {seconds:.1f} s, {seen.read / seconds:.3g} a second" if seen.read else ""
    print(f"Read:     {seen.read} of {seen.read + skipped} files{rate}")
    if skipped:
        kinds = ", ".join(f"{count} {kind}" for kind, count in seen.kinds.most_common())
        print(f"Skipped:  {skipped}: {kinds}")
        for row in seen.errors:
            print(f"          {row.name}: {row.error}")
        if skipped > len(seen.errors):
            print(f"          … and {skipped - len(seen.errors)} more")
    if seen.read:
        print(f"Not sure: {seen.unsure}, with a probability below {threshold:g}")
    if seen.labelled:
        share = 100 * seen.right / seen.labelled
        print(f"Accuracy: {share:.1f} %, {seen.right} of {seen.labelled} in folders of classes")


def cells(row: "Prediction", place: int, threshold: float) -> tuple[str, str]:
    """Class and probability at a place of a row."""
    if place >= len(row.class_names):
        return "-", "-"
    share = row.probabilities[place]
    return row.class_names[place], f"{100 * share:.1f} %{'' if share >= threshold else ' ?'}"


def draw(seen: Seen, path: Path, asked: PredictFlags) -> None:
    """Draw the most and the least sure photographs."""
    from keras_clce.report import drawing, plot_image_grid

    most, least = seen.most_sure(), seen.least_sure()
    sections = [("Most sure" if least else "", most), ("Least sure", least)]
    with drawing(path):
        plot_image_grid(
            [(head, tiles(rows, asked.threshold)) for head, rows in sections if rows],
            path,
            f"{name_of(asked.images)}, {seen.read} photographs{COLOURS[seen.labelled > 0]}",
        )
        print(f"Sheet:    {path}")


def tiles(rows: "Iterable[Prediction]", threshold: float) -> list[Any]:
    """Photographs with class and probability, in the colour of right and wrong where known."""
    from keras_clce.report import Tile

    drawn = []
    for row in rows:
        sure = row.probability >= threshold
        kind = None if sure else "unsure"
        lines = [row.class_name, f"{100 * row.probability:.0f} %{'' if sure else ', not sure'}"]
        if row.label is not None:
            kind = "right" if row.label == row.class_name else "wrong"
            lines += [f"is {row.label}"] * (kind == "wrong")
        drawn.append(Tile(row.photograph.thumbnail(), tuple(lines), kind))
    return drawn


def main(arguments: Sequence[str] | None = None) -> None:
    """Classify photographs as flags say."""
    tool_command(__doc__, PredictFlags, predict, arguments)


if __name__ == "__main__":
    main()

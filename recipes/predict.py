r"""Classify photographs with a saved model.

    python recipes/predict.py --model RUN/model.keras --images my_photographs
    python recipes/predict.py --model model.keras --images "photos/*.jpg" --top_k 3 --threshold 0.8
    python recipes/predict.py --model model.keras --images my_photographs --enrolled mine.npz

Photographs are decoded and cut as those of the test split are in training. Files that cannot be
read are listed with the reason, and the rest goes on. In `--output_dir` stand

    predictions.csv    a line a file: classes, probabilities, whether they are sure, class of the
                       folder, error; until it is whole, predictions.part.csv, which a kill leaves
                       with all that was read so far
    contact_sheet.png  the most and the least sure photographs

Where folders in `--images` bear names of the model's classes, the accuracy is printed too. A model
that was saved without names of its classes takes them from `--class_names`. Of a folder with a
`labels.csv` the files that it names are read, and its labels take the place of folders.

A model of several labels an image (`--multi_label` in training) says all that reach `--threshold`:
the table then has them in the column `labels`, and F1 is printed where labels are known.

With `--enrolled`, a file of recipes/enroll.py, the classes are those that were enrolled, and the
answer is "none of these" where the score of the nearest one is below the file's threshold. The
table then has the answer and scores, cosines or probabilities, of the nearest classes.
"""

import collections
import dataclasses
import os
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
    from keras_clce.inference import Enrolled, Prediction

RESULTS = "Results"
COLOURS = {True: ": green is right, orange wrong", False: ""}
HEADS = "Most sure", "Least sure"
SHOWN_ROWS, SHOWN_ERRORS, SHOWN_CLASSES, ON_SHEET = 10, 10, 20, 24


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictFlags(PhotographFlags):
    """What is said of the photographs, and where it goes."""

    class_names: str | None = class_names_flag(RESULTS)
    top_k: int = tool_flag(5, "Classes a photograph.", RESULTS, least=1)
    threshold: float | None = tool_flag(
        None,
        'Probability below which a class is called "not sure", 0.5 if not given; with --enrolled '
        'the score below which it is "none of these", that of the file if not given.',
        RESULTS,
        least=0,
        most=1,
    )
    enrolled: str | None = tool_flag(
        None,
        "Enrolled classes in place of the model's own, a .npz file of recipes/enroll.py.",
        RESULTS,
        checks=((os.path.isfile, "must be a file of enrolled classes, .npz"),),
    )
    output_dir: str | None = tool_flag(
        None, "Where the results go; runs/predict/NAME OF THE IMAGES if not given.", RESULTS
    )


@dataclasses.dataclass(frozen=True)
class Said:
    """How predictions are told: of the model's own classes, or of enrolled ones."""

    score: str
    threshold: float | None
    is_enrolled: bool

    @classmethod
    def of(cls, enrolled: "Enrolled | None", threshold: float | None) -> "Said":
        """What is said of these classes."""
        if enrolled is None:
            return cls("probability", 0.5 if threshold is None else threshold, False)
        return cls(enrolled.score_name, enrolled.threshold, True)

    def shown(self, score: float, digits: int = 1) -> str:
        """A score as people read it."""
        return f"{score:.3f}" if self.score == "cosine" else f"{100 * score:.{digits}f} %"

    def is_sure(self, row: "Prediction") -> bool:
        """Whether the first class of a row is sure, or is accepted."""
        return not row.is_rejected if self.is_enrolled else row.probability >= self.threshold


class Seen:
    """What is kept of predictions that stream by."""

    def __init__(self) -> None:
        self.first, self.errors = [], []
        self.classes: dict[str, list[float]] = {}
        self.kinds = collections.Counter()
        self.read = self.labelled = self.right = self.unsure = 0
        # Photographs in folders of other names, and those of them that are rejected.
        self.elsewhere = self.rejected_elsewhere = 0
        # Of several labels a photograph: those that are right, said, and true.
        self.true = self.told = self.agreed = self.listed = 0
        self._extremes: list[Prediction] = []

    def add(self, row: "Prediction", said: Said) -> None:
        """Count a prediction."""
        if row.error is not None:
            self.errors += [row] * (len(self.errors) < SHOWN_ERRORS)
            self.kinds[row.error.partition(":")[0]] += 1
            return
        self.read += 1
        self.first += [row] * (len(self.first) < SHOWN_ROWS)
        if row.labels is None:
            named = {row.class_name: row.score}
        else:
            shares = dict(zip(row.class_names, row.probabilities, strict=True))
            named = {name: shares.get(name, said.threshold) for name in row.labels}
        for name, score in named.items():
            count, total = self.classes.get(name, (0, 0.0))
            self.classes[name] = count + 1, total + score
        if row.labels is not None and row.photograph.labels is not None:
            self.listed += 1
            self.true += len(row.photograph.labels)
            self.told += len(row.labels)
            self.agreed += len({*row.labels} & {*row.photograph.labels})
        self.unsure += not (said.is_sure(row) if row.labels is None else row.labels)
        self.labelled += row.label is not None
        self.right += row.label is not None and row.label == row.class_name
        is_elsewhere = row.label is None and row.photograph.class_folder is not None
        self.elsewhere += is_elsewhere
        self.rejected_elsewhere += is_elsewhere and row.is_rejected
        self._extremes.append(row)
        if len(self._extremes) > 8 * ON_SHEET:
            self._extremes = [*self.most_sure(), *self.least_sure()]

    def most_sure(self) -> "list[Prediction]":
        """The surest, at most 24, the surest first."""
        return sorted(self._extremes, key=lambda row: -row.score)[:ON_SHEET]

    def least_sure(self) -> "list[Prediction]":
        """The least sure of the others, at most 24, the least sure first."""
        least = sorted(self._extremes, key=lambda row: row.score)
        return least[: min(ON_SHEET, max(0, len(least) - ON_SHEET))]


def predict(asked: PredictFlags) -> None:
    """Classify, write, print and draw."""
    from keras_clce.inference import (
        Enrolled,
        PredictionFile,
        iterate_predictions,
        preprocessing_of,
        read_class_names,
    )

    enrolled = Enrolled.load(asked.enrolled) if asked.enrolled else None
    if enrolled is not None and asked.threshold is not None:
        enrolled = enrolled.with_threshold(asked.threshold)
    size = asked.image_size or (enrolled and enrolled.model.get("image_size"))
    model = load_named_model(asked.model)
    names = read_class_names(asked.class_names) if asked.class_names else None
    view = preprocessing_of(model, size)
    rows = iterate_predictions(
        model,
        asked.images,
        asked.top_k,
        asked.batch_size,
        class_names=names,
        image_size=size,
        limit=asked.limit,
        enrolled=enrolled,
        threshold=0.5 if asked.threshold is None else asked.threshold,
    )
    folder = results_folder(asked.output_dir, "predict", asked.images)
    known = "" if names or model.class_names else ", without names: see --class_names"
    usual = "" if model.preprocessing else ", the usual one, since the model does not know its own"
    said = Said.of(enrolled, asked.threshold)
    print(f"Model:    {asked.model}, {model.num_classes} classes{known}")
    if enrolled is not None:
        count, photographs = len(enrolled.class_names), len(enrolled.labels)
        print(f"Enrolled: {asked.enrolled}, {count} classes by {photographs} photographs")
    print(f"View:     {view}{usual}")
    print(f"Results:  {folder}")
    classes = model.num_classes if enrolled is None else len(enrolled.class_names)
    top_k, seen, start = min(asked.top_k, classes), Seen(), time.perf_counter()
    score = said.score if said.is_enrolled else None
    several = model.multi_label and not said.is_enrolled
    try:
        with PredictionFile(
            folder / "predictions.csv", top_k, said.threshold or 0.0, score, several
        ) as file:
            for row in rows:
                file.write(row)
                seen.add(row, said)
    except KeyboardInterrupt:
        print(f"\nWhat was read so far: {file.part}")
        raise
    tell(seen, time.perf_counter() - start, said)
    print(f"Table:    {folder / 'predictions.csv'}")
    if not seen.read:
        raise ValueError(f"`images` must have one that can be read. Received: {asked.images}")
    draw(seen, folder / "contact_sheet.png", asked, said)


def tell(seen: Seen, seconds: float, said: Said) -> None:
    """Print the first rows, the classes, and what could not be read."""
    from keras_clce.report import format_table

    if seen.read:
        head = ["file", "class", said.score, "next", said.score]
        rows = [[row.name, *cells(row, 0, said), *cells(row, 1, said)] for row in seen.first]
        if said.is_enrolled:
            head[1:2] = ["answer", "closest class"]
            rows = [
                [name, row.class_name, *rest]
                for row, (name, *rest) in zip(seen.first, rows, strict=True)
            ]
        if seen.first[0].labels is not None:
            head[1:1] = ["labels"]
            rows = [
                [name, ", ".join(row.labels) or "-", *rest]
                for row, (name, *rest) in zip(seen.first, rows, strict=True)
            ]
        print("\n" + format_table(head, rows))
        if seen.read > len(rows):
            print(f"… and {seen.read - len(rows)} more")
        by_count = sorted(seen.classes.items(), key=lambda item: -item[1][0])
        rows = [
            [name, str(count), f"{100 * count / seen.read:.1f} %", said.shown(total / count)]
            for name, (count, total) in by_count[:SHOWN_CLASSES]
        ]
        print("\n" + format_table(["class", "photographs", "share", f"mean {said.score}"], rows))
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
        tell_threshold(seen, said)
    if seen.listed:
        tell_agreement(seen)
    elif seen.labelled:
        share = 100 * seen.right / seen.labelled
        print(f"Accuracy: {share:.1f} %, {seen.right} of {seen.labelled} in folders of classes")
    if said.is_enrolled and seen.elsewhere:
        right = f"{seen.rejected_elsewhere} of {seen.elsewhere}"
        print(f"Others:   {right} in folders of other names are none of these")


def tell_agreement(seen: Seen) -> None:
    """Print how well labels agree with those of a `labels.csv`."""
    precision, recall = seen.agreed / max(1, seen.told), seen.agreed / max(1, seen.true)
    f1 = 2 * seen.agreed / max(1, seen.told + seen.true)
    print(
        f"Labels:   F1 micro {100 * f1:.1f} %, precision {100 * precision:.1f} %, recall "
        f"{100 * recall:.1f} %, of {seen.true} labels of {seen.listed} photographs in labels.csv"
    )


def tell_threshold(seen: Seen, said: Said) -> None:
    """Print how many photographs are below the threshold."""
    if seen.first and seen.first[0].labels is not None:
        least = f"a probability of {said.threshold:g} or more"
        print(f"None:     {seen.unsure} have no label with {least}")
    elif not said.is_enrolled:
        print(f"Not sure: {seen.unsure}, with a probability below {said.threshold:g}")
    elif said.threshold is None:
        print("None:     no threshold was chosen, so that every photograph is one of the classes")
    else:
        print(f"None:     {seen.unsure} are none of these, below a {said.score} of", end=" ")
        print(f"{said.threshold:.3f}")


def cells(row: "Prediction", place: int, said: Said) -> tuple[str, str]:
    """Class and score at a place of a row."""
    if place >= len(row.class_names):
        return "-", "-"
    score = (row.scores or row.probabilities)[place]
    is_unsure = place == 0 and not said.is_enrolled and not said.is_sure(row)
    return row.class_names[place], said.shown(score) + " ?" * is_unsure


def draw(seen: Seen, path: Path, asked: PredictFlags, said: Said) -> None:
    """Draw the most and the least sure photographs."""
    from keras_clce.report import drawing, plot_image_grid

    most, least = seen.most_sure(), seen.least_sure()
    heads = ("Closest to a class", "Furthest from all") if said.is_enrolled else HEADS
    colours = COLOURS[seen.labelled > 0 or seen.listed > 0]
    if said.is_enrolled and said.threshold is not None:
        colours = (colours + ", " if colours else ": ") + "yellow none of these"
    sections = [(heads[0] if least else "", most), (heads[1], least)]
    with drawing(path):
        plot_image_grid(
            [(head, tiles(rows, said)) for head, rows in sections if rows],
            path,
            f"{name_of(asked.images)}, {seen.read} photographs{colours}",
        )
        print(f"Sheet:    {path}")


def tiles(rows: "Iterable[Prediction]", said: Said) -> list[Any]:
    """Photographs with class and score, in the colour of right and wrong where known."""
    from keras_clce.report import Tile

    drawn = []
    for row in rows:
        sure = said.is_sure(row)
        kind, score = None if sure else "unsure", said.shown(row.score, 0)
        lines = [row.class_name, f"{score}{'' if sure else ', not sure'}"]
        if row.labels is not None:
            kind, lines = (
                None,
                [", ".join(row.labels) or "no label", f"first: {row.class_name} {score}"],
            )
            if row.photograph.labels is not None:
                kind = "right" if {*row.labels} == {*row.photograph.labels} else "wrong"
                lines += [f"is {', '.join(row.photograph.labels) or 'none'}"] * (kind == "wrong")
            drawn.append(Tile(row.photograph.thumbnail(), tuple(lines), kind))
            continue
        if said.is_enrolled:
            lines[1] = score if sure else f"{row.class_names[0]} {score}"
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

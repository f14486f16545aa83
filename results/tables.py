"""Writes the tables of README.md whose figures come from the runs beside it.

    python results/tables.py

A table stands between `<!-- table NAME -->` and `<!-- end of table -->`; `TABLES` says which runs
are in which row. Figures are fractions of test images in %, means over the seeds; "minus" is the
mean of the differences over the seeds that both have, with its 95 % interval (Student's t) and the
p-value of the paired t-test where there are at least three.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from keras_clce.evaluate import paired_t_test

RESULTS = Path(__file__).resolve().parent
PAGE = RESULTS / "README.md"
PLACE = re.compile(
    r"(?P<begin><!-- table (?P<name>[\w-]+) -->\n\n).*?(?P<end>\n\n<!-- end of table -->)",
    re.DOTALL,
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One row: its name on the page, and the folder of its runs without `-seedN`."""

    name: str
    runs: str

    def metrics(self) -> dict[int, dict]:
        """`metrics.json` of each seed."""
        files = sorted(RESULTS.glob(f"{self.runs}-seed*/metrics.json"))
        if not files:
            raise FileNotFoundError(f"no run of {self.runs} in {RESULTS}")
        records = (json.loads(file.read_text(encoding="utf-8")) for file in files)
        return {record["seed"]: record for record in records}


@dataclasses.dataclass(frozen=True)
class Column:
    """One figure of a run, and whether the first row's is taken from it in a further column."""

    name: str
    figure: Callable[[Mapping], float]
    is_compared: bool = True


TOP_1 = Column("top-1", lambda metrics: metrics["test"]["top1"])
NEAREST = Column("1-NN", lambda metrics: metrics["test"]["nearest_neighbor"])
VALIDATION = Column("validation", lambda metrics: metrics["validation"]["top1"])
BALANCED = Column("balanced accuracy", lambda metrics: metrics["test"]["balanced_accuracy"])


def of_group(name: str) -> Column:
    """Accuracy of the classes with many, medium or few training images."""
    return Column(name, lambda metrics: metrics["test"]["groups"][name]["accuracy"], False)


def paired(rows: Sequence[Row], columns: Sequence[Column], first: str = "") -> str:
    """A table of rows against the first of them."""
    base = rows[0].metrics()
    minus = f"minus {rows[0].name}"
    head = [first, "seeds"]
    head += [title for each in columns for title in (each.name, minus)[: 1 + each.is_compared]]
    lines = []
    for row in rows:
        metrics = row.metrics()
        cells = [row.name, ", ".join(map(str, metrics))]
        for column in columns:
            values = {seed: 100 * column.figure(each) for seed, each in metrics.items()}
            cells.append(f"{sum(values.values()) / len(values):.2f}")
            if column.is_compared:
                both = [seed for seed in values if seed in base and row is not rows[0]]
                cells.append(
                    difference(
                        [values[seed] for seed in both],
                        [100 * column.figure(base[seed]) for seed in both],
                    )
                )
        lines.append(cells)
    return table(head, lines)


def grid(
    columns: Sequence[str],
    rows: Mapping[str, Sequence[str]],
    first: str = "",
    figures: Sequence[Column] = (TOP_1, NEAREST),
    most_seeds: int | None = None,
) -> str:
    """A table of a few figures by two settings, with the seeds side by side.

    Args:
        columns: Their names.
        rows: By their names, the folders of the runs in each column; empty for none.
        first: Title of the rows' names.
        figures: What a cell says of each run.
        most_seeds: Show the first runs alone. Defaults to `None`: all.

    Returns:
        The table.
    """
    lines = []
    for name, folders in rows.items():
        cells = [name]
        for folder in folders:
            runs = [*Row(name, folder).metrics().values()][:most_seeds] if folder else ()
            each_run = (
                ", ".join(f"{100 * each.figure(run):.1f}" for each in figures) for run in runs
            )
            cells.append("; ".join(each_run))
        lines.append(cells)
    return table([first, *columns], lines)


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Cells in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def difference(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Mean difference in words, with interval and p-value where the seeds allow them."""
    if not ours:
        return ""
    if len(ours) < 3:
        mean = sum(a - b for a, b in zip(ours, theirs, strict=True)) / len(ours)
        return f"{mean:+.1f}"
    test = paired_t_test(ours, theirs)
    return f"{test.mean_difference:+.1f} ± {test.ci95:.1f}, p = {test.p_value:.2g}"


def _folders(beginning, *ends):
    return [end and beginning + end for end in ends]


def _batches(name, *sizes):
    return [f"small_batches/{name}-{size}" if size in sizes else "" for size in SIZES]


SIZES = (8, 16, 32, 64, 128)
TABLES: dict[str, Callable[[], str]] = {
    "stronger-baselines-settings": lambda: grid(
        ["`ce`: validation, test, 1-NN", "`clce`: validation, test, 1-NN"],
        {
            "2e-3": _folders("stronger_baselines/", "ce-base", "clce-base"),
            "4e-3": _folders("stronger_baselines/", "ce-lr4e-3", "clce-lr4e-3"),
            "8e-3": _folders("stronger_baselines/", "ce-lr8e-3", "clce-lr8e-3"),
            "4e-3, one-cycle: 30 % of the steps warm up": _folders(
                "stronger_baselines/", "ce-onecycle", ""
            ),
            "4e-3, label smoothing 0.1": _folders(
                "stronger_baselines/", "ce-smoothing", "clce-smoothing"
            ),
            "4e-3, average of the weights, momentum 0.99": _folders(
                "stronger_baselines/", "ce-average", ""
            ),
            "4e-3, weight decay 0.1": _folders("stronger_baselines/", "ce-decay-4e-3", ""),
            "4e-3, RandAugment": _folders(
                "stronger_baselines/", "ce-randaugment-4e-3", "clce-randaugment-4e-3"
            ),
            "4e-3, cosine classifier": _folders(
                "stronger_baselines/", "ce-cosine-4e-3", "clce-cosine-4e-3"
            ),
            "8e-3, cosine classifier": _folders("stronger_baselines/", "ce-cosine-8e-3", ""),
            "4e-3, the paper's weight": _folders("stronger_baselines/", "", "clce-paper-4e-3"),
            "8e-3, the paper's weight": _folders("stronger_baselines/", "", "clce-paper-8e-3"),
            "4e-3, memory of 512 embeddings": _folders("stronger_baselines/", "", "clce-memory"),
        },
        figures=(VALIDATION, TOP_1, NEAREST),
        most_seeds=1,
    ),
    "stronger-baselines": lambda: paired(
        [
            Row("`ce`", "stronger_baselines/ce-lr4e-3"),
            Row("`clce`", "stronger_baselines/clce-lr4e-3"),
            Row("`ce_supcon`: without hard negatives", "stronger_baselines/ce_supcon-lr4e-3"),
            Row("`hscl`", "stronger_baselines/hscl-lr4e-3"),
            Row("`clce` with a memory of 512 embeddings", "stronger_baselines/clce-memory"),
            Row("`ce`, cosine classifier", "stronger_baselines/ce-cosine-4e-3"),
            Row("`clce`, cosine classifier", "stronger_baselines/clce-cosine-4e-3"),
        ],
        [TOP_1, NEAREST],
    ),
    "classifier-flowers": lambda: paired(
        [
            Row("`ce`", "stronger_baselines/ce-cosine-4e-3"),
            Row("`clce`", "stronger_baselines/clce-cosine-4e-3"),
        ],
        [TOP_1, NEAREST],
        "both with the cosine classifier",
    ),
    "classifier-cifar100": lambda: grid(
        ["`ce`", "`clce`"],
        {
            "EfficientNet-Lite0, 20 images per class: linear": [
                "small_weight/unseen_cifar100/ce-ce",
                "small_weight/unseen_cifar100/clce-smallnp",
            ],
            "by cosines": [
                f"classifier_head/unseen_cifar100/{loss}-cosine" for loss in ("ce", "clce")
            ],
            "small ResNet from random weights, 100 images per class: linear": [
                "feature_normalization/cifar100/ce-layer-1e-2",
                "small_weight/cifar100/clce-smallnp",
            ],
            "by cosines, from random weights": [
                f"classifier_head/cifar100/{loss}-cosine" for loss in ("ce", "clce")
            ],
        },
        "classifier",
        most_seeds=1,
    ),
    "unbalanced": lambda: paired(
        [
            Row("`ce`", "unbalanced/ce"),
            Row("`ce`, logit adjustment", "unbalanced/ce-adjusted"),
            Row("`clce`", "unbalanced/clce"),
            Row("`clce`, class averaging", "unbalanced/clce-class_mean"),
        ],
        [BALANCED, of_group("many"), of_group("medium"), of_group("few"), NEAREST],
        "loss",
    ),
    "left-open-cifar100": lambda: paired(
        [
            Row("as by default", "left_open/cifar100/clce-outside"),
            Row("mean inside the logarithm", "left_open/cifar100/clce-inside"),
            Row("no gradient through the weights", "left_open/cifar100/clce-detached"),
            Row("32 images a step", "left_open/cifar100/clce-views"),
        ],
        [TOP_1, NEAREST],
        "reading",
    ),
    "mixing": lambda: grid(
        ["none", "mixup, 0.2", "cutmix, 1"],
        {
            "`ce`: all images": _folders(
                "mixing/ce-", "plain", "mixup-cross-entropy", "cutmix-cross-entropy"
            ),
            "`clce`: every second image, for the cross-entropy alone": _folders(
                "mixing/clce-", "plain", "mixup-cross-entropy", "cutmix-cross-entropy"
            ),
            "`clce`: all images, for both parts (`--mix contrastive`)": _folders(
                "mixing/clce-", "", "mixup-contrastive", "cutmix-contrastive"
            ),
        },
        "loss: what is mixed",
    ),
    "small-batches": lambda: grid(
        [*map(str, SIZES)],
        {
            "`ce`": _batches("ce-plain", 16, 32, 64, 128),
            "`clce`": _batches("clce-plain", 8, 16, 32, 64, 128),
            "`clce`, memory of 512 embeddings": _batches("clce-memory", 8, 16, 32, 64),
            "`clce`, 64 images through the encoder so many views at a time": _batches(
                "clce-cache", 8
            ),
        },
        "images a step",
    ),
}


def with_tables(text: str) -> str:
    """The page with its tables anew."""
    return PLACE.sub(lambda found: found["begin"] + TABLES[found["name"]]() + found["end"], text)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

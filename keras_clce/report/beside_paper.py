"""Runs beside the paper's figures, and where they are not what the paper did."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from keras_clce.data.catalog import get_spec
from keras_clce.report.blocks import Block, Details, Items, Table, Text
from keras_clce.report.paper import paper_rows
from keras_clce.runs.record import Record

ENCODERS = {
    "resnet101_in21k": "ResNet-101",
    "vit_base": "ViT-B/16",
    "mae_base": "MAE",
    "beit3_base": "BEiT-3",
}
IMAGE_SIZE = 224
BATCH_SIZES = (64, 128)
LOSS = {"contrastive_weight": ("λ", 0.9), "temperature": ("τ", 0.5), "hardness": ("β", 1.0)}
TASKS = {"ways": ("ways", 5), "queries": ("queries a class", 15), "tasks": ("tasks", 3000)}


def paper_blocks(records: Sequence[Record]) -> list[Block]:
    """What the paper reports on the data set of some runs, after all that is not alike.

    Args:
        records: Runs of one recipe, data set and encoder.

    Returns:
        The paper's gain in words, a list of what differs, and a table of its rows; of one of its
        encoders, the rows of that encoder and of the systems that it quotes. Nothing where the
        paper does not have the data set.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    paper_blocks(records)[0].text  # "In the paper CLCE minus cross-entropy is …"
    ```
    """
    dataset, encoder = records[0].dataset, records[0].backbone
    rows = paper_rows(dataset=dataset)
    if dataset is None or not rows:
        return []
    if encoder in _encoders(rows):
        rows = [row for row in rows if row["encoder"] in (encoder, None)]
    found: list[Block] = [Text(f"{_gain_in_words(rows)} {_caveat(rows)}".strip())]
    differing = differences_from_paper(records)
    if differing:
        found.append(
            Text("These runs neither confirm nor refute it, since they differ:", "warning")
        )
        found.append(Items(differing, "warning"))
    table = _table(dataset, rows)
    return [*found, table if encoder in _encoders(rows) else Details(table.caption, [table])]


def paper_figures(records: Sequence[Record], shots: int | None = None) -> Mapping[str, str]:
    """The paper's figure of each loss on the same data set with the same encoder.

    Args:
        records: Runs of one recipe, data set and encoder.
        shots: Number of shots of a few-shot task. Defaults to `None`, top-1.

    Returns:
        Figures in % by loss, with their interval where it has one; none where the paper does not
        have the data set with the encoder.

    Example:
    ```python
    about = {"loss": "ce", "seed": 0, "dataset": "cub200", "backbone": "vit_base"}
    paper_figures([Record(Path(), {}, about, [])])["clce"]  # "78.21"
    ```
    """
    wanted = {"table": 1, "shots": shots} if shots else {"table": 2}
    rows = paper_rows(dataset=records[0].dataset, encoder=records[0].backbone or "", **wanted)
    return {row["method"]: _accuracy(row) for row in rows}


def differences_from_paper(records: Sequence[Record]) -> list[str]:
    """What runs on one of the paper's data sets did not do as the paper.

    Args:
        records: Runs of one recipe, data set and encoder.

    Returns:
        One line each on encoder, weights, resolution, batch size, split, loss and tasks; none where
        all is alike, or a run does not say.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    differences_from_paper(records)[0]  # "encoder: vit_tiny; …"
    ```
    """
    encoder = records[0].backbone
    encoders = _encoders(paper_rows(dataset=records[0].dataset))
    found = []
    if encoder and encoder not in encoders:
        found.append(f"encoder: {encoder}; the paper has {_names(encoders)}")
    # What brings weights of its own is no encoder of the paper's, which is said.
    if encoder and ":" not in encoder and not encoder.endswith(".keras"):
        if None in _values(records, "weights"):
            found.append("weights: random; the paper's encoders are pre-trained")
    sizes = _values(records, "image_size") - {IMAGE_SIZE, None}
    if sizes:
        found.append(f"resolution: {_listed(sizes)} px; the paper has {IMAGE_SIZE} px")
    batches = _values(records, "batch_size") - {*BATCH_SIZES, None}
    if batches:
        found.append(f"batch size: {_listed(batches)} images; the paper has 64 and 128")
    found += [f"split: {difference}" for difference in _of_split(records)]
    clce = [record for record in records if record.loss == "clce"]
    for table, of, what in ((LOSS, clce, "loss"), (TASKS, records, "tasks")):
        for name, (symbol, value) in table.items():
            others = _values(of, name) - {value, None}
            if others:
                found.append(f"{what}: {symbol} {_listed(others)}; the paper has {value}")
    return found


def _of_split(records: Sequence[Record]) -> list[str]:
    spec = get_spec(cast(str, records[0].dataset))
    note = records[0].data
    found = []
    for pattern in (r"not the official [^;]*split", r"\d+ of \d+ classes present"):
        found += re.findall(pattern, note)
    for name, what in (
        ("limit_examples", "{} training images kept"),
        ("limit_per_class", "{} training images of each class kept"),
        ("drop_small_classes", "classes with fewer than {} images left out"),
    ):
        limits = _values(records, name) - {None}
        if limits:
            found.append(what.format(_listed(limits)))
    if spec.splits.test == "validation":
        found.append("tested on the validation split, since labels of the test split are hidden")
    if "seeded" in spec.splits.sizes:
        found.append("drawn with a seed, since the data set brings none")
    return found


def _values(records: Sequence[Record], name: str) -> set[Any]:
    return {record.settings[name] for record in records if name in record.settings}


def _listed(values: set[Any]) -> str:
    return ", ".join(f"{value:g}" for value in sorted(values))


def _accuracy(row: Mapping[str, Any]) -> str:
    half = f" ± {row['ci95']:.2f}" if "ci95" in row else ""
    return f"{row['accuracy']:.2f}{half}"


def _gain_in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """By how much CLCE is above cross-entropy in the paper's Tables 1 and 2."""
    clauses = []
    for shots in dict.fromkeys(row.get("shots") for row in rows if row["table"] < 3):
        of = {
            (row["encoder"], row["method"]): row["accuracy"]
            for row in rows
            if row["table"] < 3 and row.get("shots") == shots and row["encoder"]
        }
        gains = {
            encoder: of[encoder, "clce"] - of[encoder, "ce"]
            for encoder, method in of
            if method == "ce"
        }
        if not gains:
            continue
        at = f" in {shots}-shot tasks" if shots else " in top-1"
        low, high = min(gains.values()), max(gains.values())
        by = f"{low:+.2f}" if len(gains) == 1 else f"{low:+.2f} to {high:+.2f}"
        clauses.append(f"{by}{at}")
    return (
        f"In the paper CLCE minus cross-entropy is {' and '.join(clauses)} on this data set with "
        f"{_names(_encoders(rows))} (points; paired t-test, p < 0.01)."
    )


def _encoders(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name in dict.fromkeys(row["encoder"] for row in rows) if name]


def _names(encoders: Sequence[str]) -> str:
    *others, last = (ENCODERS[name] for name in encoders)
    return f"{', '.join(others)} and {last}" if others else last


def _caveat(rows: Sequence[Mapping[str, Any]]) -> str:
    if not any(row["table"] == 3 for row in rows):
        return ""
    return (
        "With BEiT-3 its figure of CLCE is of batches of 128 images and that of cross-entropy of "
        "64; its Table 3 has both sizes of both."
    )


def _table(dataset: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """The paper's rows, without the columns that none of them has."""
    columns = {
        "encoder": lambda row: ENCODERS.get(row["encoder"], "quoted"),
        "method": lambda row: row["method"],
        "batch": lambda row: str(row.get("batch_size", "")),
        "1-shot": lambda row: row.get(1, ""),
        "5-shot": lambda row: row.get(5, ""),
        "top-1": lambda row: row.get("top1", ""),
        "isotropy": lambda row: f"{row['isotropy']:.2f}" if "isotropy" in row else "",
        "table": lambda row: str(row["table"]),
    }
    few_shot = any("shots" in row for row in rows)
    merged: dict[tuple, dict] = {}
    for row in rows:
        key = tuple(row.get(name) for name in ("table", "encoder", "method", "batch_size"))
        one = merged.setdefault(key, dict(row))
        if "accuracy" in row:
            # Tables 3 and 4 are of 1-shot tasks.
            one[row.get("shots", 1 if few_shot else "top1")] = _accuracy(row)
    cells = [[cell(row) for cell in columns.values()] for row in merged.values()]
    shown = [number for number, _ in enumerate(columns) if any(row[number] for row in cells)]
    header = [[*columns][number] for number in shown]
    of = "median of 5-way tasks of novel classes ± 95 %" if few_shot else "test accuracy"
    caption = f"The paper's figures on {dataset} in %, {of} (arXiv 2402.14551)"
    return Table(caption, header, [[row[number] or "-" for number in shown] for row in cells])

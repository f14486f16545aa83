"""What a model card says of a run: data, weights, results, limits, and the software."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.data.catalog import get_spec
from keras_clce.data.spec import DatasetSpec
from keras_clce.evaluate import confidence_interval, wilson_interval
from keras_clce.files import printable_text
from keras_clce.models.registry import find_row
from keras_clce.report.few_shot_kinds import distinct_kinds
from keras_clce.report.names import count_of
from keras_clce.report.tables import percent
from keras_clce.report.transfer_tables import COLUMNS, COLUMNS_OF_LABELS
from keras_clce.runs import Record, RunFolder

_HUB, _HUB_SOURCE = "hf://", "hub:"
_BALANCED = ("balanced_accuracy", "balanced")


@dataclass(frozen=True)
class DataFacts:
    """What is known of the data of a run.

    Args:
        paragraphs: Sentences.
        licence: Terms of use, in words.
        hub_name: Its name on the hub, where it is known.

    Example:
    ```python
    DataFacts(["digits: 1,259 training images"], "CC BY 4.0", None)
    ```
    """

    paragraphs: list[str]
    licence: str
    hub_name: str | None


@dataclass(frozen=True)
class WeightsFacts:
    """What is known of the weights that training began with.

    Args:
        paragraph: A sentence.
        licence: Their licence, in words.
        base_model: Their name on the hub, where they come from it.

    Example:
    ```python
    WeightsFacts("Training began with random weights.", "weights: none but its own", None)
    ```
    """

    paragraph: str
    licence: str
    base_model: str | None


def escaped(text: str) -> str:
    r"""Write any text so that Markdown shows it as it is.

    Args:
        text: The text.

    Returns:
        The text in one line, with backslashes before what Markdown or HTML would read.

    Example:
    ```python
    escaped("red_fox, *new*")  # "red_fox, \\*new\\*"
    ```
    """
    line = " ".join(printable_text(text).split())
    # Within a word an underscore is read as itself.
    return re.sub(r"[\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", line)


def code(text: str) -> str:
    """Write a name as Markdown's code.

    Args:
        text: The name.

    Returns:
        The name between backticks, without any of its own.

    Example:
    ```python
    code("vit_tiny")  # "`vit_tiny`"
    ```
    """
    return "`{}`".format(" ".join(printable_text(text).split()).replace("`", "'"))


def data_facts(record: Record) -> DataFacts:
    """Data, split as it was really used, and terms of use.

    Args:
        record: The run.

    Returns:
        What the record and the catalog of data sets know.

    Example:
    ```python
    data_facts(record).hub_name  # "uoft-cs/cifar100"
    ```
    """
    spec = _known(record.dataset)
    split = f"The split that was really used: {escaped(record.data)}." if record.data else ""
    if spec is None:
        return DataFacts([split or "Not recorded."], "not recorded", None)
    if spec.num_classes is None:
        own = "Photographs of one's own, in folders of classes; whose they are is not recorded."
        return DataFacts([own, split], "not recorded: ask whoever took the photographs", None)
    about = f"{code(spec.name)}, {spec.num_classes} classes: {spec.homepage}"
    usual = f"The usual split of it: {spec.splits.sizes} (training / validation / test)."
    terms = f"{spec.licence} ({code(spec.name)}, {spec.homepage})"
    return DataFacts([about, " ".join((split, usual)).strip()], terms, spec.hub_name)


def weights_facts(record: Record) -> WeightsFacts:
    """Which weights training began with, and their licence.

    Args:
        record: The run, without folders in its settings.

    Returns:
        What the record and the tables of encoders know.

    Example:
    ```python
    weights_facts(record).paragraph  # "Training of `vit_tiny` began with random weights."
    ```
    """
    encoder, weights = record.backbone or "", record.settings.get("weights")
    row = find_row(encoder)
    start = f"Training of {code(encoder)} began with"
    if weights == "imagenet" and row is not None and row.weights.imagenet is not None:
        public = row.weights.imagenet
        terms = f"starting weights: {row.spec.licence} ({public.in_words()})"
        said = f"{start} public ImageNet weights, {public.in_words()}."
        return WeightsFacts(said, terms, _hub_name(public.address))
    if weights is not None:
        said = f"{start} the weights {code(weights)}."
        return WeightsFacts(
            said, f"starting weights: not recorded ({code(weights)})", _hub_name(weights)
        )
    if row is not None:
        said = f"{start} random weights."
        return WeightsFacts(said, "starting weights: none, it was trained from random ones", None)
    base = _hub_name(encoder.removeprefix(_HUB_SOURCE))
    said = f"{start} what that name brings: an encoder of another library, or of a file."
    return WeightsFacts(said, f"starting weights: not recorded ({code(encoder)})", base)


def seeds_of(record: Record, others: Sequence[Record]) -> list[Record]:
    """Runs that differ from a run in their seed alone, itself among them.

    Args:
        record: The run.
        others: Any runs.

    Returns:
        The runs by seed; the first of each.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    [run.seed for run in seeds_of(records[-1], records)]  # [0, 1, 2]
    ```
    """
    found = {record.seed: record}
    for other in others:
        if other.is_tested and _apart_from_seed(other) == _apart_from_seed(record):
            found.setdefault(other.seed, other)
    return [found[seed] for seed in sorted(found)]


def results(record: Record, seeds: Sequence[Record]) -> tuple[list[str], list[dict[str, Any]]]:
    """Results of a run with their intervals.

    Args:
        record: The run.
        seeds: What `seeds_of` gave.

    Returns:
        Paragraphs of Markdown; and type, name, value and split of each metric for the hub.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    results(records[-1], records[3:])[1][0]["metric_value"]  # 0.924
    ```
    """
    if not record.is_tested:
        share = record.validation
        known = "" if share is None else f" On validation images it was {100 * share:.2f} %."
        return [f"**The accuracy on test images is not known: they were not read.**{known}"], []
    several = record.is_multi_label
    own = f"this model, seed {record.seed}" + ("" if several else ", 95 % interval")
    over = f"mean of {count_of(len(seeds), 'seed')} ± 95 % interval"
    find = _few_shot_rows if record.is_few_shot else _transfer_rows
    rows, evaluations, note = find(record, seeds)
    header = ["in %" if several else "accuracy in %", own, *([over] if len(seeds) > 1 else [])]
    lines = [header, ["---"] * len(header), *(row[: len(header)] for row in rows)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    if len(seeds) > 1:
        numbers = ", ".join(str(run.seed) for run in seeds)
        note += (
            f" The interval over seeds is Student's, of runs that differ in their seed alone "
            f"({numbers}), so that it tells of training anew."
        )
    else:
        note += " One seed alone was run, so that nothing is known of training anew."
    return [table, note], evaluations


def limit_facts(
    record: Record, seeds: Sequence[Record], temperature: float | None = None
) -> list[str]:
    """What the model cannot do, and what its results do not say.

    Args:
        record: The run.
        seeds: What `seeds_of` gave.
        temperature: Of the softmax, where the model was calibrated. Defaults to `None`.

    Returns:
        Sentences.

    Example:
    ```python
    limit_facts(record, [record])[-1]  # "It is a result of one seed: another one may give …"
    ```
    """
    limits = []
    if record.is_few_shot:
        limits.append(
            "Its classifier knows the base classes, that it was trained on, alone; the results are "
            "of new classes, which a classifier on its embeddings is fitted to."
        )
    elif (record.folder / "probe.npz").is_file():
        limits.append(
            "The loss trains no classifier: the results are of a linear probe of the embeddings, "
            "which the run keeps apart. Use its embeddings; its probabilities say nothing."
        )
    limits += [
        "A photograph of anything else may get some of its labels too."
        if record.is_multi_label
        else "A photograph of anything else gets one of its classes too. Low probabilities are a "
        "hint, no proof.",
        "The results hold for images like those of its data; other cameras, places, groups of "
        "people or qualities may give others, and nothing here has measured that.",
        "A probability of 80 % need not be right in 80 of 100 cases: it was not calibrated."
        if temperature is None
        else f"Its probabilities are calibrated, by a temperature of {temperature:.3g}, for images "
        "like those that this was fitted to.",
    ]
    if record.quick:
        limits.append("It is of a quick run: the results say nothing of the loss.")
    if len(seeds) == 1:
        limits.append("It is a result of one seed: another one may give more or less.")
    return limits


def environment_facts(record: Record) -> str:
    """Software and time of a run.

    Args:
        record: The run.

    Returns:
        A paragraph.

    Example:
    ```python
    environment_facts(record)  # "It was trained in … with …"
    ```
    """
    try:
        config = RunFolder(record.folder).begun() or {}
    except ValueError:
        config = {}
    versions = config.get("versions")
    versions = versions if isinstance(versions, dict) else {}
    backend = record.settings.get("backend")
    names = [name for name in ("keras", backend, "numpy") if name in versions]
    software = ", ".join(f"{name} {versions[name]}" for name in names) or "software not recorded"
    if backend is not None and backend not in versions:
        software += f", backend {backend}"
    commit = config.get("commit")
    software += f", keras_clce at commit `{str(commit)[:12]}`" if commit else ""
    seconds = record.metrics.get("seconds")
    time = "a time that is not recorded" if seconds is None else _duration(seconds)
    best = (record.metrics.get("validation") or {}).get("best_epoch")
    epoch = "" if best is None else f" Validation picked epoch {best}."
    return f"It was trained in {time} with {software}; seed {record.seed}.{epoch}"


def _known(dataset: str | None) -> DatasetSpec | None:
    try:
        return get_spec(dataset or "")
    except ValueError:
        return None


def _hub_name(address: str) -> str | None:
    return address.removeprefix(_HUB) if address.startswith(_HUB) else None


def _apart_from_seed(record: Record) -> tuple[Any, ...]:
    settings = {key: value for key, value in record.settings.items() if key != "seed"}
    about = (record.loss, record.label, record.quick, record.data, record.backbone)
    return (*about, json.dumps(settings, sort_keys=True))


def _transfer_rows(
    record: Record, seeds: Sequence[Record]
) -> tuple[list[list[str]], list[dict[str, Any]], str]:
    test = record.metrics["test"]
    rows, evaluations, count = [], [], test["examples"]
    several = record.is_multi_label
    for key, title in COLUMNS_OF_LABELS if several else (*COLUMNS, _BALANCED):
        share = test.get(key)
        if share is None:
            continue
        values = [run.metrics["test"].get(key) for run in seeds]
        mean = "-" if None in values else percent(np.mean(values), confidence_interval(values))
        # A mean over classes is no share of images.
        is_mean = several or key == _BALANCED[0]
        own = percent(share, np.nan) if is_mean else _wilson(share, count)
        rows.append([title, own, mean])
        evaluations.append(_evaluation(title if several else f"{title} accuracy", share))
    if several:
        note = (
            f"On the {count:,} images of the test split, which was read once. mAP is the mean over "
            "labels of the average precision; F1 takes a label from a probability of 50 % on."
        )
        return rows, evaluations, note
    note = (
        f"On the {count:,} images of the test split, which was read once. The interval of this "
        "model is Wilson's, of so many images; 1-NN finds the nearest training image by the "
        "embedding."
    )
    return rows, evaluations, note


def _few_shot_rows(
    record: Record, seeds: Sequence[Record]
) -> tuple[list[list[str]], list[dict[str, Any]], str]:
    rows, evaluations = [], []
    tasks = record.metrics["few_shot"]
    for kind, _ in distinct_kinds([record], lambda key: tasks[key]["mean"]):
        values = [run.metrics["few_shot"].get(kind.name, {}).get("mean") for run in seeds]
        mean = "-" if None in values else percent(np.mean(values), confidence_interval(values))
        found = tasks[kind.name]
        title = f"{kind.tasks}, {kind.classified}"
        if len({result["classifier"] for result in tasks.values()}) > 1:
            title += f", {kind.classifier}"
        rows.append([title, percent(found["mean"], found["ci95"]), mean])
        evaluations.append(_evaluation(f"{title}: accuracy", found["mean"]))
    first = next(iter(tasks.values()))
    note = (
        f"On {first['tasks']:,} tasks of classes that it was not trained on, with "
        f"{first['queries']} images of each class to be classified. The interval of this model is "
        "over tasks."
    )
    return rows, evaluations, note


def _evaluation(name: str, share: float) -> dict[str, Any]:
    return {
        "metric_type": "accuracy",
        "metric_name": name,
        "metric_value": round(share, 4),
        "dataset_split": "test",
    }


def _wilson(share: float, count: int) -> str:
    low, high = wilson_interval(round(share * count), count)
    return f"{100 * share:.2f} ({100 * low:.2f} to {100 * high:.2f})"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"

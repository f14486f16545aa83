"""The model card of a run: `README.md` with the metadata that Hugging Face's hub reads."""

import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_clce.checks import import_module
from keras_clce.files import printable_text, write_atomically
from keras_clce.report.model_card_facts import (
    data_facts,
    environment_facts,
    escaped,
    limit_facts,
    results,
    seeds_of,
    weights_facts,
)
from keras_clce.report.names import run_title
from keras_clce.runs import Record
from keras_clce.train.presets import CARD, CONFIG, usage

if TYPE_CHECKING:
    from keras_clce.train import CLCEModel

UNKNOWN = "unknown"
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]*")
_SHOWN_SETTINGS = (
    *("loss", "contrastive_weight", "temperature", "hardness", "image_size", "augmentation"),
    *("batch_size", "epochs", "optimizer", "learning_rate", "weight_decay", "freeze_backbone"),
)
_SHOWN_CLASSES = 200
_CITATION = """@misc{long2024clce,
  title = {{CLCE}: An Approach to Refining Cross-Entropy and Contrastive Learning for Optimized
           Learning Fusion},
  author = {Long, Zijun and Killick, George and Zhuang, Lipeng and Aragon-Camarasa, Gerardo and
            Meng, Zaiqiao and McCreadie, Richard},
  year = {2024},
  eprint = {2402.14551},
  archivePrefix = {arXiv}
}"""


def model_card(
    record: Record,
    siblings: Sequence[Record] = (),
    model: "CLCEModel | None" = None,
    licence: str = UNKNOWN,
    name: str | None = None,
    path: str = "model.keras",
    command: Callable[[Record], str] | None = None,
) -> str:
    """Write a model card from the record of a run.

    Folders of the machine that the run was made on are left out.

    Args:
        record: The run whose model is described.
        siblings: Other runs, among which those that differ in their seed alone give the interval
            over seeds. Defaults to none.
        model: Its model, which knows its classes and its size. Defaults to `None`: not told of.
        licence: The licence that the model is passed on under, as the hub abbreviates it, such as
            `"cc-by-4.0"`. Defaults to `"unknown"`.
        name: What the model is called. Defaults to `None`: data set, encoder and loss.
        path: What the lines of Python that use the model load. Defaults to `"model.keras"`.
        command: Gives the command that makes a run again. Defaults to `None`, which leaves it out.

    Returns:
        Markdown, with YAML at its head.

    Raises:
        ImportError: If `huggingface_hub` is not installed.
        ValueError: If `licence` is no abbreviation.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    card = model_card(records[-1], records, licence="cc-by-4.0")
    card.splitlines()[:3]  # ["---", "library_name: keras", "license: cc-by-4.0"]
    ```
    """
    if not isinstance(licence, str) or not _LICENCE.fullmatch(licence):
        raise ValueError(
            "`licence` must be an abbreviation of the hub, such as 'apache-2.0', 'cc-by-4.0', "
            f"'other' or 'unknown'. Received: licence={licence!r}"
        )
    record = without_folders(record)
    seeds = seeds_of(record, [without_folders(one) for one in siblings])
    name = name or "-".join(_parts_of_name(record))
    rows, evaluations = results(record, seeds)
    temperature = None if model is None else model.softmax_temperature
    data, weights = data_facts(record), weights_facts(record)
    head = _metadata(record, name, licence, data.hub_name, weights.base_model, evaluations)
    parts = [
        f"---\n{head}---",
        f"# {escaped(name)}",
        _about(record, model),
        "## How to use it",
        _usage(record, path),
        "## Data",
        *data.paragraphs,
        "## Licence",
        _licence(licence, data.licence, weights.licence),
        "## Results",
        *rows,
        "## Limits",
        "\n".join(f"- {limit}" for limit in limit_facts(record, seeds, temperature)),
        "## Training",
        weights.paragraph,
        _settings(record),
        environment_facts(record),
        *_again(record, command),
        *_classes(model),
        "## Citation",
        f"```bibtex\n{_CITATION}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_model_card(
    record: Record,
    output: str | Path | None = None,
    preset: str | Path | None = None,
    **options: Any,
) -> Path:
    """Write the model card of a run to a file, or with its model to a folder to be shared.

    Args:
        record: As in `model_card`.
        output: The file. Defaults to `None`: `README.md` in the folder of the preset, else of the
            run.
        preset: Folder that gets the model too, by `CLCEModel.save_to_preset`. Defaults to `None`,
            the card alone.
        **options: Further arguments of `model_card`.

    Returns:
        The card's path.

    Raises:
        ImportError: If `huggingface_hub` is not installed.
        ValueError: If an argument is wrong, or a preset is asked for without a model.

    Example:
    ```python
    write_model_card(folder.record(), "README.md")
    Path("README.md").read_text().splitlines()[1]  # "library_name: keras"
    ```
    """
    if preset is not None and options.get("model") is None:
        raise ValueError(
            "`preset` must be None where there is no model to be saved. Received: "
            f"preset={printable_text(preset)!r}"
        )
    if preset is not None:
        options = {"path": Path(preset).resolve().name, **options}
    card = model_card(record, **options)
    if preset is not None:
        options["model"].save_to_preset(preset, card)
        if output is None:
            return Path(preset) / CARD
    path = record.folder / CARD if output is None else Path(output)
    if not path.parent.is_dir() or path.is_dir():
        raise ValueError(
            "`output` must be a file in a folder that is there. Received: "
            f"output={printable_text(path)!r}"
        )
    write_atomically(path, lambda to: to.write_text(card, encoding="utf-8"))
    return path


def without_folders(record: Record) -> Record:
    """A record whose settings name files without the folders that they were in.

    Args:
        record: The record of a run.

    Returns:
        Another record; addresses and names of encoders stay.

    Example:
    ```python
    changed = dataclasses.replace(record, settings={"weights": "mine/vit.safetensors"})
    without_folders(changed).settings  # {"weights": "vit.safetensors"}
    ```
    """
    settings = {key: _without_folder(value) for key, value in record.settings.items()}
    metrics = {key: _without_folder(value) for key, value in record.metrics.items()}
    data = {"data": record.metrics["data"]} if "data" in record.metrics else {}
    return dataclasses.replace(record, settings=settings, metrics={**metrics, **data})


def _without_folder(value: Any) -> Any:
    if not isinstance(value, str) or "://" in value or not re.search(r"[/\\]", value):
        return value
    # Of an encoder of another library, such as hub:FOLDER.
    source = re.match(r"(?:app|hub|zero):", value)
    return (source[0] if source else "") + re.split(r"[/\\]", value.rstrip("/\\"))[-1]


def _parts_of_name(record: Record) -> list[str]:
    encoder = re.sub(r"^\w+:|\.keras$", "", record.backbone or "model")
    return [part for part in (record.dataset, encoder.rpartition("/")[2], record.loss) if part]


def _metadata(
    record: Record,
    name: str,
    licence: str,
    dataset: str | None,
    base_model: str | None,
    evaluations: list[dict[str, Any]],
) -> str:
    hub = import_module("huggingface_hub", "A model card", "huggingface_hub")
    about = {"dataset_type": record.dataset or UNKNOWN, "dataset_name": record.dataset or UNKNOWN}
    found = [
        hub.EvalResult(task_type="image-classification", **about, **one) for one in evaluations
    ]
    data = hub.ModelCardData(
        license=licence,
        library_name="keras",
        pipeline_tag="image-classification",
        tags=["keras-clce", "image-classification", record.loss],
        datasets=[dataset] if dataset else None,
        base_model=base_model,
        # Results are some model's.
        model_name=name if found else None,
        eval_results=found or None,
    )
    return data.to_yaml() + "\n"


def _about(record: Record, model: "CLCEModel | None") -> str:
    text = (
        f"An image classifier: {escaped(run_title(record))}, trained with the loss `{record.loss}` "
        "by the Python package keras_clce, for any backend of Keras 3."
    )
    if model is not None:
        view = model.preprocessing
        size = f", and sees {view.image_size} x {view.image_size} pixels" if view else ""
        text += (
            f" It has {model.count_params():,} parameters and {model.num_classes} classes{size}."
        )
    if record.quick:
        text += " **It is of a quick run, which tries the program and trains next to nothing.**"
    return text


def _usage(record: Record, path: str) -> str:
    what = "this folder" if not path.endswith(".keras") else "this file"
    where = f"With {what} in the working directory, or its path instead of its name"
    if not path.endswith(".keras"):
        where += ' (`"hf://OWNER/NAME"` where it lies on the Hugging Face hub)'
    return f"{where}:\n\n```python\n{usage(path)}\n```"


def _licence(licence: str, data: str, weights: str) -> str:
    if licence == UNKNOWN:
        own = "**Nobody has said under which licence this model may be passed on.**"
    else:
        own = f"This model is passed on under `{licence}`."
    return f"{own} What it was made from has terms of its own:\n\n- data: {data}\n- {weights}"


def _settings(record: Record) -> str:
    chosen = {key: record.settings[key] for key in _SHOWN_SETTINGS if key in record.settings}
    lines = [f"| {key} | {_in_words(value)} |" for key, value in chosen.items()]
    table = "\n".join(["| setting | value |", "|---|---|", *lines])
    rest = json.dumps(record.settings, indent=2, ensure_ascii=False)
    return (
        f"{table}\n\n<details>\n<summary>All settings</summary>\n\n```json\n{rest}\n```\n\n"
        "</details>"
    )


def _again(record: Record, command: Callable[[Record], str] | None) -> list[str]:
    if command is None:
        return []
    return [
        "The run is made again, where the data and files of weights are, by",
        f"```sh\n{command(record)}\n```",
    ]


def _classes(model: "CLCEModel | None") -> list[str]:
    if model is None or model.class_names is None:
        return []
    names = [escaped(name) for name in model.class_names[:_SHOWN_CLASSES]]
    more = len(model.class_names) - len(names)
    rest = f" and {more} more, which `{CONFIG}` has" if more > 0 else ""
    return ["## Classes", ", ".join(names) + rest]


def _in_words(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return escaped(value if isinstance(value, str) else json.dumps(value))

"""What runs were made with: settings that differ, software, time, and how to make them again."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_clce.report.blocks import Block, Code, Details, Table, Text
from keras_clce.report.few_shot_tables import FROZEN
from keras_clce.report.names import by_name, count_of
from keras_clce.runs import RunFolder
from keras_clce.runs.record import Record

Command = Callable[[Record], str]
_BACKENDS = ("tensorflow", "jax", "torch")


def settings_table(records: Sequence[Record]) -> Table | None:
    """The settings in which runs differ, beside loss and seed.

    Args:
        records: Runs of one recipe, data set and encoder.

    Returns:
        One row a name of runs, one column a setting; `None` where none differs.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    settings_table(records)  # None
    ```
    """
    # The encoder before training has no settings of training.
    records = [record for record in records if record.loss != FROZEN]
    recorded = dict.fromkeys(key for record in records for key in record.settings)
    keys = [
        key
        for key in recorded
        if key not in ("loss", "seed")
        and len({_in_words(record.settings, key) for record in records}) > 1
    ]
    if not keys:
        return None
    rows = []
    for name, group in by_name(records).items():
        cells = [dict.fromkeys(_in_words(run.settings, key) for run in group) for key in keys]
        rows.append([str(name), *(" / ".join(values) for values in cells)])
    return Table("Settings that differ between these runs", ["loss", *keys], rows)


def runs_details(records: Sequence[Record], command: Command | None = None) -> Details:
    """All runs with their results, software and time, and the commands that make them again.

    Args:
        records: Runs of one recipe, data set and encoder.
        command: Gives the command of a run. Defaults to `None`, no commands.

    Returns:
        What stands folded on the page.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    runs_details(records).summary  # "6 runs: results, software and time"
    ```
    """
    header = ["run", "test", "validation", "epoch", "minutes", "backend", "Keras", "commit"]
    rows = []
    for record in records:
        config = RunFolder(record.folder).begun() or {}
        backend, keras, commit = _software(record, config)
        validation = record.metrics.get("validation") or {}
        rows.append(
            [
                record.folder.name,
                _tested(record),
                "-" if record.validation is None else f"{100 * record.validation:.2f}",
                str(validation.get("best_epoch", "-")),
                f"{record.metrics['seconds'] / 60:.1f}" if "seconds" in record.metrics else "-",
                *(backend, keras, commit),
            ]
        )
    seconds = sum(record.metrics.get("seconds", 0) for record in records)
    test = "first kind of few-shot tasks" if records[0].is_few_shot else records[0].measure[1]
    measured = "" if records[0].is_multi_label else "accuracy "
    caption = (
        f"The runs: {measured}in % ({test} on the test split, and on the validation split at the "
        f"epoch that is kept), {seconds / 3600:.1f} hours of training in all"
    )
    blocks: list[Block] = [Table(caption, header, rows)]
    what = "results, software and time"
    if command is not None:
        what += ", and the commands that make them again"
        blocks.append(
            Text(
                "Each command makes one run again; only what differs from the defaults is named. "
                "Where the data stand is not recorded: add `--data_dir`."
            )
        )
        blocks.append(Code("\n\n".join(command(record) for record in records)))
    return Details(f"{count_of(len(records), 'run')}: {what}", blocks)


def _software(record: Record, config: Mapping[str, Any]) -> tuple[str, str, str]:
    versions = config.get("versions")
    versions = versions if isinstance(versions, dict) else {}
    backend = record.settings.get("backend") or config.get("backend") or "-"
    if backend in _BACKENDS and backend in versions:
        backend = f"{backend} {versions[backend]}"
    return str(backend), str(versions.get("keras", "-")), str(config.get("commit") or "-")[:7]


def _tested(record: Record) -> str:
    if record.is_few_shot:
        first = next(iter(record.metrics["few_shot"].values()))
        return f"{100 * first['mean']:.2f}"
    return f"{100 * record.metrics['test'][record.measure[0]]:.2f}"


def _in_words(settings: Mapping[str, Any], key: str) -> str:
    if key not in settings:
        return "not recorded"
    value = settings[key]
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""The command that makes a run again, from what the run has left behind."""

import shlex

from keras_clce.experiments.flag_file import flag_lines
from keras_clce.experiments.settings import fields
from keras_clce.experiments.settings_json import settings_from_json, unchecked
from keras_clce.runs import Record

_WIDTH = 92


def command_of(record: Record) -> str:
    """The command that makes a run again, with what differs from the defaults.

    Args:
        record: The record of the run.

    Returns:
        Lines for a shell, of which comments say what an earlier version has not recorded. Where the
        data stand is not recorded either, so that `--data_dir` is for whoever runs it.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    command_of(records[-1])  # "KERAS_BACKEND=jax python recipes/transfer.py --losses=clce …"
    ```
    """
    protocol = "few_shot" if record.is_few_shot else "transfer"
    is_frozen = record.loss == "frozen"
    # Of an encoder before training, what training reads decides nothing.
    unread = {"place", "training"} if is_frozen else {"place"}
    wanted = {
        name
        for name, field in fields().items()
        if field.about.part not in unread and field.about.protocol in (None, protocol)
    }
    found = {name: value for name, value in record.settings.items() if name in wanted}
    settings = vars(settings_from_json(found)) | {
        "dataset": record.dataset or found.get("dataset"),
        "loss": "ce" if is_frozen else record.loss,
        "label": record.label,
    }
    loss, *others = flag_lines(unchecked(settings), protocol == "few_shot" and not is_frozen)
    flags = ["--frozen"] * is_frozen + [loss, f"--seeds={record.seed}", *others]
    comments = []
    missing = wanted - {*record.settings, "loss", "seed"}
    if missing:
        # An earlier version did not have them.
        names = ", ".join(name for name in fields() if name in missing)
        comments.append(f"# Not recorded, so that today's defaults stand: {names}")
    backend = record.settings.get("backend")
    start = f"KERAS_BACKEND={backend} " if backend else ""
    return "\n".join(
        [*comments, _folded([f"{start}python recipes/{protocol}.py", *map(shlex.quote, flags)])]
    )


def _folded(parts):
    """A command in lines of a width, where its parts allow that."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) > _WIDTH:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {part}"
    return "\n".join(lines)

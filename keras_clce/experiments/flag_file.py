"""Settings as a file of flags, which the recipes take by `--flagfile`."""

from collections.abc import Mapping
from typing import Any

from keras_clce.experiments.fitted import fit_projection
from keras_clce.experiments.settings import Settings, fields

# Where a run goes and what it runs on is for whoever runs it.
_OWN = (
    *("output_dir", "log", "verbose", "seed"),
    *("num_devices", "coordinator_address", "num_processes", "process_id"),
)


def flag_lines(settings: Settings, is_few_shot: bool = False) -> list[str]:
    """Flags of a recipe that trains some settings.

    Args:
        settings: The settings of one loss.
        is_few_shot: Whether they are of a few-shot study. Defaults to `False`.

    Returns:
        One flag a line: the loss, the data set, and what differs from the defaults of `Settings`.

    Example:
    ```python
    flag_lines(Settings(loss="clce", temperature=0.5, strict=True))
    # ["--losses=clce", "--dataset=digits", "--strict", "--temperature=0.5"]
    ```
    """
    lines = [f"--losses={settings.loss}", f"--dataset={settings.dataset}"]
    for name, field in fields().items():
        value = getattr(settings, name)
        if name in ("loss", "dataset", *_OWN) or value == field.default:
            continue
        if field.kind.type is bool:
            lines.append(f"--{name}" if value else f"--no{name}")
        else:
            lines.append(f"--{name}={_text(value)}")
    if is_few_shot:
        changed = [n for n, field in fields().items() if getattr(settings, n) != field.default]
        if fit_projection(settings, [], changed) != settings:
            lines.append("--embedding_dim=none")  # of the study's own choice
    return lines


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ",".join(f"{name}={item}" for name, item in value.items())
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

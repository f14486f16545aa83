"""Files that do not hold what was written to them, and what can be done then."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any


def read_object(
    path: Path, kinds: Callable[[dict], Mapping[str, Any]], advice: str
) -> dict[str, Any] | None:
    """Read a JSON object, and refuse one that lacks an entry or has one of another type.

    Args:
        path: The file.
        kinds: Gives the types of the entries, nested as they are, from the object itself.
        advice: What to do about a damaged file.

    Returns:
        The object, or `None` where there is no file.

    Raises:
        ValueError: If the file is damaged.

    Example:
    ```python
    read_object(Path("config.json"), lambda config: {"settings": dict}, "Bring it back")
    ```
    """
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_bytes())
        # What is no object lacks all entries.
        wrong = ", ".join(misfits(value, kinds(value if isinstance(value, dict) else {})))
    except (ValueError, TypeError, RecursionError) as error:
        wrong = str(error)
    if wrong:
        raise ValueError(f"{path} is damaged ({wrong}). {advice}")
    return value


def misfits(value: Any, kinds: Mapping[str, Any]) -> Iterator[str]:
    """Name what an object lacks, and what has another type.

    Args:
        value: What should be an object with these entries.
        kinds: Type of each entry, or the types of its own entries.

    Yields:
        One remark per entry that does not fit.

    Example:
    ```python
    list(misfits({"seed": "0"}, {"seed": int, "loss": str}))  # ["seed='0'", "loss is missing"]
    ```
    """
    for key, kind in kinds.items():
        if not isinstance(value, dict) or key not in value:
            yield f"{key} is missing"
        elif isinstance(kind, dict):
            yield from misfits(value[key], kind)
        elif not isinstance(value[key], kind) or not _is_finite(value[key]):
            yield f"{key}={value[key]!r}"


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def damaged_arrays(path: Path, error: Exception) -> ValueError:
    """The error of a file of arrays that a run wrote before its `metrics.json`.

    Args:
        path: The file.
        error: What reading it raised.

    Returns:
        An error that says what to do.

    Example:
    ```python
    str(damaged_arrays(Path("ce-seed0/few_shot.npz"), KeyError("5w1s")))
    # "ce-seed0/few_shot.npz is damaged (KeyError: '5w1s'). Delete it and metrics.json, …"
    ```
    """
    advice = how_to_make_again(path.parent, with_metrics=True)
    return ValueError(f"{path} is damaged ({type(error).__name__}: {error}). {advice}")


def how_to_make_again(folder: Path, with_metrics: bool = False) -> str:
    """How a damaged file of a run comes back.

    Args:
        folder: The run's folder.
        with_metrics: Whether `metrics.json` has to go too, as it is written after the damaged
            file. Defaults to `False`.

    Returns:
        The advice. A finished run keeps no checkpoint unless that was asked for.

    Example:
    ```python
    how_to_make_again(Path("runs/transfer/digits/small_resnet/ce-seed0"))
    # "Delete it and pass --resume: no checkpoint is left, so the run is made anew"
    ```
    """
    files, they = ("it and metrics.json,", "both") if with_metrics else ("it", "it")
    checkpoint = folder / "checkpoint"
    if checkpoint.is_dir() and any(checkpoint.iterdir()):
        return f"Delete {files} and pass --resume: the checkpoint gives {they} again"
    return f"Delete {files} and pass --resume: no checkpoint is left, so the run is made anew"

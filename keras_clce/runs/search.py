"""All runs below a folder."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_clce.runs.record import Record
from keras_clce.runs.run_folder import RunFolder


def find_records(folder: Path) -> tuple[list[Record], list[tuple[Path, str]]]:
    """Read every finished run below a folder, and say why others are left out.

    Links to folders are followed. What other programs have written under the names of a run's files
    is passed over.

    Args:
        folder: The folder; may be a run's own.

    Returns:
        The records in the order of their paths, and path and reason of each run that has not
        finished or is damaged. A reason names the path.

    Example:
    ```python
    records, left_out = find_records(Path("runs"))
    ```
    """
    records, left_out = [], []
    for path in sorted(filter(_is_run, _folders(Path(folder)))):
        run = RunFolder(path)
        try:
            record = run.record()
            if record is None:
                left_out.append((path, f"not finished: {path}{_progress(run)}"))
            else:
                records.append(record)
        except ValueError as error:
            left_out.append((path, str(error)))
    return records, left_out


def _folders(top: Path) -> Iterator[Path]:
    """A folder and all below it, each once, whatever links lead to it."""
    seen: set[str] = set()
    starts = [str(top)]
    while starts:
        links: list[str] = []
        for start in starts:
            for path, names, _ in os.walk(start):
                real = os.path.realpath(path)
                if real in seen:
                    names.clear()
                    continue
                seen.add(real)
                yield Path(path)
                below = (os.path.join(path, name) for name in sorted(names))
                links += [place for place in below if os.path.islink(place)]
        # After all that stands here, so that a run keeps its own place rather than a link's.
        starts = links


def _is_run(folder: Path) -> bool:
    """Whether a run has left its files here, be they damaged; models have a `config.json` too."""
    run = RunFolder(folder)
    config, metrics = _content(run.config), _content(run.metrics)
    # What cannot be read cannot be told from a run's.
    if not isinstance(config, dict) or {"settings", "data"} & {*config}:
        return True
    return isinstance(metrics, dict) and {"loss", "seed"} <= {*metrics}


def _content(path: Path) -> Any:
    """What a file of JSON holds: nothing where there is none, `None` where it cannot be read."""
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None


def _progress(run: RunFolder) -> str:
    done, settings = len(run.read_history()), (run.begun() or {"settings": {}})["settings"]
    epochs = 1 if settings.get("quick") else settings.get("epochs")
    if not isinstance(epochs, int):
        return ""
    if done >= epochs:
        return ", trained but not tested"
    return f", {done} of {epochs} {'epoch' if epochs == 1 else 'epochs'} done"

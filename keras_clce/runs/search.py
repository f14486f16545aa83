"""All runs below a folder."""

from pathlib import Path

from keras_clce.runs.record import Record
from keras_clce.runs.run_folder import RunFolder


def find_records(folder: Path) -> tuple[list[Record], list[tuple[Path, str]]]:
    """Read every finished run below a folder, and say why others are left out.

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
    for path in sorted({file.parent for file in Path(folder).rglob("config.json")}):
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


def _progress(run: RunFolder) -> str:
    done, settings = len(run.read_history()), (run.begun() or {"settings": {}})["settings"]
    epochs = 1 if settings.get("quick") else settings.get("epochs")
    if not isinstance(epochs, int):
        return ""
    if done >= epochs:
        return ", trained but not tested"
    return f", {done} of {epochs} {'epoch' if epochs == 1 else 'epochs'} done"

"""What runs are called in tables, pictures and sentences."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_clce.runs.record import Record, run_name

# A record, or the content of a run's `metrics.json` alone.
Run = Record | Mapping[str, Any]


class Name(NamedTuple):
    """Name of a run without its seed, in parts.

    Args:
        loss: Name of its loss.
        variant: What else tells it from others: the label of its settings, or what differs in them.
        quick: Whether it was a quick run.

    Example:
    ```python
    str(Name("clce", "tuned", False))  # "clce, tuned"
    ```
    """

    loss: str
    variant: str
    quick: bool

    def __str__(self) -> str:
        return run_name({"loss": self.loss, "label": self.variant, "quick": self.quick})


def as_record(run: Run, home: Path = Path()) -> Record:
    """Bring a run to a record.

    Args:
        run: A record, or the content of a run's `metrics.json`.
        home: Folder that the run's own folder stands in. Defaults to the current one.

    Returns:
        The record; of metrics alone, one without history.

    Example:
    ```python
    as_record({"loss": "ce", "seed": 0}).name  # "ce"
    ```
    """
    if isinstance(run, Record):
        return run
    folder = (home / str(run.get("accuracies", "."))).parent
    return Record(folder, run.get("settings", {}), dict(run), [])


def by_name(records: Iterable[Record]) -> dict[Name, list[Record]]:
    """Group records that differ in their seed alone.

    Where those of one loss and label differ in something else, their names say in what.

    Args:
        records: The records of one table or picture.

    Returns:
        Name to its records, in the order of the first of each.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    {str(name): [record.seed for record in group] for name, group in by_name(records).items()}
    # {"ce": [0, 1, 2], "clce": [0, 1, 2]}
    ```
    """
    records = list(records)
    groups: dict[Name, list[Record]] = {}
    for record in records:
        groups.setdefault(_name(record), []).append(record)
    differing = {name: _differing(group) for name, group in groups.items()}
    named: dict[Name, list[Record]] = {}
    for record in records:
        name = _name(record)
        values = (f"{key}={record.settings.get(key)}" for key in differing[name])
        variant = ", ".join(filter(None, (name.variant, *values)))
        named.setdefault(name._replace(variant=variant), []).append(record)
    return named


def baseline_of(name: Name, names: Iterable[Name], baseline: str) -> Name | None:
    """Find what a run is compared with: the baseline without label, else that of its own label.

    Where there is neither, it is the baseline that shares the most of its settings, of which none
    is another than the run's own.

    Args:
        name: Name of the run.
        names: All names of the table.
        baseline: Loss of the baseline.

    Returns:
        Name of the baseline, of a quick run for a quick one; `None` where there is none, or more
        than one that shares as much, or the run is the baseline itself.

    Example:
    ```python
    names = [Name("ce", "", False), Name("clce", "tuned", False)]
    str(baseline_of(names[1], names, "ce"))  # "ce"
    ```
    """
    for variant in ("", name.variant):
        found = Name(baseline, variant, name.quick)
        if found in names:
            return None if found == name else found
    own = _parts(name)
    sharing = [
        one
        for one in names
        if (one.loss, one.quick) == (baseline, name.quick) and _parts(one) < own
    ]
    most = max((len(_parts(one)) for one in sharing), default=0)
    nearest = [one for one in sharing if len(_parts(one)) == most]
    return nearest[0] if len(nearest) == 1 else None


def _parts(name: Name) -> set[str]:
    """Label and settings of a name; a value with a comma in it is several, alike in all names."""
    return {*name.variant.split(", ")}


def run_title(run: Run) -> str:
    """Title of pictures of a run, and of others beside it: its data set and its encoder.

    Args:
        run: A record, or the content of a run's `metrics.json`.

    Returns:
        The title, such as `"digits, small_resnet"`, with `"quick run"` after it where it was one;
        of an encoder from a file, the file's name.

    Example:
    ```python
    run_title({"dataset": "digits", "backbone": "encoders/tiny.keras"})  # "digits, tiny.keras"
    ```
    """
    metrics = run.metrics if isinstance(run, Record) else run
    encoder = metrics.get("backbone") or ""
    encoder = Path(encoder).name if encoder.endswith(".keras") else encoder
    quick = "quick run" if metrics.get("quick") else ""
    return ", ".join(filter(None, (metrics.get("dataset"), encoder, quick)))


def count_of(number: int, thing: str, things: str | None = None) -> str:
    """A number of things in words.

    Args:
        number: How many.
        thing: What one is called.
        things: What several are called. Defaults to `thing` with an s.

    Returns:
        Such as `"1 task"` or `"3 tasks"`.

    Example:
    ```python
    count_of(15, "query", "queries")  # "15 queries"
    ```
    """
    return f"{number} {thing if number == 1 else things or thing + 's'}"


def _name(record: Record) -> Name:
    return Name(record.loss, record.label or "", record.quick)


def _differing(group: Sequence[Record]) -> list[str]:
    """Settings in which records of one seed differ, or records that all have them."""
    by_seed: dict[int | None, list[Record]] = {}
    for record in group:
        by_seed.setdefault(record.metrics.get("seed"), []).append(record)
    together = [records for records in by_seed.values() if len(records) > 1]
    keys = dict.fromkeys(key for record in group for key in record.settings if key != "seed")
    # What one version does not record does not keep seeds apart.
    compared = {
        key: [*together, group] if all(key in record.settings for record in group) else together
        for key in keys
    }
    return [
        key
        for key, parts in compared.items()
        if any(len({str(one.settings.get(key)) for one in records}) > 1 for records in parts)
    ]

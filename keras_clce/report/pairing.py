"""Runs of two folders that belong together: the same settings, loss and seed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_clce.report.names import Name, by_name
from keras_clce.runs.record import Record

# Named on their own, or no settings of the training.
_APART = ("loss", "seed", "dataset", "backbone", "quick")


@dataclass(frozen=True)
class Pairing:
    """Runs of two folders on one data set with one encoder.

    Args:
        pairs: Runs of both folders with the same settings and seed.
        alone: Runs that have no partner, or more than one.
        differing: What all runs of a loss have in one folder and none in the other, in words.

    Example:
    ```python
    Pairing([], [], ["`epochs`: 8, then 30"])
    ```
    """

    pairs: Sequence[tuple[Record, Record]]
    alone: Sequence[Record]
    differing: Sequence[str]

    def by_name(self) -> dict[Name, list[tuple[Record, Record]]]:
        """The pairs of each loss and its settings, as the first folder names them."""
        partners = {first.folder: second for first, second in self.pairs}
        groups = by_name(first for first, _ in self.pairs)
        return {
            name: [(first, partners[first.folder]) for first in group]
            for name, group in groups.items()
        }


def pair_runs(first: Sequence[Record], second: Sequence[Record]) -> Pairing:
    """Pair runs of two folders by loss, settings and seed.

    A setting that has one value in all runs of a loss in the first folder, and another one in all
    of the second, is what is compared: it does not keep runs apart. Settings that either folder
    does not record, as those of an earlier version, do not either.

    Args:
        first: Runs of the first folder on one data set with one encoder.
        second: Those of the second.

    Returns:
        The pairs, in the order of the first folder.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    len(pair_runs(records, records).pairs)  # 6
    ```
    """
    pairs: list[tuple[Record, Record]] = []
    alone: list[Record] = []
    differing: dict[str, None] = {}
    for loss in dict.fromkeys(record.loss for record in (*first, *second)):
        ours, theirs = ([run for run in runs if run.loss == loss] for runs in (first, second))
        common = _common(ours, theirs)
        changed = {
            key: values for key in common if (values := _changed(ours, theirs, key)) is not None
        }
        for key, (before, after) in changed.items():
            differing.setdefault(f"`{key}`: {before}, then {after}")
        kept = [key for key in common if key not in changed]
        of_first, of_second = (_by_settings(runs, kept) for runs in (ours, theirs))
        for settings in dict.fromkeys((*of_first, *of_second)):
            runs, partners = of_first.get(settings, []), of_second.get(settings, [])
            if len(runs) == len(partners) == 1:
                pairs.append((runs[0], partners[0]))
            else:
                alone += [*runs, *partners]
    return Pairing(pairs, alone, [*differing])


def settings_apart(first: Sequence[Record], second: Sequence[Record]) -> list[str]:
    """Settings of which two folders have different values, where no runs pair.

    Args:
        first: Runs of the first folder.
        second: Those of the second.

    Returns:
        Each with its values in both folders.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    settings_apart(records, records)  # []
    ```
    """
    found = []
    for key in ("loss", "seed", *_common(first, second)):
        before, after = (sorted({_in_words(run, key) for run in runs}) for runs in (first, second))
        if before != after:
            found.append(f"{key} ({', '.join(before)}; {', '.join(after)})")
    return found


def _common(first: Sequence[Record], second: Sequence[Record]) -> list[str]:
    """Settings that all runs record."""
    runs = [*first, *second]
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [key for key in keys if key not in _APART and all(key in run.settings for run in runs)]


def _changed(first: Sequence[Record], second: Sequence[Record], key: str) -> tuple[str, str] | None:
    before, after = ({_in_words(run, key) for run in runs} for runs in (first, second))
    if len(before) == len(after) == 1 and before != after:
        return before.pop(), after.pop()
    return None


def _by_settings(
    runs: Sequence[Record], keys: Sequence[str]
) -> Mapping[tuple[Any, ...], list[Record]]:
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for run in runs:
        key = (run.seed, *(_in_words(run, name) for name in keys))
        groups.setdefault(key, []).append(run)
    return groups


def _in_words(run: Record, key: str) -> str:
    value = getattr(run, key) if key in ("loss", "seed") else run.settings[key]
    return value if isinstance(value, str) else json.dumps(value)

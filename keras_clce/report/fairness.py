"""What else than the loss tells two kinds of runs apart, and may have made the difference."""

from collections.abc import Iterable, Sequence
from typing import Any

from keras_clce.runs.record import Record

# What a fair comparison shares. Learning rate, decay, warm-up, schedule and the settings of the
# loss itself are not here: each loss may have them at its best.
SHARED_SETTINGS = (
    "epochs",
    "batch_size",
    "image_size",
    "weights",
    "freeze_backbone",
    "unfreeze_last",
    "lora_rank",
    "augmentation",
    "mixup_alpha",
    "cutmix_alpha",
    "classifier_head",
    "feature_normalization",
    "limit_examples",
    "limit_per_class",
    "split_seed",
)


def apart_in_words(
    ours: Sequence[Record],
    theirs: Sequence[Record],
    tried: tuple[Sequence[Record], Sequence[Record]] | None = None,
) -> tuple[str, ...]:
    """What else than the loss tells both sides of a comparison apart.

    Looked at are the data and the settings that a fair comparison shares, of the seeds that both
    sides have. A setting that a run does not record is passed over.

    Args:
        ours: Runs of one side.
        theirs: Runs of the other.
        tried: All runs of either loss, of which those of both sides were chosen. A setting of which
            both losses were tried with the same values does not count. Defaults to `None`: there
            was no choice.

    Returns:
        Each difference in words, such as `"epochs: 4 and 1"`; none where the loss alone differs.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    apart_in_words(records[3:], records[:3])  # ()
    ```
    """
    seeds = {run.seed for run in ours} & {run.seed for run in theirs}
    sides = [[run for run in runs if run.seed in seeds] for runs in (ours, theirs)]
    found = []
    notes = [sorted({run.data for run in runs} - {""}) for runs in sides]
    if all(notes) and notes[0] != notes[1]:
        # A note has colons and semicolons of its own.
        first, second = (" or ".join(f"“{note}”" for note in of) for of in notes)
        found.append(f"the data: {first} and {second}")
    for key in SHARED_SETTINGS:
        values = _values(sides, key)
        if values is None or _same(*values):
            continue
        # What both had the choice of, validation has chosen for each.
        of_tried = _values(tried, key) if tried else None
        if of_tried is None or not _same(*of_tried):
            found.append(f"{key}: {_in_words(values[0])} and {_in_words(values[1])}")
    return tuple(found)


def apart_clause(apart: Sequence[str]) -> str:
    """What else differs, as the end of a sentence.

    Args:
        apart: What `apart_in_words` gave.

    Returns:
        A clause that begins with a comma; nothing where the loss alone differs.

    Example:
    ```python
    apart_clause(["epochs: 4 and 1"])
    # ", but they differ in more than the loss (epochs: 4 and 1)"
    ```
    """
    return f", but they differ in more than the loss ({'; '.join(apart)})" if apart else ""


def _values(sides: Iterable[Sequence[Record]], key: str) -> list[list[Any]] | None:
    """The values of a setting on each side; `None` where not all runs record it."""
    found: list[list[Any]] = []
    for runs in sides:
        if not all(key in run.settings for run in runs):
            return None
        values: list[Any] = []
        for run in runs:
            # A list is no member of a set, and 0 is 0.0.
            if run.settings[key] not in values:
                values.append(run.settings[key])
        found.append(values)
    return found


def _same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return len(first) == len(second) and all(value in second for value in first)


def _in_words(values: Sequence[Any]) -> str:
    return " or ".join("none" if value is None else str(value) for value in values)

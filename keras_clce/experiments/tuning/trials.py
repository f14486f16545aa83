"""Trials of a search: what each tried and what came out, in a small file beside its run."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_clce.files import write_json
from keras_clce.runs import RunFolder
from keras_clce.runs.damage import read_object

RUNNING, FINISHED, FAILED, UNFINISHED = "running", "finished", "failed", "unfinished"
_NUMBER = (int, float)
_KINDS = {
    "loss": str,
    "number": int,
    "values": dict,
    "epochs": int,
    "status": str,
    "validation": (*_NUMBER, type(None)),
    "seconds": _NUMBER,
    "why": (str, type(None)),
}
_ADVICE = "Delete its folder and pass --resume: the trial is made anew"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of a search.

    Args:
        loss: Name of its loss.
        number: Its number, from 0.
        values: Values of the settings that are searched, by name.
        epochs: Epochs that it trains.
        folder: Folder of its run.
        status: `"running"`, `"finished"`, `"failed"` (the loss diverged, memory ran out or the
            settings do not fit) or `"unfinished"` (time ran out). Defaults to `"running"`.
        validation: Its accuracy on the validation split, a fraction. Defaults to `None`.
        seconds: Time that it took so far, all in all. Defaults to 0.
        why: Why it failed. Defaults to `None`.

    Example:
    ```python
    trial = Trial("clce", 0, {"temperature": 0.1}, 30, Path("clce-trial-0000-seed0"))
    trial.name  # "clce, trial 0: temperature=0.1"
    ```
    """

    loss: str
    number: int
    values: dict[str, Any]
    epochs: int
    folder: Path
    status: str = RUNNING
    validation: float | None = None
    seconds: float = 0.0
    why: str | None = None

    @property
    def name(self) -> str:
        """Its loss, number and values."""
        values = values_in_words(self.values)
        return f"{self.loss}, trial {self.number}: {values}"

    @property
    def is_over(self) -> bool:
        """Whether it is not to be run again."""
        return self.status in (FINISHED, FAILED)

    def write(self) -> None:
        """Write it beside its run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "trial.json", self.as_json())

    def as_json(self) -> dict[str, Any]:
        """All but the folder, as JSON values."""
        return {name: getattr(self, name) for name in _KINDS}


def read_trial(folder: Path) -> Trial | None:
    """Read a trial, if there is one.

    Args:
        folder: Folder of its run.

    Returns:
        The trial; one that finished without a word, as its process was killed, has finished.

    Raises:
        ValueError: If its file is damaged.

    Example:
    ```python
    read_trial(Path("runs/tune/digits/small_resnet/trials/clce-trial-0000-seed0"))  # None
    ```
    """
    found = read_object(folder / "trial.json", lambda _: _KINDS, _ADVICE)
    if found is None:
        return None
    trial = Trial(**{name: found[name] for name in _KINDS}, folder=folder)
    record = None if trial.is_over else RunFolder(folder).record()
    if record is None:
        return trial
    return dataclasses.replace(trial, status=FINISHED, validation=record.validation)


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the best validation accuracy, of those that were trained longest.

    Args:
        trials: Trials of one loss.

    Returns:
        The trial, of equal ones the first; `None` where none has finished.

    Example:
    ```python
    best_trial([])  # None
    ```
    """
    finished = [trial for trial in trials if trial.status == FINISHED]
    return max(finished, key=lambda trial: (trial.epochs, trial.validation), default=None)


def values_in_words(values: dict[str, Any]) -> str:
    """As "learning_rate=0.001, embedding_dim=None".

    Args:
        values: Values by name.

    Returns:
        Words; "the settings as they are" for none.

    Example:
    ```python
    values_in_words({"temperature": 0.1})  # "temperature=0.1"
    ```
    """
    parts = (
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in values.items()
    )
    return ", ".join(parts) or "the settings as they are"

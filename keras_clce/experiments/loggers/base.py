"""The verbs of a logger."""

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class LoggedRun:
    """What a logger is told of a run when it begins.

    Args:
        folder: Its folder.
        group: The folder that it stands in, from that of the study on, as
            `"transfer/digits/small_resnet"`.
        loss: Name of its loss.
        seed: Its seed.
        settings: All that decides its result, as JSON values.
        epochs: How many of its epochs are saved.
        verbose: Whether the logger may print. Defaults to `False`.

    Example:
    ```python
    folder = Path("runs/transfer/digits/small_resnet/clce-seed0")
    LoggedRun(folder, "transfer/digits/small_resnet", "clce", 0, {"epochs": 3}, 0).name
    # "clce-seed0"
    ```
    """

    folder: Path
    group: str
    loss: str
    seed: int
    settings: Mapping[str, Any]
    epochs: int
    verbose: bool = False

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.name

    @property
    def tags(self) -> dict[str, str]:
        """What runs are told apart by."""
        return {"study": self.group.split("/")[0], "loss": self.loss, "seed": str(self.seed)}

    @property
    def parameters(self) -> dict[str, str | int | float | bool]:
        """The settings, with lists and what is not given in words."""
        of_run: dict[str, str | int | float | bool] = {"loss": self.loss, "seed": self.seed}
        return of_run | {name: _parameter(value) for name, value in self.settings.items()}


class RunLogger(abc.ABC):
    """What takes down a run: a name in `--log`, and these verbs.

    Whatever goes wrong in them costs the run a warning and its logger.

    Attributes:
        name: Its name, under which `LOGGERS` has it.
        logs_steps: Whether it takes down each step, too.
    """

    name: str
    logs_steps = False

    @classmethod
    def check(cls) -> None:
        """Refuse a logger that cannot work here, before any long work.

        Raises:
            ImportError: If its package is not installed.
            ValueError: If something else is missing.
        """
        return

    @classmethod
    @abc.abstractmethod
    def where(cls, home: Path) -> str:
        """Where to look, in words.

        Args:
            home: Folder of the runs.
        """

    @abc.abstractmethod
    def begin(self, run: LoggedRun, mark: str | None) -> str:
        """The run begins, or goes on.

        Args:
            run: The run.
            mark: What this gave when the run began; `None` where it begins.

        Returns:
            What tells the log of this run, so that it can go on; another one than `mark` where a
            new log was begun.
        """

    def log_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Take down an epoch.

        Args:
            epoch: Its number, from 1.
            values: Its row of `history.csv`.
        """
        return

    def log_step(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Take down a step.

        Args:
            step: Its number, from 1 on over all epochs.
            epoch: The epoch, from 1.
            values: Means since the epoch began, and the learning rate.
        """
        return

    def log_results(self, results: Mapping[str, float]) -> None:
        """Take down how the run was validated and tested.

        Args:
            results: Numbers by names such as `"test/top1"`.
        """
        return

    @abc.abstractmethod
    def close(self, finished: bool) -> None:
        """The run ends.

        Args:
            finished: Whether it has finished; else it was stopped.
        """


def _parameter(value):
    if value is None:
        return "none"
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return ",".join(f"{name}={item}" for name, item in value.items())
    return ",".join(map(str, value))

"""The budget of a search: whole trainings or minutes, the same for every loss."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_clce.experiments.tuning.trials import UNFINISHED, Trial


class OutOfTime(Exception):
    """The minutes of a search end before a trial would."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """What a search may spend on one loss.

    Args:
        trials: Whole trainings; a trial of fewer epochs takes its share. Defaults to `None`, any
            number.
        minutes: Minutes of all trials together. Defaults to `None`, any time.
        epochs: Epochs of a whole training. Defaults to 1.

    Example:
    ```python
    Budget(trials=20, epochs=30).in_words()  # "20 trainings of 30 epochs"
    ```
    """

    trials: int | None = None
    minutes: float | None = None
    epochs: int = 1

    def allows(self, spent: Sequence[Trial], epochs: int) -> bool:
        """Whether another trial fits, by its epochs, or by the time that such a one took so far.

        Args:
            spent: The trials so far.
            epochs: Epochs of the next one.

        Returns:
            A bool.

        Example:
        ```python
        Budget(trials=1, epochs=9).allows([], epochs=3)  # True
        ```
        """
        if self.trials is not None:
            used = sum(trial.epochs for trial in spent if trial.is_over)
            return used + epochs <= self.trials * self.epochs
        over = [trial for trial in spent if trial.is_over]
        each = sum(t.seconds for t in over) / max(sum(t.epochs for t in over), 1)
        left = self.seconds_left(spent)
        return left > 0 and each * epochs <= left

    def seconds_left(self, spent: Sequence[Trial]) -> float:
        """Time that is left, infinite where it is not limited.

        Args:
            spent: The trials so far, also unfinished ones.

        Returns:
            Seconds.

        Example:
        ```python
        Budget(minutes=2).seconds_left([])  # 120.0
        ```
        """
        if self.minutes is None:
            return math.inf
        return 60.0 * self.minutes - sum(trial.seconds for trial in spent)

    def in_words(self) -> str:
        """As "20 trainings of 30 epochs" or "60 minutes"."""
        if self.minutes is not None:
            return f"{self.minutes:g} {'minute' if self.minutes == 1 else 'minutes'}"
        if self.trials is None:
            return "all points of the grid"
        trainings = "training" if self.trials == 1 else "trainings"
        epochs = "epoch" if self.epochs == 1 else "epochs"
        return f"{self.trials} {trainings} of {self.epochs} {epochs}"


class Clock(keras.callbacks.Callback):
    """Keeps the time of a trial in its file, and stops one that would not end in time.

    Args:
        trial: The trial, with the time that it took before.
        seconds_left: Time that is left for it.
        now: Gives the time in seconds. Defaults to `time.perf_counter`.

    Raises:
        OutOfTime: In training, between two epochs.

    Example:
    ```python
    trial = Trial("ce", 0, {}, 2, Path("ce-trial-0000-seed0"))
    model.fit(data, epochs=2, callbacks=[Clock(trial, seconds_left=600.0)])
    ```
    """

    # Nothing is read from the logs of a step.
    async_safe = True

    def __init__(
        self, trial: Trial, seconds_left: float, now: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__()
        self._trial, self._left, self._now = trial, seconds_left, now
        self._began = now()
        self._begun: list[tuple[int, float]] = []

    def stopped(self, status: str, **found: Any) -> Trial:
        """The trial with the time that it has taken, written to its file.

        Args:
            status: Its new status.
            **found: What else is known of it.

        Returns:
            The trial.
        """
        seconds = round(self._trial.seconds + self._now() - self._began, 1)
        trial = dataclasses.replace(self._trial, status=status, seconds=seconds, **found)
        trial.write()
        return trial

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Write the time, and stop where what is left does not fit; the epoch before is saved."""
        self.stopped(self._trial.status)
        now = self._now()
        self._begun.append((epoch, now))
        needed = 0.0
        if len(self._begun) > 2:
            # The first epoch compiles, so that it tells nothing of the others.
            second, since = self._begun[1]
            needed = (now - since) / (epoch - second) * (self.params["epochs"] - epoch)
        if now + needed > self._began + self._left:
            self.stopped(UNFINISHED)
            raise OutOfTime

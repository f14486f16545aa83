"""A line on how far training is: epoch, best so far, images a second and time left."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import keras

from keras_clce.train.callbacks import RunCheckpoint
from keras_clce.train.live_line import LiveLine, columns

# Between two looks of a live line; a notebook keeps all that is written.
_SECONDS = 0.3
# Where there is more to tell than room.
_MEASURES = ("val_accuracy", "val_map")
_TOLD_FIRST = (*_MEASURES, "val_loss", "loss", "accuracy")


class EpochReport(keras.callbacks.Callback):
    """Tells how far training is, in one line.

    A live line is written over with every step and ends as a summary. Without one there is a line
    for each epoch, with as many of its logs as fit in 100 columns.

    Args:
        write: Function that takes the lines of epochs. Defaults to `print`.
        line: The live line. Defaults to `None`: lines of epochs.
        checkpoint: Says which epoch is the best; stands before this one among the callbacks.
            Defaults to `None`: none is told.
        images_per_step: Images that a step trains on, for their number a second. Defaults to
            `None`: it is not told.
        clock: Gives the time in seconds. Defaults to `time.perf_counter`.

    Example:
    ```python
    model.fit(data, epochs=2, verbose=0, callbacks=[EpochReport()])
    ```
    """

    # Keras may hand the logs of a step over while the next one runs, so that nothing waits.
    async_safe = True

    def __init__(
        self,
        write: Callable[[str], None] = print,
        line: LiveLine | None = None,
        checkpoint: RunCheckpoint | None = None,
        images_per_step: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__()
        self.write = write
        self.line = line
        self.checkpoint = checkpoint
        self.images_per_step = images_per_step
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._first_epoch = self._epoch = 0
        self._epoch_began = self._shown_at = 0.0
        # Of this epoch: steps done, when the last of them ended, and how many had ended when,
        # before those that are timed.
        self._steps, self._last_ended = 0, 0.0
        self._untimed: tuple[int, float] | None = None
        self._step_seconds: float | None = None
        self._epoch_seconds: float | None = None
        self._told: tuple[str, ...] | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the time."""
        now = self._clock()
        if self._began is None:
            self._began, self._first_epoch = now, epoch
        self._epoch, self._epoch_began = epoch, now
        self._steps, self._untimed = 0, None
        self._show("" if self._epoch_seconds is not None else "starting")

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note when the first step is over, which may have compiled."""
        if batch and self._untimed is None:
            self._untimed = (batch, self._clock())

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the step, and write the live line over."""
        # Steps may report from several threads, in any order.
        with self._lock:
            now = self._clock()
            self._steps = max(self._steps, batch + 1)
            self._last_ended = now
            if self.line is not None and now - self._shown_at >= _SECONDS:
                total = self.params.get("steps")
                self._show(f"{self._steps / total:.0%}" if total else "")

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Say that the steps are done."""
        with self._lock:
            self._show("validating")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the line of the epoch, or the summary after the last."""
        now = self._clock()
        seconds = now - self._epoch_began
        self._step_seconds = self._pace()
        if epoch == self._first_epoch and self._untimed and self._step_seconds is not None:
            # The first step compiles, and those of later epochs do not.
            number, ended = self._untimed
            seconds -= ended - self._epoch_began - number * self._step_seconds
        self._epoch_seconds = seconds
        left = self.params["epochs"] - epoch - 1
        if self.line is None:
            self.write(self._line_of_epoch(logs or {}, left, seconds))
        elif not left:
            began = cast(float, self._began)
            count = epoch + 1 - self._first_epoch
            epochs = f"{count} epoch{'s' * (count > 1)} in {duration(now - began)}"
            lines = [_joined([epochs, self._rate(), best]) for best in self._best()]
            self.line.end(_longest(lines, columns(self.line.stream)))

    def _show(self, state: str) -> None:
        if self.line is None:
            return
        self._shown_at = self._clock()
        seconds = self._seconds_left()
        left = "" if seconds is None else f"{duration(seconds)} left"
        place, rate, best = self._place(), self._rate(), self._best()
        lines = [_joined([place, state, rate, left, text]) for text in best]
        lines.append(_joined([place, rate, left, best[-1]]))
        shortest = place.removeprefix("epoch").strip(), rate.replace(" images", "")
        lines += [_joined([*shortest, left, best[-1]]), _joined([*shortest, left])]
        self.line.show(_longest(lines, columns(self.line.stream)))

    def _line_of_epoch(self, logs: dict[str, Any], left: int, seconds: float) -> str:
        best = self._best_of_log(logs)
        end = [self._rate(), f"{duration(left * seconds)} left" if left else "done"]
        if self._told is None:
            # The same ones in every epoch.
            monitor = self.checkpoint.monitor if self.checkpoint else None
            names = [n for n in dict.fromkeys([*_TOLD_FIRST, *logs]) if n in logs and n != monitor]
            # What is as long as the texts of later epochs.
            longest = f"{best.partition(',')[0]}, best 0.0000 in epoch {self.params['epochs']}"
            fixed = _joined([self._place(), longest if best else "", *end])
            self._told = _that_fit(names, logs, columns() - len(fixed))
        values = [f"{name} {float(logs[name]):.4f}" for name in self._told if name in logs]
        return _joined([self._place(), best, *values, *end])

    def _place(self) -> str:
        total = self.params["epochs"]
        return f"epoch {self._epoch + 1:>{len(str(total))}}/{total}"

    def _pace(self) -> float | None:
        """Seconds of a step of this epoch, or of the one before where this one has none yet."""
        if self._untimed is not None and self._steps > self._untimed[0]:
            number, ended = self._untimed
            return (self._last_ended - ended) / (self._steps - number)
        return self._step_seconds

    def _rate(self) -> str:
        pace = self._pace()
        if not pace or self.images_per_step is None:
            return ""
        rate = self.images_per_step / pace
        return f"{rate:.3g} images/s" if rate < 1000 else f"{rate:,.0f} images/s"

    def _seconds_left(self) -> float | None:
        left = self.params["epochs"] - self._epoch - 1
        seconds = self._epoch_seconds
        if seconds is None:
            pace, steps = self._pace(), self.params.get("steps")
            if pace is None or steps is None:
                return None
            # Compiling is behind, whatever it took.
            return pace * (steps * (left + 1) - self._steps)
        return left * seconds + max(seconds - (self._clock() - self._epoch_began), 0.0)

    def _best(self) -> Sequence[str]:
        """The best epoch so far, in fewer and fewer words."""
        if self.checkpoint is None or self.checkpoint.monitor is None:
            return ("",)
        history, monitor = self.checkpoint.history, self.checkpoint.monitor
        if not history:
            return ("",)
        row = history[self.checkpoint.best_epoch]
        value, where = f"{row[monitor]:.4f}", f"in epoch {self.checkpoint.best_epoch + 1}"
        texts = (f"best {monitor} {value} {where}", f"best {monitor} {value}", f"best {value}")
        measure = next((name for name in _MEASURES if name in row and name != monitor), None)
        if measure is not None:
            accuracy = f"{measure} {row[measure]:.4f}"
            return (f"best {monitor} {value}, {accuracy} {where}", *texts)
        return texts

    def _best_of_log(self, logs: dict[str, Any]) -> str:
        """The value that picks the epoch, beside the best so far."""
        checkpoint = self.checkpoint
        if checkpoint is None or checkpoint.monitor is None:
            return ""
        monitor, best = checkpoint.monitor, checkpoint.best_epoch
        so_far = "the best so far"
        if best != self._epoch:
            so_far = f"best {checkpoint.history[best][monitor]:.4f} in epoch {best + 1}"
        return f"{monitor} {float(logs[monitor]):.4f}, {so_far}"


def duration(seconds: float) -> str:
    """A time in words.

    Args:
        seconds: The time.

    Returns:
        Such as `"45 s"`, `"12 min"`, `"1 h 40 min"` or `"3 days 4 h"`.

    Example:
    ```python
    duration(6000)  # "1 h 40 min"
    ```
    """
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(5 * round(minutes / 5), 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def _joined(parts: Sequence[str]) -> str:
    return "  ".join(filter(None, parts))


def _longest(lines: Sequence[str], width: int) -> str:
    """The first line that fits, else the last."""
    return next((line for line in lines if len(line) <= width), lines[-1])


def _that_fit(names: Sequence[str], logs: dict[str, Any], room: int) -> tuple[str, ...]:
    told = []
    for name in names:
        room -= len(f"  {name} {float(logs[name]):.4f}")
        if room < 0:
            break
        told.append(name)
    return tuple(told)

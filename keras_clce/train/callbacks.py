"""Callbacks of the recipes: a checkpoint that survives a kill, and a line an epoch."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_clce.backend import process_id
from keras_clce.files import write_atomically, write_json

STATE_FILE = "state.json"


class RunCheckpoint(keras.callbacks.Callback):
    """Saves all that training needs to go on after every epoch, and the best weights apart.

    The epoch counts as saved when `state.json` is renamed into place: it names the weights file
    that belongs to it, so a kill at any moment leaves the epoch before it whole. Of several
    processes that train together, the first alone writes and all of them read.

    Args:
        folder: Where the checkpoint stands; created if need be.
        monitor: The logged value that picks the best epoch: the lowest where its name ends in
            "loss", else the highest; of equal epochs the last. Defaults to `None`: the last epoch
            counts as the best.

    Attributes:
        history: One dict of logs an epoch, `"epoch"` (from 0) and `"seconds"` included.
        best_epoch: Number of the best epoch, from 0.

    Example:
    ```python
    checkpoint = RunCheckpoint(Path("runs/first/checkpoint"), monitor="val_accuracy")
    model.fit(data, epochs=9, initial_epoch=checkpoint.restore(model), callbacks=[checkpoint])
    ```
    """

    def __init__(self, folder: Path, monitor: str | None = None) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.monitor = monitor
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self._epoch_began = 0.0

    @staticmethod
    def read_history(folder: Path) -> list[dict[str, float]]:
        """Logs of the epochs that a folder's checkpoint has saved, one dict an epoch."""
        state = _read_state(Path(folder))
        return state["history"] if state else []

    @property
    def best_weights(self) -> Path:
        """Path of the best epoch's weights."""
        return self.folder / f"epoch-{self.best_epoch}.weights.h5"

    def restore(self, model: keras.Model) -> int:
        """Load the newest state, if there is one.

        Args:
            model: A built and compiled model; its weights and its optimizer's state are set.

        Returns:
            The epoch to go on with: 0 where nothing is saved.
        """
        state = _read_state(self.folder)
        if state is None:
            return 0
        # Keras skips an optimizer's state, with no more than a warning, where it is not built yet.
        model.optimizer.build(model.trainable_variables)
        model.load_weights(self.folder / state["weights"])
        for variable, value in zip(_random_states(model), state["random_states"], strict=True):
            variable.assign(value)
        self.history = state["history"]
        self.best_epoch = state["best_epoch"]
        return len(self.history)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the time."""
        self._epoch_began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save the epoch, then drop the files that nothing names any more."""
        logs = {key: float(value) for key, value in (logs or {}).items()}
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(
                f"The loss became {logs['loss']} in epoch {epoch + 1}; the checkpoint of the epoch "
                f"before stands in {self.folder}. A lower learning rate or another precision "
                "usually helps; labels out of range and pixels that are not finite also cause it."
            )
        seconds = time.perf_counter() - self._epoch_began
        self.history.append({"epoch": epoch, **logs, "seconds": round(seconds, 3)})
        if self.monitor is None:
            self.best_epoch = epoch
        else:
            # Of equals the last: with few images ties are common, and rates fall to the end.
            sign = -1 if self.monitor.endswith("loss") else 1
            self.best_epoch = max(
                range(len(self.history)), key=lambda i: (sign * self.history[i][self.monitor], i)
            )
        if process_id():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        weights = self.folder / f"epoch-{epoch}.weights.h5"
        write_atomically(weights, self.model.save_weights)
        write_json(
            self.folder / STATE_FILE,
            {
                "weights": weights.name,
                "best_epoch": self.best_epoch,
                "random_states": [
                    keras.ops.convert_to_numpy(state).tolist()
                    for state in _random_states(self.model)
                ],
                "history": self.history,
            },
        )
        for file in self.folder.glob("*.weights.h5"):
            if file not in (weights, self.best_weights):
                file.unlink()


def _random_states(model: keras.Model) -> list[keras.Variable]:
    """Variables that Keras leaves out of a weights file: the seeds of dropout and augmentation."""
    saved = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in saved]


def _read_state(folder: Path) -> dict[str, Any] | None:
    file = folder / STATE_FILE
    return json.loads(file.read_text()) if file.is_file() else None


class EpochReport(keras.callbacks.Callback):
    """Prints one line an epoch with the logs and the time left.

    Args:
        write: Function that takes the line. Defaults to `print`.

    Example:
    ```python
    model.fit(data, epochs=9, verbose=0, callbacks=[EpochReport()])
    ```
    """

    def __init__(self, write: Callable[[str], None] = print) -> None:
        super().__init__()
        self.write = write
        self._began = 0.0
        self._first_epoch: int | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the time of the first epoch."""
        if self._first_epoch is None:
            self._first_epoch = epoch
            self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Print the line."""
        done = epoch + 1 - self._first_epoch
        left = self.params["epochs"] - epoch - 1
        seconds = (time.perf_counter() - self._began) / done * left
        values = "  ".join(f"{key} {float(value):.4f}" for key, value in (logs or {}).items())
        total = self.params["epochs"]
        self.write(f"epoch {epoch + 1:>{len(str(total))}}/{total}  {values}  {_left(seconds)}")


def _left(seconds: float) -> str:
    if seconds == 0:
        return "done"
    if seconds < 90:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left"

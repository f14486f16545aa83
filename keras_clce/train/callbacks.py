"""The checkpoint of the recipes, which survives a kill."""

import json
import math
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_clce.backend import process_id
from keras_clce.files import checksums, write_atomically, write_json
from keras_clce.train.first_failure import FirstFailure
from keras_clce.train.optimization import learning_rate_at


class RunCheckpoint(keras.callbacks.Callback):
    """Saves all that training needs to go on after every epoch, and stops it at a loss of NaN.

    An epoch is `epoch-N.npz` (weights, optimizer, seeds), `epoch-N.json` (the logs up to it) and
    `epoch-N.sha256`, checksums of both that `sha256sum --check` reads. It counts as saved when the
    checksums are renamed into place, so a kill at any moment leaves the epoch before it whole.
    The newest two epochs are kept, and those that they name as the best. Of several
    processes that train together, the first alone writes and all of them read.

    Args:
        folder: Where the checkpoint stands; created if need be.
        monitor: The logged value that picks the best epoch: the lowest where its name ends in
            "loss" or "entropy", else the highest; of equal epochs the last. Defaults to `None`: the
            last epoch counts as the best.

    Attributes:
        history: One dict of logs an epoch, `"epoch"` (from 0) and `"seconds"` included.
        best_epoch: Number of the best epoch, from 0.

    Raises:
        FloatingPointError: In training, if the loss or the monitored value is NaN or infinite.
            Gradients alone may overflow in float16: Keras skips such steps.
        ValueError: After the first epoch, if the monitored value is not logged.

    Example:
    ```python
    checkpoint = RunCheckpoint(Path("runs/first/checkpoint"), monitor="val_accuracy")
    begin = checkpoint.restore(model)
    model.fit(data, validation_data=data, epochs=2, initial_epoch=begin, callbacks=[checkpoint])
    checkpoint.load_best(model)
    ```
    """

    # Keras may hand the logs of a step over while the next one runs, so that nothing waits.
    async_safe = True

    def __init__(self, folder: Path, monitor: str | None = None) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.monitor = monitor
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self._named: set[int] = set()  # the newest saved epoch and its best one
        self._epoch_began = 0.0
        self._first_step = 0
        self._rate_at: Callable[[int], float]  # from the beginning of an epoch on
        self._steps = FirstFailure()

    def restore(self, model: keras.Model) -> int:
        """Load the newest epoch that is whole, and warn of newer ones that are damaged.

        Args:
            model: A built and compiled model; its weights, seeds and optimizer's state are set.

        Returns:
            The epoch to go on with: 0 where nothing is saved.

        Raises:
            OSError: If all that is saved is damaged.
            ValueError: If another model was saved.
        """
        saved = self._saved()
        if not saved:
            return 0
        whole = self._whole()
        newest = max(whole)
        state = json.loads(self._files(newest)[1].read_text())
        self.history, self.best_epoch = state["history"], state["best_epoch"]
        damaged = [epoch for epoch in saved if epoch > newest]
        if damaged:
            self._warn(damaged, f"going on after epoch {newest + 1}")
        self._settle_best(whole)
        self._load(model, newest)
        self._named = {newest, self.best_epoch}
        return newest + 1

    def load_best(self, model: keras.Model) -> None:
        """Load the best epoch, or warn that it is damaged and load the best one that is whole.

        Args:
            model: As in `restore`.

        Raises:
            OSError: If nothing is saved, or all of it is damaged.
        """
        self._settle_best(self._whole())
        self._load(model, self.best_epoch)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note where training stands."""
        self._epoch_began = time.perf_counter()
        self._steps.reset()
        # Variables of a distribution are no numbers for Python.
        optimizer = self.model.optimizer
        self._first_step = int(keras.ops.convert_to_numpy(optimizer.iterations))
        self._rate_at = learning_rate_at(optimizer)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note that a step begins."""
        self._steps.begin(batch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop at a loss that is no number; the logs hold its mean since the epoch began."""
        loss = (logs or {}).get("loss", 0.0)
        failed = not math.isfinite(loss)
        self._steps.end(batch, (lambda: self._error_of_step(batch, loss)) if failed else None)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save the epoch, then drop the files that nothing names any more."""
        logs = {key: float(value) for key, value in (logs or {}).items()}
        if self.monitor not in (None, *logs):
            raise ValueError(
                f"`monitor` must be a logged value: {', '.join(logs)}. "
                f"Received: monitor={self.monitor!r}"
            )
        for name in filter(None, ("loss", self.monitor)):
            if not math.isfinite(logs[name]):
                raise self._not_a_number(name, logs[name], f"epoch {epoch + 1}")
        seconds = time.perf_counter() - self._epoch_began
        self.history.append({"epoch": epoch, **logs, "seconds": round(seconds, 3)})
        self.best_epoch = self._best_of({self.best_epoch, epoch})
        if process_id():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays, state, sums = self._files(epoch)
        sums.unlink(missing_ok=True)
        # Not Keras's HDF5 file: where the disk is full, HDF5 takes the interpreter down with it.
        values = [keras.ops.convert_to_numpy(variable) for variable in _variables(self.model)]
        # NumPy's files know no bfloat16, whose kind is "V".
        values = [v.astype("float32") if v.dtype.kind == "V" else v for v in values]
        write_atomically(arrays, lambda to: np.savez(to, *values))
        write_json(state, {"best_epoch": self.best_epoch, "history": self.history})
        write_atomically(sums, lambda to: to.write_text(checksums([arrays, state])))
        named = {epoch, self.best_epoch}
        for file in self.folder.glob("epoch-*"):
            if _number(file) not in named | self._named:
                file.unlink()
        self._named = named

    def _files(self, epoch: int) -> tuple[Path, Path, Path]:
        kinds = ("npz", "json", "sha256")
        arrays, state, sums = (self.folder / f"epoch-{epoch}.{kind}" for kind in kinds)
        return arrays, state, sums

    def _saved(self) -> list[int]:
        return sorted(_number(file) for file in self.folder.glob("epoch-*.sha256"))

    def _whole(self) -> list[int]:
        saved = self._saved()
        if not saved:
            raise FileNotFoundError(f"No epoch is saved in {self.folder}")
        whole = [epoch for epoch in saved if self._is_whole(epoch)]
        if not whole:
            raise OSError(
                f"Every checkpoint in {self.folder} is damaged: its content and its checksum "
                "differ. Bring the folder back from a copy, or delete it to start anew"
            )
        return whole

    def _is_whole(self, epoch: int) -> bool:
        arrays, state, sums = self._files(epoch)
        try:
            return sums.read_bytes() == checksums([arrays, state]).encode()
        except OSError:
            return False

    def _settle_best(self, whole: list[int]) -> None:
        if self.best_epoch not in whole:
            damaged, self.best_epoch = self.best_epoch, self._best_of(whole)
            self._warn([damaged], f"epoch {self.best_epoch + 1} takes its place as the best")

    def _best_of(self, epochs: Iterable[int]) -> int:
        # Of equals the last: with few images ties are common, and rates fall to the end.
        monitor = self.monitor
        if monitor is None:
            return max(epochs)
        sign = -1 if monitor.endswith(("loss", "entropy")) else 1
        return max(epochs, key=lambda epoch: (sign * self.history[epoch][monitor], epoch))

    def _load(self, model: keras.Model, epoch: int) -> None:
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        variables = _variables(model)
        arrays = self._files(epoch)[0]
        with np.load(arrays) as file:
            values = [file[name] for name in file.files]
        if [tuple(v.shape) for v in variables] != [value.shape for value in values]:
            raise ValueError(
                f"`model` must be the one that was saved in {arrays}. Received: model with "
                f"{len(variables)} variables, of which not all have the shapes in the file"
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def _warn(self, damaged: list[int], instead: str) -> None:
        names = ", ".join(f"epoch-{epoch}" for epoch in damaged)
        warnings.warn(
            f"Damaged checkpoint in {self.folder}: content and checksum of {names} differ; "
            f"{instead}",
            stacklevel=3,
        )

    def _error_of_step(self, batch: int, loss: float) -> FloatingPointError:
        rate = self._rate_at(self._first_step + batch)
        where = f"step {batch + 1} of epoch {len(self.history) + 1}, at learning rate {rate:.3g}"
        return self._not_a_number("loss", loss, where)

    def _not_a_number(self, name: str, value: float, where: str) -> FloatingPointError:
        good = "No epoch had been saved"
        if self.history:
            good = f"The last good checkpoint is {self._files(len(self.history) - 1)[0]}"
        return FloatingPointError(
            f"{name} became {value} in {where}. {good}. A lower learning rate or another precision "
            "usually helps; labels out of range and pixels that are not finite also cause it."
        )


def _variables(model: keras.Model) -> list[keras.Variable]:
    """All that training changes, the seeds of dropout and augmentation included."""
    return [*model.variables, *model.optimizer.variables]


def _number(file: Path) -> int:
    return int(file.name.removeprefix("epoch-").partition(".")[0])

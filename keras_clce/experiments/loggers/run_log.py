"""All loggers of a run: told of its epochs and results, and dropped where they fail."""

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras

from keras_clce.backend import process_id
from keras_clce.experiments.loggers import LOGGERS, LoggedRun, RunLogger
from keras_clce.files import write_json
from keras_clce.runs import Record
from keras_clce.train.callbacks import RunCheckpoint
from keras_clce.train.optimization import learning_rate_at

if TYPE_CHECKING:
    from keras_clce.experiments.training import Run

# Parts of `metrics.json` that are results.
_RESULTS = ("validation", "test", "few_shot")


class RunLog:
    """The loggers of a run.

    What they need to go on after a kill stands in `loggers.json` in the run folder: the mark of
    each, and how many epochs it has. Epochs that it has not are told when the run goes on.

    Args:
        run: The run, whose settings name its loggers.
    """

    def __init__(self, run: "Run") -> None:
        self._run = run
        # Of several processes that train together, the first alone logs.
        names = () if process_id() else run.settings.log
        self._loggers: dict[str, RunLogger] = {name: LOGGERS[name]() for name in names}
        self._file = run.folder.path / "loggers.json"
        self._marks: dict[str, dict[str, Any]] = {}
        self._is_open: set[str] = set()

    def begin(self, history: Sequence[Mapping[str, float]]) -> None:
        """The run begins, or goes on; its folder is there.

        Args:
            history: The epochs that are saved, as `RunCheckpoint` has them.
        """
        if not self._loggers:
            return
        run, settings = self._run, self._run.settings
        path = run.folder.path
        place = path.parent.relative_to(settings.output_dir).as_posix()
        told = LoggedRun(
            path, place, run.loss, settings.seed, run.recorded, len(history), settings.verbose
        )
        self._marks = self._read_marks()
        for name in list(self._loggers):
            self._begin(name, told, history)

    def callbacks(self, checkpoint: RunCheckpoint) -> list[keras.callbacks.Callback]:
        """What tells them of epochs, to stand after the checkpoint, and of steps.

        Args:
            checkpoint: Has the history.

        Returns:
            Callbacks; none where there are no loggers.
        """
        if not self._loggers:
            return []
        told = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self._log_epochs(checkpoint.history)
        )
        logs_steps = any(logger.logs_steps for logger in self._loggers.values())
        return [told, *([_Steps(self)] if logs_steps else [])]

    def log_step(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """A step has ended; arguments as those of `RunLogger.log_step`."""
        for name in list(self._loggers):
            with self._guarded(name) as logger:
                logger.log_step(step, epoch, values)

    def finish(self, record: Record) -> None:
        """The run has finished.

        Args:
            record: Its record.
        """
        results = _results_of(record)
        for name in list(self._loggers):
            with self._guarded(name) as logger:
                logger.log_results(results)
                self._marks[name]["results"] = results
                write_json(self._file, self._marks)
        self.close(finished=True)

    def catch_up(self, record: Record) -> None:
        """A run has finished before: tell loggers that do not know it yet.

        Args:
            record: Its record.
        """
        marks, results = self._read_marks(), _results_of(record)
        for name in list(self._loggers):
            if marks.get(name, {}).get("results") == results:
                del self._loggers[name]
        self.begin(record.history)
        self.finish(record)

    def close(self, finished: bool = False) -> None:
        """The run ends.

        Args:
            finished: Whether it has finished. Defaults to `False`: it was stopped.
        """
        for name in list(self._loggers):
            with self._guarded(name) as logger:
                if name in self._is_open:
                    logger.close(finished)
        self._loggers = {}

    def _read_marks(self) -> dict[str, dict[str, Any]]:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(self._file.read_text())
        return {}

    def _begin(self, name: str, told: LoggedRun, history: Sequence[Mapping[str, float]]) -> None:
        with self._guarded(name) as logger:
            before = self._marks.get(name, {})
            mark = logger.begin(told, before.get("mark"))
            self._is_open.add(name)
            has = before.get("epochs", 0) if mark == before.get("mark") else 0
            self._marks[name] = {"mark": mark, "epochs": has}
            write_json(self._file, self._marks)
            self._log_epochs(history, [name])

    def _log_epochs(
        self, history: Sequence[Mapping[str, float]], names: Sequence[str] | None = None
    ) -> None:
        """Tell the epochs that a logger has not."""
        for name in names or list(self._loggers):
            with self._guarded(name) as logger:
                for row in history[self._marks[name]["epochs"] :]:
                    values = {key: float(value) for key, value in row.items() if key != "epoch"}
                    epochs = int(row["epoch"]) + 1
                    logger.log_epoch(epochs, values)
                    self._marks[name]["epochs"] = epochs
                write_json(self._file, self._marks)

    @contextlib.contextmanager
    def _guarded(self, name: str) -> Iterator[RunLogger]:
        """Drop a logger that fails, with a warning."""
        try:
            yield self._loggers[name]
        except Exception as error:
            del self._loggers[name]
            message = " ".join(str(error).split()) or "no reason given"
            warnings.warn(
                f"--log={name} failed and is left out from here on; the run goes on, and its "
                f"folder has all results. {type(error).__name__}: {message}",
                # Past contextlib, to what was told.
                stacklevel=3,
            )


@contextlib.contextmanager
def logging_of(run: "Run") -> Iterator[RunLog]:
    """The loggers of a run, closed whatever happens.

    Args:
        run: The run.

    Yields:
        A `RunLog`.
    """
    log = RunLog(run)
    try:
        yield log
    finally:
        log.close()


class _Steps(keras.callbacks.Callback):
    """Tells the loggers of steps, in their order: it is not marked as safe in threads."""

    def __init__(self, log: RunLog) -> None:
        super().__init__()
        self._log = log
        self._epoch = self._first_step = 0

    def on_epoch_begin(self, epoch, logs=None):
        # On JAX, variables are with the compiled step while it runs.
        optimizer = self.model.optimizer
        self._epoch = epoch
        self._first_step = int(keras.ops.convert_to_numpy(optimizer.iterations))
        self._rate_at = learning_rate_at(optimizer)

    def on_train_batch_end(self, batch, logs=None):
        step = self._first_step + batch
        rate = self._rate_at(step)
        values = {name: float(value) for name, value in (logs or {}).items()}
        self._log.log_step(step + 1, self._epoch + 1, {"learning_rate": rate, **values})


def _results_of(record: Record) -> dict[str, float]:
    metrics = record.metrics
    results = dict(_numbers({name: metrics[name] for name in _RESULTS if name in metrics}))
    # Those of an epoch are "seconds".
    return results | ({"total_seconds": metrics["seconds"]} if "seconds" in metrics else {})


def _numbers(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Numbers of nested dicts, by names with slashes."""
    for name, value in values.items():
        # Of each class there may be thousands, with names that not every logger takes.
        if isinstance(value, Mapping) and name != "classes":
            yield from _numbers(value, f"{before}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{before}{name}", float(value)

"""TensorBoard: curves, settings as hyperparameters, and results, without TensorFlow."""

import shlex
import time
from collections.abc import Mapping
from pathlib import Path

from keras_clce.checks import import_module
from keras_clce.experiments.loggers.base import LoggedRun, RunLogger

_HPARAMS = "tensorboard.plugins.hparams.summary_v2"
_SCALARS = "tensorboard.plugins.scalar.summary_v2"


class TensorBoardLogger(RunLogger):
    """Writes event files to `tensorboard/` in the run folder."""

    name = "tensorboard"

    @classmethod
    def check(cls) -> None:
        """Refuse to go without TensorBoard."""
        _imported("tensorboard")

    @classmethod
    def where(cls, home: Path) -> str:
        """The command that shows all runs."""
        return f"tensorboard --logdir {shlex.quote(str(home))}"

    def begin(self, run: LoggedRun, mark: str | None) -> str:
        """Open a file of events beside those before."""
        folder = run.folder / "tensorboard"
        goes_on = mark is not None and any(folder.glob("events.out.*"))
        self._writer = _imported("tensorboard.summary.writer.event_file_writer").EventFileWriter(
            str(folder)
        )
        self._epochs = run.epochs
        if not goes_on:
            parameters = {**run.tags, **run.parameters, "folder": str(run.folder)}
            name = f"{run.group}/{run.name}"
            self._write(_imported(_HPARAMS).hparams_pb(parameters, trial_id=name), 0)
        return mark if mark is not None and goes_on else f"{time.time():.3f}"

    def log_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write scalars of the names in `history.csv`."""
        self._epochs = epoch
        self._write_scalars(values)

    def log_results(self, results: Mapping[str, float]) -> None:
        """Write scalars at the last epoch."""
        self._write_scalars(results)

    def close(self, finished: bool) -> None:
        """Close the file."""
        self._writer.close()

    def _write_scalars(self, values):
        scalar_pb = _imported(_SCALARS).scalar_pb
        for name, value in values.items():
            self._write(scalar_pb(name, value), self._epochs)
        self._writer.flush()

    def _write(self, summary, step):
        events = _imported("tensorboard.compat.proto.event_pb2")
        # Its own class of the message, which older files of TensorBoard define twice.
        self._writer.add_event(events.Event(wall_time=time.time(), step=step, summary=summary))


def _imported(name):
    return import_module(name, "--log=tensorboard", "tensorboard")

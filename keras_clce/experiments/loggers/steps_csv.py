"""steps.csv: what `history.csv` has of epochs, of each step."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from keras_clce.experiments.loggers.base import LoggedRun, RunLogger
from keras_clce.files import write_atomically


class StepsCSV(RunLogger):
    """Writes `steps.csv` to the run folder: a line a step, as Keras's progress bar has them.

    Values are means since the epoch began, beside the learning rate of the step.
    """

    name = "csv"
    logs_steps = True

    @classmethod
    def where(cls, home: Path) -> str:
        """The files."""
        return f"{home}/*/steps.csv"

    def begin(self, run: LoggedRun, mark: str | None) -> str:
        """Drop the steps of an epoch that was not saved, which is trained again."""
        self._path = run.folder / "steps.csv"
        self._file: TextIO | None = None
        if self._path.is_file():
            lines = self._path.read_text().splitlines(keepends=True)
            # A killed process may have left half of a line.
            whole = [line for line in lines if line.endswith("\n")]
            kept = [line for line in whole[1:] if int(line.split(",")[1]) <= run.epochs]
            write_atomically(self._path, lambda to: to.write_text("".join(whole[:1] + kept)))
        return self._path.name

    def log_step(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Write a line."""
        row = {"step": step, "epoch": epoch, **values}
        if self._file is None:
            # By line, so that a killed run has all of them.
            file = self._file = open(self._path, "a", buffering=1, newline="")
            self._writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if not file.tell():
                self._writer.writeheader()
        self._writer.writerow(row)

    def close(self, finished: bool) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

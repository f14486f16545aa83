"""MLflow: to the store that MLflow itself would take."""

import contextlib
import logging
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from keras_clce.checks import import_module
from keras_clce.experiments.loggers.base import LoggedRun, RunLogger


class MLflowLogger(RunLogger):
    """Logs to the store of `MLFLOW_TRACKING_URI`, or `mlflow.db` in the working directory.

    Runs of one data set and encoder are an experiment. An active run of the user's own is left
    alone.
    """

    name = "mlflow"

    @classmethod
    def check(cls) -> None:
        """Refuse to go without MLflow, or with a store that cannot be opened."""
        mlflow = _imported()
        try:
            _client(mlflow)
        except Exception as error:
            first_line = str(error).strip().partition("\n")[0]
            raise ValueError(
                "--log=mlflow cannot open its store; MLFLOW_TRACKING_URI names another one. "
                f"Received: {mlflow.get_tracking_uri()}: {first_line}"
            ) from None

    @classmethod
    def where(cls, home: Path) -> str:
        """The command that shows a local store, else the address."""
        uri = _imported().get_tracking_uri()
        if uri.startswith("sqlite:"):
            return f"mlflow ui --backend-store-uri {shlex.quote(uri)}"
        return f"MLflow, {uri}"

    def begin(self, run: LoggedRun, mark: str | None) -> str:
        """Begin a run of MLflow, or go on with it where it is still there."""
        mlflow = _imported()
        self._client = _client(mlflow)
        self._metric, self._epochs = mlflow.entities.Metric, run.epochs
        if mark is not None and self._goes_on(mark, mlflow):
            self._id = mark
            return mark
        found = self._client.get_experiment_by_name(run.group)
        experiment = found.experiment_id if found else self._client.create_experiment(run.group)
        tags = {**run.tags, "folder": str(run.folder)}
        begun = self._client.create_run(experiment, run_name=run.name, tags=tags)
        self._id = begun.info.run_id
        parameters = [
            mlflow.entities.Param(name, str(value)) for name, value in run.parameters.items()
        ]
        self._client.log_batch(self._id, params=parameters)
        return self._id

    def log_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log metrics at a step."""
        self._epochs = epoch
        self._log(values)

    def log_results(self, results: Mapping[str, float]) -> None:
        """Log metrics at the last epoch."""
        self._log(results)

    def close(self, finished: bool) -> None:
        """End the run of MLflow."""
        self._client.set_terminated(self._id, "FINISHED" if finished else "KILLED")

    def _log(self, values):
        now = int(time.time() * 1000)
        # MLflow takes no "@" in names.
        named = {name.replace("@", "_at_"): value for name, value in values.items()}
        metrics = [self._metric(name, value, now, self._epochs) for name, value in named.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def _goes_on(self, mark, mlflow):
        try:
            self._client.get_run(mark)
        except mlflow.MlflowException:
            return False
        self._client.update_run(mark, status="RUNNING")
        return True


def _imported():
    return import_module("mlflow", "--log=mlflow", '"keras-clce[mlflow]"')


def _client(mlflow):
    with _without_notes():
        client = mlflow.MlflowClient()
        # Only now is the store opened, and made where it is new.
        client.search_experiments(max_results=1)
    return client


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """Keep MLflow from telling of each table of a new database."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

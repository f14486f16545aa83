"""Loggers: where runs can be looked at, beside their folders. One file and one row each."""

from keras_clce.experiments.loggers.base import LoggedRun, RunLogger
from keras_clce.experiments.loggers.mlflow_logger import MLflowLogger
from keras_clce.experiments.loggers.steps_csv import StepsCSV
from keras_clce.experiments.loggers.tensorboard_logger import TensorBoardLogger
from keras_clce.experiments.loggers.wandb_logger import WandbLogger

LOGGERS: dict[str, type[RunLogger]] = {
    logger.name: logger for logger in (TensorBoardLogger, WandbLogger, MLflowLogger, StepsCSV)
}

__all__ = ["LOGGERS", "LoggedRun", "RunLogger"]

"""The verbs of a protocol."""

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_clce.data import ImageSplit
from keras_clce.experiments.resolved import preprocessing
from keras_clce.experiments.settings import Settings
from keras_clce.experiments.training import Run
from keras_clce.runs import Record
from keras_clce.train import CLCEModel
from keras_clce.train.callbacks import RunCheckpoint


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a protocol found out about a trained model.

    Args:
        metrics: Its part of `metrics.json`.
        draw: Draws the pictures of the run, once the metrics are written.
    """

    metrics: dict[str, Any]
    draw: Callable[[], None] = lambda: None


class Protocol(abc.ABC):
    """How runs are validated and tested: a name in the study's flags, and these verbs.

    Attributes:
        name: Its name, under which `PROTOCOLS` has it.
        has_frozen: Whether the encoder can be tested as it was before training.
    """

    name: str
    has_frozen = False

    @abc.abstractmethod
    def load(self, settings: Settings) -> Any:
        """Load the data.

        Args:
            settings: Settings of a run.

        Returns:
            A data set with `train`, `num_classes` and `split_note`.
        """

    @abc.abstractmethod
    def check_data(self, settings: Settings, dataset: Any) -> None:
        """Refuse data that cannot be tested on.

        Args:
            settings: Settings of a run.
            dataset: What `load` gave.

        Raises:
            ValueError: If it cannot.
        """

    def plan_in_words(self, settings: Settings) -> str:
        """What the plan says beside losses, seeds and epochs."""
        return ""

    @abc.abstractmethod
    def monitor(self, settings: Settings) -> str | None:
        """Name of the logged value that picks the epoch; `None` takes the last."""

    def validation_split(self, dataset: Any) -> ImageSplit | None:
        """What `fit` validates on, if anything."""
        return None

    def callbacks(self, settings: Settings, dataset: Any) -> list[keras.callbacks.Callback]:
        """Callbacks of the training, which run before the checkpoint."""
        return []

    @abc.abstractmethod
    def evaluate(
        self, model: CLCEModel, run: Run, dataset: Any, checkpoint: RunCheckpoint | None
    ) -> Evaluation:
        """Test a model.

        Args:
            model: The model with the weights of the best epoch.
            run: Its run; the folder gets what is not in `metrics.json`.
            dataset: What `load` gave.
            checkpoint: Has the history; `None` where nothing was trained.

        Returns:
            The metrics, and what draws the pictures.
        """

    @abc.abstractmethod
    def line(self, record: Record) -> str:
        """The result of a finished run, in a line or two."""

    @abc.abstractmethod
    def tables(self, records: Sequence[Record]) -> str:
        """The tables of a study."""

    @abc.abstractmethod
    def draw(self, records: Sequence[Record], home: Path, suffix: str) -> Path:
        """Draw the picture of a study.

        Args:
            records: Its records.
            home: Folder of the picture.
            suffix: End of its name.

        Returns:
            The picture's path, whether it could be drawn or not.
        """


def loading_options(settings: Settings) -> Mapping[str, Any]:
    """What the loaders of data sets take from settings.

    Args:
        settings: Settings of a run.

    Returns:
        Keyword arguments of `load_dataset` and `load_few_shot`.
    """
    return {
        "preprocessing": preprocessing(settings),
        "data_dir": settings.data_dir,
        "split_seed": settings.split_seed,
        "limit_examples": settings.limit_examples,
        "limit_per_class": settings.limit_per_class,
        "strict": settings.strict,
        "drop_small_classes": settings.drop_small_classes,
        # Few-shot tasks have no such thing.
        **({"multi_label": True} if settings.multi_label else {}),
    }

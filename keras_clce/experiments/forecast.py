"""How long the runs of a study take: forecast from timed steps, corrected by what has finished."""

import dataclasses
import gc
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_clce.experiments.devices import Devices
from keras_clce.experiments.fitted import batch_size_of
from keras_clce.experiments.resolved import preprocessing
from keras_clce.experiments.run import dtype_policy
from keras_clce.experiments.training import (
    Run,
    build_model,
    compile_model,
    steps_per_epoch,
    training_views,
)
from keras_clce.train import CLCEModel
from keras_clce.train.epoch_report import duration

# The first step compiles; the median of so many after it is not moved by one that was disturbed.
TIMED_STEPS = 3
TIMED_BATCHES = 2
# Two views forward and backward, against one view forward.
_EVALUATION_SHARE = 1 / 6


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Images of the splits of a data set.

    Args:
        train: Of the training split.
        validation: Of the validation split.
        test: Of the test split, 0 where it stays unread.
    """

    train: int
    validation: int
    test: int

    @classmethod
    def of(cls, dataset: Any, with_test: bool) -> "Sizes":
        """Sizes of a data set.

        Args:
            dataset: The data.
            with_test: Whether the test split may be asked.

        Returns:
            The sizes.
        """
        test = dataset.test.num_examples if with_test else 0
        return cls(dataset.train.num_examples, dataset.validation.num_examples, test)


@dataclasses.dataclass(frozen=True)
class Work:
    """What a run has to do, in pixels, so that images of other sizes count for what they are.

    Args:
        trained: Pixels of the images that steps take, counted once for their two views.
        evaluated: Pixels of the images that are validated and tested.

    Example:
    ```python
    Work(trained=30 * 1024 * 32**2, evaluated=30 * 269 * 32**2)
    ```
    """

    trained: float
    evaluated: float

    @classmethod
    def of(cls, run: Run, sizes: Sizes, epochs_done: int = 0) -> "Work":
        """The work that is left of a run.

        Args:
            run: The run, with a batch size.
            sizes: Of its data.
            epochs_done: How many epochs are behind. Defaults to 0.

        Returns:
            The work.
        """
        settings = run.settings
        pixels = preprocessing(settings).image_size ** 2
        epochs = 0 if run.is_frozen else max(0, settings.trained_epochs - epochs_done)
        steps = epochs * steps_per_epoch(settings, sizes.train)
        # The training images too, among which those of the test split seek their neighbours.
        evaluated = epochs * sizes.validation + (sizes.train + sizes.test) * settings.test
        return cls(steps * batch_size_of(settings) * pixels, evaluated * pixels)


@dataclasses.dataclass(frozen=True)
class Speed:
    """How fast the runs of a study go.

    Args:
        start: Seconds that each run takes to build and compile.
        trained: Seconds for a pixel of training.
        evaluated: Seconds for a pixel of evaluation.
        in_words: What was timed. Defaults to nothing.

    Example:
    ```python
    Speed(5.0, 2e-6, 3e-7).seconds(Work(trained=1e6, evaluated=1e6))  # 7.3
    ```
    """

    start: float
    trained: float
    evaluated: float
    in_words: str = ""

    def seconds(self, work: Work) -> float:
        """Time that some work takes.

        Args:
            work: The work of a run.

        Returns:
            Seconds.

        Example:
        ```python
        Speed(5.0, 0.0, 0.0).seconds(Work(1.0, 1.0))  # 5.0
        ```
        """
        return self.start + self.trained * work.trained + self.evaluated * work.evaluated


# Before anything is timed: ratios alone are known.
RELATIVE = Speed(0.0, 1.0, _EVALUATION_SHARE)


class Progress:
    """What is behind and what is ahead of a study, in time.

    Args:
        works: The work of each run, `None` where a run has finished before.
        speed: What was timed. Defaults to `None`: nothing, so that the first run tells.
        clock: Gives the time in seconds. Defaults to `time.perf_counter`.

    Attributes:
        number: How many runs are behind.

    Example:
    ```python
    progress = Progress([Work(1e6, 0.0), Work(1e6, 0.0)], Speed(0.0, 1e-4, 0.0))
    progress.ahead()  # 200.0
    ```
    """

    def __init__(
        self,
        works: Sequence[Work | None],
        speed: Speed | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._works = list(works)
        self._speed = speed
        self._clock = clock
        self._began = self._run_began = clock()
        self._forecast = self._taken = 0.0
        self.number = 0

    def begin(self) -> None:
        """The next run begins."""
        self._run_began = self._clock()

    def end(self) -> None:
        """The run has finished, or had before."""
        work = self._works[self.number]
        self.number += 1
        if work is not None:
            self._forecast += (self._speed or RELATIVE).seconds(work)
            self._taken += self._clock() - self._run_began

    def ahead(self) -> float | None:
        """Time that the runs ahead will take, at the pace of those that have finished.

        Returns:
            Seconds, or `None` where nothing was timed yet.
        """
        if self._speed is None and not self._forecast:
            return None
        left = [work for work in self._works[self.number :] if work is not None]
        pace = self._taken / self._forecast if self._forecast else 1.0
        return pace * sum((self._speed or RELATIVE).seconds(work) for work in left)

    def in_words(self) -> str:
        """What is behind and ahead.

        Returns:
            Such as `"12 min behind, about 1 h 40 min ahead"`; nothing where neither is known.

        Example:
        ```python
        Progress([Work(1e6, 0.0)], Speed(0.0, 1e-4, 0.0)).in_words()  # "about 100 s ahead"
        ```
        """
        ahead, parts = self.ahead(), []
        if self._taken:
            parts.append(f"{duration(self._clock() - self._began)} behind")
        if ahead:
            parts.append(f"about {duration(ahead)} ahead")
        return ", ".join(parts)


def time_run(run: Run, dataset: Any, devices: Devices) -> Speed | None:
    """Time a few training steps and batches of evaluation of a run, and forget what they did.

    Args:
        run: The run, which is not changed; its seeds are set when it begins.
        dataset: Its data.
        devices: The devices that share its batches.

    Returns:
        The speed; `None` where a step fails, which the run itself will tell.
    """
    settings = run.settings
    pixels = preprocessing(settings).image_size ** 2
    began = time.perf_counter()
    training, evaluation = _Ends(), _Ends()
    model: CLCEModel | None = None
    try:
        with warnings.catch_warnings(), devices.scope(), dtype_policy(settings.mixed_precision):
            # Whatever there is to warn of, the run itself warns of.
            warnings.simplefilter("ignore")
            keras.utils.set_random_seed(settings.seed)
            model = build_model(settings, dataset)
            compile_model(model, settings, dataset.train.num_examples)
            model.fit(
                training_views(settings, dataset, devices),
                steps_per_epoch=1 + TIMED_STEPS,
                callbacks=[*devices.callbacks(), training],
                shuffle=False,
                verbose=0,
            )
            images = dataset.validation.batches(settings.batch_size).map(lambda images, _: images)
            begin = time.perf_counter()
            model.predict(images.take(1 + TIMED_BATCHES), callbacks=[evaluation], verbose=0)
    except (ValueError, OSError, FloatingPointError):
        return None
    finally:
        model = None
        gc.collect()
    step = float(np.median(np.diff(training.times)))
    batch_size = batch_size_of(settings)
    trained = step / (batch_size * pixels)
    evaluated = trained * _EVALUATION_SHARE
    if len(evaluation.times) > 1:
        # The last batch may have fewer images, so that this is at most a little too low.
        evaluated = min(np.diff(evaluation.times)) / (batch_size * pixels)
    start = training.times[0] - began + evaluation.times[0] - begin
    return Speed(start, trained, evaluated, f"{step:.2g} s a step of {batch_size} images")


class _Ends(keras.callbacks.Callback):
    """Notes when each batch ends."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def on_train_batch_end(self, batch, logs=None):
        self.times.append(time.perf_counter())

    def on_predict_batch_end(self, batch, logs=None):
        self.times.append(time.perf_counter())

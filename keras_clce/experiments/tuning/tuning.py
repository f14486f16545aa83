"""Tuning under a budget: the settings of each loss that validate best, the test split unread."""

import dataclasses
import gc
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from keras_clce.backend import is_out_of_memory
from keras_clce.checks import import_module, is_whole_number
from keras_clce.experiments import fitted
from keras_clce.experiments.announce import announce, tell
from keras_clce.experiments.devices import Devices
from keras_clce.experiments.errors import told
from keras_clce.experiments.image_checks import check_images
from keras_clce.experiments.resolved import run_settings
from keras_clce.experiments.rules import check_run
from keras_clce.experiments.run import make_run
from keras_clce.experiments.setting import Range
from keras_clce.experiments.settings import Settings, fields
from keras_clce.experiments.study import Study
from keras_clce.experiments.study_base import StudyBase
from keras_clce.experiments.training import Run
from keras_clce.experiments.tuning.announce import conclude, trial_begins, trial_ended
from keras_clce.experiments.tuning.budget import Budget, Clock, OutOfTime
from keras_clce.experiments.tuning.files import TuningFiles
from keras_clce.experiments.tuning.flags import METHODS
from keras_clce.experiments.tuning.space import Space, search_space
from keras_clce.experiments.tuning.trials import FAILED, FINISHED, UNFINISHED, Trial, best_trial
from keras_clce.experiments.tuning.tuned_loss import TunedLoss
from keras_clce.runs import Record, RunFolder

TRIALS, QUICK_TRIALS = 20, 3


@dataclasses.dataclass(frozen=True)
class Tuning(StudyBase):
    """Searches the settings of each loss under the same budget, by validation accuracy alone.

    Validation accuracy (few-shot: accuracy on tasks of the validation classes) is the same scale
    for every setting; the validation loss is not, since what is searched changes it.

    Everything stands in `<output_dir>/<name>/<dataset>/<backbone>/`: each trial is a run folder
    below `trials/`, and beside it are `trials.csv`, `best-<loss>.flags`, `tune.md` and its
    pictures. Of a loss's trials the best alone keeps its model.

    Args:
        name: Name of the folder. Defaults to `"tune"`.
        losses: Losses to tune. Defaults to `None`: `ce` and `clce`, or what a frozen encoder leaves
            to train.
        search: What is searched, as `search_space` takes it. Defaults to `None`: learning rate,
            weight of the contrastive part and temperature, but for those in `given`.
        method: `"bayesian"`, `"hyperband"`, `"random"` or `"grid"` (five values of a range).
            Defaults to `"bayesian"`.
        trials: Whole trainings that each loss may spend, of which a shorter one of Hyperband takes
            its share. Defaults to `None`: 20, or all minutes, or the whole grid.
        minutes: Minutes that each loss may spend. Defaults to `None`, no limit.
        settings: All other settings; their seed is that of the trials and of the search. Defaults
            to `None`, those of `Settings()`.
        protocol: `"transfer"` or `"few_shot"`. Defaults to `None`: what the data set is for.
        given: Names of settings that are not searched unless `search` names them. Defaults to none.

    Raises:
        ValueError: If an argument is out of range, or a setting cannot be searched.
        ImportError: If KerasTuner is not installed.

    Example:
    ```python
    settings = Settings(backbone="encoder.keras", image_size=32, quick=True)
    tuning = Tuning(losses=["clce"], search=["temperature"], trials=1, settings=settings)
    (tuned,) = tuning.run()
    tuned.best.values, tuned.best.validation  # ({"temperature": 0.1}, 0.1)
    tuned.best_settings.temperature  # 0.1
    ```
    """

    name: str = "tune"
    losses: Sequence[str] | None = None
    search: Mapping[str, Range | Sequence[Any] | None] | Sequence[str] | None = None
    method: str = METHODS[0]
    trials: int | None = None
    minutes: float | None = None
    settings: Settings | None = None
    protocol: str | None = None
    given: Collection[str] = ()
    home: Path = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        settings = dataclasses.replace(self.settings or Settings(), test=False)
        if self.method not in METHODS:
            raise ValueError(
                f"`method` must be one of: {', '.join(METHODS)}. Received: method={self.method!r}"
            )
        if self.trials is not None and self.minutes is not None:
            raise ValueError(
                "`trials` and `minutes` exclude each other. Received: "
                f"trials={self.trials}, minutes={self.minutes}"
            )
        if self.trials is not None and not is_whole_number(self.trials, 1):
            raise ValueError(
                f"`trials` must be a whole number above 0. Received: trials={self.trials!r}"
            )
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise ValueError(
                f"`minutes` must be a number above 0. Received: minutes={self.minutes!r}"
            )
        if settings.num_processes > 1:
            raise ValueError(
                f"Tuning runs in one process. Received: num_processes={settings.num_processes}"
            )
        import_module("keras_tuner", "Tuning", '"keras-clce[tune]"')
        losses = fitted.fit_losses(settings) if self.losses is None else tuple(self.losses)
        if not losses or len(set(losses)) != len(losses):
            raise ValueError(f"`losses` must be different names. Received: losses={losses}")
        study = Study(self.name, {"loss": losses}, (settings.seed,), settings, self.protocol)
        for name, value in (
            ("settings", settings),
            ("losses", losses),
            ("protocol", study.protocol),
            ("home", study.home() / settings.label if settings.label else study.home()),
        ):
            object.__setattr__(self, name, value)
        for loss in losses:
            of_loss = dataclasses.replace(settings, loss=loss)
            _check_space(of_loss, self._space(loss), self._is_few_shot)

    def run(self, resume: bool = False) -> list[TunedLoss]:
        """Run trials until the budget is spent.

        Args:
            resume: Whether a search that was interrupted goes on, or one with a larger budget.
                Defaults to `False`: a folder that holds a search is refused.

        Returns:
            What was found for each loss, in their order.

        Raises:
            ValueError: If the data or a folder does not fit, before anything is trained, or no
                trial of any loss has finished.
            OSError: If data or weights cannot be read, or results not be written.

        Example:
        ```python
        settings = Settings(backbone="encoder.keras", image_size=32, quick=True)
        tuning = Tuning("rates", ["ce"], ["learning_rate"], trials=1, settings=settings)
        tuning.run()[0].best.validation  # 0.1
        ```
        """
        protocol, files = self._protocol, TuningFiles(self.home, self._is_few_shot)
        with told(ValueError, OSError):
            devices = Devices(self._settings)
            files.check(self._as_json(), resume)
            dataset = protocol.load(self._settings)
            images, classes = dataset.train.num_examples, dataset.num_classes
            base = fitted.fit_batch_size(fitted.fit_warmup(self._settings), images, classes)
            check_images(base, dataset, protocol)
        with told(OSError), RunFolder(self.home).lock():
            files.begin(self._as_json())
            self._announce(base, dataset, devices)
            found: dict[str, TunedLoss] = {}
            for loss in self._losses:
                settings = dataclasses.replace(base, loss=loss)

                def execute(trial, seconds_left, settings=settings):
                    return self._execute(trial, seconds_left, settings, dataset, devices)

                found[loss] = self._search(settings, execute, files, found)
            tuned = list(found.values())
            files.draw(tuned)
        with told(ValueError):
            conclude(tuned, files.page, self.budget)
        return tuned

    def test(self, tuned: Sequence[TunedLoss], seeds: Sequence[int], resume: bool = False) -> Any:
        """Train the best settings of each loss with each seed, and test them: the seal is opened.

        Args:
            tuned: What `run` gave.
            seeds: The seeds.
            resume: Whether runs that were interrupted go on. Defaults to `False`.

        Returns:
            The records of all runs.

        Example:
        ```python
        settings = Settings(backbone="encoder.keras", image_size=32, quick=True)
        tuning = Tuning(losses=["ce"], search=["learning_rate"], trials=1, settings=settings)
        tuning.test(tuning.run(), seeds=[0])[0].metrics["test"]["top1"]
        ```
        """
        from keras_clce.experiments.records import Records

        read: list[Record] = []
        for each in tuned:
            if each.best is not None:
                read += self._final(each, seeds, resume).run(resume=resume).read
        records = Records(read, self._protocol)
        print(f"\n{records.table()}")
        return records

    def _final(self, tuned: TunedLoss, seeds: Sequence[int], resume: bool) -> Study:
        """The study of the best settings, beside that of those that were the best before."""
        label, number = self._settings.label or "tuned", cast(Trial, tuned.best).number
        for name in (label, f"{label}-trial-{number:04d}"):
            settings = dataclasses.replace(tuned.best_settings, label=name)
            vary, given = {"loss": [tuned.loss]}, frozenset(fields())
            study = Study(self.name, vary, seeds, settings, self.protocol, given=given)
            if _can_begin(study, resume):
                break
        return study

    @property
    def _losses(self) -> Sequence[str]:
        return cast(Sequence[str], self.losses)

    @property
    def budget(self) -> Budget:
        """What each loss may spend."""
        trials = self.trials
        if trials is None and self.minutes is None and self.method != "grid":
            trials = QUICK_TRIALS if self._settings.quick else TRIALS
        return Budget(trials, self.minutes, self._settings.trained_epochs)

    @property
    def _is_few_shot(self) -> bool:
        return self.protocol == "few_shot"

    def _space(self, loss: str) -> Space:
        settings = dataclasses.replace(self._settings, loss=loss)
        space = search_space(settings, self.search, self.given)
        return space.grid() if self.method == "grid" else space

    def _as_json(self) -> dict[str, Any]:
        """What must be the same for a search that goes on."""
        settings = run_settings(self._settings, self._protocol.name)
        return {
            "method": self.method,
            "settings": {name: value for name, value in settings.items() if name != "loss"},
            "search": {loss: self._space(loss).as_json() for loss in self._losses},
        }

    def _announce(self, base: Settings, dataset: Any, devices: Devices) -> None:
        runs = []
        for loss in self._losses:
            settings = dataclasses.replace(base, loss=loss)
            runs.append(Run(settings, RunFolder(self.home), loss, {}))
        announce(runs, dataset, self._protocol, devices)
        for loss in self._losses:
            tell("Search", f"{loss}: {self._space(loss).in_words() or 'nothing, one trial'}")
        each = " for each loss" if len(self._losses) > 1 else ""
        tell("Budget", f"{self.budget.in_words()}{each}, {self.method}")
        tell("Results", f"{self.home}; the test split stays unread")

    def _search(
        self,
        settings: Settings,
        execute: Callable[[Trial, float], Trial],
        files: TuningFiles,
        found: Mapping[str, TunedLoss],
    ) -> TunedLoss:
        # Here, since KerasTuner takes seconds to import.
        from keras_clce.experiments.tuning.search import Search

        space = self._space(settings.loss)

        def execute_and_write(trial, seconds_left):
            print(f"\n{trial_begins(trial, search.trials, self.budget)}", flush=True)
            ended = execute(trial, seconds_left)
            trials = [*(t for t in search.trials if t.number != ended.number), ended]
            trials.sort(key=lambda trial: trial.number)
            files.write([*found.values(), TunedLoss(settings, space, trials)], self.budget)
            print(trial_ended(ended, best_trial(trials)), flush=True)
            return ended

        folder = self.home / "trials"
        where = (folder, execute_and_write, self._is_few_shot)
        search = Search(settings, space, self.method, self.budget, *where)
        with told(ValueError):
            tuned = TunedLoss(settings, space, search.run())
        files.write([*found.values(), tuned], self.budget)
        return tuned

    def _execute(
        self, trial: Trial, seconds_left: float, base: Settings, dataset: Any, devices: Devices
    ) -> Trial:
        """Train and validate a trial, and write how it ended."""
        trial.write()
        clock = Clock(trial, seconds_left)
        try:
            warmup = trial.values.get("warmup_epochs", fitted.warmup_epochs_of(base))
            length = {
                "epochs": base.epochs if base.quick else trial.epochs,
                "warmup_epochs": warmup * trial.epochs / base.trained_epochs,
            }
            settings = dataclasses.replace(base, **{**trial.values, **length})
            check_run(settings)
            check_images(settings, dataset, self._protocol)
        except ValueError as error:
            return clock.stopped(FAILED, why=str(error))
        recorded = run_settings(settings, self._protocol.name)
        label = "-".join(filter(None, (base.label, f"trial-{trial.number:04d}")))
        run = Run(settings, RunFolder(trial.folder), f"{trial.loss}-{label}", recorded)
        run.folder.check(recorded, resume=True)
        run.folder.check_data(dataset.split_note)
        try:
            record = make_run(run, self._protocol, dataset, devices, [clock])
        except OutOfTime:
            return clock.stopped(UNFINISHED)
        except (FloatingPointError, ValueError) as error:
            return clock.stopped(FAILED, why=str(error))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return clock.stopped(FAILED, why=f"memory ran out: {_first_line(error)}")
        finally:
            gc.collect()
        if not settings.keep_checkpoint:
            run.folder.remove_checkpoint()
        return clock.stopped(FINISHED, validation=record.validation)


def _can_begin(study: Study, resume: bool) -> bool:
    """Whether no run is in the way: one of other settings, or any without `resume`."""
    try:
        study._runs(resume)
    except ValueError:
        return False
    return True


def _check_space(settings: Settings, space: Space, is_few_shot: bool) -> None:
    """Refuse ends of ranges, and values, that the other settings do not fit."""
    first = space.nearest(settings, is_few_shot)
    for name, where in space.where.items():
        for value in (where.low, where.high) if isinstance(where, Range) else where:
            tried = dataclasses.replace(settings, **{**first, name: value})
            check_run(tried)


def _first_line(error):
    return str(error).strip().partition("\n")[0] or type(error).__name__

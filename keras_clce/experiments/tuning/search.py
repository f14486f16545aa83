"""The search of one loss: KerasTuner proposes trials, which run folders remember."""

import contextlib
import dataclasses
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import keras_tuner
from sklearn.exceptions import ConvergenceWarning

from keras_clce.experiments.settings import Settings
from keras_clce.experiments.tuning.budget import Budget
from keras_clce.experiments.tuning.space import Space
from keras_clce.experiments.tuning.trials import (
    FAILED,
    FINISHED,
    UNFINISHED,
    Trial,
    best_trial,
    read_trial,
)

OBJECTIVE = "validation"
# Random values until a space counts as exhausted.
_DRAWS = 1000


class _Spent(Exception):
    """The budget does not allow another trial."""


@dataclasses.dataclass
class Search:
    """Trials of one loss, one after the other.

    KerasTuner's oracle is made anew by every process and told what the folders know: the same
    seed and results make it go on as if it had not been interrupted. Its own files need not be
    whole after a kill, and those of a grid do not say where it stands.

    Args:
        settings: The settings of all trials, all but those that are searched.
        space: What is searched.
        method: `"hyperband"`, `"bayesian"`, `"random"` or `"grid"`.
        budget: What may be spent.
        home: Folder of the trials.
        execute: Runs a trial in a number of seconds and returns it as it ended.
        is_few_shot: Whether trials are tested on tasks of new classes. Defaults to `False`.

    Example:
    ```python
    def execute(trial, seconds_left):
        return dataclasses.replace(trial, status="finished", validation=trial.values["temperature"])

    space, home = Space({"temperature": Range(0.1, 0.4)}), Path("trials")
    search = Search(Settings(), space, "random", Budget(trials=3), home, execute)
    [trial.number for trial in search.run()]  # [0, 1, 2]
    ```
    """

    settings: Settings
    space: Space
    method: str
    budget: Budget
    home: Path
    execute: Callable[[Trial, float], Trial]
    is_few_shot: bool = False
    trials: list[Trial] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        if self.method == "grid":
            self.space = self.space.grid()
        self._first = self.space.nearest(self.settings, self.is_few_shot)
        # All that stands in folders counts, also what was not finished.
        found = (read_trial(folder) for folder in self.home.glob(f"{self.settings.loss}-trial-*"))
        self.trials = sorted(filter(None, found), key=lambda trial: trial.number)

    def run(self) -> list[Trial]:
        """Run trials until the budget is spent, or nothing is left to try.

        Returns:
            The trials by their numbers.

        Raises:
            Exception: What `execute` raises.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.suppress(_Spent))
            stack.enter_context(warnings.catch_warnings())
            # A Gaussian process of a few points has little to tell of its length scales.
            warnings.simplefilter("ignore", ConvergenceWarning)
            scratch = stack.enter_context(tempfile.TemporaryDirectory())
            if not self.space.where:
                # An oracle without a space has nothing to propose.
                self._attempt(0, {}, self.budget.epochs)
                return self.trials
            try:
                _Tuner(self._oracle(), scratch, self._propose).search()
            except keras_tuner.errors.FatalError as error:
                raise error.__cause__ from None
        return self.trials

    def _oracle(self) -> keras_tuner.Oracle:
        options = {
            "objective": keras_tuner.Objective(OBJECTIVE, "max"),
            "hyperparameters": self.space.hyperparameters(self._first),
            # KerasTuner takes 0 for any seed.
            "seed": self.settings.seed + 1,
            # Failures are told at the end.
            "max_consecutive_failed_trials": sys.maxsize,
        }
        oracles = keras_tuner.oracles
        if self.method == "hyperband":
            # The budget ends the search.
            options |= {"max_epochs": self.budget.epochs, "hyperband_iterations": None}
            return oracles.HyperbandOracle(**options)
        if self.method == "bayesian":
            return oracles.BayesianOptimizationOracle(
                max_trials=None,
                # A few hundred validation images make noise, and some ten or twenty trials leave
                # little to explore with. With nine trials of a grid of 36 on digits these chose
                # points 0.4 below the best, KerasTuner's defaults 0.7 and random search 0.8.
                num_initial_points=len(self.space.where) + 1,
                alpha=0.1,
                beta=1.0,
                **options,
            )
        if self.method == "random":
            return oracles.RandomSearchOracle(max_trials=None, **options)
        return oracles.GridSearchOracle(**options)

    def _propose(self, proposed: Any) -> dict[str, float]:
        """Run what KerasTuner proposes, and tell it what was tried and what came out."""
        number, values = int(proposed.trial_id), proposed.hyperparameters.values
        epochs = values.get("tuner/epochs", self.budget.epochs)
        try:
            # What a user has is tried first, so that no search ends below it.
            tried = self._first if number == 0 else self.space.decoded(values)
            if self.method == "bayesian":
                tried = self._untried(number, tried)
            trial = self._attempt(number, tried, epochs)
        except Exception as error:
            raise keras_tuner.errors.FatalError from error
        values.update(self.space.encoded(trial.values))
        if trial.status != FINISHED:
            raise keras_tuner.errors.FailedTrialError(trial.why)
        return {OBJECTIVE: cast(float, trial.validation)}

    def _untried(self, number: int, values: dict[str, Any]) -> dict[str, Any]:
        """Values that no trial before had: training would give the same again."""
        before = [trial.values for trial in self.trials if trial.number < number]
        hyperparameters = self.space.hyperparameters(self._first).space
        for draw in range(_DRAWS):
            if values not in before:
                return values
            seed = (self.settings.seed * 10_000 + number) * _DRAWS + draw
            drawn = {hp.name: hp.random_sample(seed + i) for i, hp in enumerate(hyperparameters)}
            values = self.space.decoded(drawn)
        raise _Spent

    def _attempt(self, number: int, values: Mapping[str, Any], epochs: int) -> Trial:
        """A trial as its folder has it, or as it ends now."""
        loss, seed = self.settings.loss, self.settings.seed
        folder = self.home / f"{loss}-trial-{number:04d}-seed{seed}"
        trial = read_trial(folder) or Trial(loss, number, dict(values), epochs, folder)
        if not trial.is_over:
            others = [other for other in self.trials if other.number != number]
            known = [*others, trial]
            if not self.budget.allows(known, epochs):
                raise _Spent
            trial = self.execute(trial, self.budget.seconds_left(known))
            self.trials = sorted([*others, trial], key=lambda trial: trial.number)
            self._keep_the_best_model()
            if trial.status == UNFINISHED:
                raise _Spent
        return trial

    def _keep_the_best_model(self) -> None:
        best = best_trial(self.trials)
        for trial in self.trials:
            # What is unfinished goes on from its checkpoint where there is more time.
            if trial.status == FAILED:
                shutil.rmtree(trial.folder / "checkpoint", ignore_errors=True)
            elif trial.status == FINISHED and trial is not best:
                (trial.folder / "model.keras").unlink(missing_ok=True)


class _Tuner(keras_tuner.engine.base_tuner.BaseTuner):
    """Hands proposals to a function."""

    def __init__(self, oracle, directory, run):
        self._run = run
        oracle.verbose = 0
        super().__init__(oracle, directory=directory, project_name="search")

    def run_trial(self, trial):
        return self._run(trial)

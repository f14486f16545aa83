"""What the methods propose, and that a search goes on where it stopped; nothing is trained."""

import dataclasses
import itertools
import math

import pytest

from keras_clce.experiments import Range, Settings
from keras_clce.experiments.tuning.budget import Budget
from keras_clce.experiments.tuning.search import Search
from keras_clce.experiments.tuning.space import Space
from keras_clce.report import plot_search

pytestmark = pytest.mark.any_backend
METHODS = ("bayesian", "hyperband", "random", "grid")
SPACE = Space({"learning_rate": Range(1e-4, 1e-2, "log"), "embedding_dim": (None, 64)})


def accuracy(trial):
    """Highest at a learning rate of 5e-4 with a projection, and the longer the training."""
    off = math.log10(trial.values["learning_rate"] / 5e-4)
    projected = trial.values.get("embedding_dim") is not None
    return 0.9 - 0.2 * off**2 + 0.05 * projected - 0.1 / trial.epochs


class Runs:
    """Stands for training; is killed at a trial, if asked to, and remembers what it ran."""

    def __init__(self, killed_at=None, failing=(), seconds=1.0):
        self.ran, self._killed_at = [], killed_at
        self._failing, self._seconds = failing, seconds

    def __call__(self, trial, seconds_left):
        trial.write()
        if len(self.ran) == self._killed_at:
            raise KeyboardInterrupt
        self.ran.append(trial.number)
        found = {"status": "finished", "validation": accuracy(trial)}
        if trial.number in self._failing:
            found = {"status": "failed", "why": "the loss became nan"}
        ended = dataclasses.replace(trial, seconds=self._seconds, **found)
        ended.write()
        return ended


def search(home, method, runs, trials=6, space=SPACE, epochs=9, **settings):
    budget = Budget(trials=trials, epochs=epochs)
    return Search(Settings(**settings), space, method, budget, home, runs)


def tried(trials):
    return [(trial.number, trial.values, trial.epochs, trial.validation) for trial in trials]


@pytest.mark.parametrize("method", METHODS)
def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(method, tmp_path):
    # A Gaussian process takes its time, also when it is told again what was tried.
    trials = 4 if method == "bayesian" else 6
    whole = tried(search(tmp_path / "whole", method, Runs(failing={1}), trials).run())
    first, second = Runs(killed_at=3, failing={1}), Runs(failing={1})
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "killed", method, first, trials).run()
    again = tried(search(tmp_path / "killed", method, second, trials).run())
    assert again == whole
    # What has ended is not run again, failed or not; what was killed is.
    assert first.ran == [0, 1, 2] and second.ran[0] == 3
    third = Runs()
    assert tried(search(tmp_path / "killed", method, third, trials).run()) == whole
    assert third.ran == []
    # A larger budget adds to what is there.
    more = tried(search(tmp_path / "killed", method, third, trials + 1).run())
    assert more[: len(whole)] == whole and len(more) > len(whole)


@pytest.mark.parametrize("method", METHODS)
def test_trials_stay_within_the_budget_and_begin_with_what_is_given(method, tmp_path):
    trials = search(tmp_path, method, Runs(), learning_rate=1e-3).run()
    assert trials[0].values == {"learning_rate": 1e-3, "embedding_dim": None}
    assert 6 * 9 - 9 < sum(trial.epochs for trial in trials) <= 6 * 9
    if method != "hyperband":
        assert [trial.epochs for trial in trials] == [9] * 6
    assert len({str(trial.values) for trial in trials}) == len(trials) or method == "hyperband"


def test_hyperband_trains_the_best_of_the_short_trials_longer(tmp_path):
    trials = search(tmp_path, "hyperband", Runs(), trials=20).run()
    short = [trial for trial in trials if trial.epochs == 1]
    # The first bracket of 9 epochs by factors of 3: 9, 3 and 1 trials of 1, 3 and 9 epochs.
    first = trials[: trials.index(next(t for t in trials if t.epochs == 9)) + 1]
    assert [sum(t.epochs == epochs for t in first) for epochs in (1, 3, 9)] == [9, 3, 1]
    best = sorted(short[:9], key=accuracy)[-3:]
    longer = [trial for trial in first if trial.epochs == 3]
    assert sorted(str(t.values) for t in longer) == sorted(str(t.values) for t in best)


def test_a_grid_has_every_point_once_and_ends(tmp_path):
    space = Space({"temperature": Range(0.05, 1.0, "log"), "hardness": (0.0, 1.0)})
    runs = Runs()
    settings = Settings(temperature=0.224)
    grid = Search(
        settings, space, "grid", Budget(epochs=3), tmp_path, lambda *a: accept(runs, *a)
    ).run()
    points = itertools.product((0.05, 0.106, 0.224, 0.473, 1.0), (0.0, 1.0))
    assert sorted(tuple(trial.values.values()) for trial in grid) == sorted(points)
    assert grid[0].values == {"temperature": 0.224, "hardness": 1.0}


def accept(runs, trial, seconds_left):
    runs.ran.append(trial.number)
    ended = dataclasses.replace(trial, status="finished", validation=0.5)
    ended.write()
    return ended


def test_a_gaussian_process_finds_the_best_rate(tmp_path):
    space = Space({"learning_rate": Range(1e-4, 1e-2, "log")})
    trials = search(tmp_path, "bayesian", Runs(), trials=7, space=space).run()
    best = max(trials, key=lambda trial: trial.validation)
    # A rate off by a tenth of the range, 10 ** 0.2, costs 0.8 points.
    assert accuracy(best) > 0.9 - 0.1 / 9 - 0.001
    assert 5e-4 / 10**0.2 < best.values["learning_rate"] < 5e-4 * 10**0.2


@pytest.mark.parametrize("method", METHODS)
def test_a_search_ends_where_nothing_is_left_to_try(method, tmp_path):
    space = Space({"temperature": (0.1, 0.5), "learning_rate": (1e-3, 3e-3, 1e-2)})
    trials = search(tmp_path, method, Runs(), trials=50, space=space, epochs=1).run()
    assert len(trials) == 6 and len({str(trial.values) for trial in trials}) == 6


@pytest.mark.parametrize("method", METHODS)
def test_failures_do_not_end_a_search(method, tmp_path):
    trials = search(tmp_path, method, Runs(failing=range(100)), trials=4, epochs=3).run()
    assert {trial.status for trial in trials} == {"failed"} and len(trials) >= 4


def test_nothing_to_search_is_one_trial(tmp_path):
    runs = Runs()
    trials = Search(
        Settings(), Space({}), "bayesian", Budget(trials=3), tmp_path, lambda *a: accept(runs, *a)
    ).run()
    assert [trial.values for trial in trials] == [{}] and runs.ran == [0]


def test_an_error_that_no_trial_may_have_ends_the_search(tmp_path):
    def broken(trial, seconds_left):
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        search(tmp_path, "random", broken).run()


def test_minutes_end_a_search_between_trials(tmp_path):
    def run(minutes):
        budget = Budget(minutes=minutes, epochs=9)
        return Search(Settings(), SPACE, "random", budget, tmp_path, Runs(seconds=20.0)).run()

    # The third ends at 60 seconds, so that a fourth would not fit.
    assert len(run(1)) == 3
    assert len(run(2)) == 6


def test_the_best_trial_alone_keeps_its_model(tmp_path):
    def execute(trial, seconds_left):
        trial.folder.mkdir(parents=True)
        (trial.folder / "model.keras").touch()
        return Runs()(trial, seconds_left)

    trials = search(tmp_path, "random", execute).run()
    best = max(trials, key=lambda trial: trial.validation)
    kept = [trial.number for trial in trials if (trial.folder / "model.keras").is_file()]
    assert kept == [best.number]


def test_a_search_is_drawn(tmp_path):
    trials = search(tmp_path, "hyperband", Runs(failing={2}), trials=4).run()
    path = tmp_path / "search.png"
    plot_search([trial.as_json() for trial in trials], path, "clce, digits", ["learning_rate"])
    assert path.stat().st_size > 10_000

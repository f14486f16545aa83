"""The forecast of a study's time: its arithmetic by hand, and that it leaves nothing behind."""

import dataclasses
import gc
import itertools
import weakref

import pytest

from keras_clce.experiments import Settings, Study, forecast, study
from keras_clce.experiments.devices import Devices
from keras_clce.experiments.forecast import Progress, Sizes, Speed, Work, duration

SIZES = Sizes(train=100, validation=20, test=30)


def run_of(name, **options):
    options = {"image_size": 10, "batch_size": 16, "epochs": 3, "warmup_epochs": 0, **options}
    only = Study("mine", {"loss": ["ce"]}, settings=Settings(**options))
    (found,) = only._runs(resume=False)
    return found


@pytest.mark.any_backend
def test_work_of_a_run_by_hand():
    # 100 // 16 = 6 steps of 16 images of 100 pixels, three times.
    # Validation three times, and once the 100 training and the 30 test images.
    work = Work.of(run_of("ce"), SIZES)
    assert work == Work(trained=3 * 6 * 16 * 100, evaluated=(3 * 20 + 130) * 100)
    assert Work.of(run_of("ce"), SIZES, epochs_done=2) == Work(6 * 16 * 100, (20 + 130) * 100)
    assert Work.of(run_of("ce", quick=True), SIZES).trained == 2 * 16 * 100
    assert Work.of(run_of("ce", test=False), SIZES).evaluated == 3 * 20 * 100
    frozen = dataclasses.replace(run_of("ce"), is_frozen=True)
    assert Work.of(frozen, SIZES) == Work(0, 130 * 100)


@pytest.mark.any_backend
def test_progress_by_hand():
    now = 0.0
    speed = Speed(start=10.0, trained=2.0, evaluated=0.5)
    # 10 + 2 * 20 + 0.5 * 20 = 60 s, 110 s, none, 60 s.
    works = [Work(20, 20), Work(40, 40), None, Work(20, 20)]
    progress = Progress(works, speed, clock=lambda: now)
    assert progress.ahead() == 60 + 110 + 60
    assert progress.in_words() == "about 4 min ahead"
    progress.begin()
    now += 120  # twice the forecast
    progress.end()
    assert progress.ahead() == 2 * (110 + 60)
    assert progress.in_words() == "2 min behind, about 6 min ahead"
    progress.begin()
    now += 50  # 170 s for what was forecast to take as long
    progress.end()
    progress.end()  # which had finished before
    assert progress.number == 3 and progress.ahead() == 60
    progress.begin()
    now += 1
    progress.end()
    assert progress.in_words() == "3 min behind"


@pytest.mark.any_backend
def test_where_nothing_was_timed_the_first_run_tells():
    now = 0.0
    progress = Progress([Work(60, 0), Work(120, 0)], clock=lambda: now)
    assert progress.ahead() is None and progress.in_words() == ""
    progress.begin()
    now += 30
    progress.end()
    assert progress.ahead() == pytest.approx(60)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (100, "100 s"),
        (119.6, "2 min"),
        (5940, "99 min"),
        (6000, "1 h 40 min"),
        (7020, "1 h 55 min"),
        (7199, "2 h"),
        (48 * 3600, "2 days"),
        (75 * 3600, "3 days 3 h"),
    ],
)
def test_times_in_words(seconds, words):
    assert duration(seconds) == words


@pytest.fixture
def two_runs(tiny_backbone, tmp_path):
    settings = Settings(
        backbone=tiny_backbone,
        image_size=16,
        limit_examples=100,
        batch_size=25,
        epochs=1,
        output_dir=str(tmp_path / "timed"),
    )
    return Study("mine", {"loss": ["ce", "clce"]}, settings=settings)


@pytest.mark.any_backend
def test_the_forecast_changes_no_result_and_comes_first(two_runs, tmp_path, capsys, monkeypatch):
    timed = two_runs.run()
    printed = capsys.readouterr().out
    assert "Time:     about " in printed and " for 2 runs of 1 epoch (" in printed
    assert " s a step of 25 images)" in printed
    assert printed.index("Time: ") < printed.index("[1/2] ce, seed 0 · about ")
    assert "[2/2] clce, seed 0 · " in printed and " behind, about " in printed
    settings = dataclasses.replace(two_runs.settings, output_dir=str(tmp_path / "untimed"))
    monkeypatch.setattr(study, "time_run", lambda *_: None)
    untimed = dataclasses.replace(two_runs, settings=settings).run()
    assert "Time: " not in capsys.readouterr().out
    for one, other in zip(timed, untimed, strict=True):
        assert one.metrics["test"] == other.metrics["test"]
        for row, same in zip(one.history, other.history, strict=True):
            assert {**row, "seconds": 0} == {**same, "seconds": 0}


def progress_of(asked):
    """The progress of a study before its first run."""
    return asked._progress(asked._load(asked._runs(resume=True), 0), Devices(asked.settings))


@pytest.mark.any_backend
def test_nothing_is_timed_in_vain(two_runs, monkeypatch):
    def refuse(*_):
        raise AssertionError("timed")

    monkeypatch.setattr(study, "time_run", refuse)
    one = dataclasses.replace(two_runs, vary={"loss": ["ce"]})
    assert progress_of(one).ahead() is None
    quick = dataclasses.replace(two_runs.settings, quick=True)
    assert progress_of(dataclasses.replace(two_runs, settings=quick)).ahead() is None
    # One is finished, one left.
    monkeypatch.setattr(study, "finished", lambda run: run if run.loss == "ce" else None)
    assert progress_of(two_runs).ahead() is None


@pytest.mark.any_backend
def test_the_timed_model_does_not_stay(two_runs, monkeypatch, capsys):
    built = []
    build = forecast.build_model

    def build_model(*arguments):
        model = build(*arguments)
        built.append(weakref.ref(model))
        return model

    monkeypatch.setattr(forecast, "build_model", build_model)
    assert progress_of(two_runs).ahead() > 0
    assert "Time:     about " in capsys.readouterr().out
    gc.collect()
    assert len(built) == 1 and built[0]() is None


@pytest.mark.any_backend
def test_a_step_that_fails_gives_no_forecast(two_runs, monkeypatch, capsys):
    def fail(*_):
        raise FloatingPointError("the loss is NaN")

    monkeypatch.setattr(forecast, "compile_model", fail)
    assert progress_of(two_runs).ahead() is None
    assert "Time: " not in capsys.readouterr().out


@pytest.mark.any_backend
def test_steps_are_counted_after_the_first_one(two_runs, monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(forecast.time, "perf_counter", lambda: float(next(ticks)))
    (group,) = two_runs._load(two_runs._runs(resume=False), show_views=0)
    speed = forecast.time_run(group.runs[0], group.dataset(), Devices(two_runs.settings))
    # Every look at the clock is a second later: steps of 1 s for 25 images of 256 pixels.
    assert speed.trained == pytest.approx(1 / (25 * 256))
    assert speed.evaluated == pytest.approx(1 / (25 * 256))
    assert speed.in_words == "1 s a step of 25 images"

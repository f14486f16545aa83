"""Tuning: trials that are trained, killed, sealed and tested at last."""

import csv
import dataclasses
import json
import math

import keras
import pytest
import recipe_runs
from test_untested_runs import seal

from keras_clce.experiments import Range, Settings, Tuning, run_one
from keras_clce.experiments.tuning import tuning
from keras_clce.experiments.tuning.tuned_loss import TunedLoss
from keras_clce.report import write_report
from keras_clce.runs import find_records


@pytest.fixture
def settings(tiny_backbone, tmp_path):
    return Settings(
        backbone=tiny_backbone,
        image_size=16,
        limit_examples=60,
        batch_size=16,
        epochs=2,
        warmup_epochs=0.0,
        output_dir=str(tmp_path / "runs"),
    )


def weights(**options):
    """A search of few values, which need no Gaussian process."""
    return Tuning(**{"method": "random", "search": {"temperature": [0.1, 0.5, 0.9]}, **options})


@pytest.mark.any_backend
def test_the_best_of_each_loss_is_found_with_the_test_split_unread(
    settings, tmp_path, monkeypatch, capsys
):
    tuned = weights(losses=["ce", "clce"], trials=2, settings=settings)
    with monkeypatch.context() as sealed:
        seal(sealed, "transfer")
        ce, clce = tuned.run()
    # Cross-entropy reads no temperature, so that there is nothing to try twice.
    assert [len(ce.trials), len(clce.trials)] == [1, 2]
    assert clce.trials[0].values == {"temperature": 0.1}
    assert clce.best.validation == max(trial.validation for trial in clce.trials)
    assert clce.best_settings.temperature == clce.best.values["temperature"]
    home = tuned.home
    records, left_out = find_records(home)
    assert len(records) == 3 and not left_out
    assert {record.validation for record in records} == {
        trial.validation for each in (ce, clce) for trial in each.trials
    }
    with open(home / "trials.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["loss"], row["temperature"]) for row in rows][:2] == [("ce", ""), ("clce", "0.1")]
    assert float(rows[1]["validation"]) == clce.trials[0].validation
    page = (home / "tune.md").read_text()
    assert f"**clce**: {100 * clce.best.validation:.2f} % on validation" in page
    assert "the test split was not read" in " ".join(page.split())
    assert (home / "tune-clce.png").is_file() and "(tune-clce.png)" in page
    printed = " ".join(capsys.readouterr().out.split())
    assert "clce: temperature 0.1, 0.5 or 0.9" in printed and "ce: nothing, one trial" in printed
    assert "2 trainings of 2 epochs for each loss, random" in printed
    # The recipe reads what was found, and its run goes beside those of the defaults.
    found = recipe_runs.study("transfer", f"--flagfile={home / 'best-clce.flags'}")
    wanted = dataclasses.replace(clce.best_settings, output_dir="runs", label="tuned")
    assert found.settings == wanted
    assert [name for _, name in found._points()] == ["clce-tuned"]
    # The seal is opened at last.
    records = tuned.test([ce, clce], seeds=[0])
    assert [record.folder.name for record in records] == ["ce-tuned-seed0", "clce-tuned-seed0"]
    assert all(record.is_tested for record in records)
    # The same training as that of the trial.
    assert records[1].history[-1]["val_loss"] == pytest.approx(
        find_records(clce.best.folder)[0][0].history[-1]["val_loss"], rel=1e-5
    )
    report = write_report(tmp_path / "runs", tmp_path / "report").parent / "report.md"
    assert "clce-trial-0000-seed0 was not tested" in report.read_text()
    # A larger budget found better settings, which are tested beside these.
    values = {"temperature": 0.5 if clce.best.values["temperature"] == 0.1 else 0.1}
    other = dataclasses.replace(clce.best, number=7, values=values, validation=1.0)
    found = TunedLoss(clce.settings, clce.space, [*clce.trials, other])
    (record,) = tuned.test([found], seeds=[0], resume=True)
    assert record.folder.name == "clce-tuned-trial-0007-seed0"
    assert record.settings.temperature == values["temperature"]


class Killed(BaseException):
    """Stands for a signal that ends the process."""


@pytest.mark.any_backend
def test_a_trial_that_was_killed_goes_on_after_its_last_epoch(settings, monkeypatch):
    search = weights(losses=["clce"], trials=2, settings=settings)
    begun = []

    class KilledClock(tuning.Clock):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            begun.append(epoch)
            if len(begun) == 4:
                raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(tuning, "Clock", KilledClock)
        search.run()
    assert begun == [0, 1, 0, 1]
    before = json.loads((search.home / "trials" / "clce-trial-0001-seed0/trial.json").read_text())
    assert before["status"] == "running" and before["seconds"] > 0
    # The best so far stands there already.
    assert "--losses=clce" in (search.home / "best-clce.flags").read_text()
    with pytest.raises(ValueError, match=r"already holds a search\. Pass --resume"):
        search.run()
    begun.clear()
    monkeypatch.setattr(tuning, "Clock", KilledClock)
    found = search.run(resume=True)[0].trials
    assert begun == [1]
    assert [trial.status for trial in found] == ["finished", "finished"]
    assert found[1].values == before["values"] and found[1].seconds > before["seconds"]


@pytest.mark.any_backend
def test_a_loss_that_diverges_and_memory_that_runs_out_are_failed_trials(
    settings, monkeypatch, capsys
):
    errors = [FloatingPointError("loss became nan"), MemoryError("no memory for 3 GiB")]
    make_run = tuning.make_run

    def failing(run, *arguments):
        if errors and run.settings.loss == "clce":
            raise errors.pop(0)
        return make_run(run, *arguments)

    monkeypatch.setattr(tuning, "make_run", failing)
    settings = dataclasses.replace(settings, epochs=1)
    search = weights(losses=["clce"], trials=3, settings=settings)
    (tuned,) = search.run()
    assert [trial.status for trial in tuned.trials] == ["failed", "failed", "finished"]
    assert tuned.best.number == 2
    printed = capsys.readouterr().out
    assert "failed: loss became nan" in printed
    assert "failed: memory ran out: no memory for 3 GiB" in printed
    page = " ".join((search.home / "tune.md").read_text().split())
    assert (
        "Trial 0 failed: loss became nan" in page
        and "1 trial finished, 2 failed; 3 epochs in" in page
    )
    errors += [FloatingPointError("loss became inf")] * 2
    search = weights(losses=["clce"], trials=2, settings=dataclasses.replace(settings, label="b"))
    with pytest.raises(
        ValueError, match="No trial of clce finished: 2 failed, the last one: loss became"
    ):
        search.run()
    assert "no trial has finished" in (search.home / "tune.md").read_text()


@pytest.mark.any_backend
def test_what_the_data_do_not_fit_is_refused_at_once_and_fails_a_trial(settings):
    search = {"batch_size": [16, 5000], "warmup_epochs": [0.5]}
    many = dataclasses.replace(settings, batch_size=5000)
    with pytest.raises(ValueError, match="--batch_size must be at most the number of training"):
        Tuning("refused", ["ce"], search, "grid", settings=many).run()
    settings = dataclasses.replace(settings, epochs=1)
    (tuned,) = Tuning(losses=["ce"], search=search, method="grid", settings=settings).run()
    assert [trial.status for trial in tuned.trials] == ["finished", "failed"]
    assert "--batch_size must be at most" in tuned.trials[1].why
    (record,), _ = find_records(tuned.best.folder)
    assert record.settings["warmup_epochs"] == 0.5


def test_a_loss_that_really_diverges(settings):
    search = {"learning_rate": [900.0], "optimizer": ["sgd"]}
    # Cosines would keep the logits small.
    free = {"feature_normalization": None, "classifier_head": "linear"}
    settings = dataclasses.replace(settings, **free, epochs=1, batch_size=4)
    search = Tuning(losses=["ce"], search=search, trials=1, method="random", settings=settings)
    with pytest.raises(
        ValueError, match=r"No trial of ce finished: 1 failed, the last one: .* became"
    ):
        search.run()


@pytest.mark.any_backend
def test_time_that_runs_out_leaves_a_trial_unfinished_until_there_is_more(settings, monkeypatch):
    class SlowClock(tuning.Clock):
        """A minute passes with every epoch."""

        def __init__(self, trial, seconds_left):
            self._time = 0.0
            super().__init__(trial, seconds_left, now=lambda: self._time)

        def on_epoch_end(self, epoch, logs=None):
            self._time += 60.0

    monkeypatch.setattr(tuning, "Clock", SlowClock)
    settings = dataclasses.replace(settings, epochs=4)
    search = weights(losses=["clce"], minutes=3.5, settings=settings)
    with pytest.raises(ValueError, match=r"No trial of clce finished within 3\.5 minutes: give it"):
        search.run()
    (folder,) = (search.home / "trials").iterdir()
    stopped = json.loads((folder / "trial.json").read_text())
    # After two epochs it is seen that four do not fit.
    assert (stopped["status"], stopped["seconds"]) == ("unfinished", 120.0)
    more = dataclasses.replace(search, minutes=4.0)
    (tuned,) = more.run(resume=True)
    assert [(trial.status, trial.seconds) for trial in tuned.trials] == [("finished", 240.0)]


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "annealing"}, "`method` must be one of: bayesian, hyperband, random, grid"),
        ({"trials": 3, "minutes": 2.0}, "`trials` and `minutes` exclude each other"),
        ({"trials": 0}, "`trials` must be a whole number above 0"),
        ({"minutes": math.nan}, "`minutes` must be a number above 0"),
        ({"minutes": -1.0}, "`minutes` must be a number above 0"),
        ({"search": {"temperature": [-1.0]}}, "`temperature` must be above 0"),
        ({"search": {"temperature": "warm"}}, "`temperature` must be a number"),
        ({"search": {"optimizer": Range(0.0, 1.0)}}, "needs values for optimizer, no range"),
        ({"losses": ["mse"]}, "`loss` must be one of"),
        ({"losses": ["clce", "clce"]}, "`losses` must be different"),
        ({"protocol": "segmentation"}, "`protocol` must be one of"),
        (
            {"search": ["embedding_dim"], "settings": Settings(freeze_backbone=True)},
            "leaves a contrastive loss nothing to train",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Tuning(**{"losses": ["clce"], **options})


@pytest.mark.any_backend
def test_another_search_does_not_go_on_in_its_folder(tmp_path):
    tuning_files = weights(settings=Settings(output_dir=str(tmp_path)))
    files = tuning.TuningFiles(tuning_files.home)
    files.begin(tuning_files._as_json())
    files.check(tuning_files._as_json(), resume=True)
    other = dataclasses.replace(tuning_files, settings=Settings(epochs=3, hardness=2.0))
    with pytest.raises(ValueError, match=r"epochs: 30 then, 3 now; hardness: 1\.0 then, 2\.0 now"):
        files.check(other._as_json(), resume=True)
    other = dataclasses.replace(tuning_files, search={"temperature": [0.3]}, method="grid")
    with pytest.raises(ValueError, match="method: 'random' then, 'grid' now; search of clce"):
        files.check(other._as_json(), resume=True)
    # From before there was mixing, or a choice of classifiers.
    about = json.loads(files.about.read_text())
    for name in ("mixup_alpha", "cutmix_alpha", "mix", "classifier_head"):
        del about["settings"][name]
    files.about.write_text(json.dumps(about))
    files.check(tuning_files._as_json(), resume=True)
    # Another loss is another search beside it.
    files.check(dataclasses.replace(tuning_files, losses=["hscl"])._as_json(), resume=True)


@pytest.mark.any_backend
def test_an_optuna_study_tunes_without_the_test_split(settings, monkeypatch):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seal(monkeypatch, "transfer")
    settings = dataclasses.replace(settings, epochs=1)

    def objective(trial):
        tried = dataclasses.replace(
            settings,
            loss="clce",
            temperature=trial.suggest_float("temperature", 0.05, 1.0, log=True),
            test=False,
            label=f"trial-{trial.number}",
        )
        return run_one(tried).validation

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=2)
    records, _ = find_records(settings.output_dir)
    values = {record.label: record.validation for record in records}
    assert values == {"trial-0": study.trials[0].value, "trial-1": study.trials[1].value}
    assert keras.config.dtype_policy().name == "float32"

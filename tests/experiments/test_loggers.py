"""Loggers: what they wrote is read back by the tools that people look with."""

import csv
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import recipe_runs
from absl import flags

from keras_clce.experiments import Settings, Study, training
from keras_clce.experiments.loggers import LOGGERS, LoggedRun, wandb_logger
from keras_clce.experiments.loggers.run_log import RunLog
from keras_clce.experiments.loggers.steps_csv import StepsCSV
from keras_clce.experiments.loggers.tensorboard_logger import TensorBoardLogger
from keras_clce.runs import RunFolder

STEPS = 3


def study_of(tiny_backbone, tmp_path, log):
    settings = Settings(
        backbone=tiny_backbone,
        image_size=16,
        limit_examples=96,
        batch_size=32,
        epochs=3,
        warmup_epochs=0.0,
        learning_rate=0.01,
        optimizer="sgd",
        output_dir=str(tmp_path / "runs"),
        log=log,
    )
    return Study("mine", {"loss": ["clce"]}, [4], settings=settings)


def interrupted(study, epochs, monkeypatch):
    """Run a study until so many epochs are reported."""
    reported = training.EpochReport.on_epoch_end

    def broken_off(self, epoch, logs=None):
        reported(self, epoch, logs)
        if epoch + 1 == epochs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.EpochReport, "on_epoch_end", broken_off)
        with pytest.raises(KeyboardInterrupt):
            study.run()


def rows_of(path):
    with open(path, newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


# === All of them, of a run that was interrupted ===


@pytest.mark.any_backend
def test_epochs_settings_and_results_are_read_back_after_a_kill(
    tiny_backbone, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    study = study_of(tiny_backbone, tmp_path, (*LOGGERS,))
    interrupted(study, 2, monkeypatch)
    capsys.readouterr()
    (record,) = study.run(resume=True)
    printed = " ".join(capsys.readouterr().out.split())
    assert f"tensorboard --logdir {record.folder.parent}" in printed
    assert f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db" in printed
    history = rows_of(record.folder / "history.csv")
    assert len(history) == 3
    results = {
        f"test{path}": value
        for path, value in recipe_runs.flat(record.metrics["test"]).items()
        if "ci95" not in path
    }
    place = record.folder.parent.relative_to(tmp_path / "runs").as_posix()
    check_tensorboard(record.folder, history, results, place)
    check_wandb(record.folder, history, results, place)
    check_mlflow(record.folder, history, results, place)


def check_tensorboard(folder, history, results, place):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2
    from tensorboard.util import tensor_util

    events = EventAccumulator(str(folder / "tensorboard")).Reload()

    def values(name):
        return [
            (event.step, float(tensor_util.make_ndarray(event.tensor_proto)))
            for event in events.Tensors(name)
        ]

    for name in ("loss", "val_loss", "val_accuracy", "contrastive"):
        expected = [(int(row["epoch"]), np.float32(row[name])) for row in history]
        assert values(name) == expected, name
    for name, value in results.items():
        assert values(name) == [(3, np.float32(value))]
    (content,) = events.PluginTagToContent("hparams").values()
    told = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert told.group_name == f"{place}/clce-seed4"
    assert told.hparams["loss"].string_value == "clce"
    assert told.hparams["study"].string_value == "mine"
    assert told.hparams["learning_rate"].number_value == 0.01
    assert told.hparams["folder"].string_value == str(folder)


def check_wandb(folder, history, results, place):
    from wandb_files import read

    first, second = (read(path) for path in sorted(folder.rglob("run-*.wandb")))
    # So that `wandb sync` makes one run of both.
    assert first["run"].run_id == second["run"].run_id
    assert first["exit"] == 1 and second["exit"] == 0
    run = first["run"]
    assert (run.project, run.display_name, run.run_group) == ("keras-clce", "clce-seed4", place)
    assert list(run.tags) == ["mine", "clce", "seed 4"]
    assert first["config"]["learning_rate"] == 0.01 and first["config"]["seed"] == 4
    assert first["config"]["folder"] == str(folder)
    logged = first["history"] + second["history"]
    assert [row["epoch"] for row in logged] == [row["_step"] for row in logged] == [1, 2, 3]
    for row, expected in zip(logged, history, strict=True):
        assert row["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-6)
        assert {*expected} <= {*row}
    for name, value in results.items():
        assert second["summary"][name] == pytest.approx(value)


def check_mlflow(folder, history, results, place):
    import mlflow

    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(place)
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("clce-seed4", "FINISHED")
    tags = {"study": "mine", "loss": "clce", "seed": "4", "folder": str(folder)}
    assert tags.items() <= run.data.tags.items()
    assert run.data.params["learning_rate"] == "0.01"
    assert run.data.params["limit_examples"] == "96" and run.data.params["weights"] == "none"
    for name in ("loss", "val_accuracy", "seconds"):
        logged = [
            (metric.step, metric.value)
            for metric in client.get_metric_history(run.info.run_id, name)
        ]
        expected = [(int(row["epoch"]), pytest.approx(row[name])) for row in history]
        assert logged == expected, name
    for name, value in results.items():
        assert run.data.metrics[name.replace("@", "_at_")] == pytest.approx(value)


def test_steps_are_in_their_order_and_once_on_every_backend(tiny_backbone, tmp_path, monkeypatch):
    study = study_of(tiny_backbone, tmp_path, ("csv",))
    interrupted(study, 2, monkeypatch)
    file = recipe_runs.only(tmp_path, "steps.csv")
    # A step of the third epoch, which was not saved, and half of the next.
    file.write_text(f"{file.read_text()}7,3{',0.5' * 6}\n8,3,0.1")
    (record,) = study.run(resume=True)
    steps = rows_of(file)
    assert [row["step"] for row in steps] == [*range(1, 3 * STEPS + 1)]
    assert [row["epoch"] for row in steps] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    # Cosine decay from 0.01 to 0 over all steps.
    rates = [0.01 * (1 + math.cos(math.pi * step / 9)) / 2 for step in range(9)]
    np.testing.assert_allclose([row["learning_rate"] for row in steps], rates, rtol=1e-4)
    # Means since an epoch began are those of the epoch in the end.
    history = rows_of(record.folder / "history.csv")
    for name in ("loss", "accuracy", "contrastive", "cross_entropy"):
        last = [row[name] for row in steps[STEPS - 1 :: STEPS]]
        np.testing.assert_allclose(last, [row[name] for row in history], rtol=1e-5)
    assert steps[0]["loss"] != steps[1]["loss"]


# === What fails ===


class Fake(StepsCSV):
    """Takes down what it is told, and fails where it should."""

    def __init__(self):
        self.told = []
        self.fails_in = None
        self.mark = "mark"

    def __call__(self):
        return self

    def _tell(self, *what):
        self.told.append(what)
        if what[0] == self.fails_in:
            raise OSError("no connection\nat all")

    def begin(self, run, mark):
        self._tell("begin", mark)
        return self.mark

    def log_epoch(self, epoch, values):
        self._tell("epoch", epoch)

    def log_step(self, step, epoch, values):
        self._tell("step", step)

    def log_results(self, results):
        self._tell("results", *results)

    def close(self, finished):
        self._tell("close", finished)


HISTORY = [{"epoch": epoch, "loss": 3.0 - epoch} for epoch in range(3)]


def log_of(tmp_path, monkeypatch, **fakes):
    """The loggers of a run, of fakes by their names, with two epochs before."""
    for name, fake in fakes.items():
        monkeypatch.setitem(LOGGERS, name, fake)
    settings = Settings(output_dir=str(tmp_path), log=(*fakes,))
    folder = RunFolder(tmp_path / "mine" / "digits" / "small_resnet" / "clce-seed0")
    folder.path.mkdir(parents=True, exist_ok=True)
    return RunLog(training.Run(settings, folder, "clce", {"epochs": 3}))


def goes_on(log, before):
    """A run as it tells its loggers, from so many epochs on."""
    log.begin(HISTORY[:before])
    checkpoint = SimpleNamespace(history=HISTORY[:before])
    of_epochs = log.callbacks(checkpoint)[0]
    for epoch in range(before, 3):
        log.log_step(epoch + 1, epoch + 1, {"loss": 1.0})
        checkpoint.history = HISTORY[: epoch + 1]
        of_epochs.on_epoch_end(epoch, {})
    log.finish(record())
    log.close()


def record(top1=0.75):
    metrics = {
        "seed": 0,
        "seconds": 9.0,
        "validation": {"best_epoch": 2},
        "few_shot": {"5w1s": {"mean": 0.5, "classifier": "logistic"}},
        "test": {"top1": top1, "nearest_neighbor": None},
    }
    return SimpleNamespace(metrics=metrics, history=HISTORY)


RESULTS = ("validation/best_epoch", "test/top1", "few_shot/5w1s/mean", "total_seconds")


@pytest.mark.any_backend
@pytest.mark.parametrize("fails_in", ["begin", "step", "epoch", "results", "close"])
def test_a_logger_that_fails_costs_a_warning_and_not_the_run(fails_in, tmp_path, monkeypatch):
    broken, whole = Fake(), Fake()
    broken.fails_in = fails_in
    log = log_of(tmp_path, monkeypatch, wandb=broken, csv=whole)
    with pytest.warns(UserWarning, match="--log=wandb failed.*OSError: no connection at all"):
        goes_on(log, before=0)
    # Nothing is told after that.
    assert [what for what, *_ in broken.told].index(fails_in) == len(broken.told) - 1
    steps_and_epochs = [(what, n) for n in (1, 2, 3) for what in ("step", "epoch")]
    end = [("results", *RESULTS), ("close", True)]
    assert whole.told == [("begin", None), *steps_and_epochs, *end]


@pytest.mark.any_backend
def test_a_run_that_goes_on_tells_what_a_logger_has_not(tmp_path, monkeypatch):
    known, lost, new = Fake(), Fake(), Fake()
    log = log_of(tmp_path, monkeypatch, wandb=known, mlflow=lost)
    log.begin([])
    log.callbacks(SimpleNamespace(history=HISTORY[:2]))[0].on_epoch_end(1, {})
    log.close()
    assert known.told == [("begin", None), ("epoch", 1), ("epoch", 2), ("close", False)]
    for fake in (known, lost):
        fake.told.clear()
    # Somebody has deleted what the second logged.
    lost.mark = "another"
    goes_on(log_of(tmp_path, monkeypatch, wandb=known, mlflow=lost, csv=new), before=2)
    assert known.told[0] == ("begin", "mark") and new.told[0] == ("begin", None)
    for fake, epochs in ((known, [3]), (lost, [1, 2, 3]), (new, [1, 2, 3])):
        assert [number for what, number, *_ in fake.told if what == "epoch"] == epochs


@pytest.mark.any_backend
def test_a_finished_run_is_told_to_whoever_does_not_know_it(tmp_path, monkeypatch):
    known, new = Fake(), Fake()
    goes_on(log_of(tmp_path, monkeypatch, wandb=known), before=0)
    known.told.clear()
    log_of(tmp_path, monkeypatch, wandb=known, mlflow=new).catch_up(record())
    assert not known.told
    epochs = [("epoch", 1), ("epoch", 2), ("epoch", 3)]
    end = [("results", *RESULTS), ("close", True)]
    assert new.told == [("begin", None), *epochs, *end]
    # As it is where a run is tested later.
    log_of(tmp_path, monkeypatch, wandb=known).catch_up(record(top1=0.5))
    assert known.told == [("begin", "mark"), *end]


@pytest.mark.any_backend
def test_a_log_that_was_deleted_is_begun_anew(tiny_backbone, tmp_path):
    run = LoggedRun(tmp_path, "mine/digits", "ce", 0, {"epochs": 1}, 2)
    logger = TensorBoardLogger()
    mark = logger.begin(run, None)
    logger.close(finished=True)
    assert logger.begin(run, mark) == mark
    logger.close(finished=True)
    for path in (tmp_path / "tensorboard").iterdir():
        path.unlink()
    assert logger.begin(run, mark) != mark
    logger.close(finished=True)


# === What is refused before long work ===


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("name", "package", "command"),
    [
        ("tensorboard", "tensorboard", "pip install tensorboard"),
        ("wandb", "wandb", 'pip install "keras-clce[wandb]"'),
        ("mlflow", "mlflow", 'pip install "keras-clce[mlflow]"'),
    ],
)
def test_a_missing_package_is_named_with_its_command(name, package, command, monkeypatch):
    wandb_logger._check_login.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    expected = rf"--log={name} needs {package}, which is not installed.*{command}"
    with pytest.raises(flags.Error, match=expected.replace("[", r"\[")):
        recipe_runs.study("transfer", f"--log={name}")
    # Whoever does not ask for it needs none.
    assert recipe_runs.study("transfer", "--log=csv").settings.log == ("csv",)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--log=wandb,wandb", "flag --log=wandb,wandb: must be different ones"),
        ("--log=tensorbord", "flag --log=tensorbord: must be one of: tensorboard, wandb, mlflow"),
    ],
)
def test_wrong_names_are_refused(argument, message):
    with pytest.raises(flags.Error, match=message):
        recipe_runs.study("transfer", argument)


@pytest.mark.any_backend
def test_wandb_without_a_key_is_refused_rather_than_asked_for(monkeypatch):
    import wandb

    wandb_logger._check_login.cache_clear()
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr(wandb, "login", lambda prompt: False)
    with pytest.raises(ValueError, match=r"needs a key.*`wandb login`.*WANDB_MODE=offline"):
        LOGGERS["wandb"].check()

    def refused(prompt):
        raise wandb.errors.AuthenticationError("API key is not valid.")

    monkeypatch.setattr(wandb, "login", refused)
    with pytest.raises(ValueError, match=r"API key is not valid\. Run `wandb login`"):
        LOGGERS["wandb"].check()
    wandb_logger._check_login.cache_clear()
    monkeypatch.setenv("WANDB_MODE", "offline")
    LOGGERS["wandb"].check()


@pytest.mark.any_backend
def test_a_store_of_mlflow_that_cannot_be_opened_is_refused(monkeypatch, tmp_path):
    (tmp_path / "mlflow.db").write_text("no database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(ValueError, match=r"cannot open its store.*Received: sqlite:///"):
        LOGGERS["mlflow"].check()

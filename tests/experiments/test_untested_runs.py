"""Runs that leave the test split unread: what they leave behind, and how they are tested later."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_clce.data import load_dataset
from keras_clce.experiments import Settings, Study, run_one
from keras_clce.experiments.protocols import PROTOCOLS
from keras_clce.report import validation_table, write_report
from keras_clce.runs import RunFolder, find_records
from keras_clce.train.saving import load_model


class Sealed:
    """A test split that nobody may touch."""

    def __getattr__(self, name):
        raise AssertionError(f"the test split was touched: {name}")


def seal(monkeypatch, protocol):
    """Put a test split that cannot be read in the place of a protocol's."""
    load = type(PROTOCOLS[protocol]).load

    def sealed(self, settings):
        return dataclasses.replace(load(self, settings), test=Sealed())

    monkeypatch.setattr(type(PROTOCOLS[protocol]), "load", sealed)


@pytest.fixture
def settings(tiny_backbone, tmp_path):
    return Settings(
        backbone=tiny_backbone,
        image_size=16,
        limit_examples=100,
        batch_size=32,
        epochs=1,
        test=False,
        output_dir=str(tmp_path / "runs"),
    )


@pytest.mark.any_backend
@pytest.mark.parametrize("loss", ["ce", "supcon"])
def test_a_run_reads_the_test_split_only_where_it_is_tested(settings, loss, monkeypatch, capsys):
    settings = dataclasses.replace(settings, loss=loss)
    with monkeypatch.context() as sealed:
        seal(sealed, "transfer")
        record = run_one(settings)
    assert not record.is_tested and "test" not in record.metrics and not record.is_few_shot
    assert 0 <= record.validation <= 1
    assert "; not tested" in capsys.readouterr().out
    if loss == "ce":
        model = load_model(record.folder / "model.keras")
        split = load_dataset("digits", preprocessing=model.preprocessing).validation
        images, labels = next(split.batches(1000).as_numpy_iterator())
        predicted = model.predict(images, verbose=0)["logits"].argmax(1)
        assert record.validation == pytest.approx(np.mean(predicted == labels), abs=1e-6)
    if loss == "supcon":
        return
    # Once more finds it finished; asked for the test, it goes on without training again.
    assert run_one(settings, resume=True).metrics == record.metrics
    tested = run_one(dataclasses.replace(settings, test=True), resume=True)
    assert tested.is_tested and tested.validation == record.validation
    assert tested.metrics["seconds"] == record.metrics["seconds"]
    assert 0 <= tested.metrics["test"]["top1"] <= 1
    assert not (tested.folder / "checkpoint").exists()


@pytest.mark.any_backend
def test_few_shot_runs_leave_the_novel_classes_unread(settings, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    for label in range(10):
        folder = tmp_path / "photos" / f"class{label}"
        folder.mkdir(parents=True)
        for number in range(6):
            pixels = rng.normal(25 * label, 5, (16, 16, 3)).clip(0, 255).astype("uint8")
            keras.utils.save_img(folder / f"{number}.png", pixels, scale=False)
    settings = dataclasses.replace(
        settings,
        dataset="image_folder",
        data_dir=str(tmp_path / "photos"),
        limit_examples=None,
        batch_size=8,
        loss="ce",
        ways=2,
        shots=(1,),
        queries=2,
        tasks=20,
    )
    study = Study("mine", {"loss": ["ce"]}, settings=settings, protocol="few_shot")
    with monkeypatch.context() as sealed:
        seal(sealed, "few_shot")
        (record,) = study.run()
    assert not record.is_tested and record.is_few_shot
    assert record.validation == record.history[0]["val_few_shot"]
    assert f"validation: few-shot {record.validation:.4f}, epoch 1" in capsys.readouterr().out
    tested = dataclasses.replace(study, settings=dataclasses.replace(settings, test=True))
    (record,) = tested.run(resume=True)
    assert record.is_tested and record.metrics["few_shot"]["2w1s"]["tasks"] == 20


@pytest.mark.any_backend
def test_tables_and_reports_say_what_was_not_tested(tmp_path):
    homes = tmp_path / "runs" / "tune"
    for seed, top1 in enumerate([0.90, 0.94]):
        folder = RunFolder(homes / f"ce-seed{seed}")
        folder.start({"dataset": "digits", "backbone": "small_resnet"}, data="digits, 100 images")
        folder.write_history([{"epoch": 0, "accuracy": 0.5}])
        metrics = {"loss": "ce", "seed": seed, "seconds": 3.0, "tested": False}
        validation = {"best_epoch": 1, "top1": top1}
        folder.write_metrics({**metrics, "validation": validation}, {"dataset": "digits"})
    records, left_out = find_records(homes)
    assert [record.validation for record in records] == [0.90, 0.94] and not left_out
    # t of 1 degree of freedom at 97.5 %, 12.706, times 0.02 / sqrt(2) * sqrt(2).
    assert "92.00 ± 25.41" in validation_table(records)
    with pytest.raises(ValueError, match="ce-seed1 was not tested"):
        write_report(tmp_path / "runs", tmp_path / "report")


@pytest.mark.any_backend
@pytest.mark.parametrize("missing", ["validation", "seconds"])
def test_metrics_without_a_test_must_say_so_and_have_the_rest(tmp_path, missing):
    folder = RunFolder(tmp_path / "ce-seed0")
    folder.start({}, data="digits")
    validation = {"best_epoch": 1, "top1": 0.9}
    metrics = {"loss": "ce", "seed": 0, "seconds": 3.0, "validation": validation}
    with pytest.raises(ValueError, match="test is missing"):
        folder.write_metrics(metrics, {})
    folder.write_metrics({**metrics, "tested": False}, {})
    del metrics[missing]
    with pytest.raises(ValueError, match=f"{missing}.* is missing|top1 is missing"):
        folder.write_metrics({**metrics, "tested": False}, {})


@pytest.mark.any_backend
def test_the_frozen_encoder_is_there_to_be_tested():
    with pytest.raises(ValueError, match="`frozen` is for tested runs"):
        Study("mine", settings=Settings(dataset="cifar_fs", test=False), frozen=True)

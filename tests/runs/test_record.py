"""Records of finished runs, whichever version wrote them, and why others are left out."""

import shutil

import numpy as np
import pytest

from keras_clce.files import write_json
from keras_clce.runs import RunFolder, find_records, run_name

pytestmark = pytest.mark.any_backend

SETTINGS = {"dataset": "digits", "backbone": "small_resnet", "epochs": 3, "quick": False}
TEST = {"top1": 0.75, "top5": 1.0, "nearest_neighbor": None, "examples": 8}
METRICS = {
    "loss": "clce",
    "seed": 4,
    "seconds": 9.0,
    "validation": {"best_epoch": 3},
    "test": TEST,
}
HISTORY = [{"epoch": epoch, "loss": 1.0} for epoch in range(3)]
FEW_SHOT = {
    "mean": 0.5,
    "ci95": 0.1,
    "tasks": 3,
    "queries": 15,
    "classifier": "logistic",
    "features": "pooled",
    "transform": "l2",
    "drawn_from": "a1",
}


def begun(path, settings=SETTINGS, epochs=3):
    folder = RunFolder(path)
    folder.start(settings, "digits, 10 images")
    folder.write_history(HISTORY[:epochs])
    return folder


def finished(path, settings=SETTINGS, **more):
    folder = begun(path, settings)
    folder.write_metrics({**METRICS, **more}, settings)
    return folder


def test_a_record_has_what_was_written(tmp_path):
    folder = finished(tmp_path / "run", label="tuned", quick=True, data="ten digits")
    record = folder.record()
    assert record.settings == folder.finished()["settings"] == SETTINGS
    assert record.metrics["test"] == TEST and record.history == HISTORY
    assert (record.folder, record.loss, record.seed) == (folder.path, "clce", 4)
    assert (record.label, record.quick, record.data) == ("tuned", True, "ten digits")
    assert record.name == "clce, tuned (quick)" and not record.is_few_shot


def test_a_record_of_an_earlier_version_is_completed_by_its_configuration(tmp_path):
    folder = begun(tmp_path, {**SETTINGS, "quick": True})
    write_json(folder.metrics, METRICS)
    record = folder.record()
    assert record.settings == {**SETTINGS, "quick": True}
    assert (record.dataset, record.backbone) == ("digits", "small_resnet")
    assert (record.label, record.quick, record.data) == (None, True, "digits, 10 images")
    assert folder.finished() == METRICS


def test_metrics_that_would_not_be_read_are_not_written(tmp_path):
    folder = begun(tmp_path)
    partial = {name: value for name, value in METRICS.items() if name != "seed"}
    with pytest.raises(ValueError, match=r"`metrics` must have .* Received: .*seed is missing"):
        folder.write_metrics(partial, SETTINGS)
    assert folder.record() is None


def test_accuracies_on_tasks_are_part_of_the_record(tmp_path):
    folder = begun(tmp_path / "ce-seed0")
    folder.write_accuracies({"5w1s": np.array([0.25, 0.5, 0.75])})
    metrics = {"loss": "ce", "seed": 0, "accuracies": "ce-seed0/few_shot.npz"}
    folder.write_metrics({**metrics, "few_shot": {"5w1s": FEW_SHOT}}, SETTINGS)
    assert folder.record().task_accuracies("5w1s").tolist() == [0.25, 0.5, 0.75]
    moved = RunFolder(folder.path.rename(tmp_path / "kept"))
    assert moved.record().task_accuracies("5w1s").tolist() == [0.25, 0.5, 0.75]
    moved.few_shot.unlink()
    with pytest.raises(ValueError, match=r"few_shot\.npz is damaged"):
        moved.record()


def test_a_run_without_its_configuration_is_no_record(tmp_path):
    folder = finished(tmp_path)
    folder.config.unlink()
    with pytest.raises(ValueError, match=r"config\.json is missing"):
        folder.record()


def test_runs_that_are_left_out_are_named_with_a_reason(tmp_path):
    whole = [finished(tmp_path / name) for name in ("a", "deep/er")]
    reasons = {
        begun(tmp_path / "b", epochs=1): ", 1 of 3 epochs done",
        begun(tmp_path / "c", epochs=3): ", trained but not tested",
        begun(tmp_path / "d", {**SETTINGS, "quick": True}, epochs=0): ", 0 of 1 epoch done",
        begun(tmp_path / "frozen", {"loss": "frozen"}, epochs=0): "",
    }
    broken = finished(tmp_path / "z")
    broken.metrics.write_text("{")
    records, left_out = find_records(tmp_path)
    assert [record.folder for record in records] == [folder.path for folder in whole]
    *unfinished, (path, reason) = left_out
    assert unfinished == [
        (folder.path, f"not finished: {folder.path}{why}") for folder, why in reasons.items()
    ]
    assert path == broken.path and reason.startswith(f"{broken.metrics} is damaged (")


def test_a_run_that_lost_its_configuration_is_named(tmp_path):
    whole, lost = finished(tmp_path / "a"), finished(tmp_path / "b")
    lost.config.unlink()
    records, left_out = find_records(tmp_path)
    assert [record.folder for record in records] == [whole.path]
    with pytest.raises(ValueError, match="is missing") as caught:
        lost.record()
    assert left_out == [(lost.path, str(caught.value))]


def test_links_to_folders_are_followed_once(tmp_path):
    here, elsewhere = finished(tmp_path / "runs" / "z" / "one"), finished(tmp_path / "away" / "two")
    links = {"a": here.path.parent, "b": elsewhere.path, "c": tmp_path / "away", "d": tmp_path}
    for name, target in links.items():
        (tmp_path / "runs" / name).symlink_to(target)
    (tmp_path / "away" / "back").symlink_to(tmp_path / "runs")
    # A run that stands below the folder keeps its own place, whatever its links are called.
    expected = {here.path, tmp_path / "runs" / "b"}
    assert {record.folder for record in find_records(tmp_path / "runs")[0]} == expected
    (tmp_path / "link").symlink_to(tmp_path / "runs" / "z")
    (record,) = find_records(tmp_path / "link")[0]
    assert record.folder == tmp_path / "link" / "one"


def test_files_of_other_programs_are_no_runs(tmp_path):
    run = finished(tmp_path / "run")
    for name, files in {
        "model": {"config.json": {"model_type": "vit", "hidden_size": 192}},
        "evaluated": {"config.json": {"model_type": "vit"}, "metrics.json": {"accuracy": 0.5}},
        "metrics": {"metrics.json": [1, 2]},
    }.items():
        (tmp_path / name).mkdir()
        for file, content in files.items():
            write_json(tmp_path / name / file, content)
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "metrics.json").write_text('{"loss": 1}\n{"loss": 2}\n')
    records, left_out = find_records(tmp_path)
    assert [record.folder for record in records] == [run.path] and left_out == []
    # A run's own configuration is damaged, not another's, where its metrics are beside it.
    write_json(run.config, {"model_type": "vit"})
    ((path, reason),) = find_records(tmp_path)[1]
    assert path == run.path and f"{run.config} is damaged (settings is missing" in reason


@pytest.mark.parametrize("name", ["metrics.json", "history.csv"])
def test_what_to_do_about_a_damaged_file_depends_on_the_checkpoint(name, tmp_path):
    folder = finished(tmp_path)
    folder.checkpoint.mkdir()
    (folder.checkpoint / "epoch_0002.npz").touch()
    (tmp_path / name).write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"pass --resume: the checkpoint gives (it|both) again"):
        folder.record()
    shutil.rmtree(folder.checkpoint)
    with pytest.raises(ValueError, match="no checkpoint is left, so the run is made anew"):
        folder.record()


def test_the_checkpoint_of_a_finished_run_can_go(tmp_path):
    folder = begun(tmp_path)
    folder.checkpoint.mkdir()
    (folder.checkpoint / "epoch_0002.npz").touch()
    with pytest.raises(ValueError, match="has not finished"):
        folder.remove_checkpoint()
    assert len(list(folder.checkpoint.iterdir())) == 1
    folder.write_metrics(METRICS, SETTINGS)
    before = {path.name for path in tmp_path.iterdir()}
    record = folder.record()
    folder.remove_checkpoint()
    folder.remove_checkpoint()
    assert {path.name for path in tmp_path.iterdir()} == before - {"checkpoint"}
    assert folder.record() == record
    folder.check(SETTINGS, resume=True)


def test_names_of_runs():
    assert run_name({"loss": "ce"}) == run_name({"loss": "ce", "label": None}) == "ce"
    assert run_name({"loss": "clce", "label": "tuned", "quick": False}) == "clce, tuned"
    assert run_name({"loss": "clce", "quick": True}) == "clce (quick)"

"""The folder of a run: what it refuses, and what it says where a file is damaged."""

import csv
import json
import os
from pathlib import Path

import pytest

from keras_clce.experiments.fitted import take_over
from keras_clce.experiments.settings_json import settings_as_json, settings_from_json
from keras_clce.files import write_json
from keras_clce.runs import RunFolder

RESULTS = Path(__file__).resolve().parents[2] / "results"

pytestmark = pytest.mark.any_backend


def test_run_folder_refuses_to_start_over(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.check({"epochs": 3}, resume=False)
    folder.start({"epochs": 3}, "digits")
    with pytest.raises(ValueError, match="--resume"):
        folder.check({"epochs": 3}, resume=False)
    folder.check({"epochs": 3}, resume=True)
    with pytest.raises(ValueError, match="epochs: 3 then, 4 now"):
        folder.check({"epochs": 4}, resume=True)


@pytest.mark.parametrize(
    "early",
    ["feature_normalization/flowers8/ce-layer16-2e-3-seed0", "fc100_20_a_class/ce-seed0"],
)
def test_runs_from_before_there_were_settings_go_on_without_them(early, tmp_path):
    config = json.loads((RESULTS / early / "config.json").read_text())
    before = config["settings"]
    protocol = "few_shot" if "queries" in before else "transfer"
    # As `--resume` takes them; what a run resolved stands as it was.
    today = settings_as_json(take_over(settings_from_json(before), [before], ()), protocol)
    later = {name: today[name] for name in today if name not in before}
    folder = RunFolder(tmp_path)
    folder.start(before, config["data"])
    names = {"classifier": today["classifier"]} if "classifier" in before else {}
    folder.check({**before, **later, **names}, resume=True)


def test_run_folder_says_what_the_run_is_made_of(tmp_path):
    folder = RunFolder(tmp_path)
    folder.start({"epochs": 3}, "digits, 1,257 images")
    config = json.loads(folder.config.read_text())
    assert config["data"] == "digits, 1,257 images"
    assert config["versions"]["keras"].startswith("3.")
    assert folder.finished() is None
    few_shot = {"loss": "ce", "seed": 0, "accuracies": "ce-seed0/few_shot.npz", "few_shot": {}}
    write_json(folder.metrics, few_shot)
    assert folder.finished() == few_shot


def test_run_folder_keeps_its_beginning_and_refuses_other_data(tmp_path):
    folder = RunFolder(tmp_path)
    folder.check_data("digits")
    folder.start({"epochs": 3}, "digits", {"resume": False})
    folder.start({"epochs": 3}, "digits", {"resume": True})
    config = json.loads(folder.config.read_text())
    assert config["flags"] == {"resume": False}
    assert len(config["resumed"]) == 1
    folder.check_data("digits")
    with pytest.raises(ValueError, match="'digits' then, 'cifar10' now"):
        folder.check_data("cifar10")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b'{"loss": "ce", "seed": 0',
        b"[1, 2]",
        b"7",
        b"null",
        b"{}",
        b'{"loss": "ce", "seed": "0", "settings": [], "data": 3, "few_shot": {}}',
        b'{"loss": "ce", "seed": 0, "seconds": 1, "validation": {}, "test": {"top1": null}}',
        b'{"loss": "ce", "seed": 0, "seconds": 1, "validation": {"best_epoch": 1}, "test": '
        b'{"top1": 1, "top5": 1, "examples": 9}}',
        b"[" * 100_000,
    ],
)
def test_damaged_files_of_a_run_are_named_with_what_to_do(content, tmp_path):
    folder = RunFolder(tmp_path)
    folder.config.write_bytes(content)
    folder.metrics.write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json is damaged \(.*delete the folder"):
        folder.check({}, resume=True)
    with pytest.raises(ValueError, match=r"metrics\.json is damaged \(.*Delete it and"):
        folder.finished()


@pytest.mark.parametrize("content", [b"epoch,loss\n1\n", b"loss\n2\n", b"epoch\nx\n", b"\x00\xff,"])
def test_a_damaged_history_is_named(content, tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.read_history() == []
    folder.history.write_bytes(content)
    with pytest.raises(ValueError, match=r"history\.csv is damaged"):
        folder.read_history()


def test_a_folder_serves_one_process_at_a_time(tmp_path):
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    busy = pytest.raises(
        BlockingIOError, match=rf"{tmp_path}/run is in use .*process {os.getpid()}"
    )
    with first.lock():
        for _ in range(2):  # the first refusal must not have touched the lock
            with busy, second.lock():
                pass
    with second.lock():
        pass


def test_history_counts_epochs_from_one(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_history([{"epoch": 0, "loss": 2.0}, {"epoch": 1, "loss": 1.5}])
    rows = list(csv.DictReader(folder.history.open()))
    assert rows == [{"epoch": "1", "loss": "2.0"}, {"epoch": "2", "loss": "1.5"}]
    assert folder.read_history() == [{"epoch": 0, "loss": 2.0}, {"epoch": 1, "loss": 1.5}]

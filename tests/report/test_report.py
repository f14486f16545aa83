import csv
import json
import os

import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure
from scipy import stats

from keras_clce.files import write_atomically, write_json
from keras_clce.report import RunFolder, format_table, plot_curves, summary_table

pytestmark = pytest.mark.any_backend


def metrics(loss, seed, top1):
    test = {"top1": top1, "top5": 0.9, "nearest_neighbor": None, "examples": 10}
    return {"loss": loss, "seed": seed, "seconds": 2.0, "test": test}


def test_summary_table_gives_scipys_figures():
    ce, clce = [0.80, 0.81, 0.83], [0.82, 0.84, 0.84]
    runs = [metrics("ce", seed, value) for seed, value in enumerate(ce)]
    runs += [metrics("clce", seed, value) for seed, value in enumerate(clce)]
    line = summary_table(runs).splitlines()[-1]
    half = stats.t.ppf(0.975, 2) * stats.sem(clce)
    assert f"{100 * np.mean(clce):.2f} ± {100 * half:.2f}" in line
    assert f"p = {stats.ttest_rel(clce, ce).pvalue:.2g}" in line


def test_summary_table_pairs_by_seed_not_by_order():
    runs = [metrics("ce", 0, 0.5), metrics("ce", 1, 0.6)]
    runs += [metrics("clce", 1, 0.6), metrics("clce", 0, 0.5)]
    assert "+0.00" in summary_table(runs).splitlines()[-1]


def test_summary_table_of_one_seed_claims_no_interval():
    table = summary_table([metrics("ce", 0, 0.5), metrics("clce", 0, 0.6)])
    assert "±" not in table
    assert "+10.00 (one seed)" in table


def test_format_table_aligns_titles_of_two_lines():
    lines = format_table(["\na", "bb\nc"], [["xyz", "1"]]).splitlines()
    assert lines == ["     bb", "a     c", "---  --", "xyz   1"]


def test_format_table_aligns():
    lines = format_table(["a", "bb"], [["xyz", "1"], ["x", "22"]]).splitlines()
    assert lines == ["a    bb", "---  --", "xyz   1", "x    22"]


def test_run_folder_refuses_to_start_over(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.check({"epochs": 3}, resume=False)
    folder.start({"epochs": 3}, "digits")
    with pytest.raises(ValueError, match="--resume"):
        folder.check({"epochs": 3}, resume=False)
    folder.check({"epochs": 3}, resume=True)
    with pytest.raises(ValueError, match="epochs: 3 then, 4 now"):
        folder.check({"epochs": 4}, resume=True)


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


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, 1)

    def broken(to):
        to.write_text("half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(path, broken)
    assert json.loads(path.read_text()) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_curves_draw_every_run(tmp_path, monkeypatch):
    history = [
        {"epoch": e, "accuracy": 0.5, "val_accuracy": 0.4, "cross_entropy": 1.0, "contrastive": 3.0}
        for e in range(3)
    ]
    few_shot = [{**row, "val_few_shot": 0.6} for row in history]
    figures, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *to, **how: (figures.append(self), save(self, *to, **how))
    )
    path = tmp_path / "curves.png"
    plot_curves({"ce": [history, few_shot], "clce": [history[:1]]}, path)
    picture = image.imread(path)
    assert picture.shape[2] == 4
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 10
    (figure,) = figures
    accuracy, *_, few_shot_panel = figure.axes
    training = [line for line in accuracy.get_lines() if line.get_linestyle() == "--"]
    assert [line.get_color() for line in training] == ["C0", "C0", "C1"]
    (line,) = few_shot_panel.get_lines()
    assert list(line.get_xdata()) == [1, 2, 3] and list(line.get_ydata()) == [0.6] * 3
    (legend,) = figure.legends
    assert sorted(text.get_text() for text in legend.get_texts()) == [
        f"{loss}, {part}" for loss in ("ce", "clce") for part in ("training", "validation")
    ]

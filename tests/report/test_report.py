import csv
import json
import os
import warnings

import numpy as np
import pytest
import reference
from matplotlib import image
from matplotlib.figure import Figure
from scipy import stats

from keras_clce.data import ImageDataset, ImageSplit
from keras_clce.files import write_atomically, write_json
from keras_clce.report import (
    Curves,
    RunFolder,
    drawing,
    format_table,
    plot_curves,
    plot_few_shot,
    plot_task,
    run_title,
    show_views,
    summary_table,
)
from keras_clce.report.curves import chance_level

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


@pytest.mark.parametrize("rows", [2, 5, 54])
def test_chance_is_each_losss_value_where_all_similarities_are_equal(rows):
    labels, same = np.arange(rows) % max(2, rows // 3) * (rows > 2), np.ones((rows, 3))
    for values, counted in (
        reference.lacln(labels, same),
        reference.lacln(labels, same, positive_sum="inside"),
        reference.lacln(labels, same, temperature=0.1, hardness=0.0),
        reference.hscl(labels, same),
        reference.hscl(labels, same, threshold=0.5),
    ):
        expected = reference.mean_over_counted(values, counted)
        assert chance_level(rows, 64) == pytest.approx(expected)


def test_chance_is_weighted_by_the_rows_of_batches():
    expected = (128 * np.log(63) + 26 * np.log(25)) / 154
    assert chance_level(154, 64) == pytest.approx(expected)
    assert chance_level(129, 64) == pytest.approx(np.log(63))  # a row alone has no positive
    assert np.isnan(chance_level(1, 64)) and np.isnan(chance_level(0, 64))


def test_curves_are_comparable_and_say_what_is_not_trained(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, to, **how: figures.append(self) or to.touch()
    )
    row = {"epoch": 0, "accuracy": 0.5, "val_accuracy": 0.4, "cross_entropy": 1.0}
    row |= {"contrastive": np.log(127) - 1, "val_contrastive": np.log(53) - 2}
    histories = {}
    for loss, weight in (("ce", 0.9), ("clce", 0.9), ("hscl", 1.0), ("supcon", 0.9)):
        settings = {"loss": loss, "contrastive_weight": weight, "batch_size": 64}
        histories[loss] = [Curves.of([row], settings, {"validation": {"examples": 54}})]
    alone = {"epoch": 0, "contrastive": 4.0, "val_contrastive": 0.0}  # no class twice in a batch
    settings = {"loss": "clce", "contrastive_weight": 0.5, "batch_size": 4}
    histories["small"] = [Curves.of([alone], settings, {"validation": {"examples": 4}})]
    histories["old"] = [Curves.of([row], {"loss": "mine"}, {})]
    plot_curves(histories, tmp_path / "curves.png", "my_$photos, small_resnet")
    (figure,) = figures
    accuracy, cross_entropy, contrastive = figure.axes
    assert figure.get_suptitle() == "my_$photos, small_resnet"
    lines = [line for line in contrastive.get_lines() if line.get_color() != "grey"]
    # Nothing of a run whose batches are unknown.
    expected = [-1, -2] * 4 + [4 - np.log(7), np.nan]
    assert [line.get_ydata()[0] for line in lines] == pytest.approx(expected, nan_ok=True)
    thin = {
        axes.get_title().split(",")[0]: [
            name
            for number, name in enumerate(histories)
            for line in axes.get_lines()
            if line.get_color() == f"C{number}" and line.get_linewidth() < 1
        ]
        for axes in (accuracy, cross_entropy, contrastive)
    }
    assert thin == {
        "Accuracy": ["hscl", "hscl", "supcon", "supcon"],
        "Cross-entropy": ["hscl", "supcon"],
        "Contrastive loss": ["ce", "ce"],
    }
    (legend,) = figure.legends
    assert "thin: not trained by that loss" in [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize(
    "name", ["a$b_{c", "$\\frac$", "x^_\\", "中文", "not \udcff utf-8", "a\0b\n"]
)
def test_any_name_can_be_drawn(name, tmp_path):
    # What fonts lack may warn.
    row = {"epoch": 0, "accuracy": 0.5, "cross_entropy": 1.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plot_curves({name: [[row]]}, tmp_path / "curves.png", title=name)
        result = {"5w1s": {"mean": 0.6, "ci95": 0.1}}
        runs = [{"loss": name, "dataset": name, "backbone": name, "few_shot": result}]
        plot_few_shot(runs, tmp_path / "few_shot.png")
        images = np.zeros((2, 1, 4, 4, 3))
        plot_task(images, images, np.ones((2, 1), int), [name] * 2, name, tmp_path / "task.png")
        view = ImageSplit(np.zeros((2, 8, 8, 3), np.uint8), np.arange(2), image_size=8)
        data = ImageDataset("photos", (name, name), view, view, view, "")
        show_views(data, "light", 2, tmp_path / "views.png")
    assert len(list(tmp_path.glob("*.png"))) == 4
    for path in tmp_path.glob("*.png"):
        assert image.imread(path).ndim == 3


def test_a_picture_that_fails_is_a_warning_that_names_it():
    with pytest.warns(UserWarning, match=r"The picture .*curves\.png is missing: OSError: full$"):
        with drawing("some/curves.png"):
            raise OSError("full")
    with pytest.raises(KeyboardInterrupt), drawing("some/curves.png"):
        raise KeyboardInterrupt


def test_title_of_runs_has_the_name_of_a_files_encoder():
    assert run_title({"dataset": "digits", "backbone": "some/tiny.keras"}) == "digits, tiny.keras"
    assert (
        run_title({"dataset": "digits", "backbone": "hub:some/preset"}) == "digits, hub:some/preset"
    )
    assert run_title({"loss": "ce"}) == ""

"""The picture of runs by epoch, and what its lines are measured from."""

import numpy as np
import pytest
import reference
from matplotlib import image
from matplotlib.figure import Figure

from keras_clce.report import Curves, plot_curves
from keras_clce.report.curves import chance_level

pytestmark = pytest.mark.any_backend


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

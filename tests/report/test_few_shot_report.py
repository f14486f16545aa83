"""Tables and pictures of few-shot runs, against SciPy."""

import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from keras_clce.report import FEW_SHOT_NOTE, few_shot_table, pictures, plot_few_shot, plot_task

pytestmark = pytest.mark.any_backend


def few_shot_runs(losses, seeds, tasks=400):
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0.7, 0.1, tasks)
    return {
        (loss, seed): np.round(75 * (difficulty + better + rng.normal(0, 0.05, tasks))) / 75
        for loss, better in losses.items()
        for seed in seeds
    }


def columns(table, loss):
    (line,) = [line for line in table.splitlines() if line.startswith(f"{loss} ")]
    return re.split(r"  +", line)


def interval(values, sign=""):
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{100 * np.mean(values):{sign}.2f} ± {100 * half:.2f}"


def test_few_shot_table_gives_scipys_figures():
    runs = few_shot_runs({"ce": 0, "clce": 0.004}, (3, 5, 8))
    table = few_shot_table(runs)
    ours, theirs = (np.array([runs[loss, seed] for seed in (3, 5, 8)]) for loss in ("clce", "ce"))
    by_task, by_seed = ours.mean(axis=0) - theirs.mean(axis=0), (ours - theirs).mean(axis=1)
    flipped = stats.permutation_test(
        (by_task,), np.mean, permutation_type="samples", n_resamples=9999, rng=0, vectorized=True
    )
    cells = columns(table, "clce")
    assert cells[:7] == [
        "clce",
        "3",
        interval(np.median(ours, axis=1)),
        interval(ours.mean(axis=1)),
        interval(ours.mean(axis=0)),
        interval(by_task, "+"),
        f"{stats.ttest_1samp(by_task, 0).pvalue:.2g}",
    ]
    assert float(cells[7]) == pytest.approx(flipped.pvalue, abs=0.02)
    assert cells[8:] == [interval(by_seed, "+"), f"{stats.ttest_1samp(by_seed, 0).pvalue:.2g}"]
    assert columns(table, "ce")[5:] == ["-"] * 5


def test_few_shot_table_fits_a_terminal_and_prints_no_p_of_zero():
    losses = {"ce": 0, "ce_supcon": 0.2, "hscl": -0.2, "clce": 0.3}
    table = few_shot_table(few_shot_runs(losses, (0, 1, 2), tasks=3000))
    assert max(map(len, [*table.splitlines(), *FEW_SHOT_NOTE.splitlines()])) <= 120
    assert columns(table, "clce")[6:8] == ["<1e-16", "0.0001"]


def test_few_shot_table_of_one_seed_claims_nothing_across_seeds():
    runs = few_shot_runs({"ce": 0, "clce": 0.1}, (0,))
    cells = columns(few_shot_table(runs), "clce")
    difference = f"{100 * np.mean(runs['clce', 0] - runs['ce', 0]):+.2f}"
    assert [cells[2], cells[3]] == [
        f"{100 * statistic(runs['clce', 0]):.2f}" for statistic in (np.median, np.mean)
    ]
    assert "±" in cells[4] and "±" in cells[5]
    assert cells[8:] == [difference, "-"]


def test_a_model_without_seed_is_compared_with_every_seed():
    runs = few_shot_runs({"ce": 0}, (0, 1, 2))
    runs["frozen", None] = few_shot_runs({"frozen": -0.1}, (0,))["frozen", 0]
    cells = columns(few_shot_table(runs), "frozen")
    differences = np.array([runs["frozen", None] - runs["ce", seed] for seed in range(3)])
    assert cells[1] == "-" and "±" not in cells[2] + cells[3]
    assert cells[5] == interval(differences.mean(axis=0), "+")
    assert cells[8] == interval(differences.mean(axis=1), "+")


def test_accuracy_picture_says_over_what_its_intervals_are(tmp_path, monkeypatch):
    tested = {("ce", 0): 0.60, ("ce", 1): 0.64, ("ce", 2): 0.63, ("clce", 0): 0.7}
    runs = [
        {"loss": loss, "few_shot": {"5w1s": {"mean": mean, "ci95": 0.01}}}
        for (loss, _), mean in tested.items()
    ]
    runs[-1]["few_shot"]["5w5s"] = {"mean": 0.8, "ci95": 0.02}
    figure = drawn(monkeypatch, plot_few_shot, runs, tmp_path / "few_shot.png")
    first, second = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["ce", "clce"]
    assert first.get_ylim() == (1.5, -0.5)
    half = 100 * stats.t.ppf(0.975, 2) * stats.sem([0.60, 0.64, 0.63])
    ce, clce = first.containers
    assert_drawn(ce, 0, 100 * np.mean([0.60, 0.64, 0.63]), half)
    assert_drawn(clce, 1, 70, 1)
    assert (ce[0].get_markerfacecolor(), clce[0].get_markerfacecolor()) == ("C0", "white")
    (alone,) = second.containers
    assert_drawn(alone, 1, 80, 2)


def assert_drawn(container, row, mean, half):
    point, _, (bar,) = container
    assert [*point.get_xdata(), *point.get_ydata()] == pytest.approx([mean, row])
    assert bar.get_segments()[0][:, 0] == pytest.approx([mean - half, mean + half])


def drawn(monkeypatch, plot, *arguments):
    """The figure that a plotting function would write."""
    seen = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: seen.append(self))
    monkeypatch.setattr(pictures, "write_atomically", lambda path, write: write(path))
    plot(*arguments)
    (figure,) = seen
    return figure


def test_task_picture_marks_what_is_right(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    support, queries = (rng.uniform(0, 255, (3, n, 8, 8, 3)) for n in (1, 4))
    predicted = np.array([[0, 0, 1, 0], [1, 2, 1, 1], [2, 2, 2, 2]])
    names = ["ant", "bee", "c" * 40]
    path = tmp_path / "task.png"
    figure = drawn(monkeypatch, plot_task, support, queries, predicted, names, "run", path)
    assert figure.get_suptitle() == "run: 10 of 12 queries right in this task"
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels[1:5] == ["✓", "✓", "✗ bee", "✓"]
    assert labels[7] == f"✗ {'c' * 14}…"
    colours = [axes.spines["top"].get_edgecolor() for axes in figure.axes]
    assert (colours[1] == colours[2]) and colours[1] != colours[3]


@pytest.mark.parametrize("letter", ["W", "m", "i"])
def test_names_fit_beside_and_below_the_images(tmp_path, monkeypatch, letter):
    images = np.zeros((2, 1, 8, 8, 3))
    names = [letter * 15, letter * 14 + "x"]
    predicted = np.array([[1], [0]])
    path = tmp_path / "task.png"
    figure = drawn(monkeypatch, plot_task, images, images, predicted, names, "run", path)
    renderer = FigureCanvasAgg(figure).get_renderer()
    width, height = figure.canvas.get_width_height()
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == names
    for axes in figure.axes:
        for label in (axes.yaxis.label, axes.xaxis.label):
            if not label.get_text():
                continue
            axes.draw(renderer)
            box = label.get_window_extent(renderer)
            assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height
        if axes.get_xlabel():
            # Below its own image, with the hair's breadth that a wider one is drawn with.
            below = axes.xaxis.label.get_window_extent(renderer)
            assert below.width <= 1.06 * axes.get_window_extent(renderer).width
            assert axes.get_xlabel().startswith(f"✗ {letter * 4}")

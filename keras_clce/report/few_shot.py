"""Tables and pictures of few-shot runs: each figure says over what its interval is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from keras_clce.evaluate.statistics import (
    confidence_interval,
    paired_t_test,
    sign_flip_p_value,
)
from keras_clce.files import printable_text, write_atomically
from keras_clce.report.plots import verbatim
from keras_clce.report.tables import format_table, run_name, run_title

FROZEN = "frozen"
_MOST_CLASSES, _MOST_SUPPORT, _MOST_QUERIES = 10, 5, 8
FEW_SHOT_NOTE = """\
median ± seeds  the CLCE paper's figure: median over tasks, then mean and interval across seeds;
                a median moves in steps of one query, so seeds may agree by chance
mean ± seeds    mean over tasks, then mean and interval across seeds: how training anew varies
mean ± tasks    the same mean; interval over tasks, each averaged over seeds: it takes the trained
                models and the novel images as given, and training anew may differ by more
minus           difference on the same tasks, or of the same seeds, with its interval
frozen          the encoder before training: one, beside every seed of the others
p, t; p, flips  paired t-test; sign-flip permutation test of 9,999 flips, so at least 0.0001
All intervals are 95 %, Student's t."""


def few_shot_table(
    accuracies: Mapping[tuple[str, int | None], np.ndarray], baseline: str = "ce"
) -> str:
    """Few-shot accuracy of each loss in percent, with intervals and paired tests of two kinds.

    `FEW_SHOT_NOTE` says what each column is. Over tasks, the trained models are taken as given;
    across seeds, training is repeated. An interval that is missing needs two seeds.

    Args:
        accuracies: Accuracy of each task `(tasks,)` for each loss and seed, the same tasks for all.
            A model that no seed changes has `None` in place of a seed, and is compared with every
            seed of the baseline.
        baseline: Loss that the others are compared with. Defaults to `"ce"`.

    Returns:
        The table as text, at most 120 columns wide.

    Example:
    ```python
    print(few_shot_table({("ce", 0): ce.accuracies, ("clce", 0): clce.accuracies}))
    ```
    """
    by_loss: dict[str, dict[int | None, np.ndarray]] = {}
    for (loss, seed), values in accuracies.items():
        by_loss.setdefault(loss, {})[seed] = np.asarray(values)
    minus = f"minus {baseline}\n± "
    header = ["\nloss", "\nseeds", "median\n± seeds", "mean\n± seeds", "mean\n± tasks"]
    header += [f"{minus}tasks", "\np, t", "\np, flips", f"{minus}seeds", "\np, t"]
    rows = []
    for loss, runs in by_loss.items():
        cells = [loss, "-" if None in runs else str(len(runs))]
        for statistic in (np.median, np.mean):
            values = [statistic(run) for run in runs.values()]
            cells.append(_percent(np.mean(values), confidence_interval(values)))
        over_tasks = np.mean(list(runs.values()), axis=0)
        cells.append(_percent(over_tasks.mean(), confidence_interval(over_tasks)))
        rows.append(cells + _versus(runs, {} if loss == baseline else by_loss.get(baseline, {})))
    return format_table(header, rows)


def few_shot_tables(runs: Sequence[Mapping[str, Any]], home: Path) -> str:
    """Few-shot accuracy of runs on the same tasks, one `few_shot_table` a kind of task.

    Args:
        runs: The `metrics.json` of each few-shot run.
        home: Folder that the run folders stand in.

    Returns:
        The tables as text, each under a line that says what was classified, and how.

    Raises:
        ValueError: If a file is missing or damaged, or runs were tested on different tasks.

    Example:
    ```python
    home = Path("runs/few_shot/cifar_fs/vit_tiny")
    print(few_shot_tables([json.loads(p.read_text()) for p in home.glob("*/metrics.json")], home))
    ```
    """
    tables = []
    for kind in _kinds(runs):
        tested = [run for run in runs if kind in run["few_shot"]]
        results = [run["few_shot"][kind] for run in tested]
        other = [
            f"{run_name(run)}, seed {run['seed']}"
            for run, result in zip(tested, results, strict=True)
            if result["drawn_from"] != results[0]["drawn_from"]
        ]
        if other:
            raise ValueError(
                f"The runs of {home} were not tested on the same tasks. Delete the metrics.json of "
                "those that differ, and pass --resume to test them anew. Received: "
                f"{run_name(tested[0])}, seed {tested[0]['seed']}, and on other {kind} tasks "
                + "; ".join(other)
            )
        accuracies = {
            (run_name(run), None if run["loss"] == FROZEN else run["seed"]): read_accuracies(
                home / run["accuracies"], kind
            )
            for run in tested
        }
        of = "{features} features, {transform}; {tasks} tasks, {queries} queries a class, "
        of = (of + "{classifier}").format(**results[0])
        tables.append(f"{kind}: {of}\n{few_shot_table(accuracies)}")
    return "\n\n".join(tables)


def read_accuracies(path: Path, name: str) -> np.ndarray:
    """Read the accuracy of each task from a run's `few_shot.npz`.

    Args:
        path: The file.
        name: Kind of task, as in `metrics.json`.

    Returns:
        Accuracies `(tasks,)`.

    Raises:
        ValueError: If the file is missing or damaged.

    Example:
    ```python
    read_accuracies(Path("runs/few_shot/cifar_fs/vit_tiny/ce-seed0/few_shot.npz"), "5w1s").mean()
    ```
    """
    try:
        with np.load(path) as file:
            accuracies = file[name]
        # NumPy gives the bytes of a member that does not begin as an array.
        if np.ndim(accuracies) != 1 or not np.isfinite(accuracies).all():
            raise ValueError("it does not hold one number a task")
        return accuracies
    except Exception as error:  # NumPy, archives and their compression raise many kinds of errors
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}). Delete it and metrics.json, and "
            "pass --resume: the checkpoint gives both again"
        ) from error


def plot_few_shot(runs: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the mean accuracy of each loss with its 95 % interval, one panel a kind of task.

    Args:
        runs: The `metrics.json` of each few-shot run. With several seeds of a loss the interval is
            across seeds and the dot filled; with one it is over tasks and the dot hollow.
        path: The PNG file to write.

    Example:
    ```python
    plot_few_shot([json.loads(path.read_text()) for path in found], Path("few_shot.png"))
    ```
    """
    kinds = _kinds(runs)
    losses = list(dict.fromkeys(map(run_name, runs)))
    columns = min(4, len(kinds))
    lines = -(-len(kinds) // columns)
    figure = Figure(
        figsize=(3 * columns + 1, (0.28 * len(losses) + 1.1) * lines + 0.3), layout="constrained"
    )
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for axes, kind in zip(panels, kinds, strict=False):
        for number, loss in enumerate(losses):
            of_loss = [run["few_shot"] for run in runs if run_name(run) == loss]
            results = [results[kind] for results in of_loss if kind in results]
            if not results:
                continue
            means = [100 * result["mean"] for result in results]
            several = len(means) > 1
            half = confidence_interval(means) if several else 100 * results[0]["ci95"]
            axes.errorbar(
                np.mean(means),
                number,
                xerr=half,
                fmt="o",
                markerfacecolor=None if several else "white",
                capsize=4,
                color=f"C{number % 10}",
            )
        # Across two seeds an interval may be wider than all that accuracy can be.
        left, right = axes.get_xlim()
        axes.set_xlim(max(left, 0), min(right, 100))
        axes.set_title(kind, fontsize=10)
        axes.set_xlabel("accuracy, %")
        axes.grid(alpha=0.3)
    # The panels share the axis; the first loss stands on top, as in the table.
    panels[0].set_yticks(range(len(losses)), [*map(printable_text, losses)])
    panels[0].set_ylim(len(losses) - 0.5, -0.5)
    for axes in panels[len(kinds) :]:
        axes.set_axis_off()
    legend = "mean and 95 % interval: across seeds (filled), over the tasks of one seed (hollow)"
    figure.suptitle("\n".join(filter(None, (run_title(runs[0]), legend))), fontsize=10)
    verbatim(figure)
    write_atomically(path, lambda to: figure.savefig(to, dpi=120))


def plot_task(
    support: np.ndarray,
    queries: np.ndarray,
    predicted: np.ndarray,
    class_names: Sequence[str],
    title: str,
    path: Path,
) -> None:
    """Draw one few-shot task, a class a row: its support, then queries and their predictions.

    A right query has a green frame and a tick, a wrong one a red frame and the class that it was
    taken for. At most 10 classes, 5 support images and 8 queries of each are drawn.

    Args:
        support: Pixels in 0..255 `(ways, shots, height, width, 3)`.
        queries: Pixels in 0..255 `(ways, queries, height, width, 3)`.
        predicted: Predicted class of each query `(ways, queries)`, as its row.
        class_names: Name of each class.
        title: What stands above, before how many queries are right.
        path: The PNG file to write.

    Example:
    ```python
    plot_task(images[support], images[queries], predicted, names, "clce, seed 0", Path("task.png"))
    ```
    """
    names = [name if len(name) < 16 else f"{name[:14]}…" for name in class_names]
    right = predicted == np.arange(len(predicted))[:, None]
    shown = support[:_MOST_CLASSES, :_MOST_SUPPORT], queries[:_MOST_CLASSES, :_MOST_QUERIES]
    rows, shots, columns = len(shown[0]), shown[0].shape[1], shown[1].shape[1]
    gap = 0.35
    figure = Figure(figsize=(0.85 * (shots + columns + gap) + 1.1, 0.98 * rows + 0.7))
    grid = figure.add_gridspec(
        rows,
        shots + 1 + columns,
        width_ratios=[1] * shots + [gap] + [1] * columns,
        **_margins(figure, left=1.05, right=0.05, top=0.55, bottom=0.22),
        wspace=0.08,
        hspace=0.3,
    )
    for row in range(rows):
        for column in range(shots + columns):
            is_query = column >= shots
            axes = figure.add_subplot(grid[row, column + is_query])
            axes.set(xticks=[], yticks=[])
            image = shown[1][row, column - shots] if is_query else shown[0][row, column]
            axes.imshow(np.rint(image).astype(np.uint8))
            if column in (0, shots) and row == 0:
                axes.set_title("queries" if is_query else "support", loc="left", fontsize=9)
            if column == 0:
                axes.set_ylabel(names[row], rotation=0, ha="right", va="center", fontsize=9)
            if is_query:
                good = right[row, column - shots]
                colour = "tab:green" if good else "tab:red"
                axes.spines[:].set(color=colour, linewidth=2.5)
                text = "✓" if good else f"✗ {names[predicted[row, column - shots]]}"
                axes.set_xlabel(text, color=colour, fontsize=7, labelpad=2)
    count = f"{right.sum()} of {right.size} queries right in this task"
    figure.suptitle(f"{title}: {count}", fontsize=10, y=1 - 0.08 / figure.get_figheight(), va="top")
    verbatim(figure)
    write_atomically(path, lambda to: figure.savefig(to, dpi=100))


def _kinds(runs):
    return list(dict.fromkeys(kind for run in runs for kind in run["few_shot"]))


def _margins(figure, left, right, top, bottom):
    """Edges of a grid as shares of the figure, from margins in inches."""
    width, height = figure.get_size_inches()
    return {
        "left": left / width,
        "right": 1 - right / width,
        "top": 1 - top / height,
        "bottom": bottom / height,
    }


def _percent(mean, half, sign=""):
    return f"{100 * mean:{sign}.2f}" + ("" if np.isnan(half) else f" ± {100 * half:.2f}")


def _versus(runs, baseline):
    shared = [seed for seed in baseline if seed in runs or None in runs]
    if not shared:
        return ["-"] * 5
    ours = np.array([runs.get(seed, runs.get(None)) for seed in shared])
    theirs = np.array([baseline[seed] for seed in shared])
    test = paired_t_test(ours.mean(axis=0), theirs.mean(axis=0))
    flipped = sign_flip_p_value((ours - theirs).mean(axis=0))
    by_task = [_percent(test.mean_difference, test.ci95, "+"), _p(test.p_value), _p(flipped)]
    if len(shared) < 2:
        return [*by_task, _percent(test.mean_difference, np.nan, "+"), "-"]
    test = paired_t_test(ours.mean(axis=1), theirs.mean(axis=1))
    return [*by_task, _percent(test.mean_difference, test.ci95, "+"), _p(test.p_value)]


def _p(value):
    if np.isnan(value):
        return "-"
    return "<1e-16" if value < 1e-16 else f"{value:.2g}"

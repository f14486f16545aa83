"""Pictures of few-shot runs: accuracy of each loss, and one task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.evaluate.statistics import confidence_interval
from keras_clce.files import printable_text
from keras_clce.report.names import run_title
from keras_clce.report.pictures import new_figure, save_figure
from keras_clce.runs.record import run_name

_MOST_CLASSES, _MOST_SUPPORT, _MOST_QUERIES = 10, 5, 8


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
    figure = new_figure(
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
    save_figure(figure, path, dpi=120)


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
    figure = new_figure(figsize=(0.85 * (shots + columns + gap) + 1.1, 0.98 * rows + 0.7))
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
    save_figure(figure, path, dpi=100)


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

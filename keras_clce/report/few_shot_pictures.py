"""Pictures of few-shot runs: accuracy of each loss, and one task."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_clce.files import printable_text
from keras_clce.report.few_shot_classifier_pictures import plot_classifiers
from keras_clce.report.few_shot_classifiers import has_several_classifiers
from keras_clce.report.few_shot_kinds import KindOfTask, distinct_kinds, dot_of
from keras_clce.report.names import Run, as_record, by_name, count_of, run_title
from keras_clce.report.pictures import fitted_text, new_figure, save_figure, text_width
from keras_clce.report.tables import percent

_MOST_CLASSES, _MOST_SUPPORT, _MOST_QUERIES = 10, 5, 8
_CELL = 0.85


def plot_few_shot(runs: Sequence[Run], path: Path) -> None:
    """Draw the mean accuracy of each loss with its 95 % interval, one panel per kind of task.

    All panels share their axis. A row of them is one size of tasks; features that gave the same
    results share a panel. Runs with several classifiers get the picture of `plot_classifiers`.

    Args:
        runs: The records of few-shot runs, or their `metrics.json`. With several seeds of a loss
            the interval is across seeds and the dot filled; with one it is over tasks and the dot
            hollow.
        path: The PNG file to write.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    plot_few_shot(records, Path("few_shot.png"))
    ```
    """
    records = [as_record(run) for run in runs]
    if has_several_classifiers(records):
        plot_classifiers(records, path)
        return
    groups = by_name(records)

    def dots(key):
        results = (
            [run.metrics["few_shot"][key] for run in group if key in run.metrics["few_shot"]]
            for group in groups.values()
        )
        return [dot_of(of_loss) if of_loss else None for of_loss in results]

    def printed(key):
        return tuple(dot and percent(dot[0] / 100, dot[1] / 100) for dot in dots(key))

    rows: dict[str, list[KindOfTask]] = {}
    for kind, _ in distinct_kinds(records, printed):
        rows.setdefault(kind.tasks, []).append(kind)
    columns = max(map(len, rows.values()))
    figure = new_figure(
        figsize=(3.2 * columns + 1, (0.28 * len(groups) + 1.2) * len(rows) + 0.5),
        layout="constrained",
    )
    panels = figure.subplots(len(rows), columns, squeeze=False, sharex=True, sharey=True)
    for row, of_size in zip(panels, rows.values(), strict=True):
        for axes, kind in zip(row, of_size, strict=False):
            _draw_dots(axes, dots(kind.name))
            axes.set_title(kind.in_words if columns > 1 else kind.tasks, fontsize=10)
            axes.set_xlabel("accuracy, %")
            axes.tick_params(labelbottom=True)
            axes.grid(alpha=0.3)
        for axes in row[len(of_size) :]:
            axes.remove()
    first = panels[0, 0]
    # Across two seeds an interval may be wider than all that accuracy can be.
    left, right = first.get_xlim()
    first.set_xlim(max(left, 0), min(right, 100))
    # The first loss stands on top, as in the table.
    first.set_yticks(range(len(groups)), [printable_text(str(name)) for name in groups])
    first.set_ylim(len(groups) - 0.5, -0.5)
    legend = "mean and 95 % interval: across seeds (filled), over the tasks of one seed (hollow)"
    title = run_title(records[0])
    figure.suptitle("\n".join([*filter(None, [title]), *textwrap.wrap(legend, 42 * columns + 12)]))
    save_figure(figure, path, dpi=120)


def _draw_dots(axes, dots):
    for number, dot in enumerate(dots):
        if dot is None:
            continue
        mean, half, several = dot
        axes.errorbar(
            mean,
            number,
            xerr=half,
            fmt="o",
            markerfacecolor=None if several else "white",
            capsize=4,
            color=f"C{number % 10}",
        )


def plot_task(
    support: np.ndarray,
    queries: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    class_names: Sequence[str],
    title: str,
    path: Path,
) -> None:
    """Draw one few-shot task, one class per row: its support, then queries and their predictions.

    A right query has a green frame and a tick, a wrong one a red frame and the class that it was
    taken for. At most 10 classes, 5 support images and 8 queries of each are drawn.

    Args:
        support: Pixels in 0..255 `(ways, shots, height, width, 3)`.
        queries: Pixels in 0..255 of each class `(queries, height, width, 3)`, of which classes may
            have different numbers.
        predicted: Predicted class of each query of each class `(queries,)`, as its row.
        class_names: Name of each class.
        title: What stands above, before how many queries are right.
        path: The PNG file to write.

    Example:
    ```python
    support, queries = images[:5, None], images[5:10, None]
    predicted = np.array([[0], [1], [2], [0], [4]])
    names = ["cat", "dog", "fox", "owl", "rat"]
    plot_task(support, queries, predicted, names, "clce, seed 0", Path("task.png"))
    ```
    """
    names = [name if len(name) < 16 else f"{name[:14]}…" for name in class_names]
    right = [of_class == row for row, of_class in enumerate(predicted)]
    support = support[:_MOST_CLASSES, :_MOST_SUPPORT]
    rows, shots = support.shape[:2]
    queries = [of_class[:_MOST_QUERIES] for of_class in queries[:rows]]
    columns = max(map(len, queries))
    gap = 0.35
    left = 0.15 + max(text_width(name, 9) for name in names[:rows])
    figure = new_figure(figsize=(_CELL * (shots + columns + gap) + left + 0.05, 0.98 * rows + 0.7))
    grid = figure.add_gridspec(
        rows,
        shots + 1 + columns,
        width_ratios=[1] * shots + [gap] + [1] * columns,
        **_margins(figure, left=left, right=0.05, top=0.55, bottom=0.22),
        wspace=0.08,
        hspace=0.3,
    )
    for row in range(rows):
        for column in range(shots + len(queries[row])):
            is_query = column >= shots
            axes = figure.add_subplot(grid[row, column + is_query])
            axes.set(xticks=[], yticks=[])
            image = queries[row][column - shots] if is_query else support[row, column]
            axes.imshow(np.rint(image).astype(np.uint8))
            if column in (0, shots) and row == 0:
                axes.set_title("queries" if is_query else "support", loc="left", fontsize=9)
            if column == 0:
                axes.set_ylabel(names[row], rotation=0, ha="right", va="center", fontsize=9)
            if is_query:
                good = right[row][column - shots]
                colour = "tab:green" if good else "tab:red"
                axes.spines[:].set(color=colour, linewidth=2.5)
                taken_for = names[predicted[row][column - shots]]
                text, size = ("✓", 7) if good else fitted_text(f"✗ {taken_for}", _CELL)
                axes.set_xlabel(text, color=colour, fontsize=size, labelpad=2)
    right = np.concatenate(right)
    count = f"{right.sum()} of {count_of(len(right), 'query', 'queries')} right in this task"
    figure.suptitle(f"{title}: {count}", fontsize=10, y=1 - 0.08 / figure.get_figheight(), va="top")
    save_figure(figure, path, dpi=100)


def _margins(figure, left, right, top, bottom):
    """Edges of a grid as shares of the figure, from margins in inches."""
    width, height = figure.get_size_inches()
    return {
        "left": left / width,
        "right": 1 - right / width,
        "top": 1 - top / height,
        "bottom": bottom / height,
    }

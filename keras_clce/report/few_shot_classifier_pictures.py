"""Picture of few-shot runs whose tasks were solved by several classifiers."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_clce.files import printable_text
from keras_clce.report.few_shot_classifiers import classifiers_of, kind_in_words
from keras_clce.report.few_shot_kinds import dot_of, kinds_of, result_of, size_in_words
from keras_clce.report.names import by_name, run_title
from keras_clce.report.pictures import new_figure, save_figure
from keras_clce.runs.record import Record


def plot_classifiers(records: Sequence[Record], path: Path) -> None:
    """Draw the mean accuracy of each loss by each classifier, one panel per size of tasks.

    Of several kinds of features the first that a classifier takes is drawn. With several seeds of a
    loss the interval is across seeds and the dot filled; with one it is over tasks and the dot
    hollow.

    Args:
        records: The records of few-shot runs.
        path: The PNG file to write.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    plot_classifiers(records, Path("few_shot.png"))
    ```
    """
    names, groups = classifiers_of(records), by_name(records)
    sizes: dict[str, dict[str, str]] = {}
    for key in kinds_of(records):
        of_size = sizes.setdefault(key.partition(" ")[0], {})
        of_size.setdefault(result_of(records, key)["classifier"], key)
    height = len(names) * (0.16 * len(groups) + 0.22) + 1.7
    figure = new_figure(figsize=(4 * len(sizes) + 1.6, height), layout="constrained")
    panels = figure.subplots(1, len(sizes), squeeze=False, sharey=True)[0]
    # The losses of a classifier share its band, of which a fourth stays free.
    offsets = 0.75 * ((np.arange(len(groups)) + 0.5) / len(groups) - 0.5)
    for axes, (size, keys) in zip(panels, sizes.items(), strict=True):
        for number, group in enumerate(groups.values()):
            for row, name in enumerate(names):
                kind = keys.get(name)
                found = [
                    run.metrics["few_shot"][kind]
                    for run in group
                    if kind in run.metrics["few_shot"]
                ]
                if found:
                    mean, half, several = dot_of(found)
                    axes.errorbar(
                        mean,
                        row + offsets[number],
                        xerr=half,
                        fmt="o",
                        markersize=4,
                        capsize=2,
                        color=f"C{number % 10}",
                        markerfacecolor=None if several else "white",
                    )
        axes.set_title(size_in_words(size), fontsize=10)
        axes.set_xlabel("accuracy, %")
        axes.grid(axis="x", alpha=0.3)
        for row in range(1, len(names)):
            axes.axhline(row - 0.5, color="0.85", linewidth=0.8)
    words = [f"{name}\n{kind_in_words(name)}" for name in names]
    panels[0].set_yticks(range(len(names)), words, fontsize=8)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    for number, loss in enumerate(groups):
        panels[0].plot([], [], "o", color=f"C{number % 10}", label=printable_text(str(loss)))
    figure.legend(loc="outside lower center", ncols=4, fontsize=9)
    legend = "mean and 95 % interval: across seeds (filled), over the tasks of one seed (hollow)"
    lines = textwrap.wrap(legend, 52 * len(sizes) + 16)
    figure.suptitle("\n".join([*filter(None, [run_title(records[0])]), *lines]), fontsize=10)
    save_figure(figure, path, dpi=120)

"""Pictures of what a model confuses and of how far its probabilities can be trusted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.report.pictures import fitted_text, new_figure, save_figure

_RIGHT, _GAP, _LINE = "#0072B2", "#D55E00", "0.35"
_WRITTEN = 20  # more classes than that leave no room for numbers
_NAME_WIDTH = 1.3


def plot_confusion_matrix(names: Sequence[str], counts: np.ndarray, path: Path, title: str) -> None:
    """Draw how many examples of each class are taken for which, dark where the share is large.

    Args:
        names: Names of the classes.
        counts: Examples by true class (rows) and predicted class (columns).
        path: The PNG file to write.
        title: Title of the picture.

    Example:
    ```python
    plot_confusion_matrix(["ant", "bee"], np.array([[9, 1], [2, 8]]), Path("matrix.png"), "pets")
    ```
    """
    classes = len(names)
    side = min(11.0, max(2.4, 0.36 * classes))
    figure = new_figure(figsize=(side + 2.2, side + 1.9), layout="constrained")
    ax = figure.subplots()
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = 8 if classes <= _WRITTEN else 6.5
    words = [fitted_text(name, _NAME_WIDTH, sizes=(size,))[0] for name in names]
    ax.set_xticks(range(classes), words, rotation=90, fontsize=size)
    ax.set_yticks(range(classes), words, fontsize=size)
    ax.set_xlabel("Predicted class")
    ax.set_ylabel("True class")
    if classes <= _WRITTEN:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            place = {"ha": "center", "va": "center", "fontsize": 7.5, "color": colour}
            ax.text(column, row, str(counts[row, column]), **place)
    ax.set_title(title, fontsize=10)
    save_figure(figure, path, dpi=110)


def plot_reliability(models: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw how often predictions of each confidence are right, before and after calibration.

    Args:
        models: For each model `"before"` and, where there is one, `"after"`: `edges`, `counts`,
            `confidences`, `accuracies` (`None` in an empty bin) and `ece`; `"temperature"`.
        path: The PNG file to write.

    Example:
    ```python
    before = {"edges": [0, 0.5, 1], "counts": [0, 4], "confidences": [None, 0.9]}
    before |= {"accuracies": [None, 0.75], "ece": 0.15}
    plot_reliability({"ce": {"before": before, "temperature": None}}, Path("reliability.png"))
    ```
    """
    columns = 2 if any("after" in one for one in models.values()) else 1
    figure = new_figure(figsize=(3.6 * columns, 3.7 * len(models)), layout="constrained")
    grid = figure.subplots(len(models), columns, squeeze=False, sharex=True, sharey=True)
    for axes, (name, found) in zip(grid, models.items(), strict=True):
        prefix = "" if len(models) == 1 else f"{name}, "
        own = found.get("own_temperature")
        before = "as it is" if own is None else f"as it is (temperature {own:.2f})"
        _plot_bins(axes[0], found["before"], f"{prefix}{before}")
        axes[0].set_ylabel("Share that is right")
        if "after" in found:
            _plot_bins(axes[1], found["after"], f"{prefix}temperature {found['temperature']:.2f}")
        elif columns > 1:
            axes[1].set_visible(False)
    for ax in grid[-1]:
        ax.set_xlabel("Probability of the predicted class")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    save_figure(figure, path, dpi=110)


def _plot_bins(ax, found, title):
    edges, counts = np.array(found["edges"]), np.array(found["counts"])
    width, full = edges[1] - edges[0], counts > 0
    middles = (edges[:-1] + edges[1:])[full] / 2
    right, sure = (
        np.array([np.nan if value is None else value for value in found[name]], float)[full]
        for name in ("accuracies", "confidences")
    )
    ax.plot([0, 1], [0, 1], color=_LINE, linewidth=1, linestyle="--", zorder=3)
    ax.bar(middles, right, 0.92 * width, color=_RIGHT, label="right")
    ax.bar(
        middles,
        np.abs(sure - right),
        0.92 * width,
        np.minimum(sure, right),
        color=_GAP,
        alpha=0.45,
        label="distance from the probability",
    )
    # How many examples each bin has, as a step along the top.
    heights = 0.14 * counts / counts.max()
    ax.stairs(heights, edges, color=_LINE, linewidth=1, label="number of images")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_title(f"{title}\nECE {100 * found['ece']:.1f} %", fontsize=9)
    ax.grid(alpha=0.3)

"""Pictures of what a model confuses and of how far its probabilities can be trusted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.report.pictures import fitted_text, new_figure, save_figure

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_RIGHT, _SURE, _CAUTIOUS, _LINE = "#0072B2", "#E69F00", "#56B4E9", "0.35"
_WRITTEN = 20  # more classes than that leave no room for numbers
_NAME_WIDTH = 1.3


def plot_confusion_matrix(
    true: Sequence[str], predicted: Sequence[str], counts: np.ndarray, path: Path, title: str
) -> None:
    """Draw how many examples of each class are taken for which, dark where the share is large.

    Args:
        true: Names of the true classes.
        predicted: Names of the classes that are predicted.
        counts: Examples by true class (rows) and predicted class (columns).
        path: The PNG file to write.
        title: Title of the picture.

    Example:
    ```python
    names, counts = ["ant", "bee"], np.array([[9, 1], [2, 8]])
    plot_confusion_matrix(names, names, counts, Path("matrix.png"), "pets")
    ```
    """
    most = max(len(true), len(predicted))
    cell = min(0.36, 11 / most)
    width, height = (max(2.4, cell * len(names)) for names in (predicted, true))
    figure = new_figure(figsize=(width + 2.2, height + 2.1), layout="constrained")
    ax = figure.subplots()
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = 8 if most <= _WRITTEN else 6.5
    rows, columns = (
        [fitted_text(name, _NAME_WIDTH, sizes=(size,))[0] for name in names]
        for names in (true, predicted)
    )
    ax.set_xticks(range(len(columns)), columns, rotation=90, fontsize=size)
    ax.set_yticks(range(len(rows)), rows, fontsize=size)
    ax.set_xlabel("Predicted class")
    ax.set_ylabel("True class")
    if most <= _WRITTEN:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            place = {"ha": "center", "va": "center", "fontsize": 7.5, "color": colour}
            ax.text(column, row, str(counts[row, column]), **place)
    ax.set_title(title, fontsize=10)
    save_figure(figure, path, dpi=110)


def plot_reliability(models: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw how often predictions of each confidence are right, before and after calibration.

    Below each stands how many images have that confidence.

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
    figure = new_figure(figsize=(3.8 * columns, 4.3 * len(models)), layout="constrained")
    ratios = {"height_ratios": [4, 1] * len(models)}
    grid = figure.subplots(
        2 * len(models), columns, squeeze=False, sharex=True, sharey="row", gridspec_kw=ratios
    )
    for place, (name, found) in enumerate(models.items()):
        axes, below = grid[2 * place], grid[2 * place + 1]
        prefix = "" if len(models) == 1 else f"{name}, "
        own = found.get("own_temperature")
        before = "as it is" if own is None else f"as it is (temperature {own:.2f})"
        _plot_bins(axes[0], below[0], found["before"], f"{prefix}{before}")
        axes[0].set_ylabel("Share that is right")
        below[0].set_ylabel("Images")
        if "after" in found:
            after = f"{prefix}temperature {found['temperature']:.2f}"
            _plot_bins(axes[1], below[1], found["after"], after)
        elif columns > 1:
            axes[1].set_visible(False)
            below[1].set_visible(False)
    for ax in grid[-1]:
        ax.set_xlabel("Probability of the predicted class")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    save_figure(figure, path, dpi=110)


def _plot_bins(ax, below, found, title):
    edges, counts = np.array(found["edges"]), np.array(found["counts"])
    width, full = edges[1] - edges[0], counts > 0
    middles = (edges[:-1] + edges[1:])[full] / 2
    right, sure = (
        np.array([np.nan if value is None else value for value in found[name]], float)[full]
        for name in ("accuracies", "confidences")
    )
    low, gap, wide = np.minimum(sure, right), np.abs(sure - right), 0.92 * width
    too_sure = sure > right
    ax.bar(middles, low, wide, color=_RIGHT, label="right")
    for of, colour, label in (
        (too_sure, _SURE, "too sure"),
        (~too_sure, _CAUTIOUS, "right, too cautious"),
    ):
        ax.bar(middles[of], gap[of], wide, low[of], color=colour, label=label)
    ax.plot([0, 1], [0, 1], color=_LINE, linewidth=1, linestyle="--", label="calibrated")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_title(f"{title}\nECE {100 * found['ece']:.1f} %", fontsize=9)
    ax.grid(alpha=0.3)
    below.bar((edges[:-1] + edges[1:]) / 2, counts, wide, color=_LINE)
    below.grid(alpha=0.3)

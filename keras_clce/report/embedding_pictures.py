"""Pictures of embeddings: cosines of their pairs, and maps in two dimensions."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_clce.checks import import_module
from keras_clce.evaluate import CosineHistogram, EmbeddingMap
from keras_clce.files import printable_text
from keras_clce.report.pictures import new_figure, save_figure

# Okabe and Ito 2008: blue and vermilion look different to everybody.
_POSITIVE, _NEGATIVE = "#0072B2", "#D55E00"
# Petroff 2021, ten colours for all eyes; further classes have other marks.
_COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
_MARKS = ("o", "^", "s", "x", "D", "v", "+", "*")
TITLES = {"tsne": "t-SNE", "pca": "PCA"}


def plot_cosines(
    histograms: Mapping[str, Mapping[str, CosineHistogram]], path: Path, title: str = ""
) -> None:
    """Draw histograms of positive and negative pairs, a column a model and a row a kind of pairs.

    All panels share the axis of cosines, and those of a row that of densities.

    Args:
        histograms: Model to kind of pairs, such as `"all classes"`, to the histogram.
        path: The PNG file to write.
        title: What stands above. Defaults to nothing.

    Example:
    ```python
    histogram = cosine_histogram(embeddings, labels)
    plot_cosines({"clce": {"all classes": histogram}}, Path("cosines.png"), "digits")
    ```
    """
    kinds = list(next(iter(histograms.values())))
    span = _span([one for of_model in histograms.values() for one in of_model.values()])
    figure = new_figure(
        figsize=(max(4.2 * len(histograms), 5.5), 2.5 * len(kinds) + 0.9), layout="constrained"
    )
    panels = figure.subplots(len(kinds), len(histograms), squeeze=False, sharex=True, sharey="row")
    edges = np.linspace(*span, 61)
    for column, (model, of_model) in zip(panels.T, histograms.items(), strict=True):
        for axes, kind in zip(column, kinds, strict=True):
            histogram = of_model[kind]
            for density, colour, style, name in zip(
                histogram.density(60, span),
                (_POSITIVE, _NEGATIVE),
                ("-", "--"),
                ("positive pairs, of one class", "negative pairs, of two classes"),
                strict=True,
            ):
                axes.stairs(density, edges, fill=True, alpha=0.25, color=colour)
                axes.stairs(density, edges, color=colour, linestyle=style, label=name)
            axes.set_title(
                f"{_short(model)}, {_short(kind)}\noverlap {histogram.overlap:.2f}, "
                f"AUROC {histogram.auroc:.3f}",
                fontsize=9,
            )
            axes.grid(alpha=0.3)
        column[-1].set_xlabel("cosine similarity")
    for row in panels:
        row[0].set_ylabel("density")
    figure.suptitle(title, fontsize=11)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=9)
    save_figure(figure, path, dpi=110)


def plot_maps(
    maps: Mapping[str, EmbeddingMap],
    labels: np.ndarray,
    class_names: Sequence[str],
    path: Path,
    title: str = "",
) -> None:
    """Draw embeddings in two dimensions side by side, with the same images for every model.

    Classes differ in colour and in mark, and their numbers in the legend stand at their medians.

    Args:
        maps: Model to its map.
        labels: Classes of the examples `(examples,)`, numbers into `class_names`.
        class_names: Names of the classes that are drawn.
        path: The PNG file to write.
        title: What stands above. Defaults to nothing.

    Example:
    ```python
    maps = {"clce": embedding_map(embeddings, "pca")}
    plot_maps(maps, labels, list("0123456789"), Path("pca.png"), "digits")
    ```
    """
    effects = import_module("matplotlib.patheffects", "A picture", "matplotlib")
    names = [f"{number} {_short(name)}" for number, name in enumerate(class_names, start=1)]
    columns = min(len(names), max(2, int(5.2 * len(maps) / (0.45 + 0.085 * max(map(len, names))))))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(figsize=(max(5.2 * len(maps), 6), 5.2 + 0.22 * rows), layout="constrained")
    panels = figure.subplots(1, len(maps), squeeze=False)[0]
    size = float(np.clip(8000 / len(labels), 8, 36))
    for axes, (model, drawn) in zip(panels, maps.items(), strict=True):
        for number, name in enumerate(names):
            own = drawn.points[labels == number]
            mark = _MARKS[number // len(_COLOURS) % len(_MARKS)]
            axes.scatter(
                *own.T,
                s=size,
                marker=mark,
                color=_COLOURS[number % len(_COLOURS)],
                # Marks without an area are lines.
                linewidths=0.8 if mark in "x+" else 0,
                alpha=0.85,
                label=name,
            )
        # Above all points.
        for number in np.unique(labels):
            place = np.median(drawn.points[labels == number], axis=0)
            axes.text(
                *place,
                str(number + 1),
                ha="center",
                va="center",
                fontsize=8,
                weight="bold",
                path_effects=[effects.withStroke(linewidth=2.5, foreground="white")],
            )
        share = (
            "" if drawn.explained is None else f", {100 * drawn.explained:.0f} % of the variance"
        )
        axes.set_title(f"{_short(model)}: {TITLES[drawn.method]}{share}", fontsize=10)
        axes.set(xticks=[], yticks=[])
        # Distances are the same in both directions.
        axes.set_aspect("equal", adjustable="datalim")
    figure.suptitle(title, fontsize=11)
    handles, shown = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        shown,
        loc="outside lower center",
        ncols=columns,
        fontsize=8,
        handletextpad=0.2,
        columnspacing=1,
        markerscale=float(np.sqrt(30 / size)),
    )
    save_figure(figure, path, dpi=110)


def _span(histograms):
    """The part of the axis where any pair lies, a little wider."""
    total = sum(histogram.within + histogram.between for histogram in histograms)
    found = np.flatnonzero(total)
    low, high = (2 * place / len(total) - 1 for place in (found[0], found[-1] + 1))
    return max(-1.0, np.floor(20 * low) / 20), min(1.0, np.ceil(20 * high) / 20)


def _short(name):
    name = printable_text(name)
    return name if len(name) < 25 else f"{name[:23].rstrip()}…"

"""Pictures of a study: curves over an axis, a map over two, or its arms side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_clce.evaluate.statistics import confidence_interval
from keras_clce.report.names import run_title
from keras_clce.report.pictures import new_figure, save_figure
from keras_clce.report.study_results import (
    AXES_IN_WORDS,
    PointResult,
    measures_of,
    study_results,
)
from keras_clce.report.study_tables import panels_of
from keras_clce.runs.record import Record
from keras_clce.runs.study_plan import StudyPlan

_LEGEND = "mean and 95 % interval over seeds"
_OF_MAPS = "mean over seeds"


def plot_study(plan: StudyPlan, records: Sequence[Record], path: Path) -> None:
    """Draw the test accuracy of a study, or its validation accuracy where nothing was tested.

    One axis gives curves, with a panel for each of the study's panels; what no axis concerns is a
    level line. Two axes give a map for each curve. Without an axis, arms stand side by side. Where
    there are several numbers of shots, each has a row of its own.

    Args:
        plan: What the study compares.
        records: The records of its folder.
        path: The PNG file to write.

    Raises:
        ValueError: If no run of the plan is among the records.

    Example:
    ```python
    plan = read_plan(Path("runs/transfer/digits/small_resnet"))
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    plot_study(plan, records, Path("study.png"))
    ```
    """
    results = study_results(plan, records)
    if not results:
        raise ValueError(f"`records` must hold runs of the study {plan.name}. Received: none")
    measures: Mapping[str | None, str] = dict(measures_of(records).items()) or {None: "validation"}
    draw = {0: _draw_arms, 1: _draw_curves}.get(len(plan.axes), _draw_maps)
    figure = draw(plan, results, measures)
    title = f"{plan.name}: {run_title(records[0])}"
    legend = _OF_MAPS if len(plan.axes) > 1 else _LEGEND
    if any(one.is_best for one in results):
        legend += "; ringed: picked by validation"
    if not plan.axes and any(one.point.paper is not None for one in results):
        legend += "; crosses: the paper"
    figure.suptitle(f"{title}\n{legend}", fontsize=10)
    save_figure(figure, path, dpi=120)


# === Curves ===


def _draw_curves(plan, results, measures):
    panels, (axis,) = panels_of(plan), plan.axes
    figure = new_figure(
        figsize=(4.6 * len(panels) + 0.8, 3.4 * len(measures) + 1.1), layout="constrained"
    )
    # The first dimension is that of the measures, whose accuracies have a scale of their own.
    grid = figure.subplots(len(measures), len(panels), squeeze=False, sharex=True, sharey="row")
    curves = list(dict.fromkeys(one.point.curve for one in results))
    colours = {curve: f"C{number % 10}" for number, curve in enumerate(curves)}
    ticks = sorted({one.point.at[axis] for one in results if axis in one.point.at})
    if any(_is_weight_0(one, axis) for one in results):
        ticks = sorted({0.0, *ticks})
    legend = {}
    for row, (measure, name) in zip(grid, measures.items(), strict=True):
        row[0].set_ylabel(f"{name}, %")
        for axes, panel in zip(row, panels, strict=True):
            for number, curve in enumerate(curves):
                own = [
                    one for one in results if (one.point.panel, one.point.curve) == (panel, curve)
                ]
                shift = (number - (len(curves) - 1) / 2) * 0.006
                for line in _curve(axes, own, measure, axis, colours[curve], shift, ticks):
                    legend.setdefault(curve, line)
            axes.set_title(panel, fontsize=10)
            axes.grid(alpha=0.3)
            _scale(axes, ticks)
        # Across two seeds an interval may be wider than all that accuracy can be.
        low, high = row[0].get_ylim()
        row[0].set_ylim(max(low, 0), min(high, 100))
    for axes in grid[-1]:
        axes.set_xlabel(AXES_IN_WORDS.get(axis, axis))
    figure.legend(
        [*legend.values()], [*legend], loc="outside lower center", ncols=min(4, len(legend))
    )
    return figure


def _curve(axes, results, measure, axis, colour, shift, ticks):
    """Draw the points of a curve that have a place, and a level for those that have none."""
    placed = sorted(
        (one for one in results if axis in one.point.at), key=lambda o: o.point.at[axis]
    )
    placed = [one for one in placed if len(one.values(measure))]
    if placed:
        # Side by side, so that the intervals of two curves do not hide one another.
        places = _shifted([one.point.at[axis] for one in placed], shift, ticks)
        means, halves = zip(*(_mean_and_half(one, measure) for one in placed), strict=True)
        yield axes.errorbar(places, means, halves, fmt="o-", color=colour, capsize=3, markersize=4)
        best = [
            (at, mean) for at, mean, one in zip(places, means, placed, strict=True) if one.is_best
        ]
        if best:
            axes.plot(*zip(*best, strict=True), "o", markersize=12, fillstyle="none", color=colour)
    for one in results:
        if axis not in one.point.at and len(one.values(measure)):
            mean, half = _mean_and_half(one, measure)
            if not np.isnan(half):
                axes.axhspan(mean - half, mean + half, color=colour, alpha=0.12, linewidth=0)
            if _is_weight_0(one, axis):
                axes.plot(0, mean, "o", color=colour, markersize=4)
            yield axes.axhline(mean, color=colour, linestyle="--")


def _is_weight_0(one, axis):
    """Whether a level is that of cross-entropy alone, which has a place on the axis of weights."""
    return axis == "contrastive_weight" and one.loss == "ce" and axis not in one.point.at


def _shifted(places, share, ticks):
    if len(ticks) < 2:
        return places
    if _is_geometric(ticks):
        return [at * (ticks[-1] / ticks[0]) ** share for at in places]
    return [at + share * (ticks[-1] - ticks[0]) for at in places]


def _scale(axes, ticks):
    if _is_geometric(ticks):
        axes.set_xscale("log", base=2)
    # All places have their number where there is room.
    shown = ticks if len(ticks) <= 12 else ticks[:: -(-len(ticks) // 12)]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.minorticks_off()


def _is_geometric(ticks: Sequence[float]) -> bool:
    """Whether places keep a ratio rather than a distance."""
    if len(ticks) < 3 or ticks[0] <= 0:
        return False
    steps, ratios = np.diff(ticks), np.diff(np.log(ticks))
    return bool(np.std(ratios) / np.mean(ratios) < np.std(steps) / np.mean(steps))


def _mean_and_half(one: PointResult, measure: str | None) -> tuple[float, float]:
    """Mean and half width in percent; no bar where one seed bounds nothing."""
    values = 100 * one.values(measure)
    return float(values.mean()), confidence_interval(values)


# === Maps ===


def _draw_maps(plan, results, measures):
    across, up = plan.axes[:2]
    groups: dict[tuple[str, str], list[PointResult]] = {}
    for one in results:
        if across in one.point.at and up in one.point.at:
            groups.setdefault((one.point.panel, one.point.curve), []).append(one)
    ticks = [
        sorted({one.point.at[axis] for group in groups.values() for one in group})
        for axis in (across, up)
    ]
    width = max(3.4, 0.62 * len(ticks[0]) + 1.6)
    figure = new_figure(
        figsize=(width * len(groups) + 0.8, (0.45 * len(ticks[1]) + 1.5) * len(measures) + 0.6),
        layout="constrained",
    )
    grid = figure.subplots(len(measures), max(1, len(groups)), squeeze=False)
    for row, (measure, name) in zip(grid, measures.items(), strict=True):
        cells = [_cells(group, ticks, plan.axes, measure) for group in groups.values()]
        known = np.concatenate([cell[~np.isnan(cell)] for cell in cells])
        limits = {"vmin": known.min(), "vmax": known.max()}
        for axes, values, ((panel, curve), group) in zip(row, cells, groups.items(), strict=True):
            image = axes.imshow(values, origin="lower", aspect="auto", cmap="viridis", **limits)
            _write_cells(axes, values, limits)
            for one in group:
                if one.is_best:
                    place = [
                        t.index(one.point.at[a]) for t, a in zip(ticks, plan.axes, strict=False)
                    ]
                    _frame(axes, *place)
            axes.set_xticks(range(len(ticks[0])), [f"{tick:g}" for tick in ticks[0]])
            axes.set_yticks(range(len(ticks[1])), [f"{tick:g}" for tick in ticks[1]])
            axes.set_xlabel(AXES_IN_WORDS.get(across, across))
            axes.set_ylabel(AXES_IN_WORDS.get(up, up))
            levels = _levels(results, measure)
            title = f"{curve} ({levels})" if levels else curve
            axes.set_title(", ".join(filter(None, (panel, title))), fontsize=9)
        figure.colorbar(image, ax=list(row), label=f"{name}, %")
    return figure


def _cells(group, ticks, names, measure):
    values = np.full((len(ticks[1]), len(ticks[0])), np.nan)
    for one in group:
        if len(one.values(measure)):
            column, row = (
                of_axis.index(one.point.at[name])
                for of_axis, name in zip(ticks, names, strict=False)
            )
            values[row, column] = 100 * one.values(measure).mean()
    return values


def _write_cells(axes, values, limits):
    middle = (limits["vmin"] + limits["vmax"]) / 2
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "black" if value > middle else "white"
            axes.text(
                column, row, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=8
            )


def _frame(axes, column, row):
    from matplotlib.patches import Ellipse

    axes.add_patch(Ellipse((column, row), 0.92, 0.86, fill=False, edgecolor="red", linewidth=2))


def _levels(results, measure):
    """What has no place on the map, as cross-entropy has not."""
    levels = [one for one in results if not one.point.at and len(one.values(measure))]
    return ", ".join(f"{one.point.curve} {100 * one.values(measure).mean():.1f}" for one in levels)


# === Arms ===


def _draw_arms(plan, results, measures):
    panels = panels_of(plan)
    columns = [(panel, measure) for panel in panels for measure in measures]
    rows = list(dict.fromkeys(str(one.point) for one in results))
    figure = new_figure(
        figsize=(3.4 * len(columns) + 0.09 * max(map(len, rows)) + 0.4, 0.34 * len(rows) + 1.5),
        layout="constrained",
    )
    grid = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    for axes, (panel, measure) in zip(grid, columns, strict=True):
        for one in results:
            if one.point.panel != panel or not len(one.values(measure)):
                continue
            row = rows.index(str(one.point))
            mean, half = _mean_and_half(one, measure)
            colour = f"C{row % 10}"
            axes.errorbar(mean, row, xerr=half, fmt="o", color=colour, capsize=4, markersize=5)
            if one.is_best:
                axes.plot(mean, row, "o", markersize=13, fillstyle="none", color=colour)
            if one.point.paper is not None:
                axes.plot(one.point.paper, row, "x", color="grey")
        axes.set_title(", ".join(filter(None, (panel, measures[measure]))), fontsize=10)
        axes.set_xlabel("accuracy, %")
        axes.grid(alpha=0.3)
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, 0), min(high, 100))
    grid[0].set_yticks(range(len(rows)), rows)
    grid[0].set_ylim(len(rows) - 0.5, -0.5)
    return figure

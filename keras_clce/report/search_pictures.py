"""The picture of a search: validation accuracy against each searched setting and over trials."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_clce.report.pictures import new_figure, save_figure

_COLUMNS = 3
# Okabe and Ito's colours, which colour-blind readers can tell apart.
_TRIAL, _BEST, _FAILED = "#0072B2", "#D55E00", "#666666"


def plot_search(
    trials: Sequence[Mapping[str, Any]],
    path: Path,
    title: str,
    log: Collection[str] = (),
) -> None:
    """Draw validation accuracy against each searched setting, and the best so far over the trials.

    Args:
        trials: One mapping a trial, with `"values"` (by setting), `"validation"` (a fraction, or
            `None` where it did not finish), `"epochs"` and `"status"`.
        path: The PNG file to write.
        title: Title of the picture.
        log: Names of settings that stand on a logarithmic axis. Defaults to none.

    Example:
    ```python
    trial = {"values": {"temperature": 0.1}, "validation": 0.9, "epochs": 30, "status": "finished"}
    plot_search([trial], Path("tune.png"), "clce, digits", log=["temperature"])
    ```
    """
    names = list(dict.fromkeys(name for trial in trials for name in trial["values"]))
    panels = len(names) + 1
    columns = 2 if panels in (2, 4) else min(panels, _COLUMNS)
    rows = math.ceil(panels / columns)
    figure = new_figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for ax, name in zip(axes, names, strict=False):
        _plot_setting(ax, trials, name, name in log)
    _plot_progress(axes[len(names)], trials)
    for ax in axes[len(names) + 1 :]:
        ax.set_visible(False)
    for ax in axes[::columns]:
        ax.set_ylabel("Validation accuracy in %")
    figure.suptitle(title)
    _add_legend(figure, trials)
    save_figure(figure, path, dpi=120)


def _plot_setting(ax, trials, name, log):
    from matplotlib import ticker

    values = [trial["values"].get(name) for trial in trials]
    are_numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    kinds = [] if are_numbers else sorted({str(value) for value in values})
    places = values if are_numbers else [kinds.index(str(value)) for value in values]
    _scatter(ax, places, trials)
    if log and are_numbers:
        ax.set_xscale("log")
        # Matplotlib's own labels are formulas.
        ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 3.0)))
        ax.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    if kinds:
        ax.set_xticks(range(len(kinds)), kinds)
        ax.set_xlim(-0.5, len(kinds) - 0.5)
    ax.set_xlabel(name)
    ax.grid(alpha=0.3)


def _plot_progress(ax, trials):
    numbers = range(len(trials))
    ax.locator_params(axis="x", integer=True)
    _scatter(ax, numbers, trials)
    best, steps = math.nan, []
    longest = 0
    for trial in trials:
        if trial["validation"] is not None and trial["epochs"] >= longest:
            # A longer training takes the place of all shorter ones.
            before = best if trial["epochs"] == longest else math.nan
            longest = trial["epochs"]
            best = trial["validation"] if math.isnan(before) else max(before, trial["validation"])
        steps.append(100 * best)
    ax.step(numbers, steps, where="post", color=_BEST)
    ax.set_xlabel("trial")
    ax.grid(alpha=0.3)


def _scatter(ax, places, trials):
    """Points of the trials, fainter the shorter they were trained; crosses where none came out."""
    whole = max(trial["epochs"] for trial in trials)
    for place, trial in zip(places, trials, strict=True):
        if trial["validation"] is None:
            ax.plot(place, 0.03, "x", color=_FAILED, transform=ax.get_xaxis_transform())
            continue
        alpha = 0.25 + 0.75 * trial["epochs"] / whole
        ax.plot(place, 100 * trial["validation"], "o", color=_TRIAL, alpha=alpha, markersize=5)


def _add_legend(figure, trials):
    from matplotlib.lines import Line2D

    def point(marker, color, label, **options):
        return Line2D([], [], marker=marker, color=color, linestyle="", label=label, **options)

    handles = [point("o", _TRIAL, "a trial"), Line2D([], [], color=_BEST, label="best so far")]
    if len({trial["epochs"] for trial in trials}) > 1:
        handles.append(point("o", _TRIAL, "trained for fewer epochs", alpha=0.4))
    if any(trial["validation"] is None for trial in trials):
        handles.append(point("x", _FAILED, "without a result"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))

"""The picture of differences: one line a comparison, with its interval."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from keras_clce.files import printable_text
from keras_clce.report.comparisons import Comparison
from keras_clce.report.pictures import new_figure, save_figure
from keras_clce.report.verdicts import Verdict

_LABEL = 36
# Of the colours that all eyes tell apart (Okabe and Ito 2008).
COLOURS = {"above": "#009e73", "below": "#d55e00", "none": "#56606c", "unknown": "#56606c"}


def plot_differences(
    titles: Sequence[str],
    comparisons: Sequence[Comparison],
    found: Sequence[Verdict],
    path: Path,
) -> None:
    """Draw the mean difference of each comparison with its 95 % interval, and a dot for each seed.

    Args:
        titles: What each comparison is on.
        comparisons: Comparisons that share at least one seed.
        found: Their verdicts, which colour them; what has one seed is hollow.
        path: The PNG file to write.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    comparisons = clce_comparisons(records)
    plot_differences(["digits"], comparisons, verdicts(comparisons), Path("differences.png"))
    ```
    """
    labels = [
        textwrap.fill(
            f"{title}, {comparison.measure}".replace("`", ""), _LABEL, break_on_hyphens=False
        )
        for title, comparison in zip(titles, comparisons, strict=True)
    ]
    lines = max(label.count("\n") + 1 for label in labels)
    height = (0.15 * lines + 0.17) * len(comparisons) + 1.1
    figure = new_figure(figsize=(6.2, height), layout="constrained")
    axes = figure.subplots()
    for row, (comparison, verdict) in enumerate(zip(comparisons, found, strict=True)):
        test = comparison.test
        axes.plot(
            100 * comparison.by_seed, [row] * len(comparison.seeds), "|", color="grey", markersize=7
        )
        axes.errorbar(
            100 * comparison.mean,
            row,
            xerr=None if test is None else 100 * test.ci95,
            fmt="o",
            color=COLOURS[verdict.kind],
            markerfacecolor="white" if test is None else None,
            capsize=3,
        )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(labels)), map(printable_text, labels), fontsize=8.5)
    # The first stands on top, and wide intervals of two seeds do not press the others together.
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(*_limits(comparisons))
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(f"{comparisons[0].ours} minus {comparisons[0].theirs}, points of accuracy")
    save_figure(figure, path, dpi=110)


def _limits(comparisons: Sequence[Comparison]) -> tuple[float, float]:
    """Limits that hold all seeds and zero, and no more of an interval than twice their span."""
    seeds = [100 * value for comparison in comparisons for value in comparison.by_seed] + [0.0]
    low, high = min(seeds), max(seeds)
    room = max(high - low, 0.1)
    ends = [
        100 * (comparison.mean + side * comparison.test.ci95)
        for comparison in comparisons
        if comparison.test is not None
        for side in (-1, 1)
    ]
    left, right = min([low, *ends]), max([high, *ends])
    margin = 0.05 * room
    return max(left, low - room) - margin, min(right, high + room) + margin

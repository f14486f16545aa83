"""Plain-text tables."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from keras_clce.evaluate.statistics import confidence_interval, paired_t_test

# Tables stand four columns in on the page, whose lines have a hundred.
TABLE_WIDTH = 96


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns: the first to the left, the others to the right.

    Args:
        header: Column titles; all may have line breaks, equally many.
        rows: Cells, as many in each row as there are titles.

    Returns:
        The table as text, with a line under the header.

    Example:
    ```python
    print(format_table(["loss", "top-1"], [["ce", "84.1"], ["clce", "85.9"]]))
    ```
    """
    titles = list(zip(*(title.split("\n") for title in header), strict=True))
    widths = [max(len(row[i]) for row in (*titles, *rows)) for i in range(len(header))]

    def line(cells):
        first, *others = cells
        return "  ".join(
            [first.ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        ).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([*map(line, titles), rule, *map(line, rows)])


def fold_table(header: Sequence[str], rows: Sequence[Sequence[str]], at: int, width: int) -> str:
    """Align columns as `format_table` does, in two tables where one is too wide.

    Args:
        header: Column titles.
        rows: Cells.
        at: Number of columns of the upper table; the lower one has the first and the rest.
        width: Most characters of a line of one table.

    Returns:
        The tables as text.

    Example:
    ```python
    print(fold_table(["loss", "top-1", "p"], [["clce", "85.9", "0.02"]], at=2, width=96))
    ```
    """
    whole = format_table(header, rows)
    if max(map(len, whole.splitlines())) <= width:
        return whole
    upper = format_table(header[:at], [row[:at] for row in rows])
    lower = format_table([header[0], *header[at:]], [[row[0], *row[at:]] for row in rows])
    return f"{upper}\n\n{lower}"


def fit_table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Align columns as `format_table` does, in as many tables as keep to a width.

    Args:
        header: Column titles.
        rows: Cells.
        width: Most characters of a line, where the first column and one other allow that.

    Returns:
        The tables as text; each has the first column, and the next of the others.

    Example:
    ```python
    print(fit_table(["loss", "top-1", "p"], [["clce", "85.9", "0.02"]], width=12))
    ```
    """
    tables, columns = [], [0]
    for number in range(1, len(header)):
        wider = _columns(header, rows, [*columns, number])
        if len(columns) > 1 and max(map(len, wider.splitlines())) > width:
            tables.append(_columns(header, rows, columns))
            columns = [0]
        columns.append(number)
    return "\n\n".join([*tables, _columns(header, rows, columns)])


def format_terms(terms: Mapping[str, str]) -> str:
    """Write terms with what they mean, aligned.

    Args:
        terms: The meaning of each.

    Returns:
        The text, in lines of at most `TABLE_WIDTH` characters.

    Example:
    ```python
    format_terms({"minus": "difference", "frozen": "before training"}).splitlines()[0]
    # "minus   difference"
    ```
    """
    start = max(map(len, terms)) + 2
    return "\n".join(
        textwrap.fill(
            f"{term:<{start}}{meaning}",
            TABLE_WIDTH,
            subsequent_indent=" " * start,
            break_on_hyphens=False,
        )
        for term, meaning in terms.items()
    )


def percent(mean: float, half: float, sign: str = "") -> str:
    """A fraction in percent, with the half width of its interval.

    Args:
        mean: The fraction.
        half: The half width, NaN where there is none.
        sign: `"+"` for a sign before every number. Defaults to none.

    Returns:
        Such as `"84.10 ± 0.52"`.

    Example:
    ```python
    percent(0.018, 0.005, "+")  # "+1.80 ± 0.50"
    ```
    """
    return f"{100 * mean:{sign}.2f}" + ("" if np.isnan(half) else f" ± {100 * half:.2f}")


def p_value(value: float) -> str:
    """A p-value with two digits.

    Args:
        value: The p-value, NaN where there is none.

    Returns:
        Such as `"0.012"`; `"-"` for none, and no p of zero.

    Example:
    ```python
    p_value(1e-20)  # "<1e-16"
    ```
    """
    if np.isnan(value):
        return "-"
    return "<1e-16" if value < 1e-16 else f"{value:.2g}"


def _columns(header, rows, columns):
    def pick(cells):
        return [cells[number] for number in columns]

    return format_table(pick(header), [pick(row) for row in rows])


def mean_cell(values: Sequence[float | None]) -> str:
    """The mean of fractions over seeds in percent, with its interval.

    Args:
        values: A fraction for each seed, `None` where a run has none.

    Returns:
        Such as `"84.10 ± 0.52"`; `"-"` where a run has none.

    Example:
    ```python
    mean_cell([0.841])  # "84.10"
    ```
    """
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "-"
    return percent(float(np.mean(known)), confidence_interval(known))


def versus_cell(ours: Mapping[int, float], theirs: Mapping[int, float]) -> str:
    """The paired difference of fractions over the seeds that both have, in percent.

    Args:
        ours: A fraction by seed.
        theirs: The same of what is compared with.

    Returns:
        Such as `"+1.80 ± 0.50, p = 0.01"`; without an interval of one seed, in words of none, and
        without p where all seeds differ by the same, which leaves nothing to test.

    Example:
    ```python
    versus_cell({0: 0.85}, {0: 0.84})  # "+1.00 (one seed)"
    ```
    """
    shared = sorted(set(ours) & set(theirs))
    if not shared:
        return "no shared seed"
    pair = [np.array([values[seed] for seed in shared]) for values in (ours, theirs)]
    if len(shared) == 1:
        return f"{100 * (pair[0] - pair[1])[0]:+.2f} (one seed)"
    test = paired_t_test(*pair)
    by = percent(test.mean_difference, test.ci95, "+")
    return f"{by}, the same in each" if np.isnan(test.p_value) else f"{by}, p = {test.p_value:.2g}"

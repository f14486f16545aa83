"""Tables of a study and its answer: what validation picks, and what the test says of it."""

from collections.abc import Sequence

import numpy as np

from keras_clce.evaluate.statistics import confidence_interval
from keras_clce.report.answers import SIGNIFICANT, Difference, sentence
from keras_clce.report.study_results import PointResult, measures_of, study_results
from keras_clce.report.tables import TABLE_WIDTH, fold_table, format_table, p_value, percent
from keras_clce.runs.record import Record
from keras_clce.runs.study_plan import StudyPlan, StudyPoint

STUDY_NOTE = "± 95 % interval over seeds, p of the paired t-test by seed; * picked by validation"


def study_cells(
    plan: StudyPlan, records: Sequence[Record], panel: str = "", baseline: str = "ce"
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table of one panel of a study, in percent.

    Args:
        plan: What the study compares.
        records: The records of its folder.
        panel: Title of the panel. Defaults to `""`, the only one.
        baseline: Loss that the others are compared with, at the same place. Defaults to `"ce"`.

    Returns:
        Titles of the columns, and a row for each point: its name, how many seeds, validation, and
        for each measure of the test the mean, the difference from the baseline and its p-value.
        What validation picks has a star.

    Example:
    ```python
    plan = read_plan(Path("runs/transfer/digits/small_resnet"))
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    header, rows = study_cells(plan, records)
    rows[1][:2]  # ["clce", "3"]
    ```
    """
    measures = measures_of(records)
    results = [one for one in study_results(plan, records, baseline) if one.point.panel == panel]
    with_paper = any(one.point.paper is not None for one in results)
    header = ["", "seeds", "validation"]
    for name in measures.values():
        header += [name, f"minus {baseline}", "p"]
    header += ["paper"] * with_paper + ["seconds"]
    rows = []
    for one in results:
        cells = [str(one.point), str(len(one.seeds) or 1), _validation(one)]
        for measure in measures:
            found = one.differences.get(measure)
            cells.append(_mean(one.values(measure)))
            cells += _difference_cells(found)
        if with_paper:
            cells.append("-" if one.point.paper is None else f"{one.point.paper:.2f}")
        cells.append("-" if np.isnan(one.seconds) else f"{one.seconds:.0f}")
        rows.append(cells)
    return header, rows


def study_table(plan: StudyPlan, records: Sequence[Record], baseline: str = "ce") -> str:
    """The tables of a study, one for each panel.

    Args:
        plan: As in `study_cells`, and so are the others.
        records: The records.
        baseline: Defaults to `"ce"`.

    Returns:
        The tables as text, in lines of at most 96 characters where the names allow that; the time
        is left out of a table that is too wide.

    Example:
    ```python
    plan = read_plan(Path("runs/transfer/digits/small_resnet"))
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    print(study_table(plan, records))
    ```
    """
    blocks = []
    for panel in panels_of(plan):
        header, rows = study_cells(plan, records, panel, baseline)
        if rows:
            whole = format_table(header, rows)
            if max(map(len, whole.splitlines())) > TABLE_WIDTH:
                # The time goes first.
                header, rows = header[:-1], [row[:-1] for row in rows]
            table = fold_table(header, rows, at=6, width=TABLE_WIDTH)
            blocks.append(f"{panel}\n{table}" if panel else table)
    return "\n\n".join([*blocks, STUDY_NOTE])


def study_answer(plan: StudyPlan, records: Sequence[Record], baseline: str = "ce") -> str:
    """Say what validation picks, and what the test split says of it.

    Args:
        plan: As in `study_cells`, and so are the others.
        records: The records.
        baseline: Defaults to `"ce"`.

    Returns:
        A sentence for each curve of each panel, or for all arms, in lines of at most 100
        characters; nothing where there is nothing to pick.

    Example:
    ```python
    plan = read_plan(Path("runs/transfer/digits/small_resnet"))
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    study_answer(plan, records)
    # "Validation picks `clce` (91.20 ± 0.50 %; `ce` 89.10 ± 0.25 %). On the test: top-1 92.20 …"
    ```
    """
    measures = measures_of(records)
    results = study_results(plan, records, baseline)

    def beside(one):
        """The baseline's validation accuracy, which may be higher."""
        values = [of.values(None) for of in results if of.point is one.baseline]
        return (
            f"; {_baseline(one, one.baseline)} {_mean(values[0])} %"
            if values and len(values[0])
            else ""
        )

    sentences = []
    for one in results:
        if not one.is_best:
            continue
        where = f"{one.point.panel}: " if one.point.panel else ""
        picked = f"{where}validation picks `{one.point}` ({_mean(one.values(None))} %{beside(one)})"
        tested = [
            f"{name} {_mean(one.values(measure))} %{_versus(one, measure)}"
            for measure, name in measures.items()
            if one.test.get(measure)
        ]
        told = f". On the test: {'; '.join(tested)}" if tested else ""
        sentences.append(sentence(f"{picked}{told}"))
    return "\n".join(sentences)


def panels_of(plan: StudyPlan) -> list[str]:
    """Titles of a study's panels, in their order.

    Args:
        plan: What the study compares.

    Returns:
        The titles; `[""]` where there is one panel alone.

    Example:
    ```python
    panels_of(read_plan(Path("runs/transfer/digits/small_resnet")))  # [""]
    ```
    """
    return list(dict.fromkeys(point.panel for point in plan.points))


def difference_in_words(found: Difference) -> str:
    """Say how large a difference is, and whether it is more than chance.

    Args:
        found: The difference.

    Returns:
        Such as `"+1.80 ± 0.50 points over 3 seeds, p = 0.004"`, with what cannot be told.

    Example:
    ```python
    difference_in_words(Difference(0.018, 0.005, 0.004, "over 3 seeds"))
    # "+1.80 ± 0.50 points over 3 seeds, p = 0.004"
    ```
    """
    points = f"{percent(found.mean, found.ci95, '+')} points"
    if np.isnan(found.ci95):
        return f"{points}, of one seed, which tells no difference"
    if np.isnan(found.p_value):
        return f"{points} {found.over}, the same in each"
    p = f"p = {p_value(found.p_value)}".replace("= <", "< ")
    told = "" if found.p_value < SIGNIFICANT else ", which is not told from chance"
    return f"{points} {found.over}, {p}{told}"


def _versus(one: PointResult, measure: str) -> str:
    found = one.differences.get(measure)
    if found is None or one.baseline is None:
        return ""
    return f", against {_baseline(one, one.baseline)} {difference_in_words(found)}"


def _baseline(one: PointResult, baseline: StudyPoint) -> str:
    """The baseline, without the place that it shares."""
    here = baseline.at and baseline.at == one.point.at
    return f"`{baseline.curve}` there" if here else f"`{baseline}`"


def _validation(one: PointResult) -> str:
    return f"{'*' if one.is_best else ''}{_mean(one.values(None))}"


def _mean(values: np.ndarray) -> str:
    return percent(values.mean(), confidence_interval(values)) if len(values) else "-"


def _difference_cells(found: Difference | None) -> list[str]:
    if found is None:
        return ["-", "-"]
    return [percent(found.mean, found.ci95, "+"), p_value(found.p_value)]

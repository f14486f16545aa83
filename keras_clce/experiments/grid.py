"""The grid of a study: which settings vary, what their runs are called, and where each is drawn."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import sklearn.model_selection

from keras_clce.experiments.layout import Layout
from keras_clce.experiments.resolved import unread_settings
from keras_clce.experiments.settings import Settings, fields
from keras_clce.losses import LOSSES
from keras_clce.runs import StudyPlan, StudyPoint

Grid = Mapping[str, Sequence[Any]]


@dataclasses.dataclass(frozen=True)
class GridPoint:
    """One point of a grid.

    Args:
        settings: The settings of its runs, but for the seed.
        run: Name of its runs' folders, without the seed.
        name: The same without the label of all runs.
        label: The label of its own grid, if any.
        values: What varies and is read by the loss, without the label.
    """

    settings: Settings
    run: str
    name: str
    label: str | None
    values: Mapping[str, Any]


def as_grids(vary: Grid | Sequence[Grid]) -> tuple[Grid, ...]:
    """Bring what varies to a sequence of grids.

    Args:
        vary: Values by the name of the setting, or several such grids.

    Returns:
        The grids, their values in lists of Python's own types.

    Raises:
        ValueError: If they are none, name no settings, or have no list of values.

    Example:
    ```python
    as_grids({"loss": ("ce", "clce")})  # ({"loss": ["ce", "clce"]},)
    ```
    """
    grids = [vary] if isinstance(vary, Mapping) else list(vary)
    if not grids or not all(isinstance(grid, Mapping) and grid for grid in grids):
        raise ValueError(
            "`vary` must be values by the name of the setting, or a list of such grids. "
            f"Received: vary={vary!r}"
        )
    unknown = [name for grid in grids for name in grid if name not in fields() or name == "seed"]
    if unknown:
        raise ValueError(
            "`vary` must name settings, which `Settings.describe()` lists, and no seed, which "
            f"`seeds` is for. Received: vary of {', '.join(unknown)}"
        )
    return tuple({name: _values(name, values) for name, values in grid.items()} for grid in grids)


def points_of(grids: Sequence[Grid], settings: Settings, layout: Layout) -> list[GridPoint]:
    """The points of some grids; what a loss does not read is not varied for it.

    Args:
        grids: What `as_grids` gave.
        settings: All other settings.
        layout: How the study is shown.

    Returns:
        The points in their order; two of the same settings have one name.

    Raises:
        ValueError: If a setting cannot have a value, or two settings would have one folder.

    Example:
    ```python
    grids = as_grids([{"loss": ["ce"]}, {"loss": ["clce"], "temperature": [0.1, 0.5]}])
    [point.run for point in points_of(grids, Settings(), Layout())]
    # ["ce", "clce-temperature=0.1", "clce-temperature=0.5"]
    ```
    """
    points: list[GridPoint] = []
    by_settings: dict[str, GridPoint] = {}
    by_run: dict[str, str] = {}
    for grid in grids:
        for values in sklearn.model_selection.ParameterGrid(grid):
            point = _point(values, grid, settings, layout)
            same = repr({**vars(point.settings), "label": None})
            first = by_settings.setdefault(same, point)
            if by_run.setdefault(first.run, same) != same:
                raise ValueError(
                    "`vary` gives runs of different settings one folder; a `label` of its own for "
                    f"each grid tells them apart. Received: twice {first.run}"
                )
            points.append(dataclasses.replace(point, run=first.run))
    return points


def plan_of(
    name: str, points: Sequence[GridPoint], layout: Layout, frozen: str | None = None
) -> StudyPlan:
    """What a study compares, for its file.

    Args:
        name: Its name.
        points: Its points.
        layout: How it is shown.
        frozen: Name of the run of the untrained encoder, `None` where there is none.

    Returns:
        The plan.

    Example:
    ```python
    points = points_of(as_grids({"temperature": [0.1, 0.5]}), Settings(), Layout())
    plan_of("mine", points, Layout()).axes  # ("temperature",)
    ```
    """
    varied: dict[str, list[Any]] = {}
    for point in points:
        for key, value in point.values.items():
            seen = varied.setdefault(key, [])
            if value not in seen:
                seen.append(value)
    axes = _axes(varied) if layout.axes is None else tuple(layout.axes)
    # A tie of numbers, such as a batch size and its epochs, is not in the name of a curve.
    named = [n for n, values in varied.items() if n not in axes and not _are_numbers(values)]
    if not axes:
        named = list(varied)
    drawn = [_drawn(point, axes, named, layout) for point in points]
    places = {(one.panel, one.curve, *one.at.items()) for one in drawn}
    if len(places) < len({(one.panel, one.run) for one in drawn}):
        named = [n for n in varied if n not in axes]
        drawn = [_drawn(point, axes, named, layout) for point in points]
    if frozen:
        panels = dict.fromkeys(one.panel for one in drawn)
        drawn = [StudyPoint(frozen, frozen, panel) for panel in panels] + drawn
    varies = {key for key, values in varied.items() if len(values) > 1 or key == "loss"}
    labelled = {"label"} if any(point.label for point in points) else set()
    unique = list({(one.run, one.panel, one.curve): one for one in drawn}.values())
    return StudyPlan(name, tuple(sorted(varies | labelled)), axes, tuple(unique))


def _point(values: dict[str, Any], grid: Grid, settings: Settings, layout: Layout) -> GridPoint:
    label = values.pop("label", None)
    loss = values.get("loss", settings.loss)
    unread = unread_settings(loss) if loss in LOSSES else ()
    values = {name: value for name, value in values.items() if name not in unread}
    whole = "-".join(filter(None, (settings.label, label))) or None
    of_point = dataclasses.replace(settings, **values, label=whole)

    def is_named(name):
        # A label stands for all that its grid sets, but for what the grid itself varies.
        return label is None or len(grid[name]) > 1 or name in (layout.axes or ())

    others = [f"{n}={in_words(v)}" for n, v in values.items() if n != "loss" and is_named(n)]
    run, name = (
        "-".join(filter(None, (of_point.loss, of_label, *others))) for of_label in (whole, label)
    )
    return GridPoint(of_point, run, name, label, values)


def _drawn(
    point: GridPoint, axes: Sequence[str], named: Sequence[str], layout: Layout
) -> StudyPoint:
    panel = None if point.label is None else layout.panels.get(point.label)
    is_panel = panel is not None
    label = point.settings.label
    if is_panel:
        label = (label or "").removesuffix(point.label or "").removesuffix("-") or None
    values = [
        f"{n}={in_words(point.values[n])}"
        for n in named
        if n in point.values and n not in ("loss", "dataset", "backbone")
    ]
    if label and point.label and not is_panel:
        # The label says what its grid sets.
        values = []
    curve = ", ".join(filter(None, (point.settings.loss, label, *values)))
    return StudyPoint(
        point.run,
        layout.arms.get(point.name, curve),
        panel or "",
        {n: point.values[n] for n in axes if n in point.values},
        layout.paper.get(point.name),
    )


def _axes(varied: Mapping[str, Sequence[Any]]) -> tuple[str, ...]:
    numbers = [n for n, values in varied.items() if len(values) > 1 and _are_numbers(values)]
    return tuple(numbers) if len(numbers) <= 2 else ()


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)


def _values(name: str, values: Any) -> list[Any]:
    if isinstance(values, (str, Mapping)) or not hasattr(values, "__iter__"):
        values = None
    # NumPy's numbers are no JSON.
    found = [] if values is None else [v.item() if hasattr(v, "item") else v for v in values]
    if not found:
        raise ValueError(
            "`vary` must have a list of at least one value for each setting. Received: "
            f"vary of {name}={values!r}"
        )
    return found


def in_words(value: Any) -> str:
    """A value as it stands in the name of a folder.

    Args:
        value: The value of a setting.

    Returns:
        Text without slashes and spaces.

    Example:
    ```python
    in_words(0.30000000000000004)  # "0.3"
    ```
    """
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.replace("/", "_").replace(" ", "")

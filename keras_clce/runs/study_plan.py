"""What a study compares: its points, curves and axes, in one small file beside its runs."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_clce.files import write_json
from keras_clce.runs.damage import misfits, read_object

FILE = "study.json"
_ADVICE = "Delete it and pass --resume: the study writes it again"
_NUMBER = (int, float)
_POINT = {
    "run": str,
    "curve": str,
    "panel": str,
    "at": dict,
    "paper": (*_NUMBER, type(None)),
}


@dataclasses.dataclass(frozen=True)
class StudyPoint:
    """One point of a study: the runs that differ in their seed alone, and where they are drawn.

    Args:
        run: Name of their folders, without the seed.
        curve: The curve, or the arm, that it belongs to.
        panel: Title of its panel. Defaults to `""`, the only one.
        at: Its place on each axis, by the name of the setting. Defaults to none: it holds for all
            places, as cross-entropy does for every weight of the contrastive part.
        paper: What the paper reports for it, in percent. Defaults to `None`, nothing.

    Example:
    ```python
    point = StudyPoint("clce-temperature=0.1", "clce", at={"temperature": 0.1})
    str(point)  # "clce, temperature=0.1"
    ```
    """

    run: str
    curve: str
    panel: str = ""
    at: Mapping[str, float] = dataclasses.field(default_factory=dict)
    paper: float | None = None

    def __str__(self) -> str:
        return ", ".join([self.curve, *(f"{name}={value:g}" for name, value in self.at.items())])


@dataclasses.dataclass(frozen=True)
class StudyPlan:
    """What a study compares.

    Args:
        name: Name of the study.
        varies: Names of the settings that vary.
        axes: Names of those that are an axis of the picture: one for curves, two for a map. None
            where arms are compared.
        points: Its points.

    Example:
    ```python
    points = [StudyPoint("ce", "ce"), StudyPoint("clce", "clce")]
    StudyPlan("losses", ("loss",), (), tuple(points)).compares_losses_alone  # True
    ```
    """

    name: str
    varies: tuple[str, ...]
    axes: tuple[str, ...]
    points: tuple[StudyPoint, ...]

    @property
    def compares_losses_alone(self) -> bool:
        """Whether nothing but the loss varies."""
        return not self.axes and set(self.varies) <= {"loss"}

    def add_to(self, home: Path) -> "StudyPlan":
        """Write the plan beside the runs, with the points of an earlier plan over the same axes.

        Args:
            home: Folder of the runs; made where it is not there.

        Returns:
            What was written.

        Raises:
            ValueError: If the file that is there is damaged.

        Example:
        ```python
        plan = StudyPlan("losses", ("loss",), (), (StudyPoint("ce", "ce"),))
        plan.add_to(Path("runs/losses")).points == read_plan(Path("runs/losses")).points  # True
        ```
        """
        plan, before = self, read_plan(home)
        if before is not None and before.axes == self.axes:
            own = {(point.run, point.panel) for point in self.points}
            kept = [point for point in before.points if (point.run, point.panel) not in own]
            varies = tuple(dict.fromkeys((*before.varies, *self.varies)))
            plan = dataclasses.replace(self, varies=varies, points=(*kept, *self.points))
        home.mkdir(parents=True, exist_ok=True)
        write_json(home / FILE, dataclasses.asdict(plan))
        return plan


def read_plan(home: Path) -> StudyPlan | None:
    """Read what a study compares.

    Args:
        home: Folder of its runs.

    Returns:
        The plan, `None` where there is none.

    Raises:
        ValueError: If the file is damaged.

    Example:
    ```python
    read_plan(Path("runs/transfer/digits/small_resnet")).axes  # ()
    ```
    """
    found = read_object(Path(home) / FILE, _kinds, _ADVICE)
    if found is None:
        return None
    points = tuple(
        StudyPoint(**{name: point[name] for name in _POINT}) for point in found["points"]
    )
    return StudyPlan(found["name"], tuple(found["varies"]), tuple(found["axes"]), points)


def _kinds(found: dict[str, Any]) -> dict[str, Any]:
    """Types of the entries, for `read_object`."""
    for point in found.get("points", ()):
        wrong = [*misfits(point, _POINT)]
        if wrong:
            raise ValueError(f"a point has no proper {', '.join(wrong)}")
        others = [name for name in point["at"] if name not in found.get("axes", ())]
        if others or not all(isinstance(value, _NUMBER) for value in point["at"].values()):
            raise ValueError(f"a point stands at {point['at']}, not at numbers of the axes")
    return {"name": str, "varies": list, "axes": list, "points": list}

"""Where two curves of a study cross, and how sure that is."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from keras_clce.report.answers import Difference, sentence
from keras_clce.report.study_results import AXES_IN_WORDS, measures_of, study_results
from keras_clce.runs.record import Record
from keras_clce.runs.study_plan import StudyPlan


@dataclasses.dataclass(frozen=True)
class Crossing:
    """Which of two curves is above the other at each place of an axis.

    A side is told where the 95 % interval of the difference leaves zero out. A difference that is
    the same in each seed leaves nothing to test, and is not told.

    Args:
        told: The places at which the difference is told, and its sign there, in their order.
        untold: The places at which it is not told.
        means: Places and signs of the mean differences, told or not.
        has_intervals: Whether there is more than one seed. Defaults to `True`.

    Example:
    ```python
    told = Difference(0.02, 0.01, 0.01, "over 3 seeds")
    Crossing.of({5: told, 20: told}).in_words("clce", "ce")
    # "`clce` is above `ce` from 5 to 20: the curves do not cross"
    ```
    """

    told: Mapping[float, int]
    untold: tuple[float, ...]
    means: Mapping[float, int]
    has_intervals: bool = True

    @classmethod
    def of(cls, differences: Mapping[float, Difference]) -> "Crossing":
        """The crossing of curves from their differences.

        Args:
            differences: The difference of the first from the second, by its place on the axis.

        Returns:
            The crossing.

        Example:
        ```python
        told = Difference(0.02, 0.01, 0.01, "over 3 seeds")
        Crossing.of({5: told}).told  # {5: 1}
        ```
        """
        ordered = dict(sorted(differences.items()))
        # One seed has no interval, and a comparison with NaN is false.
        told = {
            at: int(np.sign(found.mean))
            for at, found in ordered.items()
            if abs(found.mean) > found.ci95 and not np.isnan(found.p_value)
        }
        untold = tuple(at for at in ordered if at not in told)
        means = {at: int(np.sign(found.mean)) for at, found in ordered.items()}
        has_intervals = not all(np.isnan(found.ci95) for found in ordered.values())
        return cls(told, untold, means, has_intervals)

    def brackets(self) -> list[tuple[float, float]]:
        """Pairs of neighbouring told places between which the sign changes."""
        places = list(self.told)
        pairs = itertools.pairwise(places)
        return [(a, b) for a, b in pairs if self.told[a] != self.told[b]]

    def in_words(self, ours: str, theirs: str) -> str:
        """Say where the curves cross.

        Args:
            ours: Name of the first curve.
            theirs: Name of the second.

        Returns:
            A clause without a full stop.

        Example:
        ```python
        up = Difference(0.02, 0.01, 0.01, "over 3 seeds")
        down = Difference(-0.02, 0.01, 0.01, "over 3 seeds")
        Crossing.of({5: down, 20: down, 50: up}).in_words("clce", "ce")
        # "`clce` crosses `ce` upwards between 20 and 50"
        ```
        """
        ours, theirs = f"`{ours}`", f"`{theirs}`"
        brackets = self.brackets()
        if brackets:
            between = " and ".join(
                f"{'up' if self.told[b] > 0 else 'down'}wards between {a:g} and {b:g}"
                + self._untold_within(a, b)
                for a, b in brackets
            )
            return f"{ours} crosses {theirs} {between}"
        if not self.told:
            who = "these seeds do" if self.has_intervals else "one seed does"
            return f"{who} not tell whether {ours} crosses {theirs}{self._means_in_words()}"
        side = "above" if next(iter(self.told.values())) > 0 else "below"
        if not self.untold:
            first, *_, last = [*self.told, *self.told]
            return f"{ours} is {side} {theirs} from {first:g} to {last:g}: the curves do not cross"
        return (
            f"{ours} is {side} {theirs} at {_list(self.told)}; at {_list(self.untold)} no "
            f"difference is told, so that these seeds show no crossing{self._means_in_words()}"
        )

    def _untold_within(self, a, b):
        within = [at for at in self.untold if a < at < b]
        return f" (no difference is told at {_list(within)})" if within else ""

    def _means_in_words(self):
        places = [at for at, sign in self.means.items() if sign]
        pairs = itertools.pairwise(places)
        changes = [f"{a:g} and {b:g}" for a, b in pairs if self.means[a] != self.means[b]]
        return f"; the means change sides between {', '.join(changes)}" if changes else ""


def crossings_in_words(plan: StudyPlan, records: Sequence[Record], baseline: str = "ce") -> str:
    """Say where each curve of a study over one axis crosses the baseline's.

    Args:
        plan: What the study compares.
        records: The records of its folder.
        baseline: Loss that the others are compared with. Defaults to `"ce"`.

    Returns:
        A sentence for each panel, curve and measure, in lines of at most 100 characters; nothing
        where there are no curves.

    Example:
    ```python
    plan = read_plan(Path("runs/transfer/digits/small_resnet"))
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    crossings_in_words(plan, records)  # ""
    ```
    """
    if len(plan.axes) != 1:
        return ""
    (axis,) = plan.axes
    measures = measures_of(records)
    curves: dict[tuple[str, str, str, str], dict[float, Difference]] = {}
    for one in study_results(plan, records, baseline):
        if one.baseline is None or axis not in one.baseline.at:
            continue
        for measure, found in one.differences.items():
            key = (one.point.panel, one.point.curve, one.baseline.curve, measure)
            curves.setdefault(key, {})[one.point.at[axis]] = found
    sentences = []
    for (panel, ours, theirs, measure), differences in curves.items():
        if len(differences) < 2:
            continue
        where = f"{panel}: " if panel else ""
        by = f"by {measures[measure]} and " if len(measures) > 1 else ""
        told = Crossing.of(differences).in_words(ours, theirs)
        over = AXES_IN_WORDS.get(axis, axis)
        sentences.append(sentence(f"{where}{by}over {over}, {told}"))
    return "\n".join(sentences)


def _list(places):
    return ", ".join(f"{at:g}" for at in places)

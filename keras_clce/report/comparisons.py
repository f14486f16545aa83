"""Two kinds of runs side by side, seed by seed: the difference, and what every test says of it."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_clce.evaluate import (
    McNemarTest,
    PairedTTest,
    confidence_interval,
    detectable_difference,
    effect_size,
    holm_correction,
    mcnemar_test,
    paired_t_test,
    sign_flip_p_value,
    wilcoxon_test,
)
from keras_clce.report.fairness import apart_in_words
from keras_clce.report.few_shot_tables import FROZEN
from keras_clce.report.measures import Measure, chosen_name, tested_measures
from keras_clce.report.names import Name, baseline_of, by_name
from keras_clce.report.tables import p_value, percent
from keras_clce.runs.record import Record

IN_WORDS = {"clce": "CLCE", "ce": "cross-entropy"}


@dataclass(frozen=True)
class Comparison:
    """Results of two kinds of runs with the same seeds.

    Args:
        measure: What is compared, such as `"top-1"`.
        ours: What the first kind is called.
        theirs: What the other kind is called.
        seeds: The seeds that both have.
        first: Results of the first, fractions, `(seeds,)`, or one a task `(seeds, tasks)`.
        second: Those of the other.
        chosen: How either was chosen among several, in words. Defaults to nothing.
        on_images: McNemar's test of two models on the images that both were tested on, of one seed.
            Defaults to `None`.
        apart: What else than the loss tells both apart, in words, such as `"epochs: 4 and 1"`.
            Defaults to nothing.

    Example:
    ```python
    ours, theirs = np.array([0.82, 0.84, 0.83]), np.array([0.80, 0.81, 0.81])
    comparison = Comparison("top-1", "CLCE", "cross-entropy", (0, 1, 2), ours, theirs)
    comparison.mean  # 0.023
    ```
    """

    measure: str
    ours: str
    theirs: str
    seeds: tuple[int, ...]
    first: np.ndarray
    second: np.ndarray
    chosen: str = ""
    on_images: McNemarTest | None = None
    apart: tuple[str, ...] = ()

    @functools.cached_property
    def by_seed(self) -> np.ndarray:
        """Difference of each seed `(seeds,)`, tasks averaged."""
        return _of_seeds(self.first) - _of_seeds(self.second)

    @property
    def mean(self) -> float:
        """Mean difference over seeds."""
        return float(self.by_seed.mean())

    @functools.cached_property
    def test(self) -> PairedTTest | None:
        """The paired t-test over seeds; `None` for one seed."""
        if len(self.seeds) < 2:
            return None
        return paired_t_test(_of_seeds(self.first), _of_seeds(self.second))

    @property
    def p_value(self) -> float:
        """That of the paired t-test, NaN where there is none."""
        return np.nan if self.test is None else self.test.p_value

    @functools.cached_property
    def over_tasks(self) -> PairedTTest | None:
        """The paired t-test over the tasks of these models; `None` where there are no tasks."""
        if self.first.ndim < 2 or self.first.shape[1] < 2:
            return None
        return paired_t_test(self.first.mean(axis=0), self.second.mean(axis=0))


def clce_comparisons(records: Sequence[Record]) -> list[Comparison]:
    """CLCE against cross-entropy in each measure of runs that belong together.

    Args:
        records: Runs of one recipe, data set and encoder. Of a loss with several settings,
            `chosen_name` says which speak for it.

    Returns:
        One comparison a measure; none where one of the two losses was not trained, and one without
        seeds where they share none.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    clce_comparisons(records)[0].seeds  # (0, 1, 2)
    ```
    """
    (ours, how), (theirs, other_how) = (chosen_name(records, loss) for loss in IN_WORDS)
    if ours is None or theirs is None:
        return []
    chosen = "; ".join(filter(None, (how, other_how)))
    names = (IN_WORDS["clce"], IN_WORDS["ce"])
    found = [
        _comparison(measure, ours, theirs, names, chosen)
        for measure in tested_measures(records)
        if ours in measure.results and theirs in measure.results
    ]
    groups = by_name(records)
    # Of each loss, the settings may have been chosen among several.
    of_ours, of_theirs = ([run for run in records if run.loss == loss] for loss in IN_WORDS)
    apart = apart_in_words(groups[ours], groups[theirs], (of_ours, of_theirs))
    return [
        dataclasses.replace(
            one, on_images=_on_images(groups[ours], groups[theirs], one.seeds), apart=apart
        )
        for one in found
    ]


def baseline_comparisons(records: Sequence[Record], baseline: str = "ce") -> list[Comparison]:
    """All losses and settings against the baseline, in each measure.

    Args:
        records: Runs of one recipe, data set and encoder.
        baseline: Loss that the others are compared with. Defaults to `"ce"`.

    Returns:
        The comparisons that share a seed.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    [comparison.ours for comparison in baseline_comparisons(records)]  # ["clce"]
    ```
    """
    found = []
    groups = by_name(records)
    for measure in tested_measures(records):
        for name in measure.results:
            other = baseline_of(name, measure.results, baseline)
            if other is not None:
                compared = _comparison(measure, name, other, (str(name), str(other)))
                # What was not trained has no settings of a training.
                sides = (groups.get(name, []), groups.get(other, []))
                apart = () if name.loss == FROZEN else apart_in_words(*sides)
                found.append(dataclasses.replace(compared, apart=apart))
    return [comparison for comparison in found if comparison.seeds]


def corrected_p_values(comparisons: Sequence[Comparison]) -> list[float]:
    """P-values of the paired t-tests after Holm's correction over all comparisons.

    Args:
        comparisons: The comparisons; those without a test are not counted, nor are those that
            differ in more than the loss, of which nothing is claimed.

    Returns:
        A p-value each, NaN for those that are not counted.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    len(corrected_p_values(clce_comparisons(records)))  # 2
    ```
    """
    if not comparisons:
        return []
    return holm_correction(
        [one.p_value if not one.apart else np.nan for one in comparisons]
    ).tolist()


TESTS_HEADER = (
    "measure",
    "loss",
    "against",
    "seeds",
    "difference",
    "p, t-test",
    "p, Holm",
    "p, Wilcoxon",
    "p, sign flips",
    "Hedges' g",
    "detectable",
)
TESTS_NOTE = (
    "Differences are points of accuracy, paired by seed, with 95 % intervals of Student's t. The "
    "paired t-test was decided on beforehand, and words follow it alone. Holm's correction is over "
    "all rows of the table. Wilcoxon's test and the sign flips ask for no normal distribution; "
    "with n seeds their p cannot be below 2 / 2ⁿ (0.25 for three). Hedges' g is the mean over the "
    "standard deviation of the differences, corrected for few seeds. Detectable is the difference "
    "that a t-test of so many seeds with such a spread sees with a probability of 80 %."
)


def cells_of_tests(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """Rows of the table of all tests, whose header is `TESTS_HEADER`.

    Args:
        comparisons: Comparisons that share a seed.

    Returns:
        The cells of each row; `"-"` where a test needs two seeds.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    cells_of_tests(baseline_comparisons(records))[0][:4]  # ["top-1", "clce", "ce", "3"]
    ```
    """
    rows = []
    for comparison, holm in zip(comparisons, corrected_p_values(comparisons), strict=True):
        differences = comparison.by_seed
        row = [comparison.measure, comparison.ours, comparison.theirs, str(len(differences))]
        row += [percent(comparison.mean, confidence_interval(differences), "+")]
        if comparison.test is None:
            rows.append([*row, *["-"] * 6])
            continue
        wilcoxon = wilcoxon_test(_of_seeds(comparison.first), _of_seeds(comparison.second))
        tested = (comparison.p_value, holm, wilcoxon.p_value, sign_flip_p_value(differences))
        effect, least = effect_size(differences).hedges_g, detectable_difference(differences)
        row += map(p_value, tested)
        row += ["-" if np.isnan(effect) else f"{effect:+.2f}"]
        rows.append([*row, "-" if np.isnan(least) else f"{100 * least:.2f}"])
    return rows


def apart_note(comparisons: Sequence[Comparison]) -> str:
    """Name the rows of the table of all tests that differ in more than the loss.

    Args:
        comparisons: The comparisons of the table.

    Returns:
        A sentence; nothing where the loss alone differs in all.

    Example:
    ```python
    records, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    apart_note(baseline_comparisons(records))  # ""
    ```
    """
    # Each measure has the same runs.
    rows = {
        f"`{one.ours}` against `{one.theirs}` ({'; '.join(one.apart)})": None
        for one in comparisons
        if one.apart
    }
    if not rows:
        return ""
    return (
        "These rows differ in more than the loss, so that their difference is not its alone, and "
        f"Holm's correction passes them over: {', '.join(rows)}."
    )


def _comparison(
    measure: Measure, ours: Name, theirs: Name, names: tuple[str, str], chosen: str = ""
) -> Comparison:
    seeds, first, second = measure.pairs(ours, theirs)
    return Comparison(measure.name, *names, tuple(seeds), first, second, chosen)


def _on_images(
    ours: Sequence[Record], theirs: Sequence[Record], seeds: Sequence[int]
) -> McNemarTest | None:
    """McNemar's test of two models of one seed, where both have kept what they predicted."""
    if len(seeds) != 1:
        return None
    first, second = (
        next(run.predictions for run in runs if run.seed == seeds[0]) for runs in (ours, theirs)
    )
    if first is None or second is None or not np.array_equal(first.labels, second.labels):
        return None
    return mcnemar_test(first.labels, first.classes, second.classes)


def _of_seeds(results):
    return results.mean(axis=1) if results.ndim > 1 else results

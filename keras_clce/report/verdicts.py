"""What a comparison says, in words: by how much, how sure, and what could not have been seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_clce.evaluate import confidence_interval, detectable_difference
from keras_clce.report.comparisons import Comparison, corrected_p_values
from keras_clce.report.fairness import apart_clause
from keras_clce.report.names import count_of
from keras_clce.report.tables import p_value

# The words of a p-value below each limit, from the surest.
SCALE = ((0.001, "almost certain"), (0.01, "very likely"), (0.05, "likely"))
NO_DIFFERENCE = "no difference beyond chance"
SCALE_NOTE = (
    "The words follow the paired t-test over seeds, which was decided on beforehand: "
    + ", ".join(f"“{words}” is p below {limit}" for limit, words in SCALE)
    + f", and “{NO_DIFFERENCE}” any p of {SCALE[-1][0]} and more. Where there are several "
    "comparisons, p is corrected for their number (Holm). p is how often a difference as large "
    "would come up if the two losses were equally good; it is not the probability that they are. "
    "A difference that “would not have been seen” is one that such a test of so many seeds finds "
    "with a probability below 80 %. One seed says nothing on chance, so that nothing is claimed. "
    "Nor is anything where more than the loss differs, such as epochs or data."
)


@dataclass(frozen=True)
class Verdict:
    """What one comparison says.

    Args:
        kind: `"above"`, `"below"`, `"none"` (no difference beyond chance) or `"unknown"`.
        words: How sure it is, in a few words.
        sentence: All of it, without a full stop.

    Example:
    ```python
    Verdict("unknown", "cannot say", "one seed: cannot say")
    ```
    """

    kind: str
    words: str
    sentence: str

    @property
    def label(self) -> str:
        """The side and the words, such as `"above: very likely"`."""
        return f"{self.kind}: {self.words}" if self.kind in ("above", "below") else self.words


def verdicts(comparisons: Sequence[Comparison]) -> list[Verdict]:
    """What comparisons say that are read together, so that p-values are corrected for all.

    Args:
        comparisons: The comparisons.

    Returns:
        A verdict each.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    verdicts(clce_comparisons(records))[0].sentence
    # "CLCE is above cross-entropy by …"
    ```
    """
    corrected = corrected_p_values(comparisons)
    tests = sum(not np.isnan(holm) for holm in corrected)
    return [
        _apart(comparison) if comparison.apart else _verdict(comparison, holm, tests)
        for comparison, holm in zip(comparisons, corrected, strict=True)
    ]


def overall(
    titles: Sequence[str],
    comparisons: Sequence[Comparison],
    found: Sequence[Verdict],
    sections: Sequence[str] | None = None,
) -> list[str]:
    """What all comparisons say together, in a few sentences.

    Args:
        titles: What each comparison is on, such as a data set with an encoder; those of one title
            count once in the mean.
        comparisons: The comparisons.
        found: Their verdicts.
        sections: What each is called where it stands alone. Defaults to `None`, its title.

    Returns:
        The sentences, the answer first; of one comparison, its own.

    Example:
    ```python
    records, _ = find_records(Path("runs/few_shot/cifar_fs/vit_tiny"))
    comparisons = clce_comparisons(records)
    overall(["cifar_fs"] * 2, comparisons, verdicts(comparisons))
    # ["These runs cannot say whether CLCE is above or below cross-entropy."]
    ```
    """
    ours, theirs = comparisons[0].ours, comparisons[0].theirs
    if len(comparisons) == 1:
        return [capitalized(found[0].sentence)]
    kinds = [verdict.kind for verdict in found]
    unknown, tested = kinds.count("unknown"), len(kinds) - kinds.count("unknown")
    if not tested:
        alone = all(len(comparison.seeds) == 1 for comparison in comparisons)
        what = "One seed" if alone else "These runs"
        if all(comparison.apart for comparison in comparisons):
            what = "These runs differ in more than the loss, and"
        return [f"{what} cannot say whether {ours} is above or below {theirs}."]
    of = "both comparisons" if tested == 2 else f"all {tested} comparisons"
    clauses: list[str] = []
    for kind in ("above", "below", "none"):
        number = kinds.count(kind)
        where = of if number == tested else f"{number} of {tested} comparisons"
        if clauses:
            where = str(number)
        if number and kind == "none":
            clauses.append(f"{NO_DIFFERENCE} in {where}")
        elif number:
            clauses.append(f"{ours} is {kind} {theirs} in {where}")
    if tested == 1:
        (number,) = (at for at, verdict in enumerate(found) if verdict.kind != "unknown")
        where = f"{(sections or titles)[number]}, {comparisons[number].measure}"
        clauses = [f"on {where}: {found[number].sentence}"]
    sentences = [capitalized("; ".join(clauses))]
    apart = sum(bool(comparison.apart) for comparison in comparisons)
    for number, why in (
        (unknown - apart, "for want of seeds"),
        (apart, "since more than the loss differs"),
    ):
        if number:
            more = "one more comparison" if number == 1 else f"{number} more comparisons"
            sentences.append(capitalized(f"{more} cannot say, {why}"))
    return [*sentences, *_mean_over(titles, comparisons)]


def capitalized(clause: str) -> str:
    """A clause as a sentence.

    Args:
        clause: The clause.

    Returns:
        It with a capital and a full stop.

    Example:
    ```python
    capitalized("one seed: cannot say")  # "One seed: cannot say."
    capitalized("mAP: one seed")  # "mAP: one seed."
    ```
    """
    first, *_ = clause.split()
    # A name that has capitals of its own keeps them.
    start = clause[0] if first[1:] != first[1:].lower() else clause[0].upper()
    return f"{start}{clause[1:]}."


def points(mean: float, half: float = np.nan, sign: str = "") -> str:
    """A difference in points, with as many digits as it takes.

    Args:
        mean: The difference, a fraction.
        half: Half width of its interval. Defaults to NaN, none.
        sign: `"+"` for a sign. Defaults to nothing.

    Returns:
        Such as `"4.4 ± 0.8"`.

    Example:
    ```python
    points(0.0443, 0.0082)  # "4.4 ± 0.8"
    ```
    """
    decides = abs(mean) if np.isnan(half) else half
    digits = 1 if decides >= 0.005 or not decides else 2
    text = f"{100 * mean:{sign}.{digits}f}"
    return text if np.isnan(half) else f"{text} ± {100 * half:.{digits}f}"


def _verdict(comparison: Comparison, holm: float, tests: int) -> Verdict:
    ours, theirs, seeds = comparison.ours, comparison.theirs, len(comparison.seeds)
    if not seeds:
        return Verdict("unknown", "cannot say", f"{ours} and {theirs} share no seed: cannot say")
    if comparison.test is None:
        return Verdict("unknown", "cannot say", f"one seed: cannot say{_of_one_seed(comparison)}")
    mean, half, p = comparison.mean, comparison.test.ci95, comparison.p_value
    side = "above" if mean > 0 else "below"
    with_seeds = count_of(seeds, "seed")
    if np.isnan(p):
        if abs(mean) < 1e-12:
            return Verdict("none", "the same", f"{ours} and {theirs} are the same in {with_seeds}")
        by = f"{ours} is {side} {theirs} by {points(abs(mean))} points in each of {with_seeds}"
        return Verdict("unknown", "cannot say", f"{by}, which leaves nothing to test: cannot say")
    judged, told = holm if tests > 1 else p, f"p {_p(p)}"
    # What is not told alone is not told among others either.
    if tests > 1 and p < SCALE[-1][0]:
        told += f", {p_value(holm)} after Holm's correction"
    words = next((words for limit, words in SCALE if judged < limit), None)
    if words:
        by = f"{ours} is {side} {theirs} by {points(abs(mean), half)} points"
        return Verdict(side, words, f"{by}, {with_seeds}, {told}: {words}")
    least = points(detectable_difference(comparison.by_seed))
    among = f" among {tests} comparisons" if p < SCALE[-1][0] else ""
    return Verdict(
        "none",
        NO_DIFFERENCE,
        f"{NO_DIFFERENCE}{among} ({ours} minus {theirs}: {points(mean, half, '+')} points, "
        f"{with_seeds}, {told}); with {with_seeds} a difference below {least} points would not "
        "have been seen",
    )


def _apart(comparison: Comparison) -> Verdict:
    """What is said where more than the loss differs: the difference, and no more."""
    ours, theirs, seeds = comparison.ours, comparison.theirs, len(comparison.seeds)
    if not seeds:
        return _verdict(comparison, np.nan, 0)
    mean, test = comparison.mean, comparison.test
    over = "with one seed" if seeds == 1 else f"over {count_of(seeds, 'seed')}"
    half = np.nan if test is None or np.isnan(test.p_value) else test.ci95
    by = f"{ours} is {points(abs(mean), half)} points {'above' if mean > 0 else 'below'} {theirs}"
    if abs(mean) < 1e-12 and np.isnan(half):
        by = f"{ours} and {theirs} are the same"
    why = apart_clause(comparison.apart)
    return Verdict("unknown", "cannot say", f"{by} {over}{why}: cannot say which of them did it")


def _of_one_seed(comparison):
    mean = comparison.mean
    side = "above" if mean > 0 else "below"
    by = f" ({comparison.ours} is {points(abs(mean))} points {side} {comparison.theirs}"
    if abs(mean) < 1e-12:
        by = f" ({comparison.ours} and {comparison.theirs} are the same"
    tasks, images = comparison.over_tasks, comparison.on_images
    if tasks is not None:
        by += f" with it, ± {100 * tasks.ci95:.1f} over the tasks of these two models"
    elif images is not None and images.only_a_right + images.only_b_right:
        right = images.only_a_right + images.only_b_right
        by += (
            f" with it; of {right} test images that one of these two models alone gets right, p "
            f"{_p(images.p_value)} by McNemar's test"
        )
    else:
        return f"{by} with it)"
    return f"{by}; training anew may differ by more)"


def _p(value):
    text = p_value(value)
    return text.replace("<", "< ") if text.startswith("<") else f"= {text}"


def _mean_over(titles: Sequence[str], comparisons: Sequence[Comparison]) -> list[str]:
    """The mean difference over data sets and encoders, each of which counts once."""
    by_title: dict[str, list[float]] = {}
    for title, comparison in zip(titles, comparisons, strict=True):
        if comparison.test is not None and not comparison.apart:
            by_title.setdefault(title, []).append(comparison.mean)
    means = [float(np.mean(members)) for members in by_title.values()]
    if len(means) < 2:
        return []
    text = f"The mean difference over {len(means)} data sets and encoders is "
    if len(means) == 2:
        return [f"{text}{points(np.mean(means), sign='+')} points."]
    spread = f"from {points(min(means), sign='+')} to {points(max(means), sign='+')}"
    return [f"{text}{points(np.mean(means), confidence_interval(means), '+')} points ({spread})."]

"""The answer in one sentence: which loss is best, by how much, and whether that can be told."""

import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from keras_clce.evaluate.statistics import paired_t_test
from keras_clce.report.names import Name, baseline_of
from keras_clce.report.tables import p_value, percent

SIGNIFICANT = 0.05
TEXT_WIDTH = 100


@dataclass(frozen=True)
class Difference:
    """Difference in accuracy between two losses.

    Args:
        mean: The mean difference, a fraction.
        ci95: Half width of its 95 % interval; NaN where nothing bounds it.
        p_value: Of the paired t-test; NaN where there is none.
        over: What it was paired over, such as `"over 3 seeds"`.
        caveat: What the test takes as given, if anything. Defaults to nothing.

    Example:
    ```python
    Difference(0.018, 0.005, 0.004, "over 3 seeds")
    ```
    """

    mean: float
    ci95: float
    p_value: float
    over: str
    caveat: str = ""

    @classmethod
    def paired(
        cls, ours: np.ndarray, theirs: np.ndarray, over: str, caveat: str = ""
    ) -> "Difference":
        """Difference of paired results, without a test where there is one pair alone.

        Args:
            ours: Results of one loss.
            theirs: Results of the other in the same order.
            over: As above, and so is the other.
            caveat: Defaults to nothing.

        Returns:
            The difference.

        Example:
        ```python
        Difference.paired([0.82, 0.84], [0.80, 0.81], "over 2 seeds")
        ```
        """
        if len(ours) == 1:
            return cls(float(ours[0] - theirs[0]), np.nan, np.nan, over, caveat)
        test = paired_t_test(ours, theirs)
        return cls(test.mean_difference, test.ci95, test.p_value, over, caveat)


def means_over_shared_seeds(
    results: Mapping[Name, Mapping[int | None, float]],
) -> dict[Name, float]:
    """Mean of each loss over the seeds that all have, so that none is best by its seeds alone.

    Args:
        results: Result by seed of each loss; `None` in place of a seed, of an encoder before
            training, goes with every seed.

    Returns:
        The means; over all seeds of each loss where not all share one.

    Example:
    ```python
    ce, clce = Name("ce", "", False), Name("clce", "", False)
    means_over_shared_seeds({ce: {0: 0.8, 1: 0.6}, clce: {0: 0.9}})[ce]  # 0.8
    ```
    """
    seeds = {seed for by_seed in results.values() for seed in by_seed if seed is not None}
    shared = [
        seed
        for seed in sorted(seeds)
        if all(seed in by_seed or None in by_seed for by_seed in results.values())
    ]
    means = {}
    for name, by_seed in results.items():
        values = [by_seed[seed] if seed in by_seed else by_seed[None] for seed in shared]
        means[name] = float(np.mean(values or [*by_seed.values()]))
    return means


def best_in_words(
    means: Mapping[Name, float],
    difference: Callable[[Name, Name], Difference | None],
    baseline: str,
) -> str:
    """Say which loss is best, and whether its difference is more than chance.

    Picking the best of several and testing it is as good as testing all, so that a p-value must be
    below 0.05 over the number of losses that are compared (Bonferroni).

    Args:
        means: Mean accuracy of each loss, a fraction.
        difference: Gives the difference of the first from the second; `None` where they share no
            seed.
        baseline: Loss that the others are compared with.

    Returns:
        A clause without a capital and a full stop.

    Example:
    ```python
    ce, clce = Name("ce", "", False), Name("clce", "", False)
    difference = Difference(0.02, 0.005, 0.004, "over 3 seeds")
    best_in_words({ce: 0.80, clce: 0.82}, lambda a, b: difference, "ce")
    # "`clce` is best, +2.00 ± 0.50 points above `ce` over 3 seeds, p = 0.004: significant"
    ```
    """
    best = max(means, key=means.__getitem__)
    if len(means) == 1:
        return f"`{best}` alone was tested ({percent(means[best], np.nan)} %)"
    baselines = {name: baseline_of(name, means, baseline) for name in means}
    # The best of all may be the baseline itself, which the next one is then compared with.
    other = baselines[best]
    followers = [name for name in means if baselines[name] == (other or best)]
    if not followers:
        lacking = f"`{baseline}`" if best.loss != baseline else "other loss"
        if any(name.loss == baseline for name in means):
            lacking += " of the same settings"
        return (
            f"`{best}` is highest ({percent(means[best], np.nan)} %), with no {lacking} to compare "
            "it with"
        )
    other = other or max(followers, key=means.__getitem__)
    found = difference(best, other)
    if found is None:
        return f"`{best}` is highest, but shares no seed with `{other}`"
    if found.mean < 0:
        # These two share other seeds than all do.
        best, other = other, best
        found = difference(best, other) or found
    by = f"{percent(found.mean, found.ci95, '+')} points above `{other}`"
    if np.isnan(found.ci95) and not found.mean:
        return f"no difference can be told from one seed: `{best}` and `{other}` have the same"
    if np.isnan(found.ci95):
        return f"no difference can be told from one seed: the best, `{best}`, is {by}"
    by += f" {found.over}"
    if np.isnan(found.p_value):
        return (
            f"no difference can be told: the best, `{best}`, is {by}, the same in each, which "
            "leaves nothing to test"
        )
    by, tests = f"{by}, p = {p_value(found.p_value)}", len(followers)
    by = by.replace("p = <", "p < ")
    limit = f"{SIGNIFICANT} / {tests} comparisons"
    if found.p_value < SIGNIFICANT / tests:
        known = "significant" if tests == 1 else f"significant (below {limit})"
        return f"`{best}` is best, {by}: {known}{found.caveat}"
    limit = f" (not below {limit})" if found.p_value < SIGNIFICANT else ""
    return f"no difference can be told: the best, `{best}`, is {by}{limit}"


def sentence(text: str) -> str:
    """Wrap a sentence, and give it its capital and its full stop.

    Args:
        text: The sentence without them.

    Returns:
        Lines of at most 100 characters.

    Example:
    ```python
    sentence("by top-1, `clce` is best")  # "By top-1, `clce` is best."
    ```
    """
    return wrapped(f"{text[0].upper()}{text[1:]}.")


def wrapped(text: str, width: int = TEXT_WIDTH) -> str:
    """Wrap a paragraph, words and names in backticks kept whole.

    Args:
        text: The paragraph.
        width: Most characters of a line, where words allow that. Defaults to 100.

    Returns:
        The lines.

    Example:
    ```python
    wrapped(record.data)
    ```
    """
    # To `textwrap`, a no-break space is a letter.
    whole = re.sub("`[^`]*`", lambda name: name[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    lines = textwrap.fill(whole, width, break_long_words=False, break_on_hyphens=False)
    return lines.replace("\N{NO-BREAK SPACE}", " ")

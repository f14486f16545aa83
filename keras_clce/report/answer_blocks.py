"""The top of a page: what all comparisons say together, then each of them, and the picture."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_clce.evaluate import confidence_interval
from keras_clce.report.blocks import Block, Details, Items, Picture, Table, Text
from keras_clce.report.comparisons import Comparison, corrected_p_values
from keras_clce.report.difference_pictures import plot_differences
from keras_clce.report.names import count_of
from keras_clce.report.pictures import drawing
from keras_clce.report.tables import p_value, percent
from keras_clce.report.verdicts import SCALE_NOTE, Verdict, capitalized, overall, verdicts


@dataclass
class Question:
    """What a page answers, and the comparisons that answer it.

    Args:
        title: The question.
        comparisons: All comparisons. Defaults to none, and so do `links` and `kinds`.
        links: Title and name of the section of each.
        kinds: What each is on, such as a data set with an encoder; those on the same count once in
            a mean.
        nothing: What is said where nothing can be compared.

    Example:
    ```python
    Question("Did CLCE help?")
    ```
    """

    title: str
    comparisons: list[Comparison] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    nothing: str = (
        "Nothing can be said: `clce` was not trained beside `ce` on the same data with the same "
        "encoder."
    )

    def add(self, title: str, name: str, kind: str, comparisons: Sequence[Comparison]) -> None:
        """Add the comparisons of a section.

        Args:
            title: Title of the section.
            name: What a link to it ends with.
            kind: What its comparisons are on.
            comparisons: The comparisons.

        Example:
        ```python
        Question("Did CLCE help?").add("digits", "section-1", "digits", [])
        ```
        """
        self.comparisons += comparisons
        self.links += [(title, name)] * len(comparisons)
        self.kinds += [kind] * len(comparisons)

    def of(self, name: str) -> tuple[list[Comparison], list[Verdict]]:
        """The comparisons of a section, and what they say among all.

        Args:
            name: What a link to the section ends with.

        Returns:
            The comparisons and their verdicts.

        Example:
        ```python
        Question("Did CLCE help?").of("section-1")  # ([], [])
        ```
        """
        chosen = [number for number, link in enumerate(self.links) if link[1] == name]
        found = verdicts(self.comparisons)
        return [self.comparisons[number] for number in chosen], [found[n] for n in chosen]

    def blocks(self, output: Path) -> list[Block]:
        """The answer: all comparisons together, each of them, their picture, the scale of words.

        Args:
            output: Folder that the picture goes to.

        Returns:
            The blocks, the answer first.

        Example:
        ```python
        Question("Did CLCE help?").blocks(Path())[0].text  # "Nothing can be said: …"
        ```
        """
        if not self.comparisons:
            return [Text(self.nothing, "lead")]
        found = verdicts(self.comparisons)
        first, *others = overall(
            self.kinds, self.comparisons, found, [title for title, _ in self.links]
        )
        blocks: list[Block] = [Text(first, "lead")]
        if others:
            blocks.append(Text(" ".join(others)))
        if len(found) == 1:
            title, name = self.links[0]
            blocks.append(Text(f"On [{title}](#{name}), {self.comparisons[0].measure}.", "note"))
        else:
            lines = [
                f"[{title}](#{name}), {comparison.measure}: {verdict.sentence}."
                for (title, name), comparison, verdict in zip(
                    self.links, self.comparisons, found, strict=True
                )
            ]
            told, untold = (
                [line for line, one in zip(lines, found, strict=True) if unknown(one)]
                for unknown in (
                    lambda one: one.kind != "unknown",
                    lambda one: one.kind == "unknown",
                )
            )
            if told:
                blocks.append(Items(told))
            if untold and not told:
                blocks.append(Items(untold))
            elif untold:
                count = count_of(len(untold), "comparison")
                has_apart = any(comparison.apart for comparison in self.comparisons)
                which = f"{count} that cannot say" if has_apart else f"{count} without a test"
                blocks.append(Details(which, [Items(untold)]))
        blocks.append(Details("What the words mean", [Text(SCALE_NOTE)]))
        drawn = [number for number, comparison in enumerate(self.comparisons) if comparison.seeds]
        if drawn:
            blocks += _picture(self, found, drawn, output)
            blocks.append(Details("All comparisons as a table", [_table(self, found, drawn)]))
        return blocks


def _picture(
    question: Question, found: Sequence[Verdict], drawn: Sequence[int], output: Path
) -> list[Block]:
    path = output / "differences.png"
    titles = [question.links[number][0] for number in drawn]
    comparisons = [question.comparisons[number] for number in drawn]
    ours, theirs = comparisons[0].ours, comparisons[0].theirs
    shown: list[Block] = []
    with drawing(path):
        plot_differences(titles, comparisons, [found[number] for number in drawn], path)
        alt = f"{ours} minus {theirs} with 95 % intervals, of which a table below has the numbers"
        shown.append(
            Picture(
                path,
                alt,
                f"{ours} minus {theirs}: mean (dot; hollow: one seed), 95 % interval over seeds, "
                "each seed (stroke); green above, orange below, grey not told from chance.",
            )
        )
    return shown


def _table(question: Question, found: Sequence[Verdict], drawn: Sequence[int]) -> Table:
    first = question.comparisons[0]
    header = ["on", "measure", "seeds", first.ours, first.theirs, "difference", "p", "p, Holm"]
    corrected = corrected_p_values(question.comparisons)
    rows = []
    for number in drawn:
        comparison = question.comparisons[number]
        rows.append(
            [
                question.links[number][0],
                comparison.measure,
                str(len(comparison.seeds)),
                *(f"{100 * np.mean(of):.2f}" for of in (comparison.first, comparison.second)),
                _difference(comparison),
                *map(p_value, (comparison.p_value, corrected[number])),
                found[number].label,
            ]
        )
    caption = (
        f"{first.ours} and {first.theirs} in %, means over the seeds that both have; difference "
        "with its 95 % interval; p of the paired t-test, and after Holm's correction over all rows"
    )
    badges = {verdict.label: verdict.kind for verdict in found}
    return Table(caption, [*header, "verdict"], rows, badges)


def _difference(comparison: Comparison) -> str:
    return percent(comparison.mean, confidence_interval(comparison.by_seed), "+")


def chosen_in_words(comparisons: Sequence[Comparison]) -> str:
    """How the settings that were compared were chosen among several.

    Args:
        comparisons: Comparisons of one section.

    Returns:
        A sentence; nothing where there was no choice.

    Example:
    ```python
    chosen_in_words([])  # ""
    ```
    """
    chosen = next((comparison.chosen for comparison in comparisons if comparison.chosen), "")
    return capitalized(f"compared here: {chosen}") if chosen else ""

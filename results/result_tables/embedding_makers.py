"""Kinds of tables of README.md that are made of `embeddings.json`, which `embeddings.py` writes."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence

from result_tables.makers import RESULTS, difference, table

MODELS = ("ce", "clce")


@dataclasses.dataclass(frozen=True)
class Measures:
    """Figures of an embedding that share a row, and the digits after their points."""

    name: str
    figures: Callable[[Mapping], Sequence[float]]
    digits: int = 3

    def in_words(self, figures: Sequence[float]) -> str:
        """The figures as a cell says them."""
        return ", ".join(f"{figure:.{self.digits}f}" for figure in figures)


def of_cosines(figure: str, name: str, *pairs: str) -> Measures:
    """A figure of the cosines of positive and negative pairs, of all classes or of some."""
    return Measures(name, lambda model: [model["cosines"][each][figure] for each in pairs])


ISOTROPY = Measures("isotropy score", lambda model: [model["isotropy"]])
UNIFORMITY = Measures("uniformity (lower is better)", lambda model: [model["uniformity"]])
ALIGNMENT = Measures("alignment (lower is better)", lambda model: [model["alignment"]])
SEPARATION = Measures("class separation", lambda model: [model["class_separation"]])
NEIGHBORS = Measures(
    "1-, 5-, 20-NN accuracy, %",
    lambda model: [100 * model["nearest_neighbor"][each] for each in ("1", "5", "20")],
    1,
)
PROBE = Measures("linear probe, top-1, %", lambda model: [100 * model["linear_probe"]], 1)


def embeddings(folders: Sequence[str], measures: Sequence[Measures]) -> str:
    """Measures of the embeddings of two losses.

    Args:
        folders: Where the files are, one of each seed.
        measures: The rows.

    Returns:
        The table: means over the seeds and, where there are several, their paired difference.
    """
    files = [RESULTS / folder / "embeddings.json" for folder in folders]
    seeds = [json.loads(file.read_text(encoding="utf-8"))["models"] for file in files]
    lines = []
    for row in measures:
        first, second = ([row.figures(seed[model]) for seed in seeds] for model in MODELS)
        cells = [row.name, *(row.in_words(_means(each)) for each in (first, second))]
        if len(seeds) > 1:
            pairs = zip(zip(*second, strict=True), zip(*first, strict=True), strict=True)
            cells.append("; ".join(difference(*pair, row.digits) for pair in pairs))
        lines.append(cells)
    head = ["", *(f"`{model}`" for model in MODELS), "difference"]
    return table(head[: len(lines[0])], lines)


def _means(seeds: Sequence[Sequence[float]]) -> list[float]:
    return [sum(each) / len(each) for each in zip(*seeds, strict=True)]

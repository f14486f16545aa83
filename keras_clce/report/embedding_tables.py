"""The page of an embedding study: the answer, the table of its numbers, and what they mean."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from keras_clce.report.answers import TEXT_WIDTH, wrapped
from keras_clce.report.paper import paper_rows
from keras_clce.report.tables import format_table

Numbers = Mapping[str, Any]


class Measure(NamedTuple):
    """A line of the table.

    Args:
        name: What is measured.
        better: `"higher"`, `"lower"`, or nothing where neither is.
        path: Keys that lead to the value in the numbers of a model.
        form: How it is written, as `format` takes it; `"%"` in percent.

    Example:
    ```python
    Measure("isotropy score", "higher", ("isotropy",), ".3f").name  # "isotropy score"
    ```
    """

    name: str
    better: str
    path: tuple[str, ...]
    form: str

    def of(self, model: Numbers) -> float | None:
        """The value of a model, `None` where it was not measured."""
        value: Any = model
        for key in self.path:
            value = None if value is None else value.get(key)
        return value

    def text(self, model: Numbers) -> str:
        """The value of a model as it is written."""
        value = self.of(model)
        if value is None:
            return "-"
        return f"{100 * value:.1f} %" if self.form == "%" else format(value, self.form)


_ISOTROPY = Measure("isotropy score", "higher", ("isotropy",), ".3f")
_OVERLAP = Measure("overlap of cosines", "lower", ("cosines", "all classes", "overlap"), ".3f")
_NEAREST = Measure("1-NN accuracy", "higher", ("nearest_neighbor", "1"), "%")
_PROBE = Measure("linear probe", "higher", ("linear_probe",), "%")
_WHAT = {
    _ISOTROPY: "More isotropic",
    _OVERLAP: "Less overlap of positive and negative pairs",
    _NEAREST: "Nearest neighbour more often of the right class",
    _PROBE: "Linear probe more often right",
}
# Line breaks keep the columns narrow.
_OF_PAIRS = {
    "within": "mean cosine,\npositive",
    "between": "mean cosine,\nnegative",
    "overlap": "overlap,\nlower is better",
    "auroc": "AUROC,\nhigher is better",
}
MEANINGS = (
    "Isotropy score: smallest over largest value of the partition function Σ exp(c · v) over the "
    "eigenvectors c of VᵀV (Mu and Viswanath 2018); 1 is a cloud without a preferred direction.",
    "Alignment: mean squared distance of two examples of one class. Uniformity: log of the mean of "
    "exp(-2 ‖x - y‖²) over all pairs (Wang and Isola 2020).",
    "Class separation: 1 - mean cosine distance within classes / that of all pairs (Kornblith et "
    "al. 2021). Loss functions that separate more have been seen to transfer less.",
    "Overlap: area that the histograms of positive and negative cosines share, in 50 bins from the "
    "smallest to the largest. AUROC: probability that a positive pair is more similar than a "
    "negative one. Of a named class, its pairs and those with all other classes count.",
)


def embedding_table(study: Numbers) -> str:
    """The numbers of an embedding study, a column a model, and those of pairs in a second table.

    Args:
        study: Content of its `embeddings.json`.

    Returns:
        The tables.

    Example:
    ```python
    study = {"models": {"ce": {"isotropy": 0.43}, "clce": {"isotropy": 0.91}}}
    embedding_table(study).split()[-3:]  # ["higher", "0.430", "0.910"]
    ```
    """
    return "\n\n".join(format_table(header, rows) for header, rows in embedding_cells(study))


def embedding_cells(study: Numbers) -> list[tuple[list[str], list[list[str]]]]:
    """The cells of `embedding_table`.

    Args:
        study: Content of an `embeddings.json`.

    Returns:
        Header and rows of each table.

    Example:
    ```python
    study = {"models": {"ce": {"isotropy": 0.43}, "clce": {"isotropy": 0.91}}}
    embedding_cells(study)[0][0]  # ["measure", "better", "ce", "clce"]
    ```
    """
    models = study["models"]
    votes = dict.fromkeys(k for one in models.values() for k in one.get("nearest_neighbor", {}))
    measures = [
        _ISOTROPY,
        Measure("uniformity", "lower", ("uniformity",), ".3f"),
        Measure("alignment", "lower", ("alignment",), ".3f"),
        Measure("class separation", "", ("class_separation",), ".3f"),
    ]
    measures += [Measure(f"{k}-NN accuracy", "higher", ("nearest_neighbor", k), "%") for k in votes]
    measures.append(_PROBE)
    rows = [
        [measure.name, measure.better, *(measure.text(model) for model in models.values())]
        for measure in measures
        if any(measure.of(model) is not None for model in models.values())
    ]
    tables = [(["measure", "better", *models], rows)]
    kinds = dict.fromkeys(kind for one in models.values() for kind in one.get("cosines", {}))
    pairs = [
        [
            kind if first else "",
            name,
            *(f"{model['cosines'][kind][key]:.3f}" for key in _OF_PAIRS),
        ]
        for kind in kinds
        for first, (name, model) in _first(models.items())
    ]
    if pairs:
        tables.append((["\npairs of", "\nmodel", *_OF_PAIRS.values()], pairs))
    return tables


def embedding_answer(study: Numbers) -> str:
    """Which model's embeddings are more even and tell classes apart better, in sentences.

    Args:
        study: Content of an `embeddings.json`.

    Returns:
        The sentences.

    Example:
    ```python
    study = {"models": {"ce": {"isotropy": 0.43}, "clce": {"isotropy": 0.91}}}
    embedding_answer(study)  # "More isotropic: clce, 0.91 against 0.43 of ce. …"
    ```
    """
    models = study["models"]
    if len(models) == 1:
        ((name, numbers),) = models.items()
        found = [f"{m.name} {m.text(numbers)}" for m in _WHAT if m.of(numbers) is not None]
        return wrapped(f"{name}: {', '.join(found)}. With a second model the two are compared.")
    sentences = []
    for measure, what in _WHAT.items():
        # A third digit is not worth a sentence.
        measure = measure._replace(form=".2f" if measure.form == ".3f" else measure.form)
        values = {name: measure.of(model) for name, model in models.items()}
        known = {name: value for name, value in values.items() if value is not None}
        if len(known) < len(values):
            continue
        ordered = sorted(known, key=known.__getitem__, reverse=measure.better == "higher")
        best, *others = ((name, measure.text(models[name])) for name in ordered)
        if best[1] == others[0][1]:
            tied = [name for name, text in (best, *others) if text == best[1]]
            sentences.append(f"About the same {measure.name}: {' and '.join(tied)}, {best[1]}.")
            continue
        against = ", ".join(f"{text} of {name}" for name, text in others)
        sentences.append(f"{what}: {best[0]}, {best[1]} against {against}.")
    sentences.append("That is one model of each; how far another seed would move it is not known.")
    # A number stays with its unit where lines are broken.
    return wrapped(" ".join(sentences).replace(" %", "\N{NO-BREAK SPACE}%"))


def paper_isotropy(dataset: str | None) -> str:
    """What the paper's Table 5 has, for a study of a data set.

    Args:
        dataset: Name of the data set, where it is known.

    Returns:
        A sentence or two.

    Example:
    ```python
    paper_isotropy("places365")  # "The paper's Table 5 has isotropy scores of ce 0.34, …"
    ```
    """
    rows = paper_rows(table=5)
    by_data: dict[str, list[str]] = {}
    for row in rows:
        by_data.setdefault(row["dataset"], []).append(f"{row['method']} {row['isotropy']:.2f}")
    wanted = {dataset: by_data[dataset]} if dataset in by_data else by_data
    figures = "; ".join(f"{', '.join(values)} on {name}" for name, values in wanted.items())
    differing = "Encoder and weights" if dataset in by_data else "Data, encoder and weights"
    return (
        f"The paper's Table 5 has isotropy scores of {figures}, with {rows[0]['encoder']}. "
        f"{differing} may differ here: which loss is higher can be compared, not by how much."
    )


def embedding_page(study: Numbers, pictures: Mapping[str, str], notes: Sequence[str] = ()) -> str:
    """The page of an embedding study, as Markdown.

    Args:
        study: Content of its `embeddings.json`.
        pictures: What is seen in a picture, to the name of its file.
        notes: Lines on how it was made. Defaults to none.

    Returns:
        The page.

    Example:
    ```python
    study = {"models": {"ce": {"isotropy": 0.43}}, "dataset": "digits", "data": "269 images"}
    embedding_page(study, {"Maps": "pca.png"}).splitlines()[0]  # "# Embeddings of ce, digits"
    ```
    """
    names = (" and " if len(study["models"]) == 2 else ", ").join(study["models"])
    title = ", ".join(filter(None, (names, study.get("dataset"))))
    parts = [
        f"# Embeddings of {title}",
        embedding_answer(study),
        wrapped(study["data"]) if study.get("data") else "",
        textwrap.indent(embedding_table(study), "    "),
        *(f"![{what}]({file})" for what, file in pictures.items()),
        wrapped(paper_isotropy(study.get("dataset"))),
        "\n".join(
            textwrap.fill(line, TEXT_WIDTH, initial_indent="- ", subsequent_indent="  ")
            for line in MEANINGS
        ),
        "\n".join(f"- {line}" for line in notes),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _first(items):
    """Each item with whether it is the first."""
    return ((number == 0, item) for number, item in enumerate(items))

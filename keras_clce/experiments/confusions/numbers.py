"""The numbers of a confusion study, as JSON values."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from keras_clce.evaluate import (
    Reliability,
    RetrievalResult,
    auroc_difference,
    class_accuracies,
    confused_pairs,
    fit_temperature,
    holm_correction,
    mcnemar_test,
    nearest_neighbor_accuracy,
    nearest_neighbors,
    open_set_detection,
    open_set_scores,
    reliability,
    retrieval_metrics,
    top_k_accuracy,
    wilson_interval,
)
from keras_clce.inference import ModelOutputs, probabilities_of

_K = 5
_RETRIEVAL = ("precision@1", "map@r")
# Pairs whose photographs are named, and how many of each.
_EXAMPLE_PAIRS, _EXAMPLES = 20, 6


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """What one model gives for all images of a study.

    Args:
        outputs: For the images that it is tested on.
        labels: Their classes.
        temperature: The model's own, `None` where it has none.
        validation: Logits and labels of images that a new one is fitted to.
        calibrated: Places of the images that probabilities are measured on; `None` for all.
        unknown: Outputs for images of classes that it does not know. Defaults to `None`.
        references: Embeddings of training images. Defaults to `None`.
        reference_labels: Their classes, where they are known. Defaults to `None`.

    Example:
    ```python
    rows, labels = ModelOutputs(np.arange(2), np.eye(2), np.eye(2)), np.array([0, 1])
    Measured(rows, labels, None, (np.eye(2), labels), None).predictions  # [0, 1]
    ```
    """

    outputs: ModelOutputs
    labels: np.ndarray
    temperature: float | None
    validation: tuple[np.ndarray, np.ndarray]
    calibrated: np.ndarray | None
    unknown: ModelOutputs | None = None
    references: np.ndarray | None = None
    reference_labels: np.ndarray | None = None

    @property
    def predictions(self) -> np.ndarray:
        """The class of the highest logit of each image."""
        return self.outputs.logits.argmax(axis=1)

    def scores(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Open-set scores of the images of known classes, and of the others."""
        known, unknown = (
            open_set_scores(
                part.logits,
                part.embeddings,
                self.references,
                self.reference_labels,
                self.temperature or 1.0,
            )
            for part in (self.outputs, cast(ModelOutputs, self.unknown))
        )
        return known, unknown

    def neighbors_right(self) -> np.ndarray:
        """Whether the nearest embedding is of the same class: of training, or of the others."""
        if self.reference_labels is None:
            rows, _ = nearest_neighbors(self.outputs.embeddings, self.outputs.embeddings, k=2)
            own = rows[:, 0] == np.arange(len(rows))
            found = self.labels[np.where(own, rows[:, 1], rows[:, 0])]
        else:
            rows, _ = nearest_neighbors(self.outputs.embeddings, self.references, k=1)
            found = self.reference_labels[rows[:, 0]]
        return found == self.labels

    def retrieval(self) -> RetrievalResult:
        """How high the other images of its class rank, where each image is searched for."""
        return retrieval_metrics(self.outputs.embeddings, self.labels, k=[1])


def numbers_of_model(
    measured: Measured, class_names: Sequence[str], image_names: Sequence[str], bins: int
) -> dict[str, Any]:
    """What one model gets wrong, and whether its probabilities and scores can be trusted.

    Args:
        measured: What it gives.
        class_names: Names of the classes.
        image_names: Names of the images.
        bins: Bins of the calibration error.

    Returns:
        JSON values.

    Example:
    ```python
    rows = ModelOutputs(np.arange(3), np.eye(3), np.eye(3))
    mine = Measured(rows, np.array([0, 1, 1]), None, (np.eye(3), np.array([0, 1, 1])), None)
    numbers_of_model(mine, ["ant", "bee", "cat"], ["0.png", "1.png", "2.png"], 15)["top1"]  # 0.67
    ```
    """
    labels, predictions = measured.labels, measured.predictions
    right, count = int((predictions == labels).sum()), len(labels)
    retrieval = measured.retrieval()
    found = {
        "top1": right / count,
        "top1_interval": [*wilson_interval(right, count)],
        "top5": top_k_accuracy(labels, measured.outputs.logits, k=5)
        if len(class_names) > 5
        else None,
        "right": right,
        "by_class": [
            {**vars(one), "label": class_names[one.label]}
            for one in class_accuracies(labels, predictions)
        ],
        "pairs": _pairs(measured, class_names, image_names),
        "calibration": _calibration(measured, bins),
        "neighbors": _neighbors(measured),
        "retrieval": {key: _number(float(retrieval[key])) for key in _RETRIEVAL},
    }
    if measured.unknown is not None:
        known, unknown = measured.scores()
        found["open_set"] = {
            name: vars(open_set_detection(known[name], unknown[name])) for name in known
        }
        found["unknown_examples"] = len(measured.unknown.rows)
    return found


def compared(first: Measured, second: Measured, class_names: Sequence[str]) -> dict[str, Any]:
    """What tells two models apart that saw the same images: the second minus the first.

    Args:
        first: What one model gives.
        second: What the other gives.
        class_names: Names of the classes.

    Returns:
        JSON values: McNemar's test of top-1 and of the nearest neighbour, of each class with Holm's
        correction, and the differences of retrieval and of each open-set score's AUROC with their
        intervals.

    Example:
    ```python
    rows, labels = ModelOutputs(np.arange(3), np.eye(3), np.eye(3)), np.array([0, 1, 1])
    mine = Measured(rows, labels, None, (np.eye(3), labels), None)
    compared(mine, mine, ["ant", "bee", "cat"])["top1"]["difference"]  # 0.0
    ```
    """
    labels = first.labels
    rights = [one.predictions == labels for one in (first, second)]
    found = {
        "top1": _test(*rights),
        "neighbors": _test(first.neighbors_right(), second.neighbors_right()),
    }
    differences = second.retrieval().compare(first.retrieval())
    found["retrieval"] = {
        key: {
            "difference": _number(differences[key].mean_difference),
            "low": _number(differences[key].ci95[0]),
            "high": _number(differences[key].ci95[1]),
            "p_value": _number(differences[key].p_value),
        }
        for key in _RETRIEVAL
    }
    classes = [
        {"label": class_names[number], "examples": int((labels == number).sum())}
        | _test(*(right[labels == number] for right in rights))
        for number in np.unique(labels)
    ]
    adjusted = holm_correction([one["p_value"] for one in classes])
    found["by_class"] = sorted(
        (one | {"p_holm": float(p)} for one, p in zip(classes, adjusted, strict=True)),
        key=lambda one: (-abs(one["difference"]), one["label"]),
    )
    if first.unknown is not None:
        (known, unknown), (other_known, other_unknown) = first.scores(), second.scores()
        found["open_set"] = {
            name: dict(
                zip(
                    ("difference", "low", "high"),
                    map(
                        _number,
                        auroc_difference(
                            (known[name], other_known[name]), (unknown[name], other_unknown[name])
                        ),
                    ),
                    strict=True,
                )
            )
            for name in known
            if name in other_known
        }
    return found


def _pairs(measured, class_names, image_names):
    labels, predictions = measured.labels, measured.predictions
    chosen = probabilities_of(measured.outputs.logits, measured.temperature).max(axis=1)
    found = []
    for place, pair in enumerate(confused_pairs(labels, predictions)):
        one = {
            "label": class_names[pair.label],
            "predicted": class_names[pair.predicted],
            "count": pair.count,
            "share": pair.share,
        }
        if place < _EXAMPLE_PAIRS:
            rows = np.flatnonzero((labels == pair.label) & (predictions == pair.predicted))
            # The surest of the wrong ones say most.
            rows = rows[np.argsort(-chosen[rows], kind="stable")][:_EXAMPLES]
            one["examples"] = [
                {
                    "image": image_names[row],
                    "row": int(measured.outputs.rows[row]),
                    "probability": float(chosen[row]),
                }
                for row in rows
            ]
        found.append(one)
    return found


def _calibration(measured: Measured, bins: int) -> dict[str, Any]:
    logits, labels = measured.outputs.logits, measured.labels
    if measured.calibrated is not None:
        logits, labels = logits[measured.calibrated], labels[measured.calibrated]
    found = {
        "examples": len(labels),
        "fitted_on": len(measured.validation[1]),
        "own_temperature": measured.temperature,
        "temperature": None,
        "before": _reliability(labels, logits, measured.temperature, bins),
    }
    try:
        temperature = fit_temperature(measured.validation[1], measured.validation[0])
    except ValueError as error:
        return found | {"why_not": str(error).partition("Received: ")[2]}
    after = _reliability(labels, logits, temperature, bins)
    return found | {"temperature": temperature, "after": after}


def _reliability(labels, logits, temperature, bins):
    probabilities = probabilities_of(logits, temperature)
    measured: Reliability = reliability(labels, probabilities, bins)
    values: Mapping[str, Any] = {
        name: [_number(v) for v in value] if isinstance(value, np.ndarray) else value
        for name, value in vars(measured).items()
    }
    right = probabilities.argmax(axis=1) == labels
    return {
        **values,
        "confidence": float(probabilities.max(axis=1).mean()),
        "accuracy": float(right.mean()),
    }


def _neighbors(measured: Measured) -> dict[str, Any]:
    embeddings, labels = measured.outputs.embeddings, measured.labels
    if measured.reference_labels is None:
        among, query = (embeddings, labels), (None, None)
    else:
        among, query = (measured.references, measured.reference_labels), (embeddings, labels)
    several = len(among[0]) > 2
    return {
        "of": "the other images" if query[0] is None else "training images",
        "examples": len(among[0]) - (query[0] is None),
        "nearest": float(measured.neighbors_right().mean()) if several else None,
        "k": _K,
        "k_nearest": nearest_neighbor_accuracy(*among, *query, k=_K) if several else None,
    }


def _test(first, second):
    ones = np.ones(len(first), int)
    test = mcnemar_test(ones, second.astype(int), first.astype(int))
    return {
        "difference": test.accuracy_difference,
        "p_value": test.p_value,
        "only_first": test.only_b_right,
        "only_second": test.only_a_right,
    }


def _number(value):
    """A number as JSON has it; `None` for none."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not np.isfinite(value) else value

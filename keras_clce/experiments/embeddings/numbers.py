"""The numbers of an embedding study."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_clce.evaluate import (
    CosineHistogram,
    alignment,
    class_separation,
    cosine_histogram,
    isotropy_score,
    linear_probe,
    nearest_neighbor_accuracy,
    uniformity,
)
from keras_clce.evaluate.embedding_geometry import unit_rows
from keras_clce.experiments.embeddings.files import Embedded

NEIGHBORS = (1, 5, 20)
ALL = "all classes"


def cosine_histograms(
    embedded: Embedded, classes: Mapping[str, int], max_examples: int, seed: int
) -> dict[str, CosineHistogram]:
    """Cosines of all pairs, and of the pairs of some classes.

    Args:
        embedded: The embeddings.
        classes: Name to number of each of these classes.
        max_examples: Most examples whose pairs are counted.
        seed: Seed of their draw.

    Returns:
        Kind of pairs to histogram.

    Example:
    ```python
    mine = Embedded("mine", "mine.npz", embeddings, labels, tuple("0123456789"))
    [*cosine_histograms(mine, {"3": 3}, 10_000, seed=0)]  # ["all classes", "3"]
    ```
    """
    wanted = {ALL: None, **classes}
    return {
        kind: cosine_histogram(embedded.embeddings, embedded.labels, of_class, max_examples, seed)
        for kind, of_class in wanted.items()
    }


def numbers_of(
    embedded: Embedded, histograms: Mapping[str, CosineHistogram], max_examples: int, seed: int
) -> dict[str, Any]:
    """All that is measured of the embeddings of one model, on the unit sphere.

    Args:
        embedded: The embeddings.
        histograms: What `cosine_histograms` gave.
        max_examples: Most examples whose pairs and neighbours are looked at.
        seed: Seed of their draw.

    Returns:
        JSON values.

    Example:
    ```python
    mine = Embedded("mine", "mine.npz", embeddings, labels, tuple("0123456789"))
    histograms = cosine_histograms(mine, {}, 10_000, seed=0)
    numbers_of(mine, histograms, 10_000, seed=0)["neighbors_of"]  # "the other 239 examples"
    ```
    """
    embeddings, labels = unit_rows(embedded.embeddings), embedded.labels
    return {
        "source": embedded.source,
        "examples": len(labels),
        "dim": embeddings.shape[1],
        "isotropy": isotropy_score(embeddings),
        "uniformity": uniformity(embeddings, max_examples=max_examples, seed=seed),
        "alignment": alignment(embeddings, labels, max_examples=max_examples, seed=seed),
        "class_separation": class_separation(embeddings, labels),
        "cosines": {kind: _cosines(histogram) for kind, histogram in histograms.items()},
        **_classified(embedded, embeddings, max_examples, seed),
    }


def _cosines(histogram):
    return {
        "within": histogram.within_mean,
        "between": histogram.between_mean,
        "overlap": histogram.overlap,
        "auroc": histogram.auroc,
        "positive_pairs": int(histogram.within.sum()),
        "negative_pairs": int(histogram.between.sum()),
    }


def _classified(embedded, embeddings, max_examples, seed):
    """Accuracy of neighbours, and of a linear probe where there is what it is fitted to."""
    labels = embedded.labels
    if len(labels) > max_examples:
        chosen = np.random.default_rng(seed).choice(len(labels), max_examples, replace=False)
        embeddings, labels = embeddings[chosen], labels[chosen]
    if embedded.train is None:
        searched, of = (embeddings, labels), f"the other {len(labels) - 1:,} examples"
        query = (None, None)
    else:
        searched, of = embedded.train, f"{len(embedded.train[1]):,} training examples"
        query = (embeddings, labels)
    found = {
        "nearest_neighbor": {
            str(k): nearest_neighbor_accuracy(*searched, *query, k=k) for k in NEIGHBORS
        },
        "neighbors_of": of,
    }
    if embedded.train is not None and embedded.validation is not None:
        train, validation = (
            (unit_rows(rows), classes) for rows, classes in (embedded.train, embedded.validation)
        )
        probe = linear_probe(*train, *validation)
        found["linear_probe"] = float(probe.score(embeddings, labels))
    return found

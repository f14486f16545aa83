"""Retrieval among the test images of a run: figures, and the worst queries as a picture."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.data import ImageSplit
from keras_clce.evaluate import RetrievalResult, nearest_neighbors, retrieval_metrics
from keras_clce.evaluate.retrieval_ranks import unit_or_zero_rows
from keras_clce.experiments.embeddings.models import image_batches
from keras_clce.files import printable_text
from keras_clce.report import drawing
from keras_clce.report.retrieval_pictures import Retrieved, plot_retrieval

# Beyond as many images, comparing each with all others takes longer than a few seconds.
RETRIEVAL_LIMIT = 20_000
_KEYS = ("precision@1", "recall@5", "r_precision", "map@r", "map", "mrr")
_QUERIES, _NEIGHBORS = 8, 8


def retrieval_of_test(
    embeddings: np.ndarray, labels: np.ndarray
) -> tuple[dict[str, Any] | None, Callable[[ImageSplit, Sequence[str], Path, str], None]]:
    """Retrieve among the test images, as metric learning is evaluated.

    Each image is a query, and all others are the gallery. Training images, which 1-NN searches,
    would be too easy a gallery: the model has learned them by heart.

    Args:
        embeddings: Embeddings of the test images `(images, dim)`.
        labels: Their classes `(images,)`.

    Returns:
        What `metrics.json` has of it, `None` with more than `RETRIEVAL_LIMIT` images or where no
        two share a class; and a function that draws the worst queries, of the split, the names of
        its classes, the file and the title.

    Example:
    ```python
    figures, draw = retrieval_of_test(np.eye(2)[[0, 0, 1, 1]], np.array([0, 0, 1, 1]))
    figures["map@r"], figures["queries"]  # (1.0, 4)
    ```
    """
    result = retrieval_metrics(embeddings, labels) if len(labels) <= RETRIEVAL_LIMIT else None
    if result is None or not len(result.queries):
        return None, lambda *_: None
    figures: dict[str, Any] = {key: result[key] for key in _KEYS}
    figures |= {
        "map@r_ci95": result.interval("map@r"),
        "queries": len(result.queries),
        "unmatched": len(result.unmatched),
    }

    def draw(split, class_names, path, title):
        with drawing(path):
            rows, nearest, cosines = _worst(result, embeddings)
            pixels = _pixels(split, np.unique([*rows, *nearest.ravel()]))
            names = {row: printable_text(str(class_names[labels[row]])) for row in pixels}
            shown = []
            for row, others, values in zip(rows, nearest, cosines, strict=True):
                value = result.per_query["map@r"][np.searchsorted(result.queries, row)]
                query = Retrieved(pixels[row], names[row], f"MAP@R {100 * value:.0f} %")
                found = [
                    Retrieved(pixels[one], names[one], f"cosine {cosine:.2f}")
                    for one, cosine in zip(others, values, strict=True)
                ]
                shown.append((query, found))
            plot_retrieval(shown, path, title)

    return figures, draw


def _worst(
    result: RetrievalResult, embeddings: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The worst queries, and the rows and cosines of their neighbours."""
    # Where nothing of its class is among the R nearest, the whole ranking decides.
    order = np.lexsort((result.per_query["map"], result.per_query["map@r"]))
    rows = result.queries[order[:_QUERIES]]
    units = unit_or_zero_rows(embeddings)
    nearest, cosines = nearest_neighbors(units[rows], units, _NEIGHBORS + 1)
    others = nearest != rows[:, None]
    # Among equal ones the query itself may stand behind the last.
    others[others.all(axis=1), -1] = False
    return rows, *(part[others].reshape(len(rows), -1) for part in (nearest, cosines))


def _pixels(split: ImageSplit, rows: np.ndarray) -> dict[int, np.ndarray]:
    images = [image for batch, _ in image_batches(split, rows, 64) for image in batch]
    return {row: np.rint(image).astype("uint8") for row, image in zip(rows, images, strict=True)}

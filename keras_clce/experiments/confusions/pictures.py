"""The pictures of a confusion study."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.experiments.confusions.images import ImageSet
from keras_clce.report import Tile, drawing, plot_image_grid
from keras_clce.report.confusion_pictures import plot_confusion_matrix, plot_reliability

_COLUMNS, _MATRIX_CLASSES = 6, 40
# Pairs of so many images have a row of their own.
_ROW_IMAGES, _MOST_ROWS, _MOST_OTHERS = 3, 8, 18


def draw_pictures(
    folder: Path, study: Mapping[str, Any], images: ImageSet
) -> dict[str, dict[str, Path]]:
    """Draw what is confused, the matrices and the reliability; failures are warned of.

    Args:
        folder: Folder of the study.
        study: Content of its `confusions.json`.
        images: What was tested.

    Returns:
        By model, the pictures `"examples"` and `"matrix"`; by `""`, `"reliability"` of all.

    Example:
    ```python
    from keras_clce.experiments.embeddings.sources import ShownData, Source
    from keras_clce.experiments.confusions.images import SplitSet
    mine = Source("mine", "in memory", model)
    images = SplitSet(ShownData([mine], dataset="digits"), "test")
    draw_pictures(Path("study"), {"models": {}}, images)  # {}
    ```
    """
    found: dict[str, dict[str, Path]] = {}
    models = study["models"]
    for name, numbers in models.items():
        suffix = "" if len(models) == 1 else "-" + re.sub(r"[^-+.=\w]+", "_", name)
        title = "" if len(models) == 1 else f"{name}: "
        pictures = found.setdefault(name, {})
        path = folder / f"confusions{suffix}.png"
        if numbers["pairs"]:
            with drawing(path):
                sections = _sections(numbers["pairs"], images)
                plot_image_grid(sections, path, f"{title}What is taken for what", _COLUMNS)
                pictures["examples"] = path
        if study["classes"] <= _MATRIX_CLASSES:
            path = folder / f"matrix{suffix}.png"
            with drawing(path):
                true, predicted, counts = _matrix(numbers)
                plot_confusion_matrix(
                    true, predicted, counts, path, f"{title}Images by true and predicted class"
                )
                pictures["matrix"] = path
    if models:
        path = folder / "reliability.png"
        with drawing(path):
            plot_reliability({name: one["calibration"] for name, one in models.items()}, path)
            found[""] = {"reliability": path}
    return found


def _sections(pairs, images):
    """A row for each frequent pair, and one section for the others."""
    rows, others = [], []
    for pair in pairs:
        shown = pair.get("examples", [])
        if len(shown) >= _ROW_IMAGES and len(rows) < _MOST_ROWS:
            rows.append((_heading(pair), _tiles(shown, images)))
        elif len(shown) < _ROW_IMAGES:
            words = (pair["label"], f"as {pair['predicted']}")
            others += [(one, words) for one in shown]
    others = others[:_MOST_OTHERS]
    if others:
        tiles = _tiles([one for one, _ in others], images, [words for _, words in others])
        rows.append(("Others: the true class, and what it is taken for" if rows else "", tiles))
    return rows


def _heading(pair):
    total = round(pair["count"] / pair["share"])
    share = f"{pair['count']} of {total}, {100 * pair['share']:.1f} %"
    return f"{pair['label']} taken for {pair['predicted']}: {share}"


def _tiles(examples, images, words=None):
    pictures = images.thumbnails(np.array([one["row"] for one in examples]))
    words = words or [()] * len(examples)
    return [
        Tile(pixels, (*lines, f"{100 * one['probability']:.0f} %", Path(one["image"]).name))
        for pixels, one, lines in zip(pictures, examples, words, strict=True)
    ]


def _matrix(numbers):
    """Names of the true and of the predicted classes, and counts of the one by the other."""
    right = {one["label"]: one["right"] for one in numbers["by_class"]}
    true = sorted(right)
    predicted = sorted({*true, *(pair["predicted"] for pair in numbers["pairs"])})
    counts = np.zeros((len(true), len(predicted)), int)
    for name, count in right.items():
        counts[true.index(name), predicted.index(name)] = count
    for pair in numbers["pairs"]:
        counts[true.index(pair["label"]), predicted.index(pair["predicted"])] = pair["count"]
    return true, predicted, counts

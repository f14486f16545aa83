"""The pictures of a confusion study."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.experiments.confusion_images import ImageSet
from keras_clce.report import Tile, drawing, plot_image_grid
from keras_clce.report.confusion_pictures import plot_confusion_matrix, plot_reliability

_DRAWN_PAIRS, _COLUMNS, _MATRIX_CLASSES = 8, 6, 40


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
    photographs = find_photographs("pets")
    images = FolderSet(photographs, np.zeros(40, int), "photographs in pets")
    draw_pictures(Path("study"), {"models": {}}, images)  # {}
    ```
    """
    found: dict[str, dict[str, Path]] = {}
    models = study["models"]
    for name, numbers in models.items():
        suffix = "" if len(models) == 1 else "-" + re.sub(r"[^-+.=\w]+", "_", name)
        title = "" if len(models) == 1 else f"{name}: "
        pictures = found.setdefault(name, {})
        pairs = [pair for pair in numbers["pairs"] if pair.get("examples")][:_DRAWN_PAIRS]
        path = folder / f"confusions{suffix}.png"
        if pairs:
            with drawing(path):
                sections = [(_heading(pair), _tiles(pair, images)) for pair in pairs]
                plot_image_grid(sections, path, f"{title}what is taken for what", _COLUMNS)
                pictures["examples"] = path
        if study["classes"] <= _MATRIX_CLASSES:
            path = folder / f"matrix{suffix}.png"
            with drawing(path):
                plot_confusion_matrix(*_matrix(numbers), path, f"{title}share of the true class")
                pictures["matrix"] = path
    if models:
        path = folder / "reliability.png"
        with drawing(path):
            plot_reliability({name: one["calibration"] for name, one in models.items()}, path)
            found[""] = {"reliability": path}
    return found


def _heading(pair):
    total = round(pair["count"] / pair["share"])
    share = f"{pair['count']} of {total}, {100 * pair['share']:.1f} %"
    return f"{pair['label']} taken for {pair['predicted']}: {share}"


def _tiles(pair, images):
    rows = np.array([one["row"] for one in pair["examples"]])
    return [
        Tile(pixels, (f"{100 * one['probability']:.0f} %", Path(one["image"]).name))
        for pixels, one in zip(images.thumbnails(rows), pair["examples"], strict=True)
    ]


def _matrix(numbers):
    """Names of the classes that occur, and counts of true by predicted."""
    examples = {one["label"]: one for one in numbers["by_class"]}
    names = sorted({*examples, *(pair["predicted"] for pair in numbers["pairs"])})
    counts = np.zeros((len(names), len(names)), int)
    for name, one in examples.items():
        counts[names.index(name), names.index(name)] = one["right"]
    for pair in numbers["pairs"]:
        counts[names.index(pair["label"]), names.index(pair["predicted"])] = pair["count"]
    return names, counts

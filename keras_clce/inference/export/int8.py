"""Photographs for 8-bit numbers: to find ranges on, and to measure what is lost and gained."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.inference.export.base import Runner
from keras_clce.inference.photographs import find_photographs
from keras_clce.inference.views import batches_of_views
from keras_clce.views import Preprocessing

# More photographs hardly change the ranges that are found.
_CALIBRATION = 100
_TIMED = 30


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a file does with photographs that no range was found on.

    Args:
        accuracy: Share of right classes, `None` where folders do not bear names of classes.
        agreement: Share of photographs whose first class is the Keras model's.
        milliseconds: Least time of one photograph alone, of 30.
        megabytes: Size on disk.

    Example:
    ```python
    Measured(accuracy=0.9, agreement=1.0, milliseconds=12.5, megabytes=14.0)
    ```
    """

    accuracy: float | None
    agreement: float
    milliseconds: float
    megabytes: float


@dataclasses.dataclass(frozen=True)
class Shown:
    """Photographs as a model sees them.

    Args:
        calibration: Some to find ranges on, uint8 `(images, size, size, 3)`.
        views: Others to measure on.
        labels: Number of the class of each of these, -1 where its folder has another name.
        unreadable: Number of files that cannot be read.
    """

    calibration: np.ndarray
    views: np.ndarray
    labels: np.ndarray
    unreadable: int


def read_photographs(
    images: Any, preprocessing: Preprocessing, class_names: Sequence[str], limit: int
) -> Shown:
    """Read photographs that are spread evenly over all there are, and divide them.

    Args:
        images: As in `predict_images`.
        preprocessing: What makes views of them.
        class_names: The model's classes.
        limit: Most photographs to measure on.

    Returns:
        Up to 100 to find ranges on, which are half of them at most, and up to `limit` others.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If fewer than two can be read.

    Example:
    ```python
    names = ["ant", "bee"]
    shown = read_photographs("pets", Preprocessing(32), names, limit=10)
    len(shown.calibration), len(shown.views)  # (20, 10)
    ```
    """
    found = find_photographs(images)
    number = min(_CALIBRATION, len(found) // 2)
    first = {*spread(len(found), number)}
    others = [place for place in range(len(found)) if place not in first]
    measured = [others[place] for place in spread(len(others), min(limit, len(others)))]
    places: dict[str | None, int] = {name: number for number, name in enumerate(class_names)}
    calibration, views, labels = [], [], []
    chosen = [found[place] for place in [*sorted(first), *measured]]
    seen = 0
    for batch in batches_of_views(chosen, preprocessing, 64):
        for photograph, view in batch:
            seen += 1
            if not isinstance(view, np.ndarray):
                continue
            if seen <= number:
                calibration.append(view)
                continue
            views.append(view)
            labels.append(places.get(photograph.class_folder, -1))
    if not calibration or not views:
        raise ValueError(
            "`images` must have two photographs that can be read at least, one to find ranges on "
            f"and one to measure on. Received: {len(calibration) + len(views)}"
        )
    unreadable = len(chosen) - len(calibration) - len(views)
    return Shown(np.stack(calibration), np.stack(views), np.array(labels), unreadable)


def spread(count: int, number: int) -> list[int]:
    """Places of some things, spread evenly over all.

    Args:
        count: Number of all.
        number: Number of those wanted, at most `count`.

    Returns:
        Their places, ascending.

    Example:
    ```python
    spread(10, 3)  # [1, 5, 8]
    ```
    """
    return [int((2 * each + 1) * count / (2 * number)) for each in range(number)]


def measure(run: Runner, path: Path, shown: Shown, expected: np.ndarray) -> Measured:
    """Measure a file on photographs.

    Args:
        run: What runs it.
        path: The file or folder.
        shown: The photographs.
        expected: First class of each, as the Keras model has it, `(images,)`.

    Returns:
        What was measured.
    """
    batches = np.array_split(shown.views, range(64, len(shown.views), 64))
    classes = np.concatenate([run(batch)["probabilities"].argmax(-1) for batch in batches])
    known = shown.labels >= 0
    right = classes[known] == shown.labels[known]
    return Measured(
        accuracy=float(right.mean()) if known.any() else None,
        agreement=float(np.mean(classes == expected)),
        milliseconds=1000 * _seconds(run, shown.views),
        megabytes=size_of(path) / 1e6,
    )


def _seconds(run: Runner, views: np.ndarray) -> float:
    """Least time of one image: what else the machine does adds to it, and takes nothing away."""
    seconds = []
    for number in range(_TIMED):
        view = views[number % len(views)][None]
        start = time.perf_counter()
        run(view)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def size_of(path: Path) -> int:
    """Bytes of a file with its neighbour of the same name, or of a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    weights = path.with_suffix(".bin") if path.suffix == ".xml" else None
    return path.stat().st_size + (weights.stat().st_size if weights else 0)

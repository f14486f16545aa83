"""The record of a finished run: what it was asked to do, and what came out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.runs.damage import damaged_arrays
from keras_clce.runs.predictions import Predictions, read_predictions

_NUMBER = (int, float)
_TRANSFER_METRICS: dict[str, Any] = {
    "loss": str,
    "seed": int,
    "seconds": _NUMBER,
    "validation": {"best_epoch": int},
    "test": {
        "top1": _NUMBER,
        "top5": _NUMBER,
        "nearest_neighbor": (*_NUMBER, type(None)),
        "examples": int,
    },
}
# Of several labels an image.
_LABELS_METRICS: dict[str, Any] = {name: _NUMBER for name in ("map", "f1_micro", "f1_macro")}
# Among the test images; runs of earlier versions and of many images lack it.
_RETRIEVAL = {"precision@1": _NUMBER, "map@r": _NUMBER, "queries": int}
# Where training classes are unbalanced.
_GROUP = {"accuracy": _NUMBER, "classes": int}
_CLASS = {"training_images": int, "examples": int, "accuracy": (*_NUMBER, type(None))}
# Of a run that was not tested, so that settings may be chosen with the test split unread.
_UNTESTED_METRICS: dict[str, Any] = {
    name: _TRANSFER_METRICS[name] for name in ("loss", "seed", "seconds", "validation")
}
# What some kinds of runs, or those of earlier versions, lack.
_OPTIONAL: dict[str, Any] = {
    "settings": dict,
    "label": (str, type(None)),
    "dataset": (str, type(None)),
    "backbone": (str, type(None)),
    "data": str,
    "quick": (bool, type(None)),
    "tested": bool,
}
_FEW_SHOT_RESULT = {
    "mean": _NUMBER,
    "ci95": _NUMBER,
    "tasks": int,
    "queries": int,
    "classifier": str,
    "features": str,
    "transform": str,
    "drawn_from": str,
}


@dataclass(frozen=True)
class Record:
    """What a finished run has left behind, read and checked.

    Args:
        folder: Its folder.
        settings: All that decides the result.
        metrics: The content of `metrics.json`.
        history: One dict of logs per epoch, `"epoch"` from 0. Empty where nothing was trained.

    Example:
    ```python
    record = RunFolder(Path("runs/transfer/digits/small_resnet/clce-seed0")).record()
    record.name, record.seed, record.metrics["test"]["top1"]
    ```
    """

    folder: Path
    settings: dict[str, Any]
    metrics: dict[str, Any]
    history: list[dict[str, float]]

    @property
    def loss(self) -> str:
        """Name of the loss; `"frozen"` for the encoder as it was before training."""
        return self.metrics["loss"]

    @property
    def seed(self) -> int:
        """Seed of weights, order and views."""
        return self.metrics["seed"]

    @property
    def label(self) -> str | None:
        """Name that was given to the settings."""
        return self.metrics.get("label")

    @property
    def quick(self) -> bool:
        """Whether the run saw a few batches alone, which says nothing about a loss."""
        return bool(self.metrics.get("quick"))

    @property
    def dataset(self) -> str | None:
        """Name of the data set."""
        return self.metrics.get("dataset")

    @property
    def backbone(self) -> str | None:
        """Name of the encoder, or its file."""
        return self.metrics.get("backbone")

    @property
    def data(self) -> str:
        """One sentence on the data that was really used."""
        return self.metrics.get("data") or ""

    @property
    def is_few_shot(self) -> bool:
        """Whether the run is for few-shot tasks."""
        return "few_shot" in (self.metrics if self.is_tested else self.metrics["validation"])

    @property
    def is_multi_label(self) -> bool:
        """Whether images have several labels."""
        return "map" in (self.metrics.get("validation") or {})

    @property
    def measure(self) -> tuple[str, str]:
        """What a transfer run is compared by: its key in `metrics.json`, and its name."""
        return ("map", "mAP") if self.is_multi_label else ("top1", "top-1")

    @property
    def is_tested(self) -> bool:
        """Whether the run was tested, or the test split left unread."""
        return self.metrics.get("tested", True)

    @property
    def validation(self) -> float | None:
        """Accuracy or mAP on validation, or few-shot accuracy there, of the epoch that is kept.

        `None` where nothing was trained, and of runs of earlier versions that did not write it.
        """
        found = self.metrics.get("validation") or {}
        return found.get("few_shot", found.get(self.measure[0]))

    @property
    def name(self) -> str:
        """Name of the run in tables and pictures, as `run_name` gives it."""
        return run_name(self.metrics)

    @property
    def predictions(self) -> Predictions | None:
        """What the model predicted on the test images, read from the folder.

        `None` after few-shot tasks, and of runs of earlier versions that did not keep it.

        Raises:
            ValueError: If the file is damaged.
        """
        return read_predictions(self.folder / "predictions.npz")

    def task_accuracies(self, kind: str) -> np.ndarray:
        """Read the accuracy on each few-shot task.

        Args:
            kind: Kind of task, as in `metrics["few_shot"]`.

        Returns:
            Accuracies `(tasks,)`.

        Raises:
            ValueError: If their file is missing or damaged.

        Example:
        ```python
        record = RunFolder(Path("runs/few_shot/cifar_fs/vit_tiny/clce-seed0")).record()
        record.task_accuracies("5w1s").mean()
        ```
        """
        # Relative to the run, so that a folder may be renamed.
        return read_accuracies(self.folder / Path(self.metrics["accuracies"]).name, kind)


def run_name(metrics: Mapping[str, Any]) -> str:
    """Name of a run in tables and pictures: its loss, and the label of its settings if any.

    Args:
        metrics: Its `metrics.json`.

    Returns:
        The name, such as `"clce"` or `"clce, tuned"`, with `" (quick)"` after a quick run.

    Example:
    ```python
    run_name({"loss": "clce", "label": "tuned"})  # "clce, tuned"
    ```
    """
    labelled = ", ".join(filter(None, (metrics["loss"], metrics.get("label"))))
    return f"{labelled} (quick)" if metrics.get("quick") else labelled


def read_accuracies(path: Path, name: str) -> np.ndarray:
    """Read the accuracy on each task from a run's `few_shot.npz`.

    Args:
        path: The file.
        name: Kind of task, as in `metrics.json`.

    Returns:
        Accuracies `(tasks,)`.

    Raises:
        ValueError: If the file is missing or damaged.

    Example:
    ```python
    read_accuracies(Path("runs/few_shot/cifar_fs/vit_tiny/ce-seed0/few_shot.npz"), "5w1s").mean()
    ```
    """
    try:
        with np.load(path) as file:
            accuracies = file[name]
        # NumPy gives the bytes of a member that does not begin as an array.
        if np.ndim(accuracies) != 1 or not np.isfinite(accuracies).all():
            raise ValueError("it does not hold one number per task")
        return accuracies
    except Exception as error:  # NumPy, archives and their compression raise many kinds of errors
        raise damaged_arrays(path, error) from error


def kinds_of_config(config: dict) -> dict[str, Any]:
    """Types of the entries that every `config.json` has, for `read_object`."""
    return {"settings": dict, "data": str}


def kinds_of_metrics(metrics: dict) -> dict[str, Any]:
    """Types of the entries that a `metrics.json` has, for `read_object`."""
    optional = {name: kind for name, kind in _OPTIONAL.items() if name in metrics}
    validation = metrics.get("validation")
    if isinstance(validation, dict) and "map" in validation:
        kinds = optional | _UNTESTED_METRICS
        kinds |= {"validation": {**_UNTESTED_METRICS["validation"], **_LABELS_METRICS}}
        tested = metrics.get("tested", True) is not False
        return kinds | ({"test": {**_LABELS_METRICS, "examples": int}} if tested else {})
    if "tested" in metrics and metrics["tested"] is False:
        # Few-shot accuracy, or top-1.
        name = "few_shot" if "few_shot" in (metrics.get("validation") or {}) else "top1"
        validation = {**_UNTESTED_METRICS["validation"], name: _NUMBER}
        return optional | _UNTESTED_METRICS | {"validation": validation}
    if "few_shot" not in metrics:
        test = _TRANSFER_METRICS["test"]
        if isinstance(metrics.get("test"), dict) and metrics["test"].get("retrieval") is not None:
            test = test | {"retrieval": _RETRIEVAL}
        test = test | _kinds_of_classes(metrics.get("test"))
        return optional | _TRANSFER_METRICS | {"test": test}
    results = {name: _FEW_SHOT_RESULT for name in metrics["few_shot"]}
    trained = {"validation": {"best_epoch": int}} if "validation" in metrics else {}
    named = {"loss": str, "seed": int, "accuracies": str, "few_shot": results}
    return optional | trained | named


def _kinds_of_classes(test: Any) -> dict[str, Any]:
    if not isinstance(test, dict) or "balanced_accuracy" not in test:
        return {}
    nested = {"groups": _GROUP, "classes": _CLASS}
    named = {
        name: dict.fromkeys(test[name], kinds) if isinstance(test.get(name), dict) else dict
        for name, kinds in nested.items()
    }
    return {"balanced_accuracy": _NUMBER, **named}

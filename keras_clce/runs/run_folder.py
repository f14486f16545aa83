"""A run's folder: what was asked for, what came out, and when it may be touched again."""

import contextlib
import csv
import io
import json
import math
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from keras_clce import backend
from keras_clce.files import write_atomically, write_json
from keras_clce.runs.damage import how_to_make_again, misfits, read_object
from keras_clce.runs.predictions import read_predictions
from keras_clce.runs.record import Record, kinds_of_config, kinds_of_metrics
from keras_clce.runs.software import git_commit, package_versions

# Settings that came later: the one that each goes with, and what was done before.
_CHOSEN_LATER = {
    "classifier_head": ("embedding_dim", "linear"),
    "contrastive_schedule": ("contrastive_weight", "constant"),
    "cutmix_alpha": ("label_smoothing", 0.0),
    "denominator": ("temperature", "all"),
    "detach_weights": ("hardness", False),
    "embedding_layers": ("embedding_dim", 1),
    "feature_normalization": ("embedding_dim", None),
    "finetune_encoder": ("queries", None),
    "ignore_unlabelled": ("label_smoothing", False),
    "logit_adjustment": ("label_smoothing", 0.0),
    "mix": ("label_smoothing", "cross_entropy"),
    "mixup_alpha": ("label_smoothing", 0.0),
    "multi_label": ("label_smoothing", False),
    "negatives": ("temperature", "all"),
    "query_distribution": ("queries", "balanced"),
}
_WITHOUT_CONFIG = "Bring it back from a copy, or delete the folder to start anew"


class RunFolder:
    """Files of one run: `config.json`, `history.csv`, `checkpoint/`, `metrics.json`, `model.keras`.

    After a test on the same classes there are `predictions.npz` and `retrieval.png` too, after a
    contrastive loss alone `probe.npz`, after a few-shot run `few_shot.npz` and `task.png`.

    Args:
        path: The folder; created by `start`.

    Example:
    ```python
    folder = RunFolder(Path("runs/transfer/digits/small_resnet/clce-seed0"))
    folder.start({"epochs": 3}, data="digits, 1,257 training images")
    ```
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.history = self.path / "history.csv"
        self.metrics = self.path / "metrics.json"
        self.checkpoint = self.path / "checkpoint"
        self.model = self.path / "model.keras"
        self.curves = self.path / "curves.png"
        self.predictions = self.path / "predictions.npz"
        self.retrieval = self.path / "retrieval.png"
        self.probe = self.path / "probe.npz"
        self.few_shot = self.path / "few_shot.npz"
        self.task = self.path / "task.png"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out of the folder; the lock ends with its process, killed or not.

        Of several processes that train together, the first alone locks.

        Raises:
            BlockingIOError: If another process holds it.

        Example:
        ```python
        with folder.lock():
            folder.start({"epochs": 3}, data="digits, 1,257 training images")
        ```
        """
        if backend.process_id():
            yield
            return
        self.path.mkdir(parents=True, exist_ok=True)
        # Not in the locked file itself, which Windows lets nobody read.
        owner = self.path / ".process"
        try:
            with filelock.FileLock(self.path / ".lock", blocking=False):
                owner.write_text(f"{os.getpid()} on {platform.node()}")
                yield
        except filelock.Timeout:
            raise BlockingIOError(
                f"{self.path} is in use by another run, process {owner.read_text()}. Wait for its "
                "end, or choose another --output_dir"
            ) from None

    def begun(self) -> dict[str, Any] | None:
        """Configuration of a run that was begun, else `None`.

        Raises:
            ValueError: If `config.json` is damaged.
        """
        return read_object(self.config, kinds_of_config, _WITHOUT_CONFIG)

    def check(self, settings: Mapping[str, Any], resume: bool) -> None:
        """Refuse to start over, or to go on with other settings than the run began with.

        Args:
            settings: What decides the result: flags and data. Values must be JSON's.
            resume: Whether the run may go on where it stopped.

        Raises:
            ValueError: If the folder holds a run and `resume` is false, or settings differ.

        Example:
        ```python
        folder = RunFolder(Path("runs/new"))
        folder.start({"epochs": 3}, data="digits")
        folder.check({"epochs": 3}, resume=True)
        ```
        """
        config = self.begun()
        if config is None:
            return
        if not resume:
            raise ValueError(
                f"{self.path} already holds a run. Pass --resume to go on with it (a finished run "
                "is kept as it is), or choose another --output_dir"
            )
        before = completed_settings(config["settings"])
        asked = json.loads(json.dumps(settings))
        differing = [
            f"{key}: {before.get(key)!r} then, {asked.get(key)!r} now"
            for key in sorted({*before, *asked})
            if before.get(key) != asked.get(key)
        ]
        if differing:
            raise ValueError(
                f"{self.path} was begun with other settings, so it cannot be resumed: "
                + "; ".join(differing)
            )

    def check_data(self, data: str) -> None:
        """Refuse to go on with other data than the run began with.

        Args:
            data: One sentence on the data that would be used, as for `start`.

        Raises:
            ValueError: If the folder holds a run on other data.

        Example:
        ```python
        folder = RunFolder(Path("runs/new"))
        folder.start({"epochs": 3}, data="digits")
        folder.check_data("digits")
        ```
        """
        config = self.begun()
        if config is not None and config["data"] != data:
            raise ValueError(
                f"{self.path} was begun with other data, so it cannot be resumed: "
                f"{config['data']!r} then, {data!r} now"
            )

    def start(
        self, settings: Mapping[str, Any], data: str, flags: Mapping[str, Any] | None = None
    ) -> None:
        """Write what the run is made of; where it goes on, add the software that goes on.

        Args:
            settings: What decides the result, as for `check`.
            data: One sentence on the data that was really used.
            flags: All flags with their values. Defaults to `None`.

        Example:
        ```python
        RunFolder(Path("runs/new")).start({"epochs": 3}, data="digits, 1,257 training images")
        ```
        """
        software = {"versions": package_versions(), "commit": git_commit()}
        config = self.begun()
        if config is not None:
            config.setdefault("resumed", []).append(software)
        else:
            self.path.mkdir(parents=True, exist_ok=True)
            config = {"settings": settings, "data": data, "flags": flags or {}, **software}
        write_json(self.config, config)

    def finished(self) -> dict[str, Any] | None:
        """Metrics of a finished run, else `None`.

        Raises:
            ValueError: If `metrics.json` is damaged.
        """
        return read_object(self.metrics, kinds_of_metrics, how_to_make_again(self.path))

    def record(self) -> Record | None:
        """Read all that a finished run has left behind, whichever version wrote it.

        Returns:
            The record, its metrics completed by what earlier versions wrote to `config.json`
            alone; `None` where the run has not finished.

        Raises:
            ValueError: If a file is missing or damaged.

        Example:
        ```python
        folder = RunFolder(Path("runs/transfer/digits/small_resnet/clce-seed0"))
        folder.record().metrics["test"]["top1"]
        ```
        """
        metrics, config = self.finished(), self.begun()
        if metrics is None:
            return None
        if config is None:
            raise ValueError(f"{self.config} is missing. {_WITHOUT_CONFIG}")
        settings = completed_settings(metrics.get("settings", config["settings"]))
        named = {key: settings.get(key) for key in ("dataset", "backbone", "quick")}
        metrics = {"settings": settings, "data": config["data"], **named, **metrics}
        wrong = ", ".join(misfits(metrics, kinds_of_metrics(metrics)))
        if wrong:
            raise ValueError(f"{self.config} is damaged ({wrong}). {_WITHOUT_CONFIG}")
        record = Record(self.path, settings, metrics, self.read_history())
        for kind in metrics.get("few_shot", ()):
            record.task_accuracies(kind)
        read_predictions(self.predictions)
        return record

    def write_metrics(self, metrics: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Write what came out beside what decided it, which finishes the run.

        Args:
            metrics: What came out, as JSON values.
            settings: All that decides the result, as JSON values.

        Raises:
            ValueError: If the metrics lack an entry that a record has.

        Example:
        ```python
        test = {"top1": 0.96, "top5": 1.0, "nearest_neighbor": 0.95, "examples": 360}
        metrics = {"loss": "ce", "seed": 0, "seconds": 9.0, "validation": {"best_epoch": 3}}
        folder.write_metrics({**metrics, "test": test}, settings={"epochs": 3})
        ```
        """
        value = {"settings": dict(settings), **metrics}
        wrong = ", ".join(misfits(value, kinds_of_metrics(value)))
        if wrong:
            raise ValueError(
                "`metrics` must have all that the record of a run has. Received: metrics in which "
                f"{wrong}"
            )
        write_json(self.metrics, value)

    def remove_checkpoint(self) -> None:
        """Remove the checkpoint of a finished run, whose model stands in `model.keras`.

        Of several processes that train together, the first alone removes it.

        Raises:
            ValueError: If the run has not finished, so that `--resume` needs the checkpoint.

        Example:
        ```python
        folder.remove_checkpoint()
        ```
        """
        if backend.process_id():
            return
        if self.finished() is None:
            raise ValueError(f"{self.path} has not finished, so its checkpoint is needed")
        going = self.checkpoint.with_name(".removing-checkpoint")
        shutil.rmtree(going, ignore_errors=True)
        # Renamed first, so that whoever is killed in between leaves no half of a checkpoint.
        if self.checkpoint.is_dir():
            self.checkpoint.rename(going)
            shutil.rmtree(going)

    def read_history(self) -> list[dict[str, float]]:
        """Read what `write_history` wrote.

        Returns:
            One dict of logs per epoch, `"epoch"` from 0; none where nothing is written.

        Raises:
            ValueError: If `history.csv` is damaged.
        """
        if not self.history.is_file():
            return []
        try:
            text = self.history.read_text(encoding="utf-8")
            rows = [
                {name: float(value) for name, value in row.items()}
                for row in csv.DictReader(io.StringIO(text), strict=True)
            ]
            return [{**row, "epoch": row["epoch"] - 1} for row in rows]
        except (ValueError, TypeError, KeyError, csv.Error) as error:
            raise ValueError(
                f"{self.history} is damaged ({type(error).__name__}: {error}). "
                + how_to_make_again(self.path, with_metrics=True)
            ) from None

    def write_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write one line per epoch, epochs counted from 1.

        Args:
            history: One dict of logs per epoch, `"epoch"` from 0; what an epoch lacks, as one that
                an older version has logged may, becomes NaN.

        Example:
        ```python
        folder.write_history([{"epoch": 0, "accuracy": 0.5}, {"epoch": 1, "accuracy": 0.7}])
        folder.read_history()[1]["accuracy"]  # 0.7
        ```
        """
        text = io.StringIO()
        names = dict.fromkeys(name for row in history for name in row)
        writer = csv.DictWriter(text, fieldnames=list(names), restval=math.nan)
        writer.writeheader()
        writer.writerows({**row, "epoch": row["epoch"] + 1} for row in history)
        write_atomically(self.history, lambda to: to.write_text(text.getvalue()))

    def write_accuracies(self, accuracies: Mapping[str, np.ndarray]) -> None:
        """Write the accuracy on each few-shot task, before the metrics that name their file.

        Args:
            accuracies: Accuracies `(tasks,)` of each kind of task.

        Example:
        ```python
        folder.write_accuracies({"5w1s": np.array([0.6, 0.8])})
        ```
        """
        write_atomically(self.few_shot, lambda to: np.savez_compressed(to, **accuracies))

    def write_probe(self, probe: Any) -> None:
        """Write a linear classifier of embeddings: `scores = embedding @ coef.T + intercept`.

        Args:
            probe: A fitted `sklearn.linear_model.LogisticRegression`.

        Example:
        ```python
        from keras_clce.evaluate import linear_probe
        folder.write_probe(linear_probe(embeddings, labels, val_embeddings, val_labels))
        ```
        """
        arrays = {name: getattr(probe, f"{name}_") for name in ("coef", "intercept", "classes")}
        write_atomically(self.probe, lambda to: np.savez(to, **arrays))


def completed_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a run, with those that its version did not write.

    Args:
        settings: What was written.

    Returns:
        These, and what was done before there were others to choose from.

    Example:
    ```python
    completed_settings({"embedding_dim": None})["classifier_head"]  # "linear"
    ```
    """
    later = {name: before for name, (beside, before) in _CHOSEN_LATER.items() if beside in settings}
    # Once there was one classifier of tasks.
    name = settings.get("classifier")
    names = {"classifier": [name]} if isinstance(name, str) else {}
    return {**later, **settings, **names}

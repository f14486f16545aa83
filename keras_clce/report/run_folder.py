"""A run's folder: what was asked for, what came out, and when it may be touched again."""

import contextlib
import csv
import io
import json
import math
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from keras_clce import backend
from keras_clce.files import write_atomically, write_json

_NUMBER = (int, float)
_TRANSFER_METRICS = {
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
PACKAGES = ("keras", "tensorflow", "jax", "torch", "keras-cv", "keras-hub", "numpy")


class RunFolder:
    """Files of one run: `config.json`, `history.csv`, `checkpoint/`, `metrics.json`, `model.keras`.

    After a contrastive loss alone there is `probe.npz` too, after a few-shot run `few_shot.npz` and
    `task.png`.

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
        return _read_object(
            self.config,
            lambda config: {"settings": dict, "data": str},
            "Bring it back from a copy, or delete the folder to start anew",
        )

    def check(self, settings: Mapping[str, Any], resume: bool) -> None:
        """Refuse to start over, or to go on with other settings than the run began with.

        Args:
            settings: What decides the result: flags and data. Values must be JSON's.
            resume: Whether the run may go on where it stopped.

        Raises:
            ValueError: If the folder holds a run and `resume` is false, or settings differ.
        """
        config = self.begun()
        if config is None:
            return
        if not resume:
            raise ValueError(
                f"{self.path} already holds a run. Pass --resume to go on with it (a finished run "
                "is kept as it is), or choose another --output_dir"
            )
        before = config["settings"]
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
        return _read_object(
            self.metrics,
            _kinds_of_metrics,
            "Delete it and pass --resume: the checkpoint gives it again",
        )

    def read_history(self) -> list[dict[str, float]]:
        """Read what `write_history` wrote.

        Returns:
            One dict of logs an epoch, `"epoch"` from 0; none where nothing is written.

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
                f"{self.history} is damaged ({type(error).__name__}: {error}). Delete it and "
                "metrics.json, and pass --resume: the checkpoint gives both again"
            ) from None

    def write_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write one line an epoch, epochs counted from 1.

        Args:
            history: One dict of logs an epoch, `"epoch"` from 0; what an epoch lacks, as one that
                an older version has logged may, becomes NaN.
        """
        text = io.StringIO()
        names = dict.fromkeys(name for row in history for name in row)
        writer = csv.DictWriter(text, fieldnames=list(names), restval=math.nan)
        writer.writeheader()
        writer.writerows({**row, "epoch": row["epoch"] + 1} for row in history)
        write_atomically(self.history, lambda to: to.write_text(text.getvalue()))

    def write_probe(self, probe: Any) -> None:
        """Write a linear classifier of embeddings: `scores = embedding @ coef.T + intercept`.

        Args:
            probe: A fitted `sklearn.linear_model.LogisticRegression`.
        """
        arrays = {name: getattr(probe, f"{name}_") for name in ("coef", "intercept", "classes")}
        write_atomically(self.probe, lambda to: np.savez(to, **arrays))


def package_versions() -> dict[str, str]:
    """Versions of the installed packages that decide a result."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def git_commit() -> str | None:
    """Commit of the checkout that this package stands in, or `None`."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _read_object(
    path: Path, kinds: Callable[[dict], Mapping[str, Any]], advice: str
) -> dict[str, Any] | None:
    """Read a JSON object that has entries of these kinds, or `None` where there is no file."""
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_bytes())
        wrong = ", ".join(_misfits(value, kinds(value)))
    except (ValueError, TypeError, RecursionError) as error:
        wrong = str(error)
    if wrong:
        raise ValueError(f"{path} is damaged ({wrong}). {advice}")
    return value


def _kinds_of_metrics(metrics: dict) -> dict[str, Any]:
    if "few_shot" not in metrics:
        return _TRANSFER_METRICS
    results = {name: _FEW_SHOT_RESULT for name in metrics["few_shot"]}
    return {"loss": str, "seed": int, "accuracies": str, "few_shot": results}


def _misfits(value: Any, kinds: Mapping[str, Any]) -> Iterator[str]:
    for key, kind in kinds.items():
        if not isinstance(value, dict) or key not in value:
            yield f"{key} is missing"
        elif isinstance(kind, dict):
            yield from _misfits(value[key], kind)
        elif not isinstance(value[key], kind):
            yield f"{key}={value[key]!r}"

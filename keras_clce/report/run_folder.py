"""A run's folder: what was asked for, what came out, and when it may be touched again."""

import csv
import io
import json
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.files import write_atomically, write_json

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

    def check(self, settings: Mapping[str, Any], resume: bool) -> None:
        """Refuse to start over, or to go on with other settings than the run began with.

        Args:
            settings: What decides the result: flags and data. Values must be JSON's.
            resume: Whether the run may go on where it stopped.

        Raises:
            ValueError: If the folder holds a run and `resume` is false, or settings differ.
        """
        if not self.config.is_file():
            return
        if not resume:
            raise ValueError(
                f"{self.path} already holds a run. Pass --resume to go on with it (a finished run "
                "is kept as it is), or choose another --output_dir"
            )
        before = json.loads(self.config.read_text())["settings"]
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
        if not self.config.is_file():
            return
        before = json.loads(self.config.read_text())["data"]
        if before != data:
            raise ValueError(
                f"{self.path} was begun with other data, so it cannot be resumed: {before!r} then, "
                f"{data!r} now"
            )

    def start(
        self, settings: Mapping[str, Any], data: str, flags: Mapping[str, Any] | None = None
    ) -> None:
        """Write what the run is made of; where it goes on, add the software that goes on.

        Args:
            settings: What decides the result, as for `check`.
            data: One sentence on the data that was really used.
            flags: All flags as they were given. Defaults to `None`.
        """
        software = {"versions": package_versions(), "commit": git_commit()}
        if self.config.is_file():
            config = json.loads(self.config.read_text())
            config.setdefault("resumed", []).append(software)
        else:
            self.path.mkdir(parents=True, exist_ok=True)
            config = {"settings": settings, "data": data, "flags": flags or {}, **software}
        write_json(self.config, config)

    def finished(self) -> dict[str, Any] | None:
        """Metrics of a finished run, else `None`."""
        return json.loads(self.metrics.read_text()) if self.metrics.is_file() else None

    def write_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write one line an epoch, epochs counted from 1.

        Args:
            history: One dict of logs an epoch, all with the same keys, `"epoch"` from 0.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(history[0]))
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

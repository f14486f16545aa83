"""What a search leaves behind: its trials, the best flags, the page and its pictures."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_clce.experiments.flag_file import flag_lines
from keras_clce.experiments.tuning.budget import Budget
from keras_clce.experiments.tuning.page import page
from keras_clce.experiments.tuning.tuned_loss import TunedLoss
from keras_clce.files import write_atomically, write_json
from keras_clce.report import drawing, plot_search, run_title
from keras_clce.runs.damage import read_object
from keras_clce.runs.run_folder import completed_settings

_COLUMNS = ("loss", "number", "status", "epochs", "validation", "seconds")


class TuningFiles:
    """The files of a search: `tuning.json`, `trials.csv`, `best-<loss>.flags`, `tune.md`.

    Args:
        home: Their folder; created by `begin`.
        is_few_shot: Whether trials are tested on tasks of new classes. Defaults to `False`.

    Example:
    ```python
    files = TuningFiles(Path("runs/tune/digits/small_resnet"))
    files.begin({"method": "random"})
    ```
    """

    def __init__(self, home: Path, is_few_shot: bool = False) -> None:
        self.home = home
        self.is_few_shot = is_few_shot
        self.about = home / "tuning.json"
        self.page = home / "tune.md"
        self.trials = home / "trials.csv"

    def best(self, loss: str) -> Path:
        """The file of flags of a loss."""
        return self.home / f"best-{loss}.flags"

    def picture(self, loss: str) -> Path:
        """The picture of a loss."""
        return self.home / f"tune-{loss}.png"

    def check(self, about: dict[str, Any], resume: bool) -> None:
        """Refuse to start over, or to go on with another search than the folder holds.

        Args:
            about: What must be the same, as JSON values.
            resume: Whether the search may go on.

        Raises:
            ValueError: If the folder holds a search and `resume` is false, or it differs.
        """
        advice = "Bring it back from a copy, or delete the folder to start anew"
        before = read_object(self.about, lambda _: {"method": str}, advice)
        if before is None:
            return
        if not resume:
            raise ValueError(
                f"{self.home} already holds a search. Pass --resume to go on with it (the budget "
                "may be larger), or choose another --output_dir or --label"
            )
        before = {**before, "settings": completed_settings(before.get("settings", {}))}
        before, asked = _flat(before), _flat(json.loads(json.dumps(about)))
        # Losses may come and go: each has a search of its own.
        common = {name for name in {*before, *asked} if not name.startswith("search of ")}
        common |= {*before} & {*asked}
        differing = [
            f"{name}: {before.get(name)!r} then, {asked.get(name)!r} now"
            for name in sorted(common)
            if before.get(name) != asked.get(name)
        ]
        if differing:
            raise ValueError(
                f"{self.home} was begun with another search, so it cannot be resumed: "
                + "; ".join(differing)
            )

    def begin(self, about: dict[str, Any]) -> None:
        """Write what the search is, with the losses that earlier searches had.

        Args:
            about: As in `check`.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        before = json.loads(self.about.read_text()) if self.about.is_file() else {}
        searches = {**before.get("search", {}), **about.get("search", {})}
        write_json(self.about, {**about, "search": searches})

    def write(self, tuned: Sequence[TunedLoss], budget: Budget) -> None:
        """Write the trials, the best flags of each loss and the page.

        Args:
            tuned: The losses so far.
            budget: The budget of each.
        """
        rows = [
            {**trial.as_json(), **trial.values, "folder": trial.folder.relative_to(self.home)}
            for each in tuned
            for trial in each.trials
        ]
        names = dict.fromkeys(name for each in tuned for name in each.space.where)
        text = io.StringIO()
        columns = [*_COLUMNS, *names, "why", "folder"]
        writer = csv.DictWriter(text, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self.trials, lambda to: to.write_text(text.getvalue()))
        for each in tuned:
            if each.best is not None:
                settings = dataclasses.replace(
                    each.best_settings, label=each.settings.label or "tuned"
                )
                lines = "\n".join(flag_lines(settings, self.is_few_shot)) + "\n"
                write_atomically(self.best(each.loss), _writing(lines))
        content = page(tuned, budget, self)
        write_atomically(self.page, lambda to: to.write_text(content))

    def draw(self, tuned: Sequence[TunedLoss]) -> None:
        """Draw the search of each loss.

        Args:
            tuned: The losses.
        """
        for each in tuned:
            path = self.picture(each.loss)
            with drawing(path):
                logs = [
                    name
                    for name, where in each.space.where.items()
                    if getattr(where, "scale", "") == "log"
                ]
                about = {"dataset": each.settings.dataset, "backbone": each.settings.backbone}
                title = f"{each.loss}, {run_title(about)}"
                plot_search([t.as_json() for t in each.trials], path, title, logs)


def _flat(about):
    settings = about.get("settings", {})
    searches = {f"search of {loss}": where for loss, where in about.get("search", {}).items()}
    return {"method": about["method"], **settings, **searches}


def _writing(text: str) -> Callable[[Path], Any]:
    return lambda to: to.write_text(text)

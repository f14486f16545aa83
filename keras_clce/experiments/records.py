"""The records of a study, with their table."""

import dataclasses
import html
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_clce.checks import import_module
from keras_clce.experiments.protocols import Protocol
from keras_clce.experiments.resolved import unread_settings
from keras_clce.experiments.settings import fields
from keras_clce.experiments.settings_json import settings_from_json
from keras_clce.losses import LOSSES
from keras_clce.report import balance_table, wrapped
from keras_clce.report.study_crossing import crossings_in_words
from keras_clce.report.study_results import measures_of
from keras_clce.report.study_tables import study_answer, study_table
from keras_clce.runs import Record, StudyPlan


class Records(Sequence):
    """What the runs of a study have left behind, in their order.

    Each record has `settings` (a `Settings`), `history` (one dict per epoch) and `metrics`. A
    notebook shows them as a table with a row for each run.

    Args:
        read: The records as they were read.
        protocol: How the runs were tested.
        plans: What was compared, by the folder of the runs. Defaults to `None`: losses alone.

    Example:
    ```python
    from keras_clce.experiments.protocols import PROTOCOLS
    found, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    records = Records(found, PROTOCOLS["transfer"])
    records[0].settings.loss, records[0].metrics["test"]["top1"]  # ("ce", 0.9)
    records.rows()[0]["top1"]  # 0.9
    print(records.table())
    ```
    """

    def __init__(
        self,
        read: Sequence[Record],
        protocol: Protocol,
        plans: Mapping[Path, StudyPlan] | None = None,
    ) -> None:
        self.read = list(read)
        self._protocol = protocol
        self._plans = dict(plans or {})

    def __len__(self) -> int:
        return len(self.read)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Records(self.read[index], self._protocol, self._plans)
        record = self.read[index]
        return dataclasses.replace(record, settings=settings_from_json(record.settings))

    def __repr__(self) -> str:
        return "\n\n".join(members.table() for members in self.by_home().values())

    def _repr_html_(self) -> str:
        titles = "".join(f"<th>{html.escape(name)}</th>" for name in self.columns)
        rows = "".join(
            f"<tr>{''.join(f'<td>{_shown(row[name])}</td>' for name in self.columns)}</tr>"
            for row in self.rows()
        )
        return f"<table><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>"

    @property
    def plan(self) -> StudyPlan | None:
        """What was compared, where all runs stand in one folder and more than the loss varies."""
        homes = {record.folder.parent for record in self.read}
        plan = self._plans.get(next(iter(homes))) if len(homes) == 1 else None
        return None if plan is None or plan.compares_losses_alone else plan

    @property
    def columns(self) -> list[str]:
        """Names of what `rows` has of each run."""
        measures = {**measures_of(self.read)}
        if "map" in measures:
            measures |= {"f1_micro": "", "f1_macro": ""}
        if "top1" in measures:
            measures |= {"top5": "", "nearest_neighbor": ""}
            # Runs of earlier versions lack it.
            if any(run.metrics["test"].get("retrieval") for run in self.read if run.is_tested):
                measures["map@r"] = ""
        return [*self._varied(), "seed", "validation", *measures, "seconds"]

    def rows(self) -> list[dict[str, Any]]:
        """Each run as a dict: what varies, its seed, its accuracies in [0, 1] and its time.

        Returns:
            Dicts with the keys `columns`; `None` stands for what a run has not.

        Example:
        ```python
        from keras_clce.experiments.protocols import PROTOCOLS
        found, _ = find_records(Path("runs/transfer/digits/small_resnet"))
        Records(found, PROTOCOLS["transfer"]).rows()[0]["seed"]  # 0
        ```
        """
        return [{name: _value(record, name) for name in self.columns} for record in self.read]

    def to_pandas(self) -> Any:
        """The rows as a data frame of pandas.

        Returns:
            A `pandas.DataFrame`.

        Raises:
            ImportError: If pandas is not installed.
        """
        pandas = import_module("pandas", "A data frame", "pandas")
        return pandas.DataFrame(self.rows(), columns=self.columns)

    def table(self) -> str:
        """Tables of the results: mean and interval of each point, and its test against `ce`."""
        homes = self.by_home()
        if len(homes) > 1 and any(members.plan for members in homes.values()):
            return "\n\n".join(members.table() for members in homes.values())
        if self.plan is None:
            return self._protocol.tables(self.read)
        told = [study_answer(self.plan, self.read), crossings_in_words(self.plan, self.read)]
        notes = list(dict.fromkeys(record.data for record in self.read))
        others = f" (and {len(notes) - 1} other selections of images)" if len(notes) > 1 else ""
        data = wrapped(f"Accuracy in %, {notes[0]}{others}")
        tables = [f"{data}\n{study_table(self.plan, self.read)}", balance_table(self.read)]
        return "\n\n".join(filter(None, [*told, *tables]))

    def by_home(self) -> dict[Path, "Records"]:
        """Those of each data set and encoder, by the folder of their runs."""
        homes = defaultdict(list)
        for record in self.read:
            homes[record.folder.parent].append(record)
        return {
            home: Records(members, self._protocol, self._plans) for home, members in homes.items()
        }

    def _varied(self) -> list[str]:
        """The loss, and whatever else differs between runs."""
        found = {
            name: {str(record.settings[name]) for record in self.read if name in record.settings}
            for name in fields()
            if name not in ("seed", "loss", "learning_rate")
        }
        return ["loss", *(name for name, values in found.items() if len(values) > 1)]


def _value(record: Record, name: str) -> Any:
    if name in ("loss", "seed", "validation"):
        return getattr(record, name)
    if name == "seconds":
        return record.metrics.get(name)
    if record.is_tested and record.is_few_shot and name in record.metrics["few_shot"]:
        return record.metrics["few_shot"][name]["mean"]
    test = record.metrics.get("test", {}) if record.is_tested else {}
    if name in test:
        return test[name]
    if name in (test.get("retrieval") or {}):
        return test["retrieval"][name]
    # What a loss does not read did not vary for it.
    is_unread = record.loss in LOSSES and name in unread_settings(record.loss)
    return None if is_unread else record.settings.get(name)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else html.escape(str(value))

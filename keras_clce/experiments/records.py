"""The records of a study, with their table."""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from keras_clce.experiments.protocols import Protocol
from keras_clce.experiments.settings_json import settings_from_json
from keras_clce.runs import Record


class Records(Sequence):
    """What the runs of a study have left behind, in their order.

    Each record has `settings` (a `Settings`), `history` (one dict per epoch) and `metrics`.

    Args:
        read: The records as they were read.
        protocol: How the runs were tested.

    Example:
    ```python
    from keras_clce.experiments.protocols import PROTOCOLS
    found, _ = find_records(Path("runs/transfer/digits/small_resnet"))
    records = Records(found, PROTOCOLS["transfer"])
    records[0].settings.loss, records[0].metrics["test"]["top1"]  # ("ce", 0.9)
    print(records.table())
    ```
    """

    def __init__(self, read: Sequence[Record], protocol: Protocol) -> None:
        self.read = list(read)
        self._protocol = protocol

    def __len__(self) -> int:
        return len(self.read)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Records(self.read[index], self._protocol)
        record = self.read[index]
        return dataclasses.replace(record, settings=settings_from_json(record.settings))

    def __repr__(self) -> str:
        return "\n\n".join(members.table() for members in self.by_home().values())

    def table(self) -> str:
        """Tables of the results: mean and interval of each loss, and its test against `ce`."""
        return self._protocol.tables(self.read)

    def by_home(self) -> dict[Path, "Records"]:
        """Those of each data set and encoder, by the folder of their runs."""
        homes = defaultdict(list)
        for record in self.read:
            homes[record.folder.parent].append(record)
        return {home: Records(members, self._protocol) for home, members in homes.items()}

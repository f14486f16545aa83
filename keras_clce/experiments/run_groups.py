"""The data of a study's runs: loaded once for all that read the same, checked before any trains."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from keras_clce.experiments.forecast import Sizes
from keras_clce.experiments.protocols import Protocol
from keras_clce.experiments.protocols.base import loading_options
from keras_clce.experiments.settings import Settings
from keras_clce.experiments.training import Run

# Data of several groups stay in memory together up to this, and are loaded again beyond.
KEPT_BYTES = 1_000_000_000


class RunGroup:
    """Runs that read the same data.

    Args:
        runs: The runs.
        protocol: How they are tested.

    Attributes:
        runs: The runs; whoever has fitted them to the data puts them here.
        sizes: Images of the splits, once the data was loaded.
        note: One sentence on the data, likewise.
    """

    def __init__(self, runs: Sequence[Run], protocol: Protocol) -> None:
        self.runs = list(runs)
        self.sizes: Sizes  # once the data have been loaded
        self.note = ""
        self._protocol = protocol
        self._dataset: Any = None

    def dataset(self) -> Any:
        """The data, loaded where they are not in memory."""
        if self._dataset is None:
            self._dataset = self._protocol.load(self.runs[0].settings)
            self.sizes = Sizes.of(self._dataset, self.runs[0].settings.test)
            self.note = self._dataset.split_note
        return self._dataset

    def num_bytes(self) -> float:
        """About how much memory the data take, training images being kept larger than views."""
        data = self.dataset()
        sides = data.preprocessing.image_size**2 * 3
        images = 0 if data.train.streams else 2.25 * self.sizes.train
        return sides * (images + self.sizes.validation + self.sizes.test)

    def forget(self) -> None:
        """Let the data go."""
        self._dataset = None


def data_key(settings: Settings) -> tuple[str, ...]:
    """What runs that read the same data have in common.

    Args:
        settings: Settings of a run.

    Returns:
        The name of the data set, and how it is loaded.

    Example:
    ```python
    data_key(Settings(loss="ce")) == data_key(Settings(loss="clce"))  # True
    ```
    """
    return settings.dataset, *map(str, loading_options(settings).values())


def group_by_data(runs: Sequence[Run], protocol: Protocol) -> list[RunGroup]:
    """Put runs that read the same data together.

    Args:
        runs: The runs.
        protocol: How they are tested.

    Returns:
        The groups in the order of their first runs.
    """
    groups = defaultdict(list)
    for run in runs:
        groups[data_key(run.settings)].append(run)
    return [RunGroup(members, protocol) for members in groups.values()]

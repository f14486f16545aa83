"""What a search has found for one loss."""

import dataclasses
from collections.abc import Sequence

from keras_clce.experiments.settings import Settings
from keras_clce.experiments.tuning.space import Space
from keras_clce.experiments.tuning.trials import Trial, best_trial


@dataclasses.dataclass(frozen=True)
class TunedLoss:
    """What a search has found for one loss.

    Args:
        settings: The settings of its trials, before those that were searched.
        space: What was searched.
        trials: The trials by their numbers.

    Example:
    ```python
    TunedLoss(Settings(loss="ce"), Space({}), []).best  # None
    ```
    """

    settings: Settings
    space: Space
    trials: Sequence[Trial]

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self.settings.loss

    @property
    def best(self) -> Trial | None:
        """The trial with the best validation accuracy; `None` where none has finished."""
        return best_trial(self.trials)

    @property
    def best_settings(self) -> Settings:
        """The settings of that trial, for a whole training that is tested.

        Raises:
            ValueError: If no trial has finished.
        """
        if self.best is None:
            raise ValueError(f"No trial of {self.loss} has finished, so that none is the best.")
        return dataclasses.replace(self.settings, **self.best.values, test=True)

"""The flags of tuning that are no settings of a run."""

import dataclasses

from keras_clce.experiments.setting import study_flag

METHODS = ("bayesian", "hyperband", "random", "grid")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneFlags:
    """What is searched, how, and how long."""

    search: str | None = study_flag(
        None,
        "Settings to search, separated by commas: name, name=low:high, name=low:high:log or "
        "name=value|value. If not given the learning rate, the weight of the contrastive part and "
        "the temperature, but for those that are given as flags. What a loss does not read is not "
        "searched for it.",
    )
    method: str = study_flag(
        METHODS[0],
        "How: bayesian (a Gaussian process), hyperband (many short trainings, of which the best "
        "are trained longer), random, or grid (five values a range).",
        choices=METHODS,
    )
    trials: int | None = study_flag(
        None,
        "Whole trainings that each loss may spend; a short one of hyperband takes its share. If "
        "not given 20, or all of the grid.",
        least=1,
    )
    minutes: float | None = study_flag(
        None, "Minutes that each loss may spend, in place of a number of trials."
    )
    final: bool = study_flag(
        False, "Then train the best settings of each loss with all --seeds, and test them."
    )
    protocol: str | None = study_flag(
        None,
        "How runs are validated and tested; what the data set is for, if not given.",
        choices=("transfer", "few_shot"),
    )

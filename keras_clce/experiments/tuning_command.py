"""Tuning as a command: flags in, trials, the best flags and a page out."""

import os
import sys
from collections.abc import Sequence

from absl import flags as absl_flags
from absl import logging

from keras_clce.experiments import flags
from keras_clce.experiments.command import stoppable, without_start_up_messages
from keras_clce.experiments.errors import in_one_line

_TUNING = "What is searched, and how long"


def tune_command(name: str, doc: str, arguments: Sequence[str] | None = None) -> None:
    """Tune losses as flags say, and end with one line where something is wrong.

    Args:
        name: Name of the recipe, which becomes a folder.
        doc: Its docstring, which `--help` shows.
        arguments: The command line, the program's name first. Defaults to `None`, `sys.argv`.

    Raises:
        SystemExit: Where flags, data or results are wrong, with what to do in one line.

    Example:
    ```python
    tune_command("tune", "Tunes losses.", ["tune", "--help"])
    ```
    """
    arguments = list(sys.argv if arguments is None else arguments)
    values = _define()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TFDS warns of its own deprecated names.
    logging.set_verbosity(logging.ERROR)
    with in_one_line(absl_flags.Error, ImportError):
        try:
            with without_start_up_messages():
                asked = flags.parse(values, arguments)
                tuning = _tuning(name, values, asked)
                from keras_clce.data.installed import tensorflow

                tensorflow()
        except flags.HelpRequested:
            print(flags.help_text(values, doc))
            return
    with stoppable(arguments), in_one_line():
        tuned = tuning.run(asked.resume)
        if values.final:
            tuning.test(tuned, asked.seeds, asked.resume)


def _define():
    values = flags.define({}, None)
    for unread in ("show_views", "test"):
        delattr(values, unread)
    options = {"flag_values": values, "module_name": _TUNING}
    absl_flags.DEFINE_list(
        "search",
        None,
        "Settings to search: name, name=low:high, name=low:high:log or name=value|value. If not "
        "given the learning rate, the weight of the contrastive part and the temperature, but for "
        "those that are given as flags. What a loss does not read is not searched for it.",
        **options,
    )
    absl_flags.DEFINE_string(
        "method",
        "bayesian",
        "How: bayesian (a Gaussian process), hyperband (many short trainings, of which the best "
        "go on), random, or grid (five values a range).",
        **options,
    )
    absl_flags.DEFINE_integer(
        "trials",
        None,
        "Whole trainings that each loss may spend; a short one of hyperband takes its share. If "
        "not given 20, or all of the grid.",
        1,
        **options,
    )
    absl_flags.DEFINE_float("minutes", None, "Minutes that each loss may spend instead.", **options)
    absl_flags.DEFINE_bool(
        "final",
        False,
        "Then train the best settings of each loss with --seeds, and test them.",
        **options,
    )
    absl_flags.DEFINE_enum(
        "protocol",
        None,
        ("transfer", "few_shot"),
        "How runs are validated and tested; what the data set is for, if not given.",
        **options,
    )
    return values


def _tuning(name, values, asked):
    import dataclasses

    from keras_clce.experiments.tuning import Tuning
    from keras_clce.experiments.tuning_space import parse_search

    try:
        return Tuning(
            name,
            asked.losses,
            None if values.search is None else parse_search(values.search),
            values.method,
            values.trials,
            values.minutes,
            # Trials have the first of the seeds.
            dataclasses.replace(asked.settings, seed=asked.seeds[0]),
            values.protocol,
            asked.given,
        )
    except ValueError as error:
        raise absl_flags.ValidationError(str(error)) from None

"""Tuning as a command: flags in, trials, the best flags and a page out."""

import dataclasses
import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from keras_clce.experiments import flags
from keras_clce.experiments.command import stoppable, understand
from keras_clce.experiments.errors import in_one_line
from keras_clce.experiments.tuning.flags import TuneFlags

# No trial is tested, and none shows its views.
_UNREAD = ("show_views", "test", "frozen")


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
    values = flags.define({}, None, TuneFlags)
    for unread in _UNREAD:
        delattr(values, unread)

    def read():
        asked = flags.parse(values, arguments, TuneFlags)
        return _tuning(name, asked), asked

    understood = understand(values, doc, read, arguments)
    if understood is None:
        return
    tuning, asked = understood
    with stoppable(arguments), in_one_line():
        tuned = tuning.run(asked.resume)
        if asked.own.final:
            tuning.test(tuned, asked.seeds, asked.resume)


def _tuning(name, asked):
    from keras_clce.experiments.tuning.space import parse_search
    from keras_clce.experiments.tuning.tuning import Tuning

    own = asked.own
    try:
        return Tuning(
            name,
            asked.losses,
            None if own.search is None else parse_search(own.search.split(",")),
            own.method,
            own.trials,
            own.minutes,
            # Trials have the first of the seeds.
            dataclasses.replace(asked.settings, seed=asked.seeds[0]),
            own.protocol,
            asked.given,
        )
    except ValueError as error:
        raise absl_flags.ValidationError(str(error)) from None

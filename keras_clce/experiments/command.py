"""A study as a command: flags in, runs, tables and pictures out."""

import contextlib
import contextvars
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags as absl_flags
from absl import logging

from keras_clce.experiments import flags
from keras_clce.experiments.errors import in_one_line
from keras_clce.experiments.study_flags import StudyFlags

if TYPE_CHECKING:
    from keras_clce.experiments.study import Study

# Of the command at work.
ALL_IS_SHOWN = contextvars.ContextVar("ALL_IS_SHOWN", default=False)


def study_command(
    name: str,
    doc: str,
    arguments: Sequence[str] | None = None,
    protocol: str | None = "transfer",
    defaults: Mapping[str, Any] | None = None,
    own: type | None = None,
    declare: Callable[[StudyFlags], "Study"] | None = None,
) -> None:
    """Run a study as its flags say, and end with one line where something is wrong.

    Args:
        name: Name of the recipe, which becomes a folder.
        doc: Its docstring, which `--help` shows.
        arguments: The command line, the program's name first. Defaults to `None`, `sys.argv`.
        protocol: Name of the protocol, `None` where the data set decides it. Defaults to
            `"transfer"`.
        defaults: Defaults of settings that differ from those of `Settings`. Defaults to `None`.
        own: A dataclass with flags of the recipe's own, declared by `study_flag`. Defaults to
            `None`.
        declare: Gives the study from what the flags ask for, whose `own` has the values of these.
            Defaults to `None`: the losses side by side.

    Raises:
        SystemExit: Where flags, data or results are wrong, with what to do in one line.

    Example:
    ```python
    study_command("transfer", "Compares losses.", ["transfer", "--help"])
    ```
    """
    arguments = list(sys.argv if arguments is None else arguments)
    values = flags.define(defaults or {}, protocol, own)
    understood = understand(
        values, doc, lambda: parse(name, values, arguments, protocol, own, declare), arguments
    )
    if understood is None:
        return
    study, asked = understood
    with stoppable(arguments), in_one_line():
        study.run(asked.resume, asked.show_views, _paper(asked.named))


def understand(
    values: absl_flags.FlagValues,
    doc: str,
    read: Callable[[], tuple[Any, StudyFlags]],
    arguments: Sequence[str],
) -> tuple[Any, StudyFlags] | None:
    """Read the flags of a command that trains, before it needs its data.

    Args:
        values: What `flags.define` gave.
        doc: Docstring of the recipe, which help begins with.
        read: Gives what the flags ask for.
        arguments: The command line, the program's name first; with `--verbose`, what frameworks
            print when they start is shown.

    Returns:
        What `read` gave; `None` where help was asked for, which is printed.

    Raises:
        SystemExit: Where a flag is wrong, or TensorFlow, which reads data, is not installed.

    Example:
    ```python
    values = flags.define({}, "transfer")
    read = lambda: parse("mine", values, ["mine"], "transfer")
    understand(values, "Trains.", read, ["mine"])[0].name  # "mine"
    ```
    """
    with in_one_line(absl_flags.Error, ImportError):
        try:
            shown = _is_verbose(values, arguments)
            with contextlib.nullcontext() if shown else without_start_up_messages():
                understood = read()
                from keras_clce.data.installed import tensorflow

                tensorflow()
        except flags.HelpRequested:
            print(flags.help_text(values, doc))
            return None
    return understood


def parse(
    name: str,
    values: absl_flags.FlagValues,
    arguments: Sequence[str],
    protocol: str | None,
    own: type | None = None,
    declare: Callable[[StudyFlags], "Study"] | None = None,
) -> tuple["Study", StudyFlags]:
    """The study that flags ask for.

    Args:
        name: Name of the recipe.
        values: What `flags.define` gave.
        arguments: The command line, the program's name first.
        protocol: Name of the protocol.
        own: As in `study_command`, and so is the other. Defaults to `None`.
        declare: Defaults to `None`.

    Returns:
        The study, and what else the flags ask for.

    Raises:
        absl.flags.Error: If a flag is wrong.
    """
    asked = flags.parse(values, arguments, own)
    try:
        if declare is not None:
            return declare(asked), asked
        vary = None if asked.losses is None else {"loss": asked.losses}
        return asked.study(name, vary, protocol), asked
    except ValueError as error:
        raise absl_flags.ValidationError(str(error)) from None


@contextlib.contextmanager
def stoppable(arguments: Sequence[str]) -> Iterator[None]:
    """End the program at Ctrl-C with the command that goes on.

    Args:
        arguments: The command line, the program's name first.

    Raises:
        SystemExit: At Ctrl-C.

    Example:
    ```python
    with stoppable(["recipes/transfer.py", "--seeds=0,1,2"]):
        records = Study("mine").home()
    ```
    """
    try:
        yield
    except KeyboardInterrupt:
        print("\nStopped; every epoch that was reported is saved.", file=sys.stderr)
        again = [argument for argument in arguments[1:] if argument != "--resume"]
        program = f"python {arguments[0]}" if arguments[0].endswith(".py") else arguments[0]
        sys.exit(f"Go on with: {program} {shlex.join([*again, '--resume'])}")


@contextlib.contextmanager
def without_start_up_messages() -> Iterator[None]:
    """Hide what frameworks write while they are imported, and their lesser messages afterwards.

    With `--verbose` nothing is hidden.

    Example:
    ```python
    with without_start_up_messages():
        import keras
    ```
    """
    if ALL_IS_SHOWN.get():
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TFDS warns of its own deprecated names.
    logging.set_verbosity(logging.ERROR)
    # TensorFlow's libraries write past Python, whatever level of messages is asked for.
    sys.stderr.flush()
    before = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


def _is_verbose(values, arguments):
    try:
        return values(arguments) and values.verbose
    except absl_flags.Error:
        # What is wrong is told when the flags are read.
        return False


def _paper(names):
    if not names:
        return ""
    from keras_clce.experiments.paper_settings import paper_in_words

    return paper_in_words(names)

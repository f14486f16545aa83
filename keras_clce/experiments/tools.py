"""A command that is no study: flags from a dataclass, a call, errors in one line."""

import dataclasses
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags as absl_flags

from keras_clce.experiments import flags
from keras_clce.experiments.command import ALL_IS_SHOWN, without_start_up_messages
from keras_clce.experiments.errors import in_one_line
from keras_clce.experiments.setting import SettingError, fields_of, setting


def tool_flag(default: Any, help: str, group: str, **options: Any) -> Any:
    """Declare a flag of a command that is no study, as a field of a dataclass.

    Args:
        default: Its default; `None` of a field that cannot be `None` makes it one that must be
            given.
        help: One sentence.
        group: Heading that it stands under in `--help`.
        **options: Further arguments of `Setting`, such as `least`, `choices` and `checks`.

    Returns:
        A field of a dataclass.

    Example:
    ```python
    top_k: int = tool_flag(5, "Classes an image.", "Results", least=1)
    ```
    """
    return setting(default, help, "place", group, **options)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _OfEveryTool:
    verbose: bool = tool_flag(False, "Show all that frameworks print.", "Terminal")


def tool_command(
    doc: str, own: type, run: Callable[[Any], None], arguments: Sequence[str] | None = None
) -> None:
    """Call a function with what flags say, and end with one line where something is wrong.

    Args:
        doc: Docstring of the recipe, which `--help` shows.
        own: A dataclass whose fields were declared by `tool_flag`. Its checks are made before Keras
            is imported.
        run: What is called with an instance of it. `--verbose`, which every tool has, is not of it.
        arguments: The command line, the program's name first. Defaults to `None`, `sys.argv`.

    Raises:
        SystemExit: Where flags, files or data are wrong, with what to do in one line.

    Example:
    ```python
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Flags:
        times: int = tool_flag(1, "How often.", "Results", least=1)

    tool_command("Says hello.", Flags, lambda asked: print("hello " * asked.times), ["hello"])
    ```
    """
    arguments = list(sys.argv if arguments is None else arguments)
    values = absl_flags.FlagValues()
    fields = fields_of(own)
    for field in (*fields.values(), *fields_of(_OfEveryTool).values()):
        flags.define_field(field, field.default, values)
    if flags.asks_for_help(arguments):
        print(flags.help_text(values, doc))
        return
    with in_one_line(absl_flags.Error):
        asked = _parse(values, arguments, own)
    shown = ALL_IS_SHOWN.set(values.verbose)
    try:
        with without_start_up_messages():
            import keras  # noqa: F401
        run(asked)
    except (ValueError, OSError, ImportError) as error:
        message = " ".join(str(error).split())
        # Arguments of functions are flags here.
        names = "|".join(fields)
        message = re.sub(rf"`({names})`", r"--\1", message)
        sys.exit(f"Error: {message}")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
    finally:
        ALL_IS_SHOWN.reset(shown)


def _parse(values: absl_flags.FlagValues, arguments: Sequence[str], own: type) -> Any:
    rest = values(arguments)[1:]
    if rest:
        raise absl_flags.Error(f"Unexpected arguments: {' '.join(rest)}")
    fields = fields_of(own)
    for name, field in fields.items():
        if values[name].value is None and not field.kind.may_be_none:
            raise absl_flags.Error(f"flag --{name} must be given: {field.about.help}")
    try:
        return own(**{name: flags.own_value(f, values[name].value) for name, f in fields.items()})
    except SettingError as error:
        raise absl_flags.IllegalFlagValueError(flags.flag_error(error)) from None

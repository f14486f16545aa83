"""Flags of the studies, made from the fields of `Settings`; nothing else knows absl."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from absl import flags

from keras_clce.experiments.choices import read_choices
from keras_clce.experiments.setting import (
    STUDY,
    Field,
    SettingError,
    check_choice,
    check_value,
    fields_of,
)
from keras_clce.experiments.settings import Settings, fields
from keras_clce.experiments.study_flags import StudyFlags

_HELP = ("help", "helpshort", "helpfull", "h", "?")
_WIDTH = 100


class _NoneOrString(flags.ArgumentParser):
    """Takes the word none for None, so that a flag file's value can be unset."""

    def parse(self, argument: str | None) -> str | None:
        return None if str(argument).lower() == "none" else argument


class _NoneOrInteger(flags.IntegerParser):
    """A whole number, or none, which takes away what a study would choose."""

    def parse(self, argument: Any) -> int | None:
        return None if argument == "none" else super().parse(argument)


class HelpRequested(Exception):
    """Help was asked for in place of a run."""


def define(
    defaults: Mapping[str, Any], protocol: str | None, own: type | None = None
) -> flags.FlagValues:
    """Define the flags of a study.

    Args:
        defaults: Defaults of settings that differ from those of `Settings`, by name.
        protocol: Name of the protocol; settings of others get no flag. `None` where the data set
            decides it.
        own: A dataclass with the recipe's own flags, declared by `study_flag`. Defaults to `None`.

    Returns:
        The flags, apart from absl's own `FLAGS`.

    Example:
    ```python
    define({"dataset": "cifar_fs"}, "few_shot")(["few_shot", "--epochs=2"])
    ```
    """
    values = flags.FlagValues()
    options = {"flag_values": values, "module_name": STUDY}
    losses = ", ".join(read_choices()["loss"])
    flags.DEFINE_list(
        "losses",
        None,
        f"Losses to compare, of {losses}. If not given ce and clce, or those that a frozen encoder "
        "leaves something to train.",
        **options,
    )
    flags.DEFINE_list("seeds", ["0"], "Seeds, each one run per loss.", **options)
    flags.DEFINE_list(
        "settings",
        None,
        "Settings by name: paper for its λ, τ, β, heads and views, or as beit3_base,cub200.",
        **options,
    )
    flags.DEFINE_alias("preset", "settings", **options)
    for field in fields_of(own).values() if own else ():
        define_field(field, field.default, values)
    if protocol != "transfer":
        flags.DEFINE_bool(
            "frozen", False, "Also test the encoder as it was before training.", **options
        )
    flags.DEFINE_bool(
        "resume", False, "Go on with runs that were interrupted, keep finished ones.", **options
    )
    flags.DEFINE_integer("show_views", 0, "Draw that many images with their views.", 0, **options)
    for field in fields().values():
        if field.name in ("loss", "seed"):
            continue
        if protocol and field.about.protocol not in (None, protocol):
            continue
        define_field(field, defaults.get(field.name, field.default), values)
    return values


def parse(
    values: flags.FlagValues, arguments: Sequence[str], own: type | None = None
) -> StudyFlags:
    """Read flags, and refuse wrong ones; names and paths before Keras is imported.

    Args:
        values: What `define` gave.
        arguments: The command line, the program's name first.
        own: As in `define`. Defaults to `None`.

    Returns:
        What they ask for.

    Raises:
        absl.flags.Error: If a flag is unknown or has a value that it cannot have.
        HelpRequested: If they ask for help.

    Example:
    ```python
    parse(define({}, "transfer"), ["transfer", "--losses=ce,clce", "--seeds=0,1,2"]).seeds
    # (0, 1, 2)
    ```
    """
    if asks_for_help(arguments):
        raise HelpRequested
    rest = values(arguments)[1:]
    if rest:
        raise flags.Error(f"Unexpected arguments: {' '.join(rest)}")
    given = {name for name in values if values[name].present}
    asked = {name: values[name].value for name in values}
    named = tuple(asked["settings"] or ())
    if named:
        from keras_clce.experiments.paper_settings import named_settings

        try:
            found = named_settings(named)
        except ValueError as error:
            raise flags.IllegalFlagValueError(
                f"flag --settings={','.join(named)}: {error}"
            ) from None
        for name, value in found.items():
            if name not in given:
                asked[name] = value
        given |= set(found)
    _check_paths(asked)
    seeds = _seeds(asked["seeds"])
    names = set(fields()) & set(asked)
    try:
        settings = Settings(**{name: _value(fields()[name], asked[name]) for name in names})
        losses = asked["losses"] and _losses(asked["losses"])
        own_values = own and own(
            **{n: own_value(field, asked[n]) for n, field in fields_of(own).items()}
        )
    except SettingError as error:
        raise flags.IllegalFlagValueError(flag_error(error)) from None
    except ValueError as error:
        wrong = getattr(error, "name", None)
        where = f"flag --{wrong}={cast(Any, error).value}: " if wrong else ""
        raise flags.ValidationError(f"{where}{error}") from None
    return StudyFlags(
        settings,
        frozenset(given & names),
        losses,
        seeds,
        asked["resume"],
        asked.get("show_views", 0),
        asked.get("frozen", False),
        named,
        own_values,
    )


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for help.

    Args:
        arguments: The command line, the program's name first.

    Returns:
        A bool.

    Example:
    ```python
    asks_for_help(["transfer", "--epochs=2", "--help"])  # True
    ```
    """
    asked = (argument for argument in arguments[1:] if argument[:1] == "-")
    return any(argument.lstrip("-") in _HELP for argument in asked)


def help_text(values: flags.FlagValues, doc: str) -> str:
    """What `--help` prints: the command's own words, then the flags in groups.

    Args:
        values: What `define` gave.
        doc: Docstring of the command.

    Returns:
        The text, in lines of at most 100 columns.

    Example:
    ```python
    print(help_text(define({}, "transfer"), "Compares losses."))
    ```
    """
    parts = [doc.strip()]
    of_settings = dict.fromkeys(field.about.group for field in fields().values())
    own = [group for group in values.flags_by_module_dict() if group not in of_settings]
    groups = dict.fromkeys([STUDY, *own, *of_settings])
    for group in groups:
        known = values.flags_by_module_dict().get(group, [])
        if not known:
            continue
        parts.append(f"\n{group}:")
        for flag in known:
            default = "" if flag.default in (None, False, []) else f" [{_default_in_words(flag)}]"
            name = f"--{'[no]' if flag.boolean else ''}{flag.name}"
            parts.append(
                textwrap.fill(
                    f"{name}  {flag.help}{default}",
                    _WIDTH,
                    initial_indent="  ",
                    subsequent_indent=" " * 8,
                    break_on_hyphens=False,
                )
            )
    parts.append("\n  --flagfile  File with one flag per line.")
    return "\n".join(parts)


def define_field(field: Field, default: Any, values: flags.FlagValues) -> None:
    """Define the flag of a field.

    Args:
        field: The field.
        default: The default of the flag.
        values: Where to.

    Example:
    ```python
    define_field(fields()["epochs"], 3, values := flags.FlagValues())
    values(["mine"]) and values.epochs  # 3
    ```
    """
    options = {"flag_values": values, "module_name": field.about.group}
    about, kind, text = field.about, field.kind, field.help_in_words(read_choices())
    if kind.is_tuple or kind.may_be_mapping:
        default = None if default is None else [str(item) for item in default]
        flags.DEFINE_list(field.name, default, text, **options)
    elif kind.type is bool:
        flags.DEFINE_bool(field.name, default, text, **options)
    elif kind.type is int and kind.may_be_none:
        flags.DEFINE(_NoneOrInteger(), field.name, default, text, **options)
    elif kind.type is int:
        flags.DEFINE_integer(field.name, default, text, **options)
    elif kind.type is float:
        flags.DEFINE_float(field.name, default, text, **options)
    elif kind.may_be_none and (about.part == "model" or about.choices):
        flags.DEFINE(_NoneOrString(), field.name, default, text, **options)
    else:
        flags.DEFINE_string(field.name, default, text, **options)


def _value(field: Field, value: Any) -> Any:
    """The value of a setting from that of its flag."""
    if value is None or isinstance(value, (tuple, Mapping)):
        return value
    if field.kind.may_be_mapping and isinstance(value, list):
        return _rates(field, value)
    if not field.kind.is_tuple:
        return value
    if field.kind.type is int:
        if not all(item.isdecimal() for item in value):
            raise SettingError(field.name, field.about.checks[0][1], ",".join(value))
        return tuple(int(item) for item in value)
    return tuple(value)


def own_value(field: Field, value: Any) -> Any:
    """The value of a recipe's own flag, which is checked.

    Args:
        field: The field.
        value: What absl made of the flag.

    Returns:
        The value of the field.

    Raises:
        SettingError: If it cannot be.

    Example:
    ```python
    own_value(fields()["shots"], ["1", "5"])  # (1, 5)
    ```
    """
    if field.kind.is_tuple and (value is not None or not field.kind.may_be_none):
        try:
            value = tuple(field.kind.type(item) for item in value or ())
        except ValueError:
            raise SettingError(field.name, f"must be {field.kind.in_words()}", value) from None
        if not value or len(set(value)) != len(value):
            raise SettingError(field.name, "must be different ones", value)
    check_value(field.name, value, field.kind, field.about)
    check_choice(field.name, value, field.kind, field.about)
    return value


def _rates(field: Field, items: Sequence[str]) -> float | dict[str, float]:
    """A learning rate, or one for each loss."""
    rates: dict[str | None, float] = {}
    wrong = SettingError(field.name, field.about.checks[0][1], ",".join(items))
    for item in items:
        name, separator, value = item.rpartition("=")
        try:
            rates[name if separator else None] = float(value)
        except ValueError:
            raise wrong from None
    if len(rates) != len(items) or not rates or (None in rates and len(rates) > 1):
        raise wrong
    if None in rates:
        return rates[None]
    return {name: rate for name, rate in rates.items() if name is not None}


def _seeds(seeds: Sequence[str]) -> tuple[int, ...]:
    if not seeds or not all(s.isdecimal() for s in seeds) or len(set(seeds)) != len(seeds):
        raise flags.IllegalFlagValueError(
            f"flag --seeds={','.join(seeds or ())}: must be different whole numbers of at least 0, "
            "such as 0,1,2"
        )
    return tuple(int(seed) for seed in seeds)


def _losses(names: Sequence[str]) -> tuple[str, ...]:
    known = fields()["loss"].about.names() or ()
    if not set(names) <= set(known) or len(set(names)) != len(names):
        must = f"must be different names of: {', '.join(known)}"
        raise SettingError("losses", must, ",".join(names))
    return tuple(names)


def flag_error(error: SettingError) -> str:
    """What is wrong with a flag.

    Example:
    ```python
    flag_error(SettingError("k", "must be at least 1", 0))  # "flag --k=0: must be at least 1"
    ```
    """
    value = error.value
    if isinstance(value, (tuple, list)):
        value = ",".join(map(str, value))
    return f"flag --{error.name}={value}: {error.must}"


def _check_paths(asked: Mapping[str, Any]) -> None:
    """Refuse paths that are not there, which needs no framework."""
    paths = {"data_dir": asked["data_dir"]}
    if asked["backbone"].endswith(".keras"):
        paths["backbone"] = asked["backbone"]
    weights = asked["weights"]
    if weights and "://" not in weights and ("/" in weights or Path(weights).suffix):
        paths["weights"] = weights
    for name, path in paths.items():
        if path and "://" not in path and not _exists(path):
            raise flags.IllegalFlagValueError(
                f"flag --{name}={path}: there is no such file or folder"
            )


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError):
        return False


def _default_in_words(flag: flags.Flag) -> str:
    default = flag.default
    return ",".join(default) if isinstance(default, list) else str(default)

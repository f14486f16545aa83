"""One setting of a run: its default, help and checks, kept with the field that holds it."""

import dataclasses
import importlib
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

# What a setting decides. An untrained encoder shares "data", "model" and "evaluation" with trained
# ones; "place" says only where to run and what to keep.
PARTS = ("data", "model", "training", "evaluation", "place")
# Heading of the flags that say what is compared.
STUDY = "What is compared"
SCALES = ("linear", "log")


class SettingError(ValueError):
    """A setting has a value that it cannot have.

    Args:
        name: Name of the setting.
        must: What it must be, as "must be above 0".
        value: The value.

    Example:
    ```python
    str(SettingError("temperature", "must be above 0", -1.0))
    # "`temperature` must be above 0. Received: temperature=-1.0"
    ```
    """

    def __init__(self, name: str, must: str, value: Any) -> None:
        super().__init__(f"`{name}` {must}. Received: {name}={value!r}")
        self.name, self.must, self.value = name, must, value


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers that a search may try.

    Args:
        low: The smallest.
        high: The largest.
        scale: `"linear"`, or `"log"` where ratios matter rather than differences. Defaults to
            `"linear"`.

    Raises:
        ValueError: If they are no finite numbers in this order, or a logarithm meets 0.

    Example:
    ```python
    Range(1e-4, 1e-2, "log").points(3)  # (1e-4, 1e-3, 1e-2)
    ```
    """

    low: float
    high: float
    scale: str = "linear"

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(
                f"`scale` must be one of: {', '.join(SCALES)}. Received: scale={self.scale!r}"
            )
        least = 0 if self.scale == "log" else -math.inf
        if not least < self.low < self.high < math.inf:
            raise ValueError(
                "`low` must be below `high`, both finite, and above 0 on a log scale. "
                f"Received: low={self.low!r}, high={self.high!r}, scale={self.scale!r}"
            )

    def share(self, value: float) -> float:
        """How far a number is from the lower end to the upper one, on its scale.

        Args:
            value: The number.

        Returns:
            From 0 to 1 within the range.

        Example:
        ```python
        Range(1e-4, 1e-2, "log").share(1e-3)  # 0.5
        ```
        """
        low, high = self.low, self.high
        if self.scale == "log":
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low)

    def points(self, number: int) -> tuple[float, ...]:
        """Numbers at equal distances on its scale, the ends included, with three digits.

        Args:
            number: How many, at least 2.

        Returns:
            The numbers in their order.

        Example:
        ```python
        Range(0.1, 0.9).points(3)  # (0.1, 0.5, 0.9)
        ```
        """
        space = np.geomspace if self.scale == "log" else np.linspace
        return tuple(rounded(value) for value in space(self.low, self.high, number))


def rounded(value: float) -> float:
    """A number with three digits, which folders and tables can show.

    Args:
        value: The number.

    Returns:
        The number that is shown.

    Example:
    ```python
    rounded(0.00123456)  # 0.00123
    ```
    """
    return float(f"{value:.3g}")


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is known of a setting beside its default.

    Args:
        help: One sentence.
        part: One of `PARTS`.
        group: Heading that it stands under in `--help`.
        least: Smallest number. Defaults to `None`, no limit.
        most: Largest number. Defaults to `None`, no limit.
        choices: Names that it may be, or `"module:NAME"` of a table of them, which is read when it
            is needed. Defaults to `None`, any.
        checks: Pairs of a test and what the value must be. Defaults to none.
        protocol: The protocol that it is for. Defaults to `None`, all.
        search: Where a search looks for it: a `Range`, or values. Defaults to `None`, nowhere
            unless it is told.

    Example:
    ```python
    Setting("Passes over the training images.", "training", "Training", least=1)
    ```
    """

    help: str
    part: str
    group: str
    least: float | None = None
    most: float | None = None
    choices: str | tuple[str, ...] | None = None
    checks: tuple[tuple[Callable[[Any], bool], str], ...] = ()
    protocol: str | None = None
    search: Range | tuple[Any, ...] | None = None

    def names(self) -> tuple[str, ...] | None:
        """The names that it may be, or `None`."""
        if not isinstance(self.choices, str):
            return self.choices
        module, _, table = self.choices.partition(":")
        return tuple(getattr(importlib.import_module(module), table))


def setting(default: Any, help: str, part: str, group: str, **options: Any) -> Any:
    """Declare a field of `Settings`.

    Args:
        default: Its default.
        help: As in `Setting`, like all that follow.
        part: One of `PARTS`.
        group: Heading.
        **options: Further arguments of `Setting`.

    Returns:
        A field of a dataclass.

    Example:
    ```python
    epochs: int = setting(30, "Passes over the training images.", "training", "Training", least=1)
    ```
    """
    return dataclasses.field(
        default=default, metadata={"setting": Setting(help, part, group, **options)}
    )


@dataclasses.dataclass(frozen=True)
class Kind:
    """The type of a setting, read from the annotation of its field.

    Args:
        type: `str`, `int`, `float` or `bool`; of a tuple, that of its items.
        is_tuple: Whether it is a tuple of them.
        may_be_none: Whether it may be `None`.
        may_be_mapping: Whether it may be a dict of them, one for each loss.
    """

    type: type
    is_tuple: bool = False
    may_be_none: bool = False
    may_be_mapping: bool = False

    @classmethod
    def of(cls, annotation: Any) -> "Kind":
        """The kind of an annotation such as `int | None` or `tuple[str, ...]`."""
        members = (
            typing.get_args(annotation)
            if typing.get_origin(annotation) in (typing.Union, types.UnionType)
            else (annotation,)
        )
        (member,) = (m for m in members if m is not type(None) and not _is_mapping(m))
        is_tuple = typing.get_origin(member) is tuple
        return cls(
            typing.get_args(member)[0] if is_tuple else member,
            is_tuple,
            type(None) in members,
            any(_is_mapping(m) for m in members),
        )

    def holds(self, value: Any) -> bool:
        """Whether a value is of this kind; a whole number serves as a `float`."""
        if value is None:
            return self.may_be_none
        if self.may_be_mapping and isinstance(value, Mapping):
            return all(self._is_one(item) for item in value.values())
        if self.is_tuple:
            return isinstance(value, Sequence) and all(self._is_one(item) for item in value)
        return self._is_one(value)

    def in_words(self) -> str:
        """As "a whole number or None"."""
        one, many = {
            str: ("a string", "strings"),
            int: ("a whole number", "whole numbers"),
            float: ("a number", "numbers"),
            bool: ("True or False", "True or False"),
        }[self.type]
        return (f"a sequence of {many}" if self.is_tuple else one) + (
            " or None" if self.may_be_none else ""
        )

    def _is_one(self, value):
        if self.type is float:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        if self.type is int:
            return hasattr(value, "__index__") and not isinstance(value, bool)
        return isinstance(value, self.type)


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of `Settings`.

    Args:
        name: Its name, which is that of the flag.
        default: Its default.
        kind: Its type.
        about: What else is known of it.
    """

    name: str
    default: Any
    kind: Kind
    about: Setting

    def help_in_words(self, choices: Mapping[str, Sequence[str]]) -> str:
        """The help, with the names that it may be.

        Args:
            choices: Names by setting.

        Returns:
            A sentence or two.
        """
        own = self.about.choices
        # A flag of a command may have the name of a setting, and other choices.
        names = ", ".join(own if isinstance(own, tuple) else choices.get(self.name, ()))
        if "{names}" in self.about.help:
            return self.about.help.format(names=names)
        is_told = not names or names in self.about.help
        return self.about.help if is_told else f"{self.about.help} One of: {names}."


def fields_of(settings: type) -> dict[str, Field]:
    """The fields of a dataclass whose fields were declared by `setting`.

    Args:
        settings: The class.

    Returns:
        The fields by their names.

    Example:
    ```python
    fields_of(Settings)["epochs"].default  # 30
    ```
    """
    hints = typing.get_type_hints(settings)
    return {
        field.name: Field(
            field.name, field.default, Kind.of(hints[field.name]), field.metadata["setting"]
        )
        for field in dataclasses.fields(settings)
    }


def study_flag(default: Any, help: str, **options: Any) -> Any:
    """Declare a flag of a recipe that is no setting of a run, as a field of a dataclass.

    Args:
        default: Its default.
        help: One sentence.
        **options: Further arguments of `Setting`, such as `least` and `choices`.

    Returns:
        A field of a dataclass.

    Example:
    ```python
    budget: str = study_flag("epochs", "What runs share.", choices=("epochs", "steps"))
    ```
    """
    return setting(default, help, "training", STUDY, **options)


def check_value(name: str, value: Any, kind: Kind, about: Setting) -> None:
    """Refuse a value that a setting cannot have.

    Args:
        name: Name of the setting.
        value: Its value.
        kind: Its type.
        about: Its checks.

    Raises:
        SettingError: If it is of another type, out of range or not finite.
    """
    if not kind.holds(value):
        raise SettingError(name, f"must be {kind.in_words()}", value)
    if value is None:
        return
    for item in _items(value, kind):
        if kind.type is float and not math.isfinite(item):
            raise SettingError(name, "must be a finite number", value)
        if about.least is not None and item < about.least:
            raise SettingError(name, f"must be at least {about.least}", value)
        if about.most is not None and item > about.most:
            raise SettingError(name, f"must be at most {about.most}", value)
    for holds, must in about.checks:
        if not holds(value):
            raise SettingError(name, must, value)


def check_choice(name: str, value: Any, kind: Kind, about: Setting) -> None:
    """Refuse a name that a setting cannot have; tables of names may need Keras.

    Args:
        name: As in `check_value`, and so are the others.
        value: Its value.
        kind: Its type.
        about: Its choices.

    Raises:
        SettingError: If it is none of the choices.
    """
    if value is None or about.choices is None:
        return
    choices = about.names() or ()
    if not set(_items(value, kind)) <= set(choices):
        raise SettingError(name, f"must be one of: {', '.join(choices)}", value)


def _items(value, kind):
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if kind.is_tuple else [value]


def _is_mapping(annotation):
    return typing.get_origin(annotation) is Mapping

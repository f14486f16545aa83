"""Where a search looks: the settings that it tries, as `Settings` or the user says."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from keras_clce.experiments.resolved import classifier_head, learning_rate, unread_settings
from keras_clce.experiments.setting import Range, SettingError, check_choice, check_value, rounded
from keras_clce.experiments.settings import Settings, fields

# What is searched where nothing else is asked for, and the loss reads it.
USUAL = ("learning_rate", "contrastive_weight", "temperature")
# Points of a range in a grid.
GRID_POINTS = 5
# The search itself has these: what is compared, what a trial costs, and where the runs stand.
_FIXED = ("loss", "seed", "epochs", "backbone", "weights")
_FORM = "name, name=low:high, name=low:high:log or name=value|value|value"


@dataclasses.dataclass(frozen=True)
class Space:
    """The settings that a search tries for one loss, each a range or some values.

    Args:
        where: Range or values by the name of the setting.

    Example:
    ```python
    space = Space({"learning_rate": Range(1e-4, 1e-2, "log"), "embedding_dim": (None, 128)})
    space.nearest(Settings(learning_rate=1e-3))  # {"learning_rate": 0.001, "embedding_dim": None}
    ```
    """

    where: Mapping[str, Range | tuple[Any, ...]]

    def grid(self) -> "Space":
        """The same with values in the place of ranges, five of each."""
        return Space(
            {
                name: _points(name, where) if isinstance(where, Range) else where
                for name, where in self.where.items()
            }
        )

    def nearest(self, settings: Settings, is_few_shot: bool = False) -> dict[str, Any]:
        """The values in here that are nearest to those of some settings.

        Args:
            settings: The settings.
            is_few_shot: As in `classifier_head`. Defaults to `False`.

        Returns:
            Values by name; of names without the one of the settings the first.

        Example:
        ```python
        Space({"temperature": Range(0.1, 0.4)}).nearest(Settings(temperature=0.5))
        # {"temperature": 0.4}
        ```
        """
        found = {}
        for name, where in self.where.items():
            value = getattr(settings, name)
            if name == "learning_rate":
                value = learning_rate(settings)
            elif name == "classifier_head":
                value = classifier_head(settings, is_few_shot)
            if isinstance(where, Range):
                found[name] = where.low if value is None else _within(where, value)
            elif value in where or not all(isinstance(item, (int, float)) for item in where):
                found[name] = value if value in where else where[0]
            else:
                found[name] = min(where, key=lambda item: abs(item - (value or 0)))
        return found

    def hyperparameters(self, first: Mapping[str, Any]) -> Any:
        """The space as KerasTuner takes it; values stand as their numbers, since it takes no None.

        Args:
            first: The values that stand for defaults.

        Returns:
            A `keras_tuner.HyperParameters`.

        Example:
        ```python
        space = Space({"temperature": Range(0.1, 0.4)})
        space.hyperparameters({"temperature": 0.2}).get("temperature")  # 0.2
        ```
        """
        import keras_tuner

        made = keras_tuner.HyperParameters()
        for name, where in self.where.items():
            if not isinstance(where, Range):
                numbers = list(range(len(where)))
                made.Choice(name, numbers, ordered=True, default=where.index(first[name]))
                continue
            make = made.Int if _is_whole(name) else made.Float
            make(name, where.low, where.high, sampling=where.scale, default=first[name])
        return made

    def decoded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of settings from KerasTuner's, with three digits.

        Args:
            values: Numbers by name; others are left out.

        Returns:
            Values by name.

        Example:
        ```python
        space = Space({"embedding_dim": (None, 128)})
        space.decoded({"embedding_dim": 1})  # {"embedding_dim": 128}
        ```
        """
        found = {}
        for name, where in self.where.items():
            value = values[name]
            if not isinstance(where, Range):
                found[name] = where[value]
            else:
                found[name] = int(value) if _is_whole(name) else _within(where, rounded(value))
        return found

    def encoded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """KerasTuner's values from those of settings, which `decoded` gave.

        Args:
            values: Values by name.

        Returns:
            Numbers by name.

        Example:
        ```python
        space = Space({"embedding_dim": (None, 128)})
        space.encoded({"embedding_dim": 128})  # {"embedding_dim": 1}
        ```
        """
        return {
            name: values[name] if isinstance(where, Range) else where.index(values[name])
            for name, where in self.where.items()
        }

    def in_words(self) -> str:
        """As "learning_rate 0.0001 to 0.01 (log), embedding_dim None or 128"."""
        return ", ".join(f"{name} {_in_words(where)}" for name, where in self.where.items())

    def as_json(self) -> dict[str, Any]:
        """The space as JSON values."""
        return {
            name: dataclasses.asdict(where) if isinstance(where, Range) else list(where)
            for name, where in self.where.items()
        }


def search_space(
    settings: Settings,
    search: Mapping[str, Any] | Sequence[str] | None = None,
    given: Collection[str] = (),
) -> Space:
    """What is searched for the loss of some settings: never what it does not read.

    Args:
        settings: The settings.
        search: Names of settings, which are searched where `Settings` says; or a `Range` or values
            by name, `None` for those of `Settings`. Defaults to `None`: learning rate, weight of
            the contrastive part and temperature, but for those that were given.
        given: Names of settings that were given. Defaults to none.

    Returns:
        The space.

    Raises:
        ValueError: If a setting is not known, cannot be searched or have one of the values.

    Example:
    ```python
    list(search_space(Settings(loss="ce")).where)  # ["learning_rate"]
    ```
    """
    if search is None:
        search = [name for name in USUAL if name not in given]
    if not isinstance(search, Mapping):
        search = dict.fromkeys(search)
    space = {name: _checked(name, where) for name, where in search.items()}
    unread = unread_settings(settings.loss)
    return Space({name: where for name, where in space.items() if name not in unread})


def parse_search(items: Sequence[str]) -> dict[str, Range | tuple[Any, ...] | None]:
    """What is searched, from text.

    Args:
        items: Each as `learning_rate`, `learning_rate=1e-4:1e-2:log`, `contrastive_weight=0.1:0.9`
            or `embedding_dim=none|128`.

    Returns:
        A range, values or `None` by name, as `search_space` takes them.

    Raises:
        ValueError: If one is none of these, or is there twice.

    Example:
    ```python
    parse_search(["temperature", "embedding_dim=none|128"])
    # {"temperature": None, "embedding_dim": (None, 128)}
    ```
    """
    found = {}
    for item in items:
        name, separator, text = item.partition("=")
        if name in found or (separator and not text):
            raise ValueError(f"`search` must be different ones of {_FORM}. Received: {item}")
        if name not in fields():
            raise ValueError(_unknown(name))
        found[name] = _parsed(name, text) if text else None
    return found


def _parsed(name, text):
    kind = fields()[name].kind.type
    try:
        if ":" in text and kind in (int, float):
            low, high, *scale = text.split(":")
            return Range(kind(low), kind(high), *scale)
        return tuple(_value(kind, part) for part in text.split("|"))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"`search` must be of {_FORM}. Received: {name}={text} ({error})"
        ) from None


def _value(kind, text):
    if text.lower() == "none":
        return None
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{text} is neither true nor false")
        return text.lower() == "true"
    return kind(text)


def _checked(name, where):
    if name not in fields():
        raise ValueError(_unknown(name))
    field = fields()[name]
    if name in _FIXED or field.about.part not in ("model", "training"):
        raise ValueError(
            "`search` must name settings of the model and of its training, but for "
            f"{', '.join(_FIXED)}. Received: {name}"
        )
    if where is None:
        where = field.about.search
    if where is None:
        where = field.about.names()
        # A classifier that is not given is one of those.
        if where and field.kind.may_be_none and name != "classifier_head":
            where = (None, *where)
    if where is None and field.kind.type is bool:
        where = (False, True)
    if where is None:
        raise ValueError(f"`search` needs a range or values for {name}. Received: {name}")
    if not isinstance(where, Range):
        where = tuple(where)
        if not where or len(set(where)) != len(where):
            raise ValueError(f"`search` needs different values. Received: {name}={where}")
    elif field.kind.type not in (int, float):
        raise ValueError(f"`search` needs values for {name}, no range. Received: {where}")
    for value in (where.low, where.high) if isinstance(where, Range) else where:
        try:
            check_value(name, value, field.kind, field.about)
            check_choice(name, value, field.kind, field.about)
        except SettingError as error:
            raise ValueError(f"`search`: {error}") from None
    return where


def _unknown(name):
    return f"`search` must name settings, which `Settings.describe()` lists. Received: {name}"


def _points(name, where):
    points = where.points(GRID_POINTS)
    return tuple(dict.fromkeys(map(round, points))) if _is_whole(name) else points


def _within(where, value):
    return min(max(value, where.low), where.high)


def _is_whole(name):
    return fields()[name].kind.type is int


def _in_words(where):
    if isinstance(where, Range):
        log = " (log)" if where.scale == "log" else ""
        return f"{where.low:g} to {where.high:g}{log}"
    *values, last = (f"{value:g}" if isinstance(value, float) else str(value) for value in where)
    return f"{', '.join(values)} or {last}" if values else last

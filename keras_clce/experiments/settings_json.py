"""Settings as JSON values, for `config.json` and back."""

from collections.abc import Mapping
from typing import Any

from keras_clce.experiments.settings import Settings, fields


def settings_as_json(settings: Settings, protocol: str, **resolved: Any) -> dict[str, Any]:
    """All that decides the result of a run, as JSON values.

    Args:
        settings: The settings.
        protocol: Name of the protocol, whose own settings belong to it.
        **resolved: What stands for settings that follow others, and what else decides.

    Returns:
        A dict for `config.json`, which `--resume` compares.

    Example:
    ```python
    settings_as_json(Settings(), "transfer", learning_rate=3e-3, image_size=32, backend="jax")
    ```
    """
    values = {}
    for name, field in fields().items():
        if field.about.part == "place" or field.about.protocol not in (None, protocol):
            continue
        value = getattr(settings, name)
        # Numbers in lists stand as strings, as the flags of earlier versions had them.
        values[name] = [str(item) for item in value] if field.kind.is_tuple else value
    return {**values, **resolved}


def settings_from_json(values: Mapping[str, Any]) -> Settings:
    """Settings from what `settings_as_json` gave, now or in an earlier version.

    Args:
        values: The dict; what is no setting, such as `"backend"`, is left out.

    Returns:
        The settings, with defaults for what is missing.

    Example:
    ```python
    settings_from_json(json.loads(folder.config.read_text())["settings"])
    ```
    """
    known = {name: value for name, value in values.items() if name in fields()}
    for name, value in known.items():
        field = fields()[name]
        if field.kind.is_tuple:
            # Earlier versions wrote a name alone where there are several today.
            value = [value] if isinstance(value, str) else value
            known[name] = tuple(field.kind.type(item) for item in value)
    # Not checked again: what was trained stays readable where weights have moved away since.
    return unchecked(known)


def unchecked(values: Mapping[str, Any]) -> Settings:
    """Settings whose values are not checked, for those that are checked later or were before.

    Args:
        values: Values by name; defaults stand for what is missing.

    Returns:
        The settings.

    Example:
    ```python
    unchecked({"batch_size": 32}).batch_size  # 32
    ```
    """
    settings = object.__new__(Settings)
    for name, field in fields().items():
        object.__setattr__(settings, name, values.get(name, field.default))
    return settings

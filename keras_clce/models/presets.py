"""Presets of keras-hub and keras-cv: load one, and check that it is what was asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_clce.models.checkpoints.download import downloading
from keras_clce.models.checkpoints.tensors import in_one_line


def from_preset(loader: Callable[..., Any], preset: str, **arguments: Any) -> Any:
    """Call a library's `from_preset`, with one clear error when a download fails.

    Args:
        loader: The `from_preset` of a class.
        preset: Name, address or local folder.
        **arguments: Handed on.

    Returns:
        What the loader returns.

    Raises:
        ValueError: If the preset is unknown or is of another class.
        ConnectionError: If it cannot be downloaded.

    Example:
    ```python
    import keras_hub
    from_preset(keras_hub.models.Backbone.from_preset, "hub_folder")
    ```
    """
    if Path(preset).is_dir():
        try:
            return loader(preset, **arguments)
        except (FileNotFoundError, ImportError):
            raise
        except Exception as error:  # keras-hub, Keras and HDF5 raise many kinds on damaged files
            raise ValueError(
                f"The preset must be a whole folder of keras-hub's ({in_one_line(error)}). "
                f"Received: preset={preset!r}"
            ) from error
    return downloading(lambda: loader(preset, **arguments), preset)


def check_config(backbone: keras.Model, expected: dict[str, Any], source: str) -> None:
    """Check that a loaded backbone is the architecture that was asked for.

    Args:
        backbone: What was loaded.
        expected: Entries that its configuration must have.
        source: Where it came from, for the message.

    Raises:
        ValueError: If an entry differs.

    Example:
    ```python
    check_config(keras.Sequential(name="tiny"), {"name": "tiny"}, "my_folder")
    ```
    """
    config = backbone.get_config()
    wrong = {
        key: config.get(key) for key, value in expected.items() if _listed(config.get(key)) != value
    }
    if wrong:
        wanted = {key: expected[key] for key in wrong}
        raise ValueError(
            f"The weights must belong to a backbone with {wanted}. "
            f"Received: weights={source!r} with {wrong}"
        )


def _listed(value):
    return list(value) if isinstance(value, tuple) else value

"""The parts of a saved `CLCEModel` that may not be known where it is loaded."""

import re
import warnings
from typing import Any

import keras


def saved_augmenter(config: dict[str, Any] | None) -> keras.Layer | None:
    """Rebuild an augmenter, or leave it out with a warning where its classes are not known.

    Inference needs none, and often runs where what a user wrote for training is not at hand.

    Args:
        config: What `keras.saving.serialize_keras_object` gave of it, or `None`.

    Returns:
        The augmenter, or `None`.

    Raises:
        TypeError: If the description is damaged otherwise.

    Example:
    ```python
    saved_augmenter(keras.saving.serialize_keras_object(augmenter))
    ```
    """
    if not config:
        return None
    try:
        return keras.saving.deserialize_keras_object(config)
    except TypeError as error:
        unknown = re.findall(r"Could not locate class '(\w+)'", str(error))
        if not unknown:
            raise
        warnings.warn(
            f"The model's augmenter is left out, for Keras does not know the class {unknown[-1]}. "
            "Import it before the model is loaded, or training goes on without views.",
            stacklevel=2,
        )
        return None

"""The parts of a saved `CLCEModel` that may not be known where it is loaded."""

import warnings
from typing import Any

import keras

from keras_clce.models.checkpoints.tensors import in_one_line


def saved_augmenter(config: dict[str, Any] | None) -> keras.Layer | None:
    """Rebuild an augmenter, or leave it out with a warning where its classes are not known.

    Inference needs none, and often runs where what a user wrote for training is not at hand.

    Args:
        config: What `keras.saving.serialize_keras_object` gave of it, or `None`.

    Returns:
        The augmenter, or `None`.

    Example:
    ```python
    saved_augmenter(keras.saving.serialize_keras_object(augmenter))
    ```
    """
    if not config:
        return None
    try:
        return keras.saving.deserialize_keras_object(config)
    except TypeError as error:  # Keras's answer to a class that it does not find
        warnings.warn(
            "The model's augmenter is left out, since Keras does not know what it is made of. "
            "Import that before the model is loaded, or training goes on without views "
            f"({in_one_line(error)[:300]})",
            stacklevel=2,
        )
        return None

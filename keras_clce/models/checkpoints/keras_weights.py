"""Keras's own files of weights, `.weights.h5`."""

from pathlib import Path

import h5py
import keras

from keras_clce.models.checkpoints.tensors import in_one_line

KERAS_SUFFIX = ".weights.h5"


def load_weights_file(model: keras.Model, path: Path) -> None:
    """Load a `.weights.h5` file of Keras's, wholly or not at all.

    Args:
        model: The encoder; changed in place.
        path: The file.

    Raises:
        ValueError: If it does not fit, or is of a model with other settings, which such files do
            not hold; the model is left as it was.

    Example:
    ```python
    encoder.save_weights("encoder.weights.h5")
    load_weights_file(encoder, Path("encoder.weights.h5"))
    ```
    """
    before = model.get_weights()
    try:
        different = _different_names(model, path)
        if not different:
            model.load_weights(path)
            return
    except Exception as error:  # HDF5 raises many kinds of errors on damaged files
        model.set_weights(before)
        raise ValueError(
            f"`weights` must be a {KERAS_SUFFIX} file of the same encoder ({in_one_line(error)}). "
            f"Received: weights={str(path)!r}"
        ) from error
    raise ValueError(
        f"`weights` must be a {KERAS_SUFFIX} file of {model.name} as it is built without weights; "
        "such a file cannot tell other norms, epsilons or pixel statistics, which the weights that "
        "a model was built from may bring: save that model as .keras, and give the path as the "
        f"backbone. It differs in {', '.join(different)}. Received: weights={str(path)!r}"
    )


def _different_names(model, path):
    """Names that only the file has, or only the model: Keras itself goes by class and order."""
    with h5py.File(path) as file:
        # Stochastic depth is a matter of training alone.
        layers = [layer for key, layer in file["layers"].items() if not key.startswith("dropout")]
        stored = {str(group["vars"].attrs["name"]) for group in (file, *layers)}
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.Dropout)]
    return sorted(stored ^ {layer.name for layer in (model, *layers)})

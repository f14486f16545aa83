"""Where an encoder's weights lie: local files, folders and Hugging Face's hub."""

import math
from pathlib import Path
from typing import Any

import h5py
import keras

from keras_clce.models.checkpoints.tensors import folder_config, in_one_line

HUB = "hf://"
KERAS_SUFFIX = ".weights.h5"
INTERPOLATIONS = ("bilinear", "bicubic")
_PILLOW_NUMBERS = {2: "bilinear", 3: "bicubic"}
_HUB_FILES = ["*.json", "model.safetensors", "pytorch_model.bin"]


def local_weights(weights: str | Path) -> Path:
    """Bring weights to this machine.

    Args:
        weights: A path, or `hf://USER/REPOSITORY` of Hugging Face's hub.

    Returns:
        The path, or that of the downloaded folder.

    Raises:
        ImportError: If `huggingface_hub` is wanted and not installed.
        ConnectionError: If the download fails.

    Example:
    ```python
    local_weights("hf://timm/vit_base_patch16_224.mae")
    ```
    """
    if not str(weights).startswith(HUB):
        return Path(weights)
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ImportError(
            "Weights from hf:// need huggingface_hub. Install it with: "
            f"pip install huggingface_hub. Received: weights={weights!r}"
        ) from error
    try:
        repository = str(weights).removeprefix(HUB)
        return Path(snapshot_download(repository, allow_patterns=_HUB_FILES))
    except Exception as error:  # the hub's own kinds, its HTTP client's, the socket's
        raise ConnectionError(
            f"The weights {weights!r} could not be downloaded ({type(error).__name__}: "
            f"{str(error).strip().splitlines()[0]}). Check name and connection, or fetch them on "
            f"another machine and give the folder's path. Received: weights={weights!r}"
        ) from error


def published_preprocessing(path: Path) -> dict[str, Any]:
    """Read what lies beside weights about the images that they expect.

    Args:
        path: A folder as timm (`config.json`) or Hugging Face (`preprocessor_config.json`)
            publishes it, or a file.

    Returns:
        Of `mean` and `std`, on the scale from 0 to 255, and `interpolation`, those that are given.

    Raises:
        ValueError: If the statistics are not three numbers each, or the interpolation is none of
            `INTERPOLATIONS`.

    Example:
    ```python
    published_preprocessing(Path("vit_tiny"))  # {"mean": (127.5, …), "std": …, "interpolation": …}
    ```
    """
    timm = folder_config(path).get("pretrained_cfg", {})
    transformers = folder_config(path, "preprocessor_config.json")
    found = {}
    for config, mean, std, resize, words in (
        (transformers, "image_mean", "image_std", "resample", _PILLOW_NUMBERS),
        (timm, "mean", "std", "interpolation", {name: name for name in INTERPOLATIONS}),
    ):
        if not isinstance(config, dict):
            raise ValueError(f"`weights` has a broken config.json. Received: weights={str(path)!r}")
        if mean in config and std in config:
            found["mean"] = _three_numbers(config, mean, str(path))
            found["std"] = _three_numbers(config, std, str(path))
        if config.get(resize) is not None:
            found["interpolation"] = _one_of(words, config, resize, str(path))
    return found


def _one_of(words, config, key, source):
    for word, meaning in words.items():
        if config[key] == word:
            return meaning
    raise ValueError(
        f"`weights` must have one of {', '.join(map(repr, words))} as its {key}. "
        f"Received: {key}={config[key]!r}, weights={source!r}"
    )


def _three_numbers(config, key, source):
    values = config[key]
    numbers = isinstance(values, list) and all(isinstance(v, (int, float)) for v in values)
    least = 0 if key.endswith("mean") else 1e-6
    if not numbers or len(values) != 3 or not all(least <= v < math.inf for v in values):
        raise ValueError(
            f"`weights` must have three numbers as its {key}, of at least {least}. "
            f"Received: {key}={values!r}, weights={source!r}"
        )
    return tuple(255.0 * v for v in values)


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
    load_weights_file(model, Path("encoder.weights.h5"))
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

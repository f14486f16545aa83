"""Where an encoder's weights lie: local files, folders and Hugging Face's hub."""

import math
from pathlib import Path

import keras

from keras_clce.models.checkpoints.tensors import folder_config, in_one_line

HUB = "hf://"
KERAS_SUFFIX = ".weights.h5"
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


def published_pixels(path: Path) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Read the pixel statistics that lie beside weights.

    Args:
        path: A folder as timm (`config.json`) or Hugging Face (`preprocessor_config.json`)
            publishes it, or a file.

    Returns:
        `(mean, std)` on the scale from 0 to 255, or None where nothing is said.

    Raises:
        ValueError: If they are not three numbers each.

    Example:
    ```python
    published_pixels(Path("vit_base_patch16_224"))  # ((127.5,) * 3, (127.5,) * 3)
    ```
    """
    timm = folder_config(path).get("pretrained_cfg", {})
    transformers = folder_config(path, "preprocessor_config.json")
    for config, mean, std in (
        (timm, "mean", "std"),
        (transformers, "image_mean", "image_std"),
    ):
        if not isinstance(config, dict):
            raise ValueError(f"`weights` has a broken config.json. Received: weights={str(path)!r}")
        if mean in config and std in config:
            return tuple(_three_numbers(config, key, str(path)) for key in (mean, std))
    return None


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
        ValueError: If it does not fit; the model is left as it was.

    Example:
    ```python
    load_weights_file(model, Path("encoder.weights.h5"))
    ```
    """
    before = model.get_weights()
    try:
        model.load_weights(path)
    except Exception as error:  # HDF5 raises many kinds of errors on damaged files
        model.set_weights(before)
        raise ValueError(
            f"`weights` must be a {KERAS_SUFFIX} file of the same encoder ({in_one_line(error)}). "
            f"Received: weights={str(path)!r}"
        ) from error

"""What lies beside published weights about the images that they expect."""

import math
from pathlib import Path
from typing import Any

from keras_clce.models.checkpoints.tensors import folder_config

INTERPOLATIONS = ("bilinear", "bicubic")
_PILLOW_NUMBERS = {2: "bilinear", 3: "bicubic"}


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
    published_preprocessing(Path("vit_folder"))["mean"]  # (127.5, 127.5, 127.5)
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

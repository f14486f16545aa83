"""What the formats of exported files share."""

import dataclasses
from collections.abc import Callable
from types import ModuleType

import numpy as np

from keras_clce.checks import import_module

EXTRA = '"keras-clce[export]"'

# From uint8 images `(batch, size, size, 3)` to the outputs by name, in a file's own runtime.
Runner = Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What a conversion to 8-bit numbers goes by.

    Args:
        views: Photographs as the model sees them, uint8 `(images, size, size, 3)`.
        static: Whether the ranges of activations are found on them once, or anew on every batch.

    Example:
    ```python
    Calibration(np.zeros((8, 32, 32, 3), "uint8"), static=True)
    ```
    """

    views: np.ndarray
    static: bool


def extra(module: str) -> ModuleType:
    """Import a module that exported files are written or run with, or say what installs it.

    Args:
        module: Name of the module.

    Returns:
        The module.

    Raises:
        ImportError: If it is not installed.

    Example:
    ```python
    extra("onnxruntime").InferenceSession.__name__  # "InferenceSession"
    ```
    """
    return import_module(module, "An exported file", EXTRA)

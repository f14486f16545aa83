"""The packages that only reading and augmenting data needs, imported when something needs them."""

from types import ModuleType

from keras_clce.checks import import_module

_EXTRA = '"keras-clce[data]"'


def tensorflow(purpose: str = "The data pipeline") -> ModuleType:
    """Import TensorFlow, or say which command installs it.

    Args:
        purpose: What needs it, as the subject of a sentence. Defaults to `"The data pipeline"`.

    Returns:
        The package.

    Raises:
        ImportError: If it is not installed.
    """
    return import_module("tensorflow", purpose, _EXTRA)


def tensorflow_datasets(module: str = "") -> ModuleType:
    """Import a module of TensorFlow Datasets, or say which command installs it; as `tensorflow`."""
    return import_module(f"tensorflow_datasets{module}", "Reading a data set of TFDS", _EXTRA)


def pillow(module: str = "Image") -> ModuleType:
    """Import a module of Pillow, or say which command installs it; as `tensorflow`."""
    return import_module(f"PIL.{module}", "Reading image files", _EXTRA)

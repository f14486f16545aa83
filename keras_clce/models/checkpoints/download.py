"""Bring published weights to this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from keras_clce.checks import import_module

HUB = "hf://"
_HUB_FILES = ["*.json", "model.safetensors", "pytorch_model.bin"]
_Built = TypeVar("_Built")


def downloading(build: Callable[[], _Built], source: str) -> _Built:
    """Run what may download, and say what to do where there is no connection.

    Args:
        build: A function that may download.
        source: What it downloads, for the message.

    Returns:
        What the function returns.

    Raises:
        ConnectionError: If it fails with anything else than an error of its arguments or imports.

    Example:
    ```python
    downloading(lambda: keras.applications.VGG16(weights="imagenet"), "imagenet")
    ```
    """
    try:
        return build()
    except (ValueError, FileNotFoundError, ImportError):
        raise
    except Exception as error:  # each library raises its own kinds: URL, HTTP, Kaggle, hub
        raise ConnectionError(
            f"The weights {source!r} could not be downloaded ({type(error).__name__}: {error}). "
            "Check the connection, or fetch them on another machine and give their local path "
            f"instead of the name. Received: weights={source!r}"
        ) from error


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
    return hub_folder(str(weights), _HUB_FILES, "weights", "weights")


def hub_folder(address: str, files: list[str], what: str, argument: str) -> Path:
    """Download files of a repository of Hugging Face's hub.

    Args:
        address: `hf://USER/REPOSITORY`.
        files: Names or patterns of the files.
        what: What they are, in the plural, for messages.
        argument: What the caller calls the address, likewise.

    Returns:
        The folder that they are in.

    Raises:
        ImportError: If `huggingface_hub` is not installed.
        ConnectionError: If the download fails.

    Example:
    ```python
    hub_folder("hf://timm/vit_base_patch16_224.mae", ["*.json"], "weights", "weights")
    ```
    """
    hub = import_module("huggingface_hub", f"{argument}={address!r}", "huggingface_hub")
    try:
        return Path(hub.snapshot_download(address.removeprefix(HUB), allow_patterns=files))
    except Exception as error:  # the hub's own kinds, its HTTP client's, the socket's
        raise ConnectionError(
            f"The {what} {address!r} could not be downloaded ({type(error).__name__}: "
            f"{str(error).strip().splitlines()[0]}). Check name and connection, or fetch them on "
            f"another machine and give the folder's path. Received: {argument}={address!r}"
        ) from error

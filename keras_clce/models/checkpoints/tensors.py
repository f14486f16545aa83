"""Read a checkpoint file as named NumPy arrays, without executing anything that it holds."""

import argparse
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.checks import import_module

TENSOR_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".npz")
FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")
# Where training scripts put the weights beside optimizer and arguments, best first.
_WRAPPERS = ("model_ema", "state_dict_ema", "model", "state_dict", "module")


def checkpoint_file(path: str | Path) -> Path:
    """Find the file of tensors that a path means.

    Args:
        path: A file, or a folder that holds `model.safetensors` or `pytorch_model.bin`, as
            timm and Hugging Face publish them.

    Returns:
        The path of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If its name ends in none of `TENSOR_SUFFIXES`.

    Example:
    ```python
    checkpoint_file("vit_folder").name  # "model.safetensors"
    ```
    """
    path = Path(path)
    if path.is_dir():
        found = [path / name for name in FOLDER_FILES if (path / name).is_file()]
        if not found:
            raise FileNotFoundError(
                f"`weights` must be a folder that holds {' or '.join(FOLDER_FILES)}. "
                f"Received: weights={str(path)!r}"
            )
        return found[0]
    if not path.is_file():
        raise FileNotFoundError(
            f"`weights` must be a file or folder. Received: weights={str(path)!r}"
        )
    if path.suffix not in TENSOR_SUFFIXES:
        raise ValueError(
            f"`weights` must be a file that ends in {', '.join(TENSOR_SUFFIXES)}. "
            f"Received: weights={str(path)!r}"
        )
    return path


def folder_config(path: str | Path, name: str = "config.json") -> dict[str, Any]:
    """Read a JSON file that lies beside the tensors of a folder.

    Args:
        path: As in `checkpoint_file`.
        name: Name of the JSON file.

    Returns:
        Its content; an empty dict for a single file or where the folder has none.

    Raises:
        ValueError: If it is no JSON object.

    Example:
    ```python
    folder_config("vit_folder")["architecture"]  # "vit_tiny_patch16_224"
    ```
    """
    file = Path(path) / name
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"`weights` has a broken {name}: {error}. Received: {file}") from None
    return config if isinstance(config, dict) else {}


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Read all tensors of a checkpoint.

    Args:
        path: As in `checkpoint_file`.

    Returns:
        Name to array; half-precision tensors as float32. Where the file wraps the weights, as in
        `{"model": …, "optimizer": …}`, the weights alone, the moving average of them first.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If reading needs a package that is not installed.
        ValueError: If the file is empty, truncated, no checkpoint, or a pickle with code in it.

    Example:
    ```python
    read_tensors("vit_tiny.safetensors")["patch_embed.proj.weight"].shape  # (192, 3, 16, 16)
    ```
    """
    path = checkpoint_file(path)
    read = {".safetensors": _read_safetensors, ".npz": _read_npz}.get(path.suffix, _read_torch)
    try:
        tensors = read(path)
    except ImportError:
        raise
    except Exception as error:  # each reader raises many kinds of errors on damaged files
        raise ValueError(
            "`weights` must be a whole file of tensors and nothing that runs as code "
            f"({in_one_line(error)}). Received: weights={str(path)!r}"
        ) from None
    if not tensors:
        raise ValueError(
            f"`weights` must hold tensors; there is none. Received: weights={str(path)!r}"
        )
    if "embeddings.cls_token" in tensors:
        # Hugging Face's bare `ViTModel` lacks the prefix that it has within a classifier.
        tensors = {f"vit.{name}": value for name, value in tensors.items()}
    return {
        name: _full_precision(value)
        for name, value in tensors.items()
        # BatchNorm counts steps; no model here uses the count.
        if not name.endswith("num_batches_tracked")
    }


def _full_precision(value):
    # bfloat16 is no kind of NumPy's own: its kind is "V".
    return value.astype("float32") if value.dtype.itemsize == 2 else value


def check_archive(path: str | Path) -> None:
    """Compare the members of a zip archive with their checksums, which some readers pass over.

    Args:
        path: An archive.

    Raises:
        zipfile.BadZipFile: If it is damaged.

    Example:
    ```python
    check_archive("model.keras")
    ```
    """
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged:
        raise zipfile.BadZipFile(f"checksum and content of {damaged!r} differ")


def in_one_line(error: Exception) -> str:
    """What an error of another library says, after its kind and without line breaks."""
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"


def _read_safetensors(path):
    numpy_files = import_module("safetensors.numpy", f"Reading {path.name}", "safetensors")
    return numpy_files.load_file(path)


def _read_npz(path):
    with np.load(path, allow_pickle=False) as file:
        tensors = {name: file[name] for name in file.files}
    # NumPy gives the bytes of a member that does not begin as an array.
    for name, value in tensors.items():
        if not isinstance(value, np.ndarray):
            raise ValueError(f"{name!r} is no array")
    return tensors


def _read_torch(path):
    torch = import_module("torch", f"Reading a {path.suffix} file", "torch")
    if zipfile.is_zipfile(path):
        check_archive(path)
    # Training scripts save their arguments as a Namespace, which holds data alone.
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(path, map_location="cpu", weights_only=True)
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping):
        raise ValueError(f"it holds a {type(content).__name__} and no dict of tensors")
    return {
        name: tensor.detach().to(torch.float32 if tensor.is_floating_point() else None).numpy()
        for name, tensor in content.items()
        if isinstance(tensor, torch.Tensor)
    }

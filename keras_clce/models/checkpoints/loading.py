"""Load named tensors into a Keras model by a table of names: all of them, or none at all."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_clce.models.checkpoints.layouts import Layout, find_layout
from keras_clce.models.checkpoints.positions import resample_positions
from keras_clce.models.checkpoints.recognition import looks_like
from keras_clce.models.checkpoints.tensors import read_tensors


class LoadReport(NamedTuple):
    """What became of the tensors of a checkpoint.

    Args:
        matched: `(Keras weight, tensor names)` of all weights of the model.
        dropped: Tensors that the model has no place for, as expected.
        resampled: `(tensor name, positions in the file, positions in the model)`.

    Example:
    ```python
    from keras_clce.models import build_backbone, load_weights
    model = build_backbone("vit_tiny", 32)
    load_weights(model, "vit_tiny", "vit_tiny.safetensors").resampled  # []
    ```
    """

    matched: list[tuple[str, tuple[str, ...]]]
    dropped: list[str]
    resampled: list[tuple[str, int, int]]


def load_layout(
    model: keras.Model, tensors: dict[str, np.ndarray], layout: Layout, source: str
) -> LoadReport:
    """Copy tensors into a model by a layout's table.

    Args:
        model: The encoder; changed in place.
        tensors: Name to array.
        layout: The table.
        source: Where the tensors come from, for the message.

    Returns:
        What became of each tensor.

    Raises:
        ValueError: If a weight of the model has no tensor, a tensor has no place, or shapes
            differ; the message names all of them, and the model is left as it was.

    Example:
    ```python
    from keras_clce.models import build_backbone
    from keras_clce.models.families import vit
    model = build_backbone("vit_tiny", 32)
    tensors = read_tensors("vit_tiny.safetensors")
    load_layout(model, tensors, vit.TIMM, "my file").dropped  # ["mask_token"]
    ```
    """
    tensors = layout.prepared(tensors)
    problems: list[str] = []
    values: list[tuple[keras.Variable, np.ndarray]] = []
    used: set[str] = set()
    report = LoadReport([], [], [])
    for variable, names in _wanted(model, layout):
        used.update(names)
        absent = [name for name in names if name not in tensors]
        if absent:
            problems += [f"{name} is missing" for name in absent]
            continue
        if re.fullmatch(layout.positions, variable.path):
            value = tensors[names[0]][..., layout.unused_positions :, :]
            count, wanted = value.shape[-2], variable.shape[-2]
            value = resample_positions(value, wanted, layout.tokens_before, layout.antialias)
            value = value if len(variable.shape) == 3 else value[0]
            if count != value.shape[-2]:
                report.resampled.append((names[0], count, value.shape[-2]))
        else:
            parts = [_to_keras(tensors[name], variable, layout, len(names)) for name in names]
            value = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        if value.shape != tuple(variable.shape):
            shapes = ", ".join(str(tensors[name].shape) for name in names)
            problems.append(
                f"{', '.join(names)} of shape {shapes} does not fit {variable.path} of shape "
                f"{tuple(variable.shape)}"
            )
        values.append((variable, value))
        report.matched.append((variable.path, names))
    for name in tensors:
        if name not in used:
            known = re.fullmatch(layout.dropped, name)
            report.dropped.append(name) if known else problems.append(f"{name} is not expected")
    if problems:
        raise ValueError(
            f"`weights` must fit {model.name}; the file looks like {looks_like(tensors)}. "
            f"{len(problems)} mismatches: {'; '.join(problems)}. "
            f"Received: weights={source!r}"
        )
    for variable, value in values:
        variable.assign(value)
    return report


def load_checkpoint(model: keras.Model, path: str | Path, layouts: Sequence[Layout]) -> LoadReport:
    """Copy a file into a model, by whichever of some layouts it follows.

    Args:
        model: The encoder; changed in place.
        path: As in `read_tensors`.
        layouts: The layouts that the architecture can be loaded from.

    Returns:
        What became of each tensor.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint or does not fit; the model is left as it was.

    Example:
    ```python
    from keras_clce.models import build_backbone
    from keras_clce.models.families import vit
    model = build_backbone("vit_tiny", 32)
    load_checkpoint(model, "vit_tiny.safetensors", [vit.TIMM]).dropped  # ["mask_token"]
    ```
    """
    tensors = read_tensors(path)
    layout = find_layout(tensors, layouts, str(path), model.name)
    return load_layout(model, tensors, layout, str(path))


def _wanted(model: keras.Model, layout: Layout) -> Iterator[tuple[keras.Variable, tuple[str, ...]]]:
    for variable in model.weights:
        if keras.backend.is_int_dtype(variable.dtype):
            continue  # numbers of positions, which are counted and not learned
        layer, _, leaf = variable.path.rpartition("/")
        for pattern, named in layout.parts.items():
            place = re.fullmatch(pattern, layer) or re.fullmatch(pattern, variable.path)
            if place:
                parts = named if isinstance(named, tuple) else (named,)
                modules = (part(place) if callable(part) else place.expand(part) for part in parts)
                yield variable, tuple(module + layout.leaves.get(leaf, "") for module in modules)
                break
        else:
            raise ValueError(f"The layout of {layout.title} has no place for {variable.path}.")


def _to_keras(tensor, variable, layout, parts):
    *rows, columns = variable.shape
    if layout.keras_order:
        # JAX keeps attention's heads as axes of their own.
        shape = (*rows, columns // parts)
        return tensor.reshape(shape) if tensor.size == np.prod(shape) else tensor
    if tensor.ndim == 2 and len(variable.shape) == 2:
        return tensor.T
    heads = (
        parts == 1 and tensor.ndim < len(variable.shape) and tensor.size == np.prod(variable.shape)
    )
    if heads and tensor.ndim in (1, 2):
        # Keras's attention keeps its heads as axes of their own.
        return tensor.T.reshape(variable.shape)
    if tensor.ndim == 4:
        # A depthwise kernel of Keras has its filters where others have their inputs.
        depthwise = columns == 1 and tensor.shape[1] == 1
        return tensor.transpose(2, 3, 0, 1) if depthwise else tensor.transpose(2, 3, 1, 0)
    return tensor

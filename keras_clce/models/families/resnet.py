"""ResNets V1 and V2 of keras-cv, and ResNet-101 of keras-hub, which has timm's layout."""

from pathlib import Path

import keras

from keras_clce.checks import import_module
from keras_clce.models.checkpoints.keras_weights import KERAS_SUFFIX, load_weights_file
from keras_clce.models.checkpoints.layouts import TORCH_LEAVES, Layout
from keras_clce.models.checkpoints.loading import load_checkpoint
from keras_clce.models.checkpoints.preprocessing import published_preprocessing
from keras_clce.models.families.keras_cv import build_keras_cv, preset_weights
from keras_clce.models.graphs import plain_model
from keras_clce.models.pixels import IMAGENET, UNIT, pixel_input, scale_pixels
from keras_clce.models.sources.keras_hub import build_preset
from keras_clce.models.spec import Row, make_row
from keras_clce.models.weights import HF_ADDRESS, KAGGLE_ADDRESS, PublicWeights, Weights

# === Names of tensors ===

_PARTS = {r"conv1_conv": r"conv1", r"conv1_bn": r"bn1"}
for _stack in range(4):
    _block, _layer = rf"stack{_stack}_block(\d+)_", rf"layer{_stack + 1}.\1."
    _PARTS |= {
        _block + r"0_conv": _layer + r"downsample.0",
        _block + r"0_bn": _layer + r"downsample.1",
        _block + r"(\d)_(conv|bn)": _layer + r"\3\2",
    }

TIMM = Layout(
    title="timm or torchvision",
    marks=("conv1.weight", "layer1.0.conv3.weight"),
    parts=_PARTS,
    leaves=TORCH_LEAVES,
    dropped=r"fc\..*",
)

# === Builders ===


def build(
    row: Row,
    image_size: int,
    weights: str | Path | None,
    *,
    version: int,
    blocks: list[int],
    block_type: str,
) -> keras.Model:
    """Build a ResNet V1 or V2 of keras-cv; `weights` is `"imagenet"`, or a preset of keras-cv."""
    arguments = {
        "stackwise_filters": [64, 128, 256, 512],
        "stackwise_blocks": blocks,
        "stackwise_strides": [1, 2, 2, 2],
        "block_type": block_type,
    }
    class_name = "ResNetBackbone" if version == 1 else "ResNetV2Backbone"
    return build_keras_cv(row, image_size, weights, class_name, arguments)


def build_keras_hub(
    row: Row, image_size: int, weights: str | Path | None, *, blocks: list[int]
) -> keras.Model:
    """Build a ResNet of keras-hub; `weights` is `"imagenet"`, a preset of keras-hub, or a file."""
    arguments = {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [7],
        "stackwise_num_filters": [64, 128, 256, 512],
        "stackwise_num_blocks": blocks,
        "stackwise_num_strides": [1, 2, 2, 2],
        "block_type": "bottleneck_block",
        "use_pre_activation": False,
    }
    spec = row.spec
    statistics, interpolation = (spec.mean, spec.std), spec.interpolation
    file = weights if weights is not None and Path(weights).is_file() else None
    if weights is not None and file is None:
        source = row.weights.public_address if weights == "imagenet" else str(weights)
        interpolation = published_preprocessing(Path(source)).get("interpolation", interpolation)
        return build_preset(source, image_size, spec.name, statistics, arguments, interpolation)
    models = import_module("keras_hub.models", spec.name, "keras-hub")
    pixels = pixel_input(image_size, interpolation)
    backbone = models.ResNetBackbone(**arguments, image_shape=(image_size, image_size, 3))
    features = backbone.call(scale_pixels(pixels, *statistics))
    model = plain_model(pixels, features, spec.name)
    if file is not None and str(file).endswith(KERAS_SUFFIX):
        load_weights_file(model, Path(file))
    elif file is not None:
        load_checkpoint(model, file, row.layouts)
    return model


# === Rows ===

_BOTTLENECK, _BASIC = "block", "basic_block"
_DEPTHS = {  # depth: (blocks of each stage, kind of block, millions of parameters)
    18: ([2, 2, 2, 2], _BASIC, 11.2),
    34: ([3, 4, 6, 3], _BASIC, 21.3),
    50: ([3, 4, 6, 3], _BOTTLENECK, 23.5),
    101: ([3, 4, 23, 3], _BOTTLENECK, 42.5),
    152: ([3, 8, 36, 3], _BOTTLENECK, 58.2),
}


def _keras_cv_rows():
    for version, suffix in ((1, ""), (2, "_v2")):
        for depth, (blocks, block_type, parameters) in _DEPTHS.items():
            # `resnet101` alone is keras-hub's, the layout of the public weights.
            name = f"resnet{depth}{suffix}" if (depth, version) != (101, 1) else "resnet101_v1"
            yield make_row(
                name,
                f"ResNet V{version} (keras-cv)",
                build,
                224,
                parameters,
                sizes={"version": version, "blocks": blocks, "block_type": block_type},
                pixels=UNIT,  # keras-cv's own weights expect pixels from 0 to 1
                weights=preset_weights(f"resnet50{suffix}_imagenet" if depth == 50 else None),
            )


ROWS = (
    *_keras_cv_rows(),
    make_row(
        "resnet101",
        "ResNet, stride on the 3x3 (keras-hub)",
        build_keras_hub,
        224,
        42.5,
        sizes={"blocks": [3, 4, 23, 3]},
        pixels=IMAGENET,
        interpolation="bicubic",
        weights=Weights(
            imagenet=PublicWeights("resnet_101_imagenet", "keras-hub preset"),
            files=(".safetensors", ".pth", ".bin", KERAS_SUFFIX),
            folders=("keras-hub preset", "timm's config.json and model.safetensors"),
            addresses=(HF_ADDRESS, KAGGLE_ADDRESS),
        ),
        layouts=(TIMM,),
        timm_name="resnet101",
    ),
)

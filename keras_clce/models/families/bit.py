"""BiT: ResNetV2 of width 1, pre-trained on ImageNet-21k."""

from collections.abc import Sequence
from pathlib import Path

import keras

from keras_clce.models.architectures.bit import big_transfer
from keras_clce.models.checkpoints.layouts import TORCH_LEAVES, Layout
from keras_clce.models.checkpoints.tensors import FOLDER_FILES
from keras_clce.models.from_checkpoint import build_from_checkpoint
from keras_clce.models.pixels import SIGNED
from keras_clce.models.spec import Row, make_row
from keras_clce.models.weights import HF_ADDRESS, TENSOR_FILES, PublicWeights, Weights

# === Names of tensors ===

TIMM = Layout(
    title="timm",
    marks=("stem.conv.weight", "stages.0.blocks.0.norm3.weight"),
    parts={
        r"stem_conv": r"stem.conv",
        r"stage(\d+)_block(\d+)_downsample": r"stages.\1.blocks.\2.downsample.conv",
        r"stage(\d+)_block(\d+)_(conv\d|norm\d)": r"stages.\1.blocks.\2.\3",
        r"norm": r"norm",
    },
    leaves=TORCH_LEAVES,
    dropped=r"head\..*",
)

_LETTERS = {"1": "a", "2": "b", "3": "c"}
_KINDS = {"conv": "standardized_conv2d", "norm": "group_norm"}


def _unit(place):
    stage, block = int(place["stage"]) + 1, int(place["block"]) + 1
    return f"resnet/block{stage}/unit{block:02d}"


_BLOCK = r"stage(?P<stage>\d+)_block(?P<block>\d+)_"

GOOGLE = Layout(
    title="Google's big_transfer (.npz)",
    marks=("resnet/root_block/standardized_conv2d/kernel",),
    parts={
        r"stem_conv": r"resnet/root_block/standardized_conv2d",
        _BLOCK + r"downsample": lambda place: f"{_unit(place)}/a/proj/standardized_conv2d",
        _BLOCK + r"(?P<kind>conv|norm)(?P<number>\d)": lambda place: (
            f"{_unit(place)}/{_LETTERS[place['number']]}/{_KINDS[place['kind']]}"
        ),
        r"norm": r"resnet/group_norm",
    },
    leaves={"kernel": "/kernel", "gamma": "/gamma", "beta": "/beta"},
    dropped=r"resnet/head/.*",
    keras_order=True,
)

# === Builder and rows ===


def build(
    row: Row,
    image_size: int,
    weights: str | Path | None,
    *,
    blocks: Sequence[int],
    stochastic_depth: float = 0.0,
) -> keras.Model:
    """Build a BiT ResNet; `weights` is a file or folder of tensors, or an address of such."""
    sizes = {"blocks": blocks, "stochastic_depth": stochastic_depth}
    return build_from_checkpoint(row, image_size, weights, big_transfer, sizes)


ROWS = (
    make_row(
        "resnet101_in21k",
        "BiT ResNetV2, ImageNet-21k",
        build,
        224,
        42.5,
        sizes={"blocks": [3, 4, 23, 3]},
        pixels=SIGNED,
        weights=Weights(
            imagenet=PublicWeights("hf://timm/resnetv2_101x1_bit.goog_in21k"),
            files=TENSOR_FILES,
            folders=FOLDER_FILES,
            addresses=(HF_ADDRESS,),
        ),
        layouts=(TIMM, GOOGLE),
        options=("stochastic_depth",),
        timm_name="resnetv2_101x1_bit",
    ),
)

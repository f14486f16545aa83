"""Names of timm's BiT ResNetV2 (`resnetv2_101x1_bit`)."""

from keras_clce.models.checkpoints.layouts import TORCH_LEAVES, Layout

TIMM_BIT = Layout(
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

"""Names of timm's and torchvision's ResNets, against those of keras-hub's layers."""

from keras_clce.models.checkpoints.layouts import TORCH_LEAVES, Layout

_PARTS = {r"conv1_conv": r"conv1", r"conv1_bn": r"bn1"}
for _stack in range(4):
    _block, _layer = rf"stack{_stack}_block(\d+)_", rf"layer{_stack + 1}.\1."
    _PARTS |= {
        _block + r"0_conv": _layer + r"downsample.0",
        _block + r"0_bn": _layer + r"downsample.1",
        _block + r"(\d)_(conv|bn)": _layer + r"\3\2",
    }

TIMM_RESNET = Layout(
    title="timm or torchvision",
    marks=("conv1.weight", "layer1.0.conv3.weight"),
    parts=_PARTS,
    leaves=TORCH_LEAVES,
    dropped=r"fc\..*",
)

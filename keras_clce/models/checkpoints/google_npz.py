"""Names in Google's `.npz` files: the Vision Transformers of JAX, and BiT."""

from keras_clce.models.checkpoints.layouts import Layout

# === Vision Transformers ===

_LEAVES = {
    "kernel": "/kernel",
    "bias": "/bias",
    "gamma": "/scale",
    "beta": "/bias",
    "class_token": "",
    "positions": "",
}
_BLOCK = r"Transformer/encoderblock_\1/"
_ATTENTION = f"{_BLOCK}MultiHeadDotProductAttention_1/"

GOOGLE_VIT = Layout(
    title="Google's vision_transformer (.npz)",
    marks=("embedding/kernel", "Transformer/encoderblock_0/LayerNorm_0/scale"),
    parts={
        r"patch": r"embedding",
        r"tokens/class_token": r"cls",
        r"tokens/positions": r"Transformer/posembed_input/pos_embedding",
        r"block(\d+)_attention/norm": _BLOCK + r"LayerNorm_0",
        r"block(\d+)_attention/qkv": tuple(_ATTENTION + n for n in ("query", "key", "value")),
        r"block(\d+)_attention/projection": _ATTENTION + r"out",
        r"block(\d+)_mlp/norm": _BLOCK + r"LayerNorm_2",
        r"block(\d+)_mlp/fc1": _BLOCK + r"MlpBlock_3/Dense_0",
        r"block(\d+)_mlp/fc2": _BLOCK + r"MlpBlock_3/Dense_1",
        r"norm": r"Transformer/encoder_norm",
    },
    leaves=_LEAVES,
    dropped=r"(head|pre_logits)/.*",
    keras_order=True,
)

# === BiT ===

_LETTERS = {"1": "a", "2": "b", "3": "c"}
_KINDS = {"conv": "standardized_conv2d", "norm": "group_norm"}


def _unit(place):
    stage, block = int(place["stage"]) + 1, int(place["block"]) + 1
    return f"resnet/block{stage}/unit{block:02d}"


_BIT_BLOCK = r"stage(?P<stage>\d+)_block(?P<block>\d+)_"

GOOGLE_BIT = Layout(
    title="Google's big_transfer (.npz)",
    marks=("resnet/root_block/standardized_conv2d/kernel",),
    parts={
        r"stem_conv": r"resnet/root_block/standardized_conv2d",
        _BIT_BLOCK + r"downsample": lambda place: f"{_unit(place)}/a/proj/standardized_conv2d",
        _BIT_BLOCK + r"(?P<kind>conv|norm)(?P<number>\d)": lambda place: (
            f"{_unit(place)}/{_LETTERS[place['number']]}/{_KINDS[place['kind']]}"
        ),
        r"norm": r"resnet/group_norm",
    },
    leaves={"kernel": "/kernel", "gamma": "/gamma", "beta": "/beta"},
    dropped=r"resnet/head/.*",
    keras_order=True,
)

"""Names in Google's `.npz` files: the Vision Transformers of JAX, and BiT."""

from keras_clce.models.checkpoints.layouts import Layout

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

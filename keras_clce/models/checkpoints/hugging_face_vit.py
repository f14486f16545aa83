"""Names of Hugging Face's `ViTModel` and `ViTForImageClassification`."""

from keras_clce.models.checkpoints.layouts import TORCH_LEAVES, Layout

# The library's own default, far from the 1e-6 of other ViTs.
HUGGING_FACE_EPSILON = 1e-12

_LAYER = r"vit.encoder.layer.\1."

HUGGING_FACE_VIT = Layout(
    title="Hugging Face transformers",
    marks=("vit.embeddings.cls_token", "vit.encoder.layer.0.attention.attention.query.weight"),
    parts={
        r"patch": r"vit.embeddings.patch_embeddings.projection",
        r"tokens/class_token": r"vit.embeddings.cls_token",
        r"tokens/positions": r"vit.embeddings.position_embeddings",
        r"block(\d+)_attention/norm": _LAYER + r"layernorm_before",
        r"block(\d+)_attention/qkv": tuple(
            f"{_LAYER}attention.attention.{name}" for name in ("query", "key", "value")
        ),
        r"block(\d+)_attention/projection": _LAYER + r"attention.output.dense",
        r"block(\d+)_mlp/norm": _LAYER + r"layernorm_after",
        r"block(\d+)_mlp/fc1": _LAYER + r"intermediate.dense",
        r"block(\d+)_mlp/fc2": _LAYER + r"output.dense",
        r"norm": r"vit.layernorm",
    },
    leaves=TORCH_LEAVES,
    dropped=r"classifier\..*|vit\.pooler\..*|vit\.embeddings\.mask_token",
)

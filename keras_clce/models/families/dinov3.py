"""DINOv3: Vision Transformers with rotary positions, pre-trained without labels."""

from keras_clce.models.checkpoints.layouts import Layout
from keras_clce.models.families.dinov2 import without_prefix
from keras_clce.models.families.hub_transformers import LEAVES, make_hub_row
from keras_clce.models.hub_encoders import DINOV3_LICENCE
from keras_clce.models.pixels import IMAGENET

# === Names of tensors ===

_BLOCK, _LAYER = r"tower_encoder/layers_(\d+)/", r"layer.\1."

HUGGING_FACE = Layout(
    title="Hugging Face transformers",
    marks=("embeddings.register_tokens", "layer.0.layer_scale1.lambda1"),
    parts={
        r"tower_embeddings/(cls_token|register_tokens)": r"embeddings.\1",
        r"tower_embeddings/patch_embeddings/projection": r"embeddings.patch_embeddings",
        _BLOCK + r"attention/(\w_proj)": _LAYER + r"attention.\2",
        _BLOCK + r"(norm\d)": _LAYER + r"\2",
        _BLOCK + r"(layer_scale\d)/lambda1": _LAYER + r"\2.lambda1",
        _BLOCK + r"mlp/(\w+_proj)": _LAYER + r"mlp.\2",
        r"tower_layernorm": r"norm",
    },
    leaves=LEAVES,
    dropped=r"embeddings\.mask_token",
    prepare=without_prefix,
)

# === Rows ===

_SIZES = {  # size: (dimension, blocks, heads, inside the MLP), gated MLP, name, millions
    "small": ((384, 12, 6, 1536), False, "s16", 21.6),
    "small_plus": ((384, 12, 6, 1536), True, "s16plus", 28.7),
    "base": ((768, 12, 12, 3072), False, "b16", 85.7),
    "large": ((1024, 24, 16, 4096), False, "l16", 303.1),
}

ROWS = tuple(
    make_hub_row(
        f"dinov3_{size}",
        "DINOv3 (keras-hub)",
        "DINOV3Backbone",
        f"hf://facebook/dinov3-vit{name}-pretrain-lvd1689m",
        widths,
        16,
        parameters,
        layouts=(HUGGING_FACE,),
        pixels=IMAGENET,
        licence=DINOV3_LICENCE,
        num_register_tokens=4,
        use_mask_token=False,
        use_key_bias=False,
        use_gated_mlp=gated,
        hidden_activation="silu" if gated else "gelu",
        layer_norm_eps=1e-5,
        rope_theta=100.0,
    )
    for size, (widths, gated, name, parameters) in _SIZES.items()
)

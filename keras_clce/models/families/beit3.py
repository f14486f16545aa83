"""BEiT-3's vision branch: a Vision Transformer with norms inside of attention and MLP."""

import functools

from keras_clce.models.checkpoints.layouts import Layout
from keras_clce.models.families import vit
from keras_clce.models.families.vit import LEAVES, POOLED_PATCHES, make_vit_row
from keras_clce.models.pixels import IMAGENET

# === Names of tensors ===

# The vision expert is "A", the language expert "B".
_LAYER = r"beit3.encoder.layers.\1."

OFFICIAL = Layout(
    title="BEiT-3's authors",
    marks=("beit3.vision_embed.proj.weight", "beit3.encoder.layers.0.self_attn.q_proj.A.weight"),
    parts={
        r"patch": r"beit3.vision_embed.proj",
        r"tokens/class_token": r"beit3.vision_embed.cls_token",
        r"tokens/positions": r"beit3.encoder.embed_positions.A.weight",
        r"block(\d+)_attention/norm": _LAYER + r"self_attn_layer_norm.A",
        r"block(\d+)_attention/qkv": tuple(
            f"{_LAYER}self_attn.{letter}_proj.A" for letter in "qkv"
        ),
        r"block(\d+)_attention/inner_norm": _LAYER + r"self_attn.inner_attn_ln.A",
        r"block(\d+)_attention/projection": _LAYER + r"self_attn.out_proj.A",
        r"block(\d+)_mlp/norm": _LAYER + r"final_layer_norm.A",
        r"block(\d+)_mlp/fc1": _LAYER + r"ffn.A.fc1",
        r"block(\d+)_mlp/inner_norm": _LAYER + r"ffn.A.ffn_layernorm",
        r"block(\d+)_mlp/fc2": _LAYER + r"ffn.A.fc2",
        r"norm": r"beit3.encoder.layer_norm.A",
        r"fc_norm": r"fc_norm",
    },
    leaves=LEAVES,
    dropped=(
        r".*\.B\..*|beit3\.text_embed\..*|beit3\.vision_embed\.mask_token|head\..*|pooler\..*"
        r"|(language|vision)_head\..*|logit_scale|mlm_head\..*|mim_head\..*"
    ),
    # A habit of fairseq's, whose tables begin with padding.
    unused_positions=2,
)

# === Rows ===

SETTINGS = {"epsilon": 1e-5, "sub_norm": True, **POOLED_PATCHES}
_PARAMETERS = {"base": 85.9, "large": 303.5}  # millions

ROWS = tuple(
    make_vit_row(
        f"beit3_{size}",
        "BEiT-3, vision branch",
        size,
        f"hf://timm/beit3_{size}_patch16_224.in22k_ft_in1k",
        pixels=IMAGENET,
        parameters=parameters,
        licence="MIT",
        layouts=(vit.TIMM, OFFICIAL),
        build=functools.partial(vit.build, settings=SETTINGS),
        timm_name=f"beit3_{size}_patch16_224",
    )
    for size, parameters in _PARAMETERS.items()
)

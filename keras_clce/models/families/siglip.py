"""SigLIP and SigLIP 2: image encoders that pool by attention, pre-trained beside texts."""

from typing import Any

import numpy as np

from keras_clce.models.checkpoints.layouts import Layout
from keras_clce.models.families.hub_transformers import LEAVES, make_hub_row
from keras_clce.models.pixels import SIGNED

# === Names of tensors ===

_POOL = "head.attention."


def image_tensors(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Take the image tower's tensors out of the whole model, its joined projections apart.

    Args:
        tensors: Name to array; of the whole model or of the tower alone.

    Returns:
        The tower's under their names in it; those of other parts as they are.
    """
    prepared = {}
    for name, value in tensors.items():
        name = name.removeprefix("vision_model.")
        joined = name.removeprefix(_POOL + "in_proj_")
        if joined == name or value.shape[0] % 3:
            prepared[name] = value
            continue
        for part, third in zip(("query", "key", "value"), np.split(value, 3), strict=True):
            prepared[f"{_POOL}{part}.{joined}"] = third
    return prepared


_BLOCK, _LAYER = r"tower_encoder_block_(\d+)/", r"encoder.layers.\1."

HUGGING_FACE = Layout(
    title="Hugging Face transformers",
    marks=("embeddings.position_embedding.weight", "head.probe"),
    parts={
        r"tower_embedding/patch_embedding": r"embeddings.patch_embedding",
        r"tower_embedding/position_embedding/embeddings": r"embeddings.position_embedding.weight",
        _BLOCK + r"self_attn/query": _LAYER + r"self_attn.q_proj",
        _BLOCK + r"self_attn/key": _LAYER + r"self_attn.k_proj",
        _BLOCK + r"self_attn/value": _LAYER + r"self_attn.v_proj",
        _BLOCK + r"self_attn/attention_output": _LAYER + r"self_attn.out_proj",
        _BLOCK + r"(layer_norm\d)": _LAYER + r"\2",
        _BLOCK + r"mlp/(fc1|fc2)": _LAYER + r"mlp.\2",
        r"tower_post_layer_norm": r"post_layernorm",
        r"tower_head/variable(_\d+)?": r"head.probe",
        r"tower_head/attention/(query|key|value)": _POOL + r"\1",
        r"tower_head/attention/attention_output": _POOL + r"out_proj",
        r"tower_head/layernorm": r"head.layernorm",
        r"tower_head/mlp/(fc1|fc2)": r"head.mlp.\1",
    },
    leaves=LEAVES,
    dropped=r"text_model\..*|logit_scale|logit_bias|embeddings\.position_ids",
    prepare=image_tensors,
    positions=r".*position_embedding/embeddings",
    tokens_before=0,
    antialias=False,
)

# === Rows ===

_SIZES: dict[str, dict[str, Any]] = {
    "base": {"widths": (768, 12, 12, 3072), "patch_size": 16, "parameters": 92.9},
    "large": {
        "widths": (1024, 24, 16, 4096),
        "patch_size": 16,
        "parameters": 315.9,
        "image_size": 256,
    },
    "so400m": {"widths": (1152, 27, 16, 4304), "patch_size": 14, "parameters": 427.7},
}

ROWS = tuple(
    make_hub_row(
        f"{version}_{size}",
        f"{title}, image tower (keras-hub)",
        "SigLIPVisionEncoder",
        f"hf://google/{version}-{size}-patch{about['patch_size']}-{about.get('image_size', 224)}",
        layouts=(HUGGING_FACE,),
        pixels=SIGNED,
        interpolation=interpolation,
        **about,
    )
    for version, title, interpolation in (
        ("siglip", "SigLIP", "bicubic"),
        ("siglip2", "SigLIP 2", "bilinear"),
    )
    for size, about in _SIZES.items()
)

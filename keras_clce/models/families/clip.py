"""CLIP and MetaCLIP 2: image encoders that were pre-trained beside texts."""

from typing import Any

from keras_clce.models.checkpoints.layouts import Layout
from keras_clce.models.families.hub_transformers import LEAVES, make_hub_row
from keras_clce.models.families.siglip import image_tensors
from keras_clce.models.hub_encoders import NON_COMMERCIAL
from keras_clce.models.pixels import CLIP

# === Names of tensors ===

_BLOCK, _LAYER = r"tower_encoder_block_(\d+)/", r"encoder.layers.\1."

HUGGING_FACE = Layout(
    title="Hugging Face transformers",
    marks=("embeddings.class_embedding", "pre_layrnorm.weight"),
    parts={
        r"tower_embedding/class_embedding": r"embeddings.class_embedding",
        r"tower_embedding/patch_embedding": r"embeddings.patch_embedding",
        r"tower_embedding/position_embedding/embeddings": r"embeddings.position_embedding.weight",
        r"tower_pre_layer_norm": r"pre_layrnorm",
        _BLOCK + r"attention/query": _LAYER + r"self_attn.q_proj",
        _BLOCK + r"attention/key": _LAYER + r"self_attn.k_proj",
        _BLOCK + r"attention/value": _LAYER + r"self_attn.v_proj",
        _BLOCK + r"attention/attention_output": _LAYER + r"self_attn.out_proj",
        _BLOCK + r"layer_norm_(\d)": _LAYER + r"layer_norm\2",
        _BLOCK + r"dense_(\d)": _LAYER + r"mlp.fc\2",
        r"tower_layer_norm": r"post_layernorm",
    },
    leaves=LEAVES,
    dropped=(
        r"text_model\..*|logit_scale|embeddings\.position_ids"
        r"|(visual|text)_projection\.weight|classifier\..*"
    ),
    prepare=image_tensors,
    positions=r".*position_embedding/embeddings",
    antialias=False,
)

# === Settings ===

SETTINGS = {"intermediate_activation": "quick_gelu"}
_ACTIVATIONS = ("quick_gelu", "gelu")


def settings_of(tensors: Any, layout: Layout, config: dict[str, Any]) -> dict[str, Any]:
    """Read the activation from a folder's `config.json`; files of others than OpenAI have GELU.

    Args:
        tensors: Name to array.
        layout: What the names follow.
        config: The folder's `config.json`, or an empty dict.

    Returns:
        The settings that differ from the usual ones.

    Raises:
        ValueError: If the file has another activation.
    """
    tower = config.get("vision_config")
    config = tower if isinstance(tower, dict) else config
    activation = config.get("hidden_act", SETTINGS["intermediate_activation"])
    if activation not in _ACTIVATIONS:
        raise ValueError(
            f"`weights` must have one of {', '.join(_ACTIVATIONS)} as hidden_act in its "
            f"config.json. Received: hidden_act={activation!r}"
        )
    return {"intermediate_activation": activation}


# === Rows ===

_ROWS = (  # name, address, widths, patch size, millions of parameters
    ("clip_base", "openai/clip-vit-base-patch16", (768, 12, 12, 3072), 16, 86.2),
    ("clip_large", "openai/clip-vit-large-patch14", (1024, 24, 16, 4096), 14, 303.2),
    (
        "metaclip2_huge",
        "facebook/metaclip-2-worldwide-huge-quickgelu",
        (1280, 32, 16, 5120),
        14,
        630.8,
    ),
)

ROWS = tuple(
    make_hub_row(
        name,
        f"{'CLIP' if name.startswith('clip') else 'MetaCLIP 2'}, image tower (keras-hub)",
        "CLIPVisionEncoder",
        f"hf://{address}",
        widths,
        patch_size,
        parameters,
        layouts=(HUGGING_FACE,),
        pixels=CLIP,
        licence="MIT" if name.startswith("clip") else NON_COMMERCIAL,
        settings=SETTINGS,
        settings_of=settings_of,
    )
    for name, address, widths, patch_size, parameters in _ROWS
)

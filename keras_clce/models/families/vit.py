"""Vision Transformers as pre-trained by Google, and what MAE and BEiT-3 share with them."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_clce.models.architectures.vit import vision_transformer
from keras_clce.models.checkpoints.layouts import TORCH_LEAVES, Layout
from keras_clce.models.checkpoints.tensors import FOLDER_FILES
from keras_clce.models.from_checkpoint import build_from_checkpoint
from keras_clce.models.pixels import SIGNED, Statistics
from keras_clce.models.spec import DepthGroups, Row, make_row
from keras_clce.models.weights import HF_ADDRESS, TENSOR_FILES, PublicWeights, Weights

# === Names of tensors ===

LEAVES = {**TORCH_LEAVES, "class_token": "", "positions": ""}
# The default of Hugging Face's library, far from the 1e-6 of other ViTs.
HUGGING_FACE_EPSILON = 1e-12

# MAE's own files, and timm's BEiT-3, have the same names.
TIMM = Layout(
    title="timm or MAE",
    marks=("patch_embed.proj.weight", "blocks.0.attn.qkv.weight"),
    parts={
        r"patch": r"patch_embed.proj",
        r"tokens/class_token": r"cls_token",
        r"tokens/positions": r"pos_embed",
        r"block(\d+)_attention/norm": r"blocks.\1.norm1",
        r"block(\d+)_attention/qkv": r"blocks.\1.attn.qkv",
        r"block(\d+)_attention/inner_norm": r"blocks.\1.attn.norm",
        r"block(\d+)_attention/projection": r"blocks.\1.attn.proj",
        r"block(\d+)_mlp/norm": r"blocks.\1.norm2",
        r"block(\d+)_mlp/fc1": r"blocks.\1.mlp.fc1",
        r"block(\d+)_mlp/inner_norm": r"blocks.\1.mlp.norm",
        r"block(\d+)_mlp/fc2": r"blocks.\1.mlp.fc2",
        r"norm": r"norm",
        r"fc_norm": r"fc_norm",
    },
    leaves=LEAVES,
    dropped=r"(head|pre_logits)\..*|mask_token|decoder_.*",
)

_LAYER = r"vit.encoder.layer.\1."

HUGGING_FACE = Layout(
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
    leaves=LEAVES,
    dropped=r"classifier\..*|vit\.pooler\..*|vit\.embeddings\.mask_token",
)

_BLOCK = r"Transformer/encoderblock_\1/"
_ATTENTION = f"{_BLOCK}MultiHeadDotProductAttention_1/"

GOOGLE = Layout(
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
    leaves={
        "kernel": "/kernel",
        "bias": "/bias",
        "gamma": "/scale",
        "beta": "/bias",
        "class_token": "",
        "positions": "",
    },
    dropped=r"(head|pre_logits)/.*",
    keras_order=True,
)

LAYOUTS = (TIMM, HUGGING_FACE, GOOGLE)

# === Depth ===

DEPTH_GROUPS = DepthGroups(stem=r"(?:patch|tokens)", block=r"block(\d+)_")

# === Builder ===

CLASS_TOKEN = {"final_norm": True, "pool": "token", "fc_norm": False}
POOLED_PATCHES = {"final_norm": False, "pool": "mean", "fc_norm": True}
SETTINGS = {"epsilon": 1e-6, "sub_norm": False, **CLASS_TOKEN}


def build(
    row: Row,
    image_size: int,
    weights: str | Path | None,
    *,
    settings: dict[str, Any] = SETTINGS,
    **sizes: Any,
) -> keras.Model:
    """Build a Vision Transformer; `weights` is a file or folder of tensors, or such an address.

    Args:
        row: The encoder.
        image_size: Height and width of the images in pixels.
        weights: As in `build_backbone`.
        settings: Norms and pooling, which a file of weights may change.
        **sizes: Further arguments of `vision_transformer`.

    Returns:
        The model that `build_backbone` describes.
    """

    def graph(images, **settings):
        return vision_transformer(images, **sizes, **settings)

    return build_from_checkpoint(row, image_size, weights, graph, settings, settings_of)


def settings_of(
    tensors: dict[str, np.ndarray], layout: Layout, config: dict[str, Any]
) -> dict[str, Any]:
    """Read from a file how its encoder ends, with norms of the tokens or of their mean.

    Args:
        tensors: Name to array.
        layout: What the names follow.
        config: The folder's `config.json`, or an empty dict.

    Returns:
        The settings that differ from the usual ones.

    Raises:
        ValueError: If the file has an epsilon that is none.
    """
    settings: dict[str, Any] = {"final_norm": True, "fc_norm": False}
    if "fc_norm.weight" in tensors:
        settings = dict(POOLED_PATCHES)
    if layout is HUGGING_FACE:
        epsilon = config.get("layer_norm_eps", HUGGING_FACE_EPSILON)
        if not isinstance(epsilon, float) or not 0 < epsilon < 1:
            raise ValueError(
                "`weights` must have a layer_norm_eps within (0, 1) in its config.json. "
                f"Received: layer_norm_eps={epsilon!r}"
            )
        settings["epsilon"] = epsilon
    return settings


# === Rows ===

WIDTHS = {  # size: (dimension, blocks, heads)
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
}
PARAMETERS = {"tiny": 5.5, "small": 21.7, "base": 85.8, "large": 303.3}  # millions


def make_vit_row(
    name: str,
    family: str,
    size: str,
    imagenet: str,
    *,
    pixels: Statistics,
    parameters: float | None = None,
    licence: str = "Apache-2.0",
    layouts: tuple[Layout, ...] = LAYOUTS,
    **more: Any,
) -> Row:
    """Make the row of a Vision Transformer with patches of 16 px.

    Args:
        name: As in `BackboneSpec`, and so is `family`.
        family: See `name`.
        size: A key of `WIDTHS`.
        imagenet: Address of the public weights.
        pixels: Mean and standard deviation of the pixels.
        parameters: Millions of parameters. Defaults to those of ViT.
        licence: Licence of the weights.
        layouts: How files name the tensors. Defaults to those of ViT.
        **more: Further arguments of `make_row`; `build` defaults to that of ViT.

    Returns:
        The row.
    """
    hidden_dim, num_layers, num_heads = WIDTHS[size]
    return make_row(
        name,
        family,
        more.pop("build", build),
        224,
        PARAMETERS[size] if parameters is None else parameters,
        sizes={
            "patch_size": 16,
            "hidden_dim": hidden_dim,
            "num_layers": num_layers,
            "num_heads": num_heads,
        },
        pixels=pixels,
        interpolation="bicubic",
        weights=Weights(
            imagenet=PublicWeights(imagenet),
            files=TENSOR_FILES,
            folders=FOLDER_FILES,
            addresses=(HF_ADDRESS,),
            licence=licence,
        ),
        layouts=layouts,
        options=("stochastic_depth", "remat"),
        depth_groups=DEPTH_GROUPS,
        **more,
    )


_IMAGENET = {  # size: address of the public weights
    "tiny": "hf://timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "small": "hf://timm/vit_small_patch16_224.augreg_in21k_ft_in1k",
    "base": "hf://timm/vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "large": "hf://timm/vit_large_patch16_224.augreg_in21k_ft_in1k",
}

ROWS = tuple(
    make_vit_row(
        f"vit_{size}",
        "Vision Transformer",
        size,
        address,
        pixels=SIGNED,
        timm_name=f"vit_{size}_patch16_224",
    )
    for size, address in _IMAGENET.items()
)

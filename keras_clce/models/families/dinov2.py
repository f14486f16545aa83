"""DINOv2: Vision Transformers pre-trained without labels, with and without register tokens."""

from keras_clce.models.checkpoints.layouts import Layout
from keras_clce.models.families.hub_transformers import LEAVES, make_hub_row
from keras_clce.models.pixels import IMAGENET

# === Names of tensors ===

# The reader puts `vit.` before bare models of Hugging Face's; a classifier has the kind's name.
_PREFIXES = ("vit.", "dinov2.", "dinov2_with_registers.")


def without_prefix(tensors):
    """Take the model's name away from the names of its tensors."""
    return {
        next((name[len(p) :] for p in _PREFIXES if name.startswith(p)), name): value
        for name, value in tensors.items()
    }


_BLOCK, _LAYER = r"tower_encoder/layers_(\d+)/", r"encoder.layer.\1."
_PARTS = {
    r"tower_embeddings/cls_token": r"embeddings.cls_token",
    r"tower_embeddings/register_tokens": r"embeddings.register_tokens",
    r"tower_embeddings/(interpolated_)?position_embeddings": r"embeddings.position_embeddings",
    r"tower_embeddings/patch_embeddings/projection": r"embeddings.patch_embeddings.projection",
    _BLOCK + r"attention/attention/(query|key|value)": _LAYER + r"attention.attention.\2",
    _BLOCK + r"attention/attention/attention_output": _LAYER + r"attention.output.dense",
    _BLOCK + r"(norm\d)": _LAYER + r"\2",
    _BLOCK + r"(layer_scale\d)/lambda1": _LAYER + r"\2.lambda1",
    _BLOCK + r"mlp/(fc1|fc2)": _LAYER + r"mlp.\2",
    r"tower_layernorm": r"layernorm",
}


def _layout(title, marks, antialias):
    return Layout(
        title=title,
        marks=("embeddings.position_embeddings", "encoder.layer.0.layer_scale1.lambda1", *marks),
        parts=_PARTS,
        leaves=LEAVES,
        dropped=r"embeddings\.mask_token|classifier\..*",
        prepare=without_prefix,
        positions=r".*position_embeddings",
        antialias=antialias,
    )


PLAIN = _layout("Hugging Face transformers", (), antialias=False)
WITH_REGISTERS = _layout(
    "Hugging Face transformers, with registers", ("embeddings.register_tokens",), antialias=True
)

# === Rows ===

_SIZES = {  # size: (dimension, blocks, heads, inside the MLP), millions of parameters
    "small": ((384, 12, 6, 1536), 22.1),
    "base": ((768, 12, 12, 3072), 86.6),
    "large": ((1024, 24, 16, 4096), 304.4),
}


def _rows():
    for infix, address, layout, registers in (
        ("", "dinov2-", PLAIN, 0),
        ("_registers", "dinov2-with-registers-", WITH_REGISTERS, 4),
    ):
        for size, (widths, parameters) in _SIZES.items():
            yield make_hub_row(
                f"dinov2{infix}_{size}",
                "DINOv2" + (" with registers" if registers else "") + " (keras-hub)",
                "DINOV2Backbone",
                f"hf://facebook/{address}{size}",
                widths,
                14,
                parameters,
                layouts=(layout,),
                pixels=IMAGENET,
                num_register_tokens=registers,
                use_mask_token=False,
            )


ROWS = tuple(_rows())

"""Encoders of masked autoencoders (MAE): Vision Transformers with other weights and pixels."""

from keras_clce.models.families.vit import make_vit_row
from keras_clce.models.pixels import IMAGENET

ROWS = tuple(
    make_vit_row(
        f"mae_{size}",
        "Vision Transformer (MAE)",
        size,
        f"hf://timm/vit_{size}_patch16_224.mae",
        pixels=IMAGENET,
        licence="CC-BY-NC-4.0",
        timm_name=f"vit_{size}_patch16_224.mae",
    )
    for size in ("base", "large")
)

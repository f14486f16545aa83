"""Hugging Face's transformers, the PyTorch oracle of encoders that keras-hub builds."""

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from timm_helper import channels_first

from keras_clce.models import registry
from keras_clce.models.timm_reference import _without_operators_of_torchvision

SIZE, PATCH = 32, 8
TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": PATCH,
    "image_size": SIZE,
}
ROW_SIZES = {
    "hidden_dim": 32,
    "num_layers": 2,
    "num_heads": 2,
    "patch_size": PATCH,
    "intermediate_dim": 64,
}


def import_transformers() -> ModuleType:
    """Import transformers, also where torchvision was built for another torch."""
    with _without_operators_of_torchvision():
        import transformers
        import transformers.image_utils  # which imports torchvision
    return transformers


def _texts(transformers, kind, vision):
    text = {
        **{name: TINY[name] for name in ("hidden_size", "num_hidden_layers")},
        **{"num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 11},
        **{"max_position_embeddings": 4, "bos_token_id": 0, "eos_token_id": 1},
    }
    more = {} if kind == "Siglip" else {"projection_dim": 16}
    config = getattr(transformers, f"{kind}Config")
    whole = config(vision_config=vision, text_config=text, **more)
    return getattr(transformers, f"{kind}Model")(whole)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A tiny encoder of a row, and the model of transformers that it must equal.

    Args:
        row: Name of the row.
        make: Makes the model.
        hub: Whether keras-hub reads what transformers saves.
    """

    row: str
    make: Callable[[ModuleType], Any]
    hub: bool


KINDS = {
    kind.row: kind
    for kind in (
        Kind("dinov2_small", lambda t: t.Dinov2Model(t.Dinov2Config(mlp_ratio=2, **TINY)), True),
        Kind(
            "dinov2_registers_small",
            lambda t: t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(mlp_ratio=2, **TINY)),
            True,
        ),
        Kind("dinov3_small", lambda t: t.DINOv3ViTModel(_dinov3(t)), True),
        Kind(
            "dinov3_small_plus",
            lambda t: t.DINOv3ViTModel(_dinov3(t, use_gated_mlp=True, hidden_act="silu")),
            True,
        ),
        Kind("siglip2_base", lambda t: _texts(t, "Siglip", {**TINY, **_MLP}), False),
        Kind(
            "clip_base",
            lambda t: _texts(t, "CLIP", {**TINY, **_MLP, "hidden_act": "quick_gelu"}),
            False,
        ),
        Kind(
            "metaclip2_huge",
            lambda t: _texts(t, "MetaClip2", {**TINY, **_MLP, "hidden_act": "gelu"}),
            True,
        ),
    )
}
_MLP = {"intermediate_size": 64}


def _dinov3(transformers, **options):
    return transformers.DINOv3ViTConfig(num_register_tokens=4, **TINY, **_MLP, **options)


def perturbed(model: torch.nn.Module) -> torch.nn.Module:
    """The model with every weight moved, so that a mix-up cannot go unseen."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in model.parameters():
            noise = torch.rand(value.shape, generator=generator) - 0.5
            value.mul_(1 + 0.4 * noise).add_(0.1 * noise.flip(0))
    return model.eval()


def features(model: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """What users of the encoder pool, of channels-last scaled images."""
    tower = getattr(model, "vision_model", model)
    positions = images.shape[1] != SIZE and hasattr(tower.config, "vision_use_head")
    clip = "clip" in type(model).__name__.lower()
    options = {"interpolate_pos_encoding": True} if positions or clip else {}
    with torch.no_grad():
        return tower(channels_first(images).float(), **options).pooler_output.numpy()


def shrink(monkeypatch: Any, name: str) -> None:
    """Make a row of the registry the tiny encoder."""
    row = registry.find_row(name)
    tiny = dataclasses.replace(row, sizes={**row.sizes, **ROW_SIZES})
    family = next(key for key, rows in registry.FAMILIES.items() if row in rows)
    monkeypatch.setitem(registry.FAMILIES, family, (tiny,))

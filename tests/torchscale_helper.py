"""torchscale's BEiT-3, the reference of its authors' files, without the old dependencies."""

import sys
import types

import pytest
import timm_helper


def beit3_base(final_norm: bool, image_size: int = 224):
    """Build BEiT-3 base by torchscale, with random weights and small tables for text."""
    if "fairscale" not in sys.modules:
        # It wraps layers for sharded training; nothing of that happens here.
        stub = types.ModuleType("fairscale.nn")
        stub.checkpoint_wrapper = stub.wrap = lambda module, **options: module
        sys.modules["fairscale"] = types.ModuleType("fairscale")
        sys.modules["fairscale.nn"] = stub
    timm_helper.import_timm()  # torchscale imports it as well
    pytest.importorskip("torchscale", reason="pip install --no-deps torchscale")
    from torchscale.architecture.config import EncoderConfig
    from torchscale.model.BEiT3 import BEiT3

    return BEiT3(
        EncoderConfig(
            img_size=image_size,
            patch_size=16,
            vocab_size=16,
            multiway=True,
            layernorm_embedding=False,
            normalize_output=final_norm,
            no_output_layer=True,
            drop_path_rate=0.0,
            encoder_embed_dim=768,
            encoder_attention_heads=12,
            encoder_ffn_embed_dim=3072,
            encoder_layers=12,
            max_source_positions=16,
        )
    )

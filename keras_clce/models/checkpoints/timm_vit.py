"""Names of timm's Vision Transformers; MAE's own files, and timm's BEiT-3, have the same."""

from keras_clce.models.checkpoints.layouts import TORCH_LEAVES, Layout

TIMM_VIT = Layout(
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
    leaves=TORCH_LEAVES,
    dropped=r"(head|pre_logits)\..*|mask_token|decoder_.*",
)

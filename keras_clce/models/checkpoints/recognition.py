"""Say in words what a file of tensors looks like, for messages."""

import re

import numpy as np

_SIGNS = (
    (r"beit3\.encoder\.|encoder\.layers\.0\.self_attn\.q_proj\.A", "an official BEiT-3"),
    (r"(vit\.)?encoder\.layer\.0\.layer_scale1", "a DINOv2 of Hugging Face's"),
    (r"(vit\.)?layer\.0\.layer_scale1", "a DINOv3 of Hugging Face's"),
    (r"(vision_model\.)?head\.probe", "a SigLIP of Hugging Face's"),
    (r"(vision_model\.)?pre_layrnorm", "a CLIP of Hugging Face's"),
    (r"(vit|deit)\.encoder\.layer\.0\.", "a Hugging Face ViT"),
    (r"blocks\.0\.attn\.norm\.weight", "timm's BEiT-3"),
    (r"blocks\.0\.attn\.relative_position_bias_table|blocks\.0\.gamma_1", "timm's BEiT or BEiT v2"),
    (r"layers\.0\.blocks\.0\.attn\.relative_position", "a Swin Transformer"),
    (r"decoder_blocks\.0\.", "a MAE with its decoder"),
    (r"blocks\.0\.attn\.qkv\.weight", "a Vision Transformer of timm's or MAE's naming"),
    (r"Transformer/encoderblock_0/", "a Vision Transformer in JAX (.npz)"),
    (r"resnet/root_block/", "a BiT ResNet in TensorFlow or JAX (.npz)"),
    (r"stages\.0\.blocks\.0\.norm3\.weight", "timm's BiT ResNetV2"),
    (r"stages\.0\.blocks\.0\.(conv_dw|gamma)", "a ConvNeXt"),
    (r"layer1\.0\.conv3\.weight", "a ResNet with bottlenecks, of timm's or torchvision's naming"),
    (r"layer1\.0\.conv2\.weight", "a ResNet without bottlenecks (18 or 34 layers)"),
    (r"_blocks\.0\._depthwise_conv", "an EfficientNet (efficientnet_pytorch)"),
    (r"blocks\.0\.0\.conv_dw", "an EfficientNet or MobileNet of timm's naming"),
)


def looks_like(tensors: dict[str, np.ndarray]) -> str:
    """Say in words which architecture the names of some tensors belong to.

    Args:
        tensors: Name to array.

    Returns:
        A phrase, with the width and number of blocks where they can be read off.

    Example:
    ```python
    from keras_clce.models.checkpoints.tensors import read_tensors
    looks_like(read_tensors("vit_tiny.safetensors"))
    # "a Vision Transformer of timm's or MAE's naming (width 192, 12 blocks, patch 16)"
    ```
    """
    for pattern, title in _SIGNS:
        if any(re.match(pattern, name) for name in tensors):
            found = (re.match(r".*?(?:blocks|layers?)\.(\d+)\.", name) for name in tensors)
            blocks = {match[1] for match in found if match}
            patch = next((v for n, v in tensors.items() if "patch" in n and v.ndim == 4), None)
            if patch is None:
                return title
            return f"{title} (width {patch.shape[0]}, {len(blocks)} blocks, patch {patch.shape[2]})"
    names = ", ".join(list(tensors)[:3])
    return f"nothing that is known here, {len(tensors)} tensors such as {names}"

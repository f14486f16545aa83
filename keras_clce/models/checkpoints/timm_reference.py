"""The reference of an encoder's features: timm's model with the same file."""

from pathlib import Path

import numpy as np

from keras_clce.models.checkpoints.tensors import checkpoint_file

TIMM_NAMES = {
    "vit_tiny": "vit_tiny_patch16_224",
    "vit_small": "vit_small_patch16_224",
    "vit_base": "vit_base_patch16_224",
    "vit_large": "vit_large_patch16_224",
    "mae_base": "vit_base_patch16_224.mae",
    "mae_large": "vit_large_patch16_224.mae",
    "beit3_base": "beit3_base_patch16_224",
    "beit3_large": "beit3_large_patch16_224",
    "resnet101": "resnet101",
    "resnet101_in21k": "resnetv2_101x1_bit",
}


def timm_features(name: str, weights: str | Path, images: np.ndarray) -> np.ndarray:
    """Compute an encoder's features by timm.

    Args:
        name: One of `TIMM_NAMES`.
        weights: The file or folder of weights, in timm's naming.
        images: Scaled images `(batch, side, side, 3)`.

    Returns:
        Pooled features `(batch, dim)`.

    Raises:
        ValueError: If timm has no such encoder.
        ImportError: If timm cannot be imported.

    Example:
    ```python
    timm_features("mae_base", "mae_pretrain_vit_base.pth", images).shape  # (2, 768)
    ```
    """
    if name not in TIMM_NAMES:
        raise ValueError(
            f"`name` must be an encoder that timm has: {', '.join(TIMM_NAMES)}. "
            f"Received: name={name!r}"
        )
    try:
        import timm
        import torch
    except (ImportError, RuntimeError) as error:
        raise ImportError(f"The reference is timm, which cannot be imported: {error}") from error
    options, loading = {}, {}
    if not name.startswith("resnet"):
        options["img_size"] = images.shape[1]
        loading["filter_fn"] = timm.models.vision_transformer.checkpoint_filter_fn
    model = timm.create_model(TIMM_NAMES[name], pretrained=False, num_classes=0, **options).eval()
    timm.models.load_checkpoint(model, str(checkpoint_file(weights)), strict=False, **loading)
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2), "float32")
    with torch.no_grad():
        features = model.forward_features(torch.from_numpy(channels_first))
        return model.forward_head(features, pre_logits=True).numpy()

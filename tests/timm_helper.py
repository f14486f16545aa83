"""timm, the PyTorch oracle of the backbone tests."""

from pathlib import Path

import numpy as np
import torch

from keras_clce.models.timm_reference import import_timm


def pooled_features(model: torch.nn.Module, pixels: np.ndarray) -> np.ndarray:
    """Average a timm model's last feature map, of channels-last scaled pixels, in float32."""
    with torch.no_grad():
        features = model.forward_features(channels_first(pixels).float())
    return features.mean(dim=(2, 3)).numpy()


def features(model: torch.nn.Module, pixels: np.ndarray) -> torch.Tensor:
    """Features before the classifier, of channels-last scaled pixels, in the model's own dtype."""
    images = channels_first(pixels).to(next(model.parameters()).dtype)
    return model.forward_head(model.forward_features(images), pre_logits=True)


def logits(model: torch.nn.Module, pixels: np.ndarray) -> np.ndarray:
    """Apply a timm classifier to channels-last scaled pixels."""
    with torch.no_grad():
        return model(channels_first(pixels).float()).numpy()


def efficientnet_lite(size: int, checkpoint: Path) -> torch.nn.Module:
    """Load a checkpoint's tensors, in their order in the file, into timm's EfficientNet-Lite."""
    model = import_timm().create_model(f"tf_efficientnet_lite{size}", pretrained=False)
    tensors = torch.load(checkpoint, map_location="cpu", weights_only=True)
    values = [v for k, v in tensors.items() if not k.endswith("num_batches_tracked")]
    names = [k for k in model.state_dict() if not k.endswith("num_batches_tracked")]
    assert len(values) == len(names)
    model.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
    return model.eval()


def channels_first(pixels: np.ndarray) -> torch.Tensor:
    """Images as PyTorch takes them."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))

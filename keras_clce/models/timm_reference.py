"""The reference of an encoder's features: timm's model, loaded strictly with the same file."""

import contextlib
import functools
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from keras_clce.checks import import_module
from keras_clce.models.checkpoints.layouts import Layout, find_layout
from keras_clce.models.checkpoints.tensors import checkpoint_file, folder_config, read_tensors
from keras_clce.models.families import beit3, vit
from keras_clce.models.registry import find_row
from keras_clce.models.spec import Row

_FROM_HUGGING_FACE = (
    ("vit.embeddings.cls_token", "cls_token"),
    ("vit.embeddings.position_embeddings", "pos_embed"),
    ("vit.embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("vit.encoder.layer.", "blocks."),
    ("vit.layernorm", "norm"),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
    ("attention.output.dense", "attn.proj"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
)


def import_timm() -> ModuleType:
    """Import timm, also where torchvision was built for another torch.

    timm imports torchvision, whose import registers fake kernels for its own compiled operators;
    where those are not loaded (as beside a CPU build of torch) that raises. timm's encoders use
    none of them, so their registration is skipped meanwhile.

    Returns:
        The module `timm`.

    Raises:
        ImportError: If timm cannot be imported.

    Example:
    ```python
    import_timm().create_model("vit_tiny_patch16_224")
    ```
    """
    if sys.modules.get("timm"):
        return sys.modules["timm"]
    try:
        with _without_operators_of_torchvision():
            return import_module("timm", "The reference", "timm")
    except (ImportError, RuntimeError) as error:
        raise ImportError(f"The reference is timm, which cannot be imported: {error}") from error


@contextlib.contextmanager
def _without_operators_of_torchvision():
    torch = import_module("torch", "timm", "torch")
    register = torch.library.register_fake

    def without_torchvision(operator, *arguments, **options):
        if isinstance(operator, str) and operator.startswith("torchvision::"):
            return lambda function: function
        return register(operator, *arguments, **options)

    torch.library.register_fake = without_torchvision
    try:
        yield
    finally:
        torch.library.register_fake = register


def timm_features(name: str, weights: str | Path, images: np.ndarray) -> np.ndarray:
    """Compute an encoder's features by timm.

    Args:
        name: A named backbone.
        weights: The file or folder of weights, of any source that the encoder reads.
        images: Scaled images `(batch, side, side, 3)`.

    Returns:
        Pooled features `(batch, dim)`.

    Raises:
        NotImplementedError: If timm has no such encoder.
        ImportError: If timm cannot be imported.
        ValueError: If timm's encoder lacks a tensor of the file, or the file one of its own.

    Example:
    ```python
    timm_features("vit_tiny", "vit_tiny.safetensors", images[:2]).shape  # (2, 192)
    ```
    """
    row = find_row(name)
    if row is None or row.timm_name is None:
        raise NotImplementedError(f"timm, the reference, has no {name}")
    timm, torch = import_timm(), import_module("torch", "The reference", "torch")
    tensors = read_tensors(weights)
    layout = find_layout(tensors, row.layouts, str(weights), name)
    kept = {
        key: torch.from_numpy(value)
        for key, value in tensors.items()
        if not re.fullmatch(layout.dropped, key)
    }
    build = functools.partial(timm.create_model, row.timm_name, num_classes=0)
    if "patch_size" not in row.sizes:
        model = build()
    else:
        options = _vit_options(row, kept, layout, weights, torch)
        build = functools.partial(build, patch_size=row.sizes["patch_size"], **options)
        if layout is vit.HUGGING_FACE:
            kept = _from_hugging_face(kept, torch)
        elif layout is vit.GOOGLE:
            kept = _from_google(build, checkpoint_file(weights), kept)
        elif layout is beit3.OFFICIAL:
            # timm renames the rest itself, but knows the files without this norm alone.
            norm = "beit3.encoder.layer_norm.A."
            kept = {key.replace(norm, "norm."): value for key, value in kept.items()}
        model = build(img_size=images.shape[1])
        kept = timm.models.vision_transformer.checkpoint_filter_fn(kept, model)
    missing, unexpected = model.load_state_dict(kept, strict=False)
    # The reader leaves BatchNorm's count of steps out, which features do not depend on.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(
            f"`weights` must fit timm's {row.timm_name}; missing: {missing}, unexpected: "
            f"{unexpected}. Received: weights={str(weights)!r}"
        )
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2), "float32")
    with torch.no_grad():
        features = model.eval().forward_features(torch.from_numpy(channels_first))
        return model.forward_head(features, pre_logits=True).numpy()


def _vit_options(
    row: Row, tensors: Mapping[str, Any], layout: Layout, weights: str | Path, torch: ModuleType
) -> dict[str, Any]:
    pooled = "fc_norm.weight" in tensors
    by_mean = pooled or beit3.OFFICIAL in row.layouts
    options: dict[str, Any] = {"global_pool": "avg" if by_mean else "token", "fc_norm": pooled}
    if layout is vit.HUGGING_FACE:
        epsilon = folder_config(weights).get("layer_norm_eps", vit.HUGGING_FACE_EPSILON)
        options["norm_layer"] = functools.partial(torch.nn.LayerNorm, eps=epsilon)
    return options


def _from_hugging_face(tensors, torch):
    parts = ("query", "key", "value")
    renamed = {}
    for key, value in tensors.items():
        if ".attention.attention.query." in key:
            three = [tensors[key.replace("query", part)] for part in parts]
            key = key.replace("attention.attention.query", "attn.qkv")
            value = torch.cat(three)
        elif ".attention.attention." in key:
            continue
        for theirs, ours in _FROM_HUGGING_FACE:
            key = key.replace(theirs, ours)
        renamed[key] = value
    return renamed


def _from_google(build, path, tensors):
    """Tensors of timm's names, by its own reader, at the image size of the file."""
    patches = tensors["Transformer/posembed_input/pos_embedding"].shape[1] - 1
    model = build(img_size=round(patches**0.5) * tensors["embedding/kernel"].shape[0])
    # At another size it would resample the positions bilinearly, as it does nowhere else.
    model.load_pretrained(str(path))
    return model.state_dict()

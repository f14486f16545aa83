"""timm's smallest Vision Transformer, whose files the tests of checkpoints read."""

import functools

import timm_helper
import torch

SIZE = 32


def vit(epsilon, seed=0, **options):
    torch.manual_seed(seed)
    norm = functools.partial(torch.nn.LayerNorm, eps=epsilon)
    oracle = timm_helper.import_timm().create_model(
        "vit_tiny_patch16_224",
        pretrained=False,
        **({"num_classes": 0, "img_size": SIZE, "norm_layer": norm} | options),
    )
    for value in oracle.state_dict().values():
        value.add_(torch.empty_like(value).uniform_(-0.05, 0.05))
    return oracle.eval()

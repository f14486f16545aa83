"""Models: the registry of encoders, their weights, and the heads on them."""

from keras_clce.models.backbones import (
    backbone_spec,
    build_backbone,
    list_backbones,
    load_weights,
)
from keras_clce.models.checkpoints.download import local_weights
from keras_clce.models.checkpoints.loading import LoadReport
from keras_clce.models.patch_tokens import patch_tokens
from keras_clce.models.spec import BackboneSpec
from keras_clce.models.timm_reference import timm_features

__all__ = [
    "BackboneSpec",
    "LoadReport",
    "backbone_spec",
    "build_backbone",
    "list_backbones",
    "load_weights",
    "local_weights",
    "patch_tokens",
    "timm_features",
]

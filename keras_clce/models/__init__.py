"""Models: the registry of encoders and the heads on them."""

from keras_clce.models.backbones import BackboneSpec, backbone_spec, build_backbone, list_backbones

__all__ = ["BackboneSpec", "backbone_spec", "build_backbone", "list_backbones"]

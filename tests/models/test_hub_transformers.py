"""Encoders of keras-hub by name, and as `hub:FOLDER`, against Hugging Face's transformers."""

import functools
import re

import keras
import pytest

pytest.importorskip("torch", reason="the references are PyTorch's")
import transformers_helper
from backbone_checks import assert_close, random_pixels, scaled
from transformers_helper import KINDS, PATCH, SIZE

from keras_clce.models.backbones import backbone_spec, build_backbone
from keras_clce.models.hub_encoders import hub_kind
from keras_clce.models.registry import find_depth_groups
from keras_clce.train.layerwise import unfreeze_last


@functools.cache
def oracle(name):
    return transformers_helper.perturbed(
        KINDS[name].make(transformers_helper.import_transformers())
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    @functools.cache
    def folder(name):
        path = tmp_path_factory.mktemp(name)
        oracle(name).save_pretrained(path)
        return path

    return folder


@pytest.mark.parametrize("name", KINDS)
def test_features_equal_transformers_at_two_sizes(name, folders, monkeypatch):
    transformers_helper.shrink(monkeypatch, name)
    for size in (SIZE, SIZE + 2 * PATCH):
        pixels = random_pixels(size)
        expected = transformers_helper.features(oracle(name), scaled(pixels, name))
        named = build_backbone(name, size, weights=folders(name))
        assert_close(keras.ops.convert_to_numpy(named(pixels)), expected)
        if KINDS[name].hub:
            preset = build_backbone(f"hub:{folders(name)}", size)
            assert_close(keras.ops.convert_to_numpy(preset(pixels)), expected)


@pytest.mark.any_backend
@pytest.mark.parametrize("name", KINDS)
def test_the_last_block_alone_is_unfrozen(name, monkeypatch):
    transformers_helper.shrink(monkeypatch, name)
    model = build_backbone(name, SIZE)
    whole = {variable.path for variable in model.trainable_variables}
    unfreeze_last(model, 1)
    trained = {variable.path for variable in model.trainable_variables}
    before = {
        path for path in whole if re.search(r"embedding|pre_layer_norm|(layers|block)_0/", path)
    }
    assert trained == whole - before and len(trained) > len(before) / 2
    with pytest.raises(ValueError, match=r"within \[1, 2\].*Received: count=3"):
        unfreeze_last(build_backbone(name, SIZE), 3)


@pytest.mark.any_backend
def test_what_is_refused(folders, monkeypatch):
    with pytest.raises(ValueError, match=r"multiple of the patch size, 14 px.*image_size=100"):
        build_backbone("dinov2_small", 100)
    transformers_helper.shrink(monkeypatch, "clip_base")
    with pytest.raises(ValueError, match=r"hold clip_base .*looks like a DINOv2.*Received: weig"):
        build_backbone("clip_base", SIZE, weights=folders("dinov2_small"))
    with pytest.raises(ValueError, match=r"is for 32 px.*patch size 8.*Received: image_size=36"):
        build_backbone(f"hub:{folders('dinov2_small')}", SIZE + 4)


@pytest.mark.any_backend
def test_licences_and_pixels_of_presets_are_known():
    for name, licence, interpolation in (
        ("dinov3_vit_small_lvd1689m", "DINOv3 License", "bicubic"),
        ("hf://facebook/dinov2-small", "Apache-2.0", "bicubic"),
        ("siglip2_base_patch16_224", "Apache-2.0", "bilinear"),
        ("metaclip_2_vit_huge_patch14_224", "CC-BY-NC-4.0", "bicubic"),
        ("clip_vit_base_patch16", "MIT", "bicubic"),
    ):
        kind = hub_kind(name)
        assert kind.licence.startswith(licence) and kind.interpolation == interpolation
    assert hub_kind("resnet_50_imagenet") is None
    assert backbone_spec("dinov3_small").licence.startswith("DINOv3 License")


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("path", "block", "stem"),
    [
        ("tower_encoder/layers_3/mlp/fc1/kernel", 3, False),
        ("tower_encoder_block_11/self_attn/query/kernel", 11, False),
        ("tower_embeddings/cls_token", None, True),
        ("tower_embedding/position_embedding/embeddings", None, True),
        ("tower_head/attention/query/kernel", None, False),
    ],
)
def test_how_deep_their_weights_lie(path, block, stem):
    groups = find_depth_groups([path, "tower_encoder/layers_0/norm1/gamma"])
    assert (groups.block_of(path), groups.in_stem(path)) == (block, stem)

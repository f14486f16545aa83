"""Encoders of keras-hub by name, and as `hub:FOLDER`, against Hugging Face's transformers."""

import functools

import keras
import pytest

pytest.importorskip("torch", reason="the references are PyTorch's")
import transformers_helper
from backbone_checks import assert_close, random_pixels, scaled
from transformers_helper import KINDS, PATCH, SIZE

from keras_clce.models.backbones import build_backbone


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

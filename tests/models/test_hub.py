"""keras-hub's presets: of which encoders, from which addresses, at any size."""

import dataclasses

import keras
import numpy as np
import pytest
from backbone_checks import assert_close, perturb, random_pixels

from keras_clce.models import registry
from keras_clce.models.backbones import build_backbone

SIZE = 32


def _vit():
    from keras_hub.models import ViTBackbone, ViTImageClassifier

    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "mlp_dim": 32}
    return ViTBackbone(image_shape=(SIZE, SIZE, 3), patch_size=8, **sizes), ViTImageClassifier


def _deit():
    from keras_hub.models import DeiTBackbone, DeiTImageClassifier

    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32}
    return DeiTBackbone(image_shape=(SIZE, SIZE, 3), patch_size=8, **sizes), DeiTImageClassifier


def _swin():
    from keras_hub.models import SwinTransformerBackbone, SwinTransformerImageClassifier

    sizes = {"embed_dim": 12, "depths": (1,), "num_heads": (2,), "window_size": 4}
    backbone = SwinTransformerBackbone(image_shape=(SIZE, SIZE, 3), patch_size=4, **sizes)
    return backbone, SwinTransformerImageClassifier


@pytest.mark.any_backend
@pytest.mark.parametrize("make", [_vit, _deit, _swin])
def test_tokens_are_pooled_as_by_keras_hubs_classifier(make, tmp_path):
    backbone, classifier = make()
    perturb(backbone)
    backbone.save_to_preset(str(tmp_path))
    classifier = classifier(backbone=backbone, num_classes=3)
    pixels = random_pixels(SIZE)
    model = build_backbone(f"hub:{tmp_path}", SIZE)
    features = keras.ops.convert_to_numpy(model(pixels))
    kernel, bias = classifier.get_layer("predictions").get_weights()
    assert_close(features @ kernel + bias, keras.ops.convert_to_numpy(classifier(pixels)), 1e-5)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(keras.ops.convert_to_numpy(reloaded(pixels)), features, 1e-6)


@pytest.mark.any_backend
def test_a_vits_positions_are_resampled_as_timm_does(tmp_path):
    torch = pytest.importorskip("torch")
    import timm_helper
    from keras_hub.models import ViTBackbone

    backbone, _ = _vit()
    perturb(backbone)
    backbone.save_to_preset(str(tmp_path))
    other = ViTBackbone.from_config({**backbone.get_config(), "image_shape": (64, 64, 3)})
    values = backbone.get_weights()
    for number, weight in enumerate(backbone.weights):
        if weight.path.endswith("position_embedding/embeddings"):
            values[number] = timm_helper.import_timm().layers.resample_abs_pos_embed(
                torch.from_numpy(values[number])[None], new_size=[8, 8], num_prefix_tokens=1
            )[0]
    other.set_weights(values)
    pixels = random_pixels(64)
    model = build_backbone(f"hub:{tmp_path}", 64)
    assert_close(
        keras.ops.convert_to_numpy(model(pixels)),
        keras.ops.convert_to_numpy(other(pixels))[:, 0],
        1e-5,
    )
    with pytest.raises(ValueError, match=r"is for 32 px.*patch size 8.*Received: image_size=36"):
        build_backbone(f"hub:{tmp_path}", 36)


# === Addresses ===


@pytest.fixture
def short_resnet(monkeypatch):
    """`resnet101` with one block a stage, and keras-hub's backbone of the same size."""
    from keras_hub.models import ResNetBackbone

    row = dataclasses.replace(registry.find_row("resnet101"), sizes={"blocks": [1, 1, 1, 1]})
    monkeypatch.setitem(registry.FAMILIES, "resnet", (row,))
    backbone = ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
        image_shape=(SIZE, SIZE, 3),
    )
    perturb(backbone)
    return backbone


@pytest.mark.any_backend
def test_resnet101_from_addresses_and_from_its_saved_weights(short_resnet, tmp_path, monkeypatch):
    import huggingface_hub
    import kagglehub

    short_resnet.save_to_preset(str(tmp_path))

    def served(handle, file):
        if not (tmp_path / file).is_file():
            raise FileNotFoundError(file)
        asked.add(handle)
        return str(tmp_path / file)

    asked = set()
    monkeypatch.setattr(kagglehub, "model_download", served)
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_download", lambda repo_id, filename: served(repo_id, filename)
    )
    pixels = random_pixels(SIZE)
    mean, std = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])
    expected = short_resnet.predict((pixels - mean) / std, verbose=0)
    for address in ("hf://somebody/resnet", "kaggle://somebody/resnet/keras/short"):
        model = build_backbone("resnet101", SIZE, weights=address)
        assert_close(keras.ops.convert_to_numpy(model(pixels)), expected, 1e-5)
    assert asked == {"somebody/resnet", "somebody/resnet/keras/short"}
    model.save_weights(tmp_path / "resnet.weights.h5")
    model = build_backbone("resnet101", SIZE, weights=tmp_path / "resnet.weights.h5")
    assert_close(keras.ops.convert_to_numpy(model(pixels)), expected, 1e-5)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("name", "address", "sources"),
    [
        ("vit_base", "kaggle://keras/vit/keras/vit_base", "hf://USER/NAME, or the path of a file"),
        ("resnet101_in21k", "kaggle://keras/bit/keras/bit", "hf://USER/NAME, or the path"),
        ("resnet18", "hf://timm/resnet18.a1_in1k", "kaggle://USER/MODEL/keras/NAME, or the path"),
        ("efficientnet_lite0", "hf://timm/tf_efficientnet_lite0", r"or the path of a file \(.pth"),
        ("resnet101", "gs://bucket/resnet", "hf://USER/NAME, kaggle://USER/MODEL/keras/NAME, or"),
    ],
)
def test_addresses_that_an_encoder_does_not_take(name, address, sources):
    with pytest.raises(ValueError, match=rf"for {name}, {sources}.*hub:.*Received: weights="):
        build_backbone(name, SIZE, weights=address)

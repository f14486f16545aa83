"""Reading published files: every layout and format against timm."""

import dataclasses
import json

import keras
import numpy as np
import pytest

pytest.importorskip("torch", reason="the references are PyTorch's")
import timm_helper
import torch
from backbone_checks import assert_close, random_pixels, scaled
from safetensors.torch import save_file
from tiny_vit import SIZE, vit

from keras_clce.models import registry
from keras_clce.models.architectures.vit import vision_transformer
from keras_clce.models.backbones import backbone_spec, build_backbone, load_weights
from keras_clce.models.checkpoints.positions import resample_positions
from keras_clce.models.checkpoints.preprocessing import published_preprocessing
from keras_clce.models.checkpoints.tensors import read_tensors
from keras_clce.models.timm_reference import timm_features


def features(oracle, pixels, name="vit_tiny"):
    with torch.no_grad():
        return timm_helper.features(oracle, scaled(pixels, name)).numpy()


def hugging_face(state, prefix="vit."):
    """Tensors of timm's names under those of Hugging Face."""
    names = {
        "patch_embed.proj": "embeddings.patch_embeddings.projection",
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "attn.proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
        "blocks.": "encoder.layer.",
    }
    tensors = {}
    for name, value in state.items():
        if ".attn.qkv." in name:
            block, leaf = name.split(".")[1], name.rsplit(".", 1)[1]
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                at = f"{prefix}encoder.layer.{block}.attention.attention.{part}.{leaf}"
                tensors[at] = piece.contiguous()
            continue
        fixed = {"cls_token": "embeddings.cls_token", "pos_embed": "embeddings.position_embeddings"}
        renamed = fixed.get(name, f"layer{name}" if name.startswith("norm.") else name)
        for theirs, hugging in names.items():
            renamed = renamed.replace(theirs, hugging)
        tensors[prefix + renamed] = value
    return tensors


def assert_equals(oracle, path, name="vit_tiny"):
    model = build_backbone(name, SIZE, weights=path)
    pixels = random_pixels(SIZE)
    assert_close(model.predict(pixels, verbose=0), features(oracle, pixels, name), 1e-5)
    return model


def assert_both_equal(oracle, path, name="vit_tiny"):
    """The encoder from a file, and what `--check` compares it with."""
    pixels = random_pixels(SIZE, seed=1)
    reference = timm_features(name, path, scaled(pixels, name))
    assert_close(reference, features(oracle, pixels, name), 1e-6)
    return assert_equals(oracle, path, name)


# === Layouts and formats ===


@pytest.mark.any_backend
@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
def test_pytorch_files_with_and_without_a_wrapper(tiny, tmp_path, wrapper):
    oracle, tensors = tiny
    torch.save({wrapper: tensors, "epoch": 3} if wrapper else tensors, tmp_path / "vit.pth")
    assert_equals(oracle, tmp_path / "vit.pth")


@pytest.mark.any_backend
def test_official_mae_drops_its_decoder(tiny, tmp_path):
    oracle, tensors = tiny
    more = {"mask_token": torch.zeros(1, 1, 512), "decoder_blocks.0.norm1.weight": torch.ones(512)}
    torch.save({"model": {**tensors, **more}}, tmp_path / "mae.pth")
    model = assert_both_equal(oracle, tmp_path / "mae.pth")
    report = load_weights(model, "vit_tiny", tmp_path / "mae.pth")
    assert report.dropped == list(more)
    assert len(report.matched) == len(model.weights) == len(tensors)
    assert not report.resampled


@pytest.mark.any_backend
def test_a_file_with_fc_norm_pools_patches(tmp_path):
    oracle = vit(1e-6, global_pool="avg")
    save_file(oracle.state_dict(), tmp_path / "vit.safetensors")
    assert_both_equal(oracle, tmp_path / "vit.safetensors")


@pytest.mark.any_backend
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_half_precision_files(tiny, tmp_path, dtype, suffix):
    _, tensors = tiny
    half = {name: value.to(dtype) for name, value in tensors.items()}
    path = tmp_path / f"vit{suffix}"
    torch.save(half, path) if suffix == ".pth" else save_file(half, path)
    read = read_tensors(path)
    assert list(read) == list(half) or set(read) == set(half)
    for name, value in half.items():
        assert read[name].dtype == np.float32
        np.testing.assert_array_equal(read[name], value.float().numpy())


@pytest.mark.any_backend
@pytest.mark.parametrize("epsilon", [1e-12, 1e-3])
@pytest.mark.parametrize("prefix", ["vit.", ""])
def test_hugging_face_folder(tmp_path, epsilon, prefix):
    oracle = vit(epsilon)
    tensors = {"classifier.weight": torch.zeros(10, 192)} if prefix else {}
    tensors |= hugging_face(oracle.state_dict(), prefix)
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"layer_norm_eps": epsilon}))
    assert_both_equal(oracle, tmp_path)


@pytest.mark.any_backend
def test_google_npz_equals_timms_own_loader(tmp_path):
    generator = np.random.default_rng(0)
    draw = lambda *shape: generator.normal(0, 0.1, shape).astype("float32")  # noqa: E731
    arrays = {
        "embedding/kernel": draw(16, 16, 3, 192),
        "embedding/bias": draw(192),
        "cls": draw(1, 1, 192),
        "Transformer/posembed_input/pos_embedding": draw(1, 5, 192),
        "Transformer/encoder_norm/scale": 1 + draw(192),
        "Transformer/encoder_norm/bias": draw(192),
        "head/kernel": draw(192, 1000),
        "head/bias": draw(1000),
    }
    for block in range(12):
        at = f"Transformer/encoderblock_{block}"
        for part in ("query", "key", "value"):
            arrays[f"{at}/MultiHeadDotProductAttention_1/{part}/kernel"] = draw(192, 3, 64)
            arrays[f"{at}/MultiHeadDotProductAttention_1/{part}/bias"] = draw(3, 64)
        arrays[f"{at}/MultiHeadDotProductAttention_1/out/kernel"] = draw(3, 64, 192)
        arrays[f"{at}/MultiHeadDotProductAttention_1/out/bias"] = draw(192)
        for number in (0, 2):
            arrays[f"{at}/LayerNorm_{number}/scale"] = 1 + draw(192)
            arrays[f"{at}/LayerNorm_{number}/bias"] = draw(192)
        for number, (rows, columns) in enumerate([(192, 768), (768, 192)]):
            arrays[f"{at}/MlpBlock_3/Dense_{number}/kernel"] = draw(rows, columns)
            arrays[f"{at}/MlpBlock_3/Dense_{number}/bias"] = draw(columns)
    np.savez(tmp_path / "vit.npz", **arrays)
    oracle = vit(1e-6, num_classes=1000)
    oracle.load_pretrained(str(tmp_path / "vit.npz"))
    assert_both_equal(oracle, tmp_path / "vit.npz")


@pytest.mark.any_backend
def test_the_reference_refuses_what_it_cannot_take_whole(tiny, tmp_path):
    _, tensors = tiny
    pixels = random_pixels(SIZE)
    broken = {**tensors, "blocks.7.extra": torch.zeros(3)}
    del broken["blocks.3.norm1.bias"]
    save_file(broken, tmp_path / "vit.safetensors")
    with pytest.raises(
        ValueError, match=r"missing: .*3\.norm1\.bias.*7\.extra.*Received: weights="
    ):
        timm_features("vit_tiny", tmp_path / "vit.safetensors", pixels)
    with pytest.raises(NotImplementedError, match="has no efficientnet_lite0"):
        timm_features("efficientnet_lite0", tmp_path / "vit.safetensors", pixels)


@pytest.mark.any_backend
def test_bits_npz_equals_timms_own_loader(tmp_path, monkeypatch):
    blocks = (10, 2, 1, 1)
    row = dataclasses.replace(registry.find_row("resnet101_in21k"), sizes={"blocks": blocks})
    monkeypatch.setitem(registry.FAMILIES, "bit", (row,))
    generator = np.random.default_rng(0)
    draw = lambda *shape: generator.normal(0, 0.1, shape).astype("float32")  # noqa: E731
    arrays = {"resnet/root_block/standardized_conv2d/kernel": draw(7, 7, 3, 64)}
    channels = 64
    for stage, count in enumerate(blocks, start=1):
        out = 128 * 2**stage
        for unit in range(1, count + 1):
            at = f"resnet/block{stage}/unit{unit:02d}"
            kernels = {"a": (1, channels, out // 4), "b": (3, out // 4, out // 4)}
            for letter, (side, rows, columns) in (kernels | {"c": (1, out // 4, out)}).items():
                kernel = draw(side, side, rows, columns)
                arrays[f"{at}/{letter}/standardized_conv2d/kernel"] = kernel
                arrays[f"{at}/{letter}/group_norm/gamma"] = 1 + draw(rows)
                arrays[f"{at}/{letter}/group_norm/beta"] = draw(rows)
            if unit == 1:
                arrays[f"{at}/a/proj/standardized_conv2d/kernel"] = draw(1, 1, channels, out)
            channels = out
    arrays |= {f"resnet/group_norm/{name}": draw(2048) for name in ("gamma", "beta")}
    arrays["resnet/head/conv2d/kernel"] = draw(1, 1, 2048, 10)
    arrays["resnet/head/conv2d/bias"] = draw(10)
    np.savez(tmp_path / "bit.npz", **arrays)
    oracle = timm_helper.import_timm().models.resnetv2._create_resnetv2_bit(
        "resnetv2_101x1_bit", layers=blocks, width_factor=1, num_classes=10
    )
    oracle.load_pretrained(str(tmp_path / "bit.npz"))
    model = build_backbone("resnet101_in21k", SIZE, weights=tmp_path / "bit.npz")
    pixels = random_pixels(SIZE)
    expected = features(oracle.eval(), pixels, "resnet101_in21k")
    assert_close(keras.ops.convert_to_numpy(model(pixels)).mean(axis=(1, 2)), expected, 1e-4)
    report = load_weights(model, "resnet101_in21k", tmp_path / "bit.npz")
    assert report.dropped == ["resnet/head/conv2d/kernel", "resnet/head/conv2d/bias"]
    del arrays["resnet/block1/unit10/b/group_norm/beta"]
    np.savez(tmp_path / "bit.npz", **arrays)
    with pytest.raises(ValueError, match="unit10/b/group_norm/beta is missing"):
        load_weights(model, "resnet101_in21k", tmp_path / "bit.npz")


@pytest.mark.any_backend
def test_timm_folder_brings_its_pixel_statistics(tiny, tmp_path):
    _, tensors = tiny
    save_file(tensors, tmp_path / "model.safetensors")
    config = {"pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    layer = build_backbone("vit_tiny", SIZE, weights=tmp_path).get_layer("scale_pixels")
    np.testing.assert_allclose(layer.scale, 1 / (255 * np.array([0.4, 0.5, 0.6])))
    np.testing.assert_allclose(layer.offset, -np.array([0.1, 0.2, 0.3]) / [0.4, 0.5, 0.6])


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("config.json", {"pretrained_cfg": {"interpolation": "bilinear"}}),
        ("preprocessor_config.json", {"resample": 2}),  # Pillow's number
    ],
)
def test_a_folder_brings_its_interpolation_and_a_saved_encoder_keeps_it(
    tiny, tmp_path, name, config
):
    _, tensors = tiny
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / name).write_text(json.dumps(config))
    assert backbone_spec("vit_tiny").interpolation == "bicubic"
    assert backbone_spec("vit_tiny", tmp_path).interpolation == "bilinear"
    file = tmp_path / "vit.keras"
    build_backbone("vit_tiny", SIZE, weights=tmp_path).save(file)
    assert backbone_spec(str(file)).interpolation == "bilinear"
    build_backbone(str(file), SIZE).save(tmp_path / "again.keras")
    assert backbone_spec(str(tmp_path / "again.keras")).interpolation == "bilinear"


@pytest.mark.any_backend
@pytest.mark.parametrize("value", ["nearest", 3, ["bicubic"], {}])
def test_an_interpolation_that_is_not_known(value, tmp_path):
    config = {"pretrained_cfg": {"interpolation": value}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"one of 'bilinear', 'bicubic'.*Received: interpolation="):
        published_preprocessing(tmp_path)


@pytest.mark.any_backend
def test_keras_weights_file_goes_in_whole_or_not_at_all(tmp_path):
    model = build_backbone("vit_tiny", SIZE)
    model.save_weights(tmp_path / "tiny.weights.h5")
    other = build_backbone("vit_tiny", SIZE, weights=tmp_path / "tiny.weights.h5")
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name in ("vit_small", "vit_tiny_patch8"):
        with pytest.raises(ValueError, match=r"must be a \.weights\.h5 file.*Received: weights="):
            build_backbone(name, SIZE, weights=tmp_path / "tiny.weights.h5")


@pytest.mark.any_backend
def test_keras_weights_file_of_a_model_with_other_settings_is_refused(tiny, tmp_path):
    """Each of these loads into the usual model by class, order and shape, with other features."""
    _, tensors = tiny
    pooled = vit(1e-6, global_pool="avg").state_dict()
    for name, state, config in (
        ("fc_norm", pooled, {}),
        ("epsilon", hugging_face(tensors), {"layer_norm_eps": 1e-3}),
        ("pixels", tensors, {"pretrained_cfg": {"mean": [0.4] * 3, "std": [0.5] * 3}}),
        ("resize", tensors, {"pretrained_cfg": {"interpolation": "bilinear"}}),
    ):
        (tmp_path / name).mkdir()
        save_file(state, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        model = build_backbone("vit_tiny", SIZE, weights=tmp_path / name)
        path = tmp_path / f"{name}.weights.h5"
        model.save_weights(path)
        with pytest.raises(
            ValueError, match=r"save that model as \.keras.*Received: weights="
        ) as e:
            build_backbone("vit_tiny", SIZE, weights=path)
        assert "\n" not in str(e.value) and "vit_tiny_as_published" in str(e.value)


@pytest.mark.any_backend
def test_keras_weights_file_of_beit3_with_a_final_norm_is_refused(tmp_path, monkeypatch):
    """The official pre-trained layout against the usual one, which ends in `fc_norm`."""
    sizes = {"patch_size": 16, "hidden_dim": 16, "num_layers": 1, "num_heads": 2}
    small = dataclasses.replace(registry.find_row("beit3_base"), sizes=sizes)
    monkeypatch.setitem(registry.FAMILIES, "beit3", (small,))
    pixels = keras.Input((SIZE, SIZE, 3))
    flags = {"epsilon": 1e-5, "sub_norm": True, "pool": "mean"}
    model = keras.Model(pixels, vision_transformer(pixels, **sizes, **flags), name="beit3_base")
    model.save_weights(tmp_path / "pretrained.weights.h5")
    with pytest.raises(ValueError, match=r"differs in fc_norm.* norm.*Received: weights="):
        build_backbone("beit3_base", SIZE, weights=tmp_path / "pretrained.weights.h5")


@pytest.mark.any_backend
def test_keras_weights_file_with_stochastic_depth_gives_the_same_features(tiny, tmp_path):
    oracle, tensors = tiny
    save_file(tensors, tmp_path / "vit.safetensors")
    model = build_backbone(
        "vit_tiny", SIZE, weights=tmp_path / "vit.safetensors", stochastic_depth=0.1
    )
    model.save_weights(tmp_path / "vit.weights.h5")
    assert_equals(oracle, tmp_path / "vit.weights.h5")


@pytest.mark.any_backend
@pytest.mark.parametrize(("old", "new"), [(14, 6), (14, 24), (7, 14), (3, 5)])
def test_positions_are_resampled_as_timm_does(old, new):
    positions = np.random.default_rng(0).normal(size=(1, 1 + old**2, 8)).astype("float32")
    expected = timm_helper.import_timm().layers.resample_abs_pos_embed(
        torch.from_numpy(positions), new_size=[new, new], num_prefix_tokens=1
    )
    actual = resample_positions(positions, 1 + new**2)
    np.testing.assert_allclose(actual, expected.numpy(), atol=1e-5)

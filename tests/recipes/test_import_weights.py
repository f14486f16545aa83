"""`recipes/import_weights.py` on a file of timm's."""

import sys

import keras
import numpy as np
import pytest

pytest.importorskip("torch", reason="the reference is timm")
import timm_helper
import torch
from keras_clce.recipes import import_weights
from recipe_runs import run_alone, run_here

from keras_clce.models.backbones import build_backbone


@pytest.mark.any_backend
def test_table_check_and_encoder(tmp_path):
    torch.manual_seed(0)
    oracle = timm_helper.import_timm().create_model("vit_tiny_patch16_224", pretrained=False)
    for value in oracle.state_dict().values():
        value.add_(torch.empty_like(value).uniform_(-0.05, 0.05))
    tensors = {**oracle.state_dict(), "mask_token": torch.zeros(1, 1, 192)}
    torch.save({"model": tensors}, tmp_path / "mae.pth")
    output = tmp_path / "tiny.keras"
    done = run_alone(
        "import_weights",
        f"--source={tmp_path / 'mae.pth'}",
        "--backbone=vit_tiny",
        f"--output={output}",
        "--image_size=96",
        "--check",
    )
    assert done.returncode == 0, done.stderr
    assert "block0_attention/qkv/kernel" in done.stdout
    assert "dropped    3: head.weight, head.bias, mask_token" in done.stdout
    assert "resampled  pos_embed: 197 positions to 37" in done.stdout
    assert "against timm's: relative difference" in done.stdout
    model = keras.saving.load_model(output)
    kernel = np.array(model.get_layer("block0_mlp").fc1.kernel)
    np.testing.assert_array_equal(kernel, tensors["blocks.0.mlp.fc1.weight"].numpy().T)


@pytest.mark.any_backend
def test_the_check_says_what_it_cannot_compare_and_ends_where_features_differ(
    tmp_path, monkeypatch, capsys
):
    torch.manual_seed(0)
    oracle = timm_helper.import_timm().create_model(
        "vit_tiny_patch16_224", pretrained=False, img_size=32
    )
    torch.save(oracle.state_dict(), tmp_path / "vit.pth")
    model = build_backbone("vit_tiny", 32, weights=tmp_path / "vit.pth")
    import_weights.check_features(model, "efficientnet_lite0", tmp_path / "vit.pth", 32)
    assert "Features were not compared: timm, the reference, has no" in capsys.readouterr().out
    model.set_weights([1.2 * value for value in model.get_weights()])
    with pytest.raises(SystemExit, match="features differ by more than"):
        import_weights.check_features(model, "vit_tiny", tmp_path / "vit.pth", 32)
    monkeypatch.setitem(sys.modules, "timm", None)
    import_weights.check_features(model, "vit_tiny", tmp_path / "vit.pth", 32)
    assert "Features were not compared: The reference is timm" in capsys.readouterr().out


@pytest.mark.any_backend
def test_errors_are_one_line(tmp_path):
    (tmp_path / "empty.pth").touch()
    flags = (f"--source={tmp_path / 'empty.pth'}", "--backbone=vit_tiny", "--output=a.keras")
    done = run_here(import_weights, *flags)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Error: `weights` must be a whole file")
    flags = ("--source=absent", "--backbone=vit_tiny", "--output=model.h5")
    done = run_here(import_weights, *flags)
    assert done.returncode == 1 and "must end in .keras" in done.stderr

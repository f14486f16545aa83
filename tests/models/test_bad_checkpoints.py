"""Every bad file is refused whole, in one line that names what is wrong with it."""

import json
import zipfile

import numpy as np
import pytest

pytest.importorskip("torch", reason="the references are PyTorch's")
import timm_helper
import torch
from safetensors.torch import save_file
from tiny_vit import SIZE

from keras_clce.models.backbones import build_backbone, load_weights
from keras_clce.models.checkpoints.preprocessing import published_preprocessing
from keras_clce.models.checkpoints.tensors import read_tensors


@pytest.mark.any_backend
def test_every_mismatch_is_named_and_nothing_is_half_loaded(tiny, tmp_path):
    _, tensors = tiny
    broken = dict(tensors)
    del broken["blocks.3.norm1.bias"], broken["norm.weight"]
    broken["blocks.7.extra"] = torch.zeros(3)
    broken["blocks.0.mlp.fc1.weight"] = torch.zeros(700, 192)
    torch.save(broken, tmp_path / "broken.pth")
    model = build_backbone("vit_tiny", SIZE)
    before = model.get_weights()
    with pytest.raises(ValueError) as error:
        load_weights(model, "vit_tiny", tmp_path / "broken.pth")
    message = str(error.value)
    assert "4 mismatches" in message
    assert "blocks.3.norm1.bias is missing" in message and "norm.weight is missing" in message
    assert "blocks.7.extra is not expected" in message
    assert "(700, 192)" in message and "(192, 768)" in message
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.any_backend
def test_another_architecture_is_recognised(tiny, tmp_path):
    timm = timm_helper.import_timm()
    _, tensors = tiny
    torch.save(tensors, tmp_path / "tiny.pth")
    with pytest.raises(ValueError, match=r"looks like .*width 192, 12 blocks, patch 16"):
        build_backbone("vit_base", SIZE, weights=tmp_path / "tiny.pth")
    with pytest.raises(ValueError, match=r"looks like .*patch 16"):
        build_backbone("vit_tiny_patch8", SIZE, weights=tmp_path / "tiny.pth")
    for timm_name, title in (
        ("resnet26", "a ResNet with bottlenecks"),
        ("resnet10t", "a ResNet without bottlenecks"),
        ("swin_tiny_patch4_window7_224", "a Swin Transformer"),
        ("convnext_atto", "a ConvNeXt"),
        ("beitv2_base_patch16_224", "timm's BEiT or BEiT v2"),
        ("efficientnet_lite0", "an EfficientNet or MobileNet"),
    ):
        with torch.device("meta"):
            names = timm.create_model(timm_name, pretrained=False).state_dict()
        torch.save({name: torch.zeros(1) for name in names}, tmp_path / "other.pth")
        with pytest.raises(ValueError, match=rf"looks like {title}.*Received: weights="):
            build_backbone("vit_tiny", SIZE, weights=tmp_path / "other.pth")


@pytest.mark.any_backend
def test_a_flipped_bit_in_a_pytorch_file_is_noticed(tmp_path):
    torch.save({"weight": torch.ones(1000)}, tmp_path / "ones.pth")
    content = bytearray((tmp_path / "ones.pth").read_bytes())
    content[content.index(np.ones(4, "float32").tobytes()) + 1000] ^= 8
    (tmp_path / "ones.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"checksum and content .* differ.*Received: weights="):
        read_tensors(tmp_path / "ones.pth")


@pytest.mark.any_backend
def test_a_member_of_an_archive_that_is_no_array_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("weight.npy", b"no array")
    with pytest.raises(ValueError, match=r"'weight' is no array.*Received: weights="):
        read_tensors(tmp_path / "other.npz")


@pytest.mark.any_backend
@pytest.mark.parametrize(
    "mean", [None, 0.5, "0.5", [0.5], [0.5, 0.5, "x"], [0.5, float("nan"), 0.5], {"r": 0.5}]
)
def test_pixel_statistics_that_are_no_three_numbers(mean, tmp_path):
    config = {"pretrained_cfg": {"mean": mean, "std": [0.5, 0.5, 0.5]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"three numbers as its mean.*Received: mean="):
        published_preprocessing(tmp_path)


class Malicious:
    """Would create a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.any_backend
def test_files_that_are_no_checkpoints_are_refused(tiny, tmp_path):
    _, tensors = tiny
    whole = tmp_path / "whole.safetensors"
    save_file(tensors, whole)
    torch.save(tensors, tmp_path / "whole.pth")
    np.savez(tmp_path / "whole.npz", **{k: v.numpy() for k, v in tensors.items()})
    for suffix in (".safetensors", ".pth", ".npz"):
        content = (tmp_path / f"whole{suffix}").read_bytes()
        for name, data in (
            ("truncated", content[: len(content) // 2]),
            ("empty", b""),
            ("text", b"not a checkpoint, but long enough to be looked at " * 10),
        ):
            path = tmp_path / f"{name}{suffix}"
            path.write_bytes(data)
            with pytest.raises(ValueError, match=r"(?s)whole file of tensors.*Received: weights="):
                build_backbone("vit_tiny", SIZE, weights=path)
    trap = tmp_path / "executed"
    torch.save({"model": Malicious(trap)}, tmp_path / "code.pth")
    np.savez(tmp_path / "code.npz", a=np.array(Malicious(trap), dtype=object))
    for name in ("code.pth", "code.npz"):
        with pytest.raises(ValueError, match="nothing that runs as code"):
            build_backbone("vit_tiny", SIZE, weights=tmp_path / name)
    assert not trap.exists()
    torch.save([1, 2, 3], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="no dict of tensors"):
        build_backbone("vit_tiny", SIZE, weights=tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    with pytest.raises(ValueError, match="must hold tensors"):
        build_backbone("vit_tiny", SIZE, weights=tmp_path / "none.pth")
    with pytest.raises(ValueError, match="file that ends in"):
        build_backbone("vit_tiny", SIZE, weights=__file__)
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        build_backbone("vit_tiny", SIZE, weights=tmp_path / "folder")

"""Saved models that want more than to be read: code to be run, files to be written elsewhere."""

import json
import os
import zipfile

import keras
import numpy as np
import pytest

from keras_clce.models.backbones import build_backbone

pytestmark = pytest.mark.any_backend
SIZE = 8


@pytest.fixture
def saved(tmp_path):
    """An encoder's file, and a function that writes a changed one and gives its path."""
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="conv")(inputs))
    folder = tmp_path / "inside" / "models"
    folder.mkdir(parents=True)
    model.save(folder / "whole.keras")
    with zipfile.ZipFile(folder / "whole.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def write(layer=None, **more):
        changed = dict(members)
        if layer is not None:
            config = json.loads(members["config.json"])
            layer(config["config"]["layers"][1])
            changed["config.json"] = json.dumps(config).encode()
        path = folder / "changed.keras"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in {**changed, **more}.items():
                archive.writestr(name, content)
        return path

    return model, write


def lambda_layer(layer):
    doubled = keras.layers.Lambda(lambda x: x * 2.0, output_shape=(6, 6, 4))
    layer |= keras.saving.serialize_keras_object(doubled)


def marshalled_activation(layer):
    layer["config"]["activation"] = keras.saving.serialize_keras_object(lambda x: x * 2.0)


def system_call(trap):
    def change(layer):
        config = {"command": f"touch {trap}", "args": [f"touch {trap}"]}
        layer |= {"module": "os", "class_name": "system", "registered_name": None, "config": config}

    return change


def system_initializer(trap):
    def change(layer):
        config = {"command": f"touch {trap}"}
        named = {"module": "posix", "class_name": "system", "registered_name": None}
        layer["config"]["kernel_initializer"] = {**named, "config": config}

    return change


@pytest.mark.parametrize("attack", ["lambda", "activation", "layer", "initializer"])
def test_code_in_a_saved_model_is_refused_in_one_line(saved, tmp_path, attack):
    _, write = saved
    trap = tmp_path / "executed"
    layer = {
        "lambda": lambda_layer,
        "activation": marshalled_activation,
        "layer": system_call(trap),
        "initializer": system_initializer(trap),
    }[attack]
    with pytest.raises(ValueError, match="nothing that runs as code") as error:
        build_backbone(str(write(layer)), SIZE)
    assert "\n" not in str(error.value)
    assert not trap.exists()


@pytest.mark.parametrize("member", ["../x", "../../x", "assets/../../x", "assets/../../../x"])
def test_members_of_an_archive_stay_inside(saved, tmp_path, member, monkeypatch):
    model, write = saved
    monkeypatch.setenv("TMPDIR", str(tmp_path / "inside"))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = {path for path in tmp_path.rglob("*")}
    path = write(**{member: b"written outside"})
    pixels = np.ones((1, SIZE, SIZE, 3), "float32")
    loaded = build_backbone(str(path), SIZE)
    np.testing.assert_array_equal(
        loaded.predict(pixels, verbose=0), model.predict(pixels, verbose=0)
    )
    assert {path for path in tmp_path.rglob("*")} == before | {path}


def test_links_in_an_archive_lead_nowhere(saved, tmp_path):
    _, write = saved
    path = write()
    secret = tmp_path / "secret"
    secret.write_text("untouched")
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("assets/link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, str(secret))
        archive.writestr("assets/link/x", b"written through a link")
    try:
        build_backbone(str(path), SIZE)
    except ValueError as error:
        assert "whole .keras file" in str(error)
    assert secret.read_text() == "untouched"
    assert not os.path.lexists(tmp_path / "secret" / "x")


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_bit_in_a_saved_model_is_noticed(saved, place):
    _, write = saved
    path = write()
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("model.weights.h5")
    start = info.header_offset + 30 + len(info.filename)
    content[start + int(place * info.file_size)] ^= 4
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"checksum.*model\.weights\.h5.*Received: name="):
        build_backbone(str(path), SIZE)


def test_a_damaged_image_converter_is_not_passed_over(tmp_path):
    from keras_hub.models import ResNetBackbone

    backbone = ResNetBackbone([64], [7], [64], [1], [1], "basic_block", image_shape=(SIZE, SIZE, 3))
    backbone.save_to_preset(str(tmp_path))
    assert build_backbone(f"hub:{tmp_path}", SIZE)
    (tmp_path / "image_converter.json").write_text('{"class_name": ')
    with pytest.raises(ValueError, match="must be a whole folder of keras-hub's"):
        build_backbone(f"hub:{tmp_path}", SIZE)

"""One more family of encoders is one file and a row, and so is one more source."""

import sys

import keras
import numpy as np
import pytest
import toy_family
from backbone_checks import assert_close, random_pixels
from safetensors.numpy import save_file

from keras_clce.models import backbone_spec, build_backbone, list_backbones, registry
from keras_clce.models.backbones import check_options, check_weights, load_weights
from keras_clce.models.spec import Source, foreign_spec
from keras_clce.models.weights import PublicWeights, Weights, refuse_weights
from keras_clce.train.layerwise import layer_multipliers, unfreeze_last

pytestmark = pytest.mark.any_backend
SIZE = 8


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(registry.FAMILIES, "toy", toy_family.ROWS)


@pytest.fixture
def tensors():
    """Of a file of the toy's, kernels outputs first as PyTorch has them."""
    generator = np.random.default_rng(0)
    shapes = {"root": (4, 3), "units.0": (4, 4), "units.1": (4, 4), "head": (2, 4)}
    drawn = {}
    for name, shape in shapes.items():
        drawn[f"{name}.weight"] = generator.normal(size=shape).astype("float32")
        drawn[f"{name}.bias"] = generator.normal(size=shape[:1]).astype("float32")
    return drawn


def features(tensors, pixels):
    x = ((pixels - 127.5) / 127.5).mean(axis=(1, 2))
    x = x @ tensors["root.weight"].T + tensors["root.bias"]
    for unit in ("units.0", "units.1"):
        x = np.maximum(x @ tensors[f"{unit}.weight"].T + tensors[f"{unit}.bias"], 0)
    return x


def test_a_family_in_one_file_builds_and_loads_its_checkpoint(toy, tensors, tmp_path):
    assert "toy" in [spec.name for spec in list_backbones()]
    assert backbone_spec("toy").weights == "a local file"
    assert build_backbone("toy", SIZE).output_shape == (None, 4)
    path = tmp_path / "toy.safetensors"
    save_file(tensors, path)
    model = build_backbone("toy", SIZE, weights=path)
    pixels = random_pixels(SIZE)
    assert_close(keras.ops.convert_to_numpy(model(pixels)), features(tensors, pixels), 1e-5)
    report = load_weights(model, "toy", path)
    assert set(report.dropped) == {"head.bias", "head.weight"}
    save_file({**tensors, "more": tensors["root.bias"]}, path)
    with pytest.raises(ValueError, match=r"must fit toy.*more is not expected.*Received: weights="):
        build_backbone("toy", SIZE, weights=path)


def test_its_depth_groups_serve_learning_rates_and_freezing(toy):
    check_options("toy", layer_decay=True)
    for option in ({"remat": True}, {"stochastic_depth": 0.1}):
        with pytest.raises(ValueError, match=rf"`{next(iter(option))}` is for .*name='toy'"):
            check_options("toy", **option)
    inner = build_backbone("toy", SIZE)
    images = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(images, keras.layers.Dense(2, name="head")(inner(images)))
    multipliers = layer_multipliers(model.trainable_variables, decay=0.5)
    found = {path.split("/")[-2]: value for path, value in multipliers.items()}
    assert found == {"root": 0.125, "unit0_dense": 0.25, "unit1_dense": 0.5, "head": 1.0}
    unfreeze_last(inner, 1)
    trained = [layer.name for layer in inner.layers if layer.trainable_weights]
    assert trained == ["unit1_dense"]


def test_layers_that_no_family_knows_have_no_depth():
    assert registry.find_depth_groups(["unit0_dense/kernel", "block2a_conv/kernel"]) is None


def test_a_source_is_four_verbs_behind_a_row_of_the_table(monkeypatch):
    def build(name, image_size, weights):
        images = keras.Input((image_size, image_size, 3))
        pooled = keras.layers.GlobalAveragePooling2D()(images)
        return keras.Model(images, pooled, name=name.removeprefix("ours:"))

    ours = Source(
        form="'ours:NAME' (means of pixels)",
        prefix="ours:",
        spec=lambda name, find_row: foreign_spec(name, "ours", ((1.0,) * 3, (2.0,) * 3)),
        check=refuse_weights,
        build=build,
        is_trained=lambda name: name == "ours:known",
    )
    monkeypatch.setattr(registry, "SOURCES", (*registry.SOURCES, ours))
    assert backbone_spec("ours:known").mean == (1.0, 1.0, 1.0)
    model = build_backbone("ours:known", SIZE)
    pixels = random_pixels(SIZE)
    assert_close(keras.ops.convert_to_numpy(model(pixels)), pixels.mean(axis=(1, 2)), 1e-6)
    assert registry.is_external("ours:x")
    assert registry.brings_weights("ours:known") and not registry.brings_weights("ours:x")
    with pytest.raises(ValueError, match=r"brings its own weights or none.*Received: weights="):
        check_weights("ours:known", "imagenet")
    with pytest.raises(ValueError, match=r"'ours:NAME' \(means of pixels\).*Received: name="):
        build_backbone("our", SIZE)


@pytest.mark.parametrize(
    ("name", "external", "trained"),
    [
        ("app:ResNet50V2", True, False),
        ("hub:resnet_50_imagenet", True, True),
        ("zero:convnext", True, False),
        ("zero:organisation/name", True, True),
        ("folder/model.keras", True, True),
        ("resnet50", False, False),
        (3, False, False),
    ],
)
def test_which_names_are_external_and_bring_weights(name, external, trained):
    assert registry.is_external(name) is external
    assert registry.brings_weights(name) is trained


# === Weights ===


@pytest.mark.parametrize(
    ("weights", "short", "paths"),
    [
        (Weights(), "random only", ""),
        (Weights(files=(".a", ".b")), "a local file", "file (.a, .b)"),
        (Weights(folders=("x", "y")), "a local folder", "folder (x, or y)"),
        (
            Weights(files=(".a",), folders=("x",)),
            "a local file or folder",
            "file (.a), or folder (x)",
        ),
        (Weights(imagenet=PublicWeights("hf://a/b"), files=(".a",)), "hf://a/b", "file (.a)"),
        (Weights(imagenet=PublicWeights("p", "preset")), "preset p", ""),
    ],
)
def test_what_is_said_about_weights_follows_from_what_they_are(weights, short, paths):
    assert weights.in_words() == short
    assert weights.paths_in_words() == paths


def test_weights_of_a_kind_that_an_encoder_does_not_read(tmp_path):
    (tmp_path / "weights.a").touch()
    files, folders = Weights(files=(".a",)), Weights(folders=("x",), addresses=("hf://U/N",))
    files.check("net", tmp_path / "weights.a")
    folders.check("net", str(tmp_path))
    folders.check("net", "hf://somebody/net")
    for weights, given, kind, text in (
        (Weights(), tmp_path, ValueError, "net reads no weights"),
        (files, 3, ValueError, "or a path"),
        (files, tmp_path, FileNotFoundError, r"the path of a file \(\.a\)"),
        (folders, tmp_path / "weights.a", FileNotFoundError, r"the path of a folder \(x\)"),
        (folders, "gs://bucket", ValueError, r"for net, hf://U/N, or the path of a folder \(x\)"),
    ):
        with pytest.raises(kind, match=rf"{text}.*Received: weights="):
            weights.check("net", given)


# === Packages that are not installed ===


@pytest.mark.parametrize(
    ("name", "package", "command"),
    [
        ("resnet18", "keras_cv", "pip install keras-cv tensorflow"),
        ("efficientnet_lite0", "keras_cv", "pip install keras-cv tensorflow"),
        ("resnet101", "keras_hub", "pip install keras-hub"),
        ("hub:resnet_18_imagenet", "keras_hub", "pip install keras-hub"),
    ],
)
def test_a_missing_package_is_named_with_its_command(name, package, command, monkeypatch):
    for module in [package, *(m for m in sys.modules if m.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{package}.models", None)
    with pytest.raises(ImportError, match=rf"{package}, which is not installed.*{command}"):
        build_backbone(name, 32)

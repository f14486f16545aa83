"""Exported files in their own runtimes, and in programs that know nothing of this package."""

import dataclasses
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import scipy.special
from PIL import Image

from keras_clce import CLCEModel, backend, predict_images
from keras_clce.inference import EXPORT_FORMATS, check_export, export_model
from keras_clce.inference.export import formats, serving
from keras_clce.inference.export.int8 import spread
from keras_clce.inference.export.usage import usage_code
from keras_clce.models.fast_operations import use_fast_operations
from keras_clce.models.registry import find_row
from keras_clce.views import Preprocessing

ROOT = Path(__file__).resolve().parents[2]
SIDE = 32
# Quotes, and letters that are more than a byte.
NAMES = ("Möwe <&>", 'a "b"', "c, d")
VIEW = Preprocessing(SIDE, 0.8, "bicubic")
RUNNING = backend.backend_name()
WRITTEN = {
    "tensorflow": ("saved_model", "onnx", "openvino", "litert"),
    "jax": ("saved_model",),
    "torch": ("onnx", "openvino", "torch"),
}[RUNNING]
FILES = {
    "saved_model": "model",
    "onnx": "model.onnx",
    "openvino": "model.xml",
    "litert": "model.tflite",
    "torch": "model.pt2",
}
# Runtimes that start in a second or two.
ALONE = ("onnx", "openvino", "litert")


def convolutional():
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 64, offset=-2)(inputs)
    x = keras.layers.Conv2D(6, 3, strides=2, use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same")(keras.layers.ReLU(6)(x))
    x = keras.layers.Add()([x, keras.layers.Conv2D(6, 1)(x)])
    return use_fast_operations(keras.Model(inputs, x))


def transformer():
    sizes = {"patch_size": 8, "hidden_dim": 32, "num_layers": 1, "num_heads": 2}
    return dataclasses.replace(find_row("vit_tiny"), sizes=sizes).create(SIDE, None)


ENCODERS = {"convolutional": convolutional, "transformer": transformer}


def make_model(name="convolutional", **options):
    options = {"embedding_dim": 4, "class_names": NAMES, "preprocessing": VIEW, **options}
    return CLCEModel(ENCODERS[name](), len(NAMES), **options)


@pytest.fixture
def photograph(tmp_path):
    """A file that cameras write: neither square nor upright."""
    rows, columns = np.mgrid[:57, :91]
    pixels = np.stack([2 * columns, 4 * rows, 128 + 60 * np.sin(columns / 5)], -1)
    noise = np.random.default_rng(0).normal(0, 10, pixels.shape)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "photograph.png"
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(path, exif=exif)
    return path


def outputs_and_metadata(format, path, images):
    """What a file gives and says, by the means of its runtime alone."""
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        (taken,) = session.get_inputs()
        assert (taken.name, taken.type) == ("images", "tensor(uint8)")
        assert taken.shape == ["batch", SIDE, SIDE, 3]
        names = [output.name for output in session.get_outputs()]
        outputs = dict(zip(names, session.run(None, {"images": images}), strict=True))
        return outputs, session.get_modelmeta().custom_metadata_map
    if format == "openvino":
        import openvino

        network = openvino.Core().read_model(path)
        assert [*network.input("images").partial_shape][1:] == [SIDE, SIDE, 3]
        names = ("class_names", "preprocessing")
        described = {name: network.get_rt_info(["model_info", name]).astype(str) for name in names}
        options = {"INFERENCE_PRECISION_HINT": "f32"}
        outputs = openvino.compile_model(network, "CPU", options)({"images": images})
        names = ("embedding", "logits", "probabilities")
        return {name: outputs[name] for name in names}, described
    if format == "litert":
        from ai_edge_litert.interpreter import Interpreter

        with zipfile.ZipFile(path) as archive:
            described = {name: archive.read(name).decode() for name in archive.namelist()}
        return Interpreter(str(path)).get_signature_runner()(images=images), described
    if format == "torch":
        import torch

        described = {"class_names": "", "preprocessing": ""}
        program = torch.export.load(path, extra_files=described).module()
        outputs = program(torch.from_numpy(images))
        return {name: value.detach().numpy() for name, value in outputs.items()}, described
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    outputs = loaded.signatures["serving_default"](tf.constant(images))
    described = {file.name: file.read_text() for file in (path / "assets.extra").iterdir()}
    return {name: value.numpy() for name, value in outputs.items()}, described


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("format", WRITTEN)
def test_file(format, encoder, photograph, tmp_path, monkeypatch, capsys):
    model = make_model(encoder)
    path = tmp_path / FILES[format]
    exported = export_model(model, path, format)
    assert exported.difference < 1e-4
    view = VIEW(np.asarray(Image.open(photograph)))
    noise = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3))
    images = np.concatenate([view[None], noise]).astype(np.uint8)
    outputs, described = outputs_and_metadata(format, path, images)
    expected = model.predict(images.astype("float32"), verbose=0)
    assert {*outputs} == {*expected}
    for name, values in expected.items():
        np.testing.assert_allclose(outputs[name], values, rtol=0, atol=1e-4)
    for said in (described, json.loads(path.with_name(f"{path.name}.json").read_text())):
        names, geometry = said["class_names"], said["preprocessing"]
        assert (names if isinstance(names, list) else json.loads(names)) == [*NAMES]
        geometry = geometry if isinstance(geometry, dict) else json.loads(geometry)
        assert geometry == {"image_size": SIDE, "crop_fraction": 0.8, "interpolation": "bicubic"}
    if format == "torch":
        # No weight stands in the file twice, and no path of the machine that wrote it.
        with zipfile.ZipFile(path) as archive:
            sizes = {each.filename: each.file_size for each in archive.infolist()}
            (graph,) = [name for name in sizes if name.endswith("models/model.json")]
            assert b"site-packages" not in archive.read(graph)
        numbers = sum(
            size for name, size in sizes.items() if "weight_" in name or "tensor_" in name
        )
        assert numbers < 4 * 1.2 * model.count_params() + 1000
    (row,) = predict_images(model, photograph, verbose=0)
    if format in ALONE:
        said = run_alone(exported.code, photograph, tmp_path)
    else:
        monkeypatch.setattr(sys, "argv", ["use.py", str(photograph)])
        exec(compile(exported.code, "use.py", "exec"), {})
        said = capsys.readouterr().out
    lines = [line.split(maxsplit=1) for line in said.splitlines()[-3:]]
    assert [name for _, name in lines] == [*row.class_names]
    for (share, _), probability in zip(lines, row.probabilities, strict=True):
        assert float(share.rstrip("%")) / 100 == pytest.approx(probability, abs=1e-3)


def run_alone(code, photograph, folder):
    """Run a program where neither this package nor Keras can be imported."""
    (folder / "use.py").write_text(code, encoding="utf-8")
    hidden = str(ROOT / "tests" / "hidden_packages.py")
    packages = "keras_clce,keras,tensorflow,torch,jax"
    command = [sys.executable, hidden, packages, str(folder / "use.py"), str(photograph)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.any_backend
@pytest.mark.parametrize("crop_fraction", [0.875, 1.0])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(480, 640, 3), (57, 41, 4), (30, 300, 3), (20, 20, 3)])
def test_code_cuts_as_evaluation_does(shape, interpolation, crop_fraction, tmp_path, monkeypatch):
    view = Preprocessing(SIDE, crop_fraction, interpolation)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    seen = []
    session = SimpleNamespace(
        get_modelmeta=lambda: SimpleNamespace(
            custom_metadata_map={
                "class_names": '["a"]',
                "preprocessing": json.dumps(view.get_config()),
            }
        ),
        run=lambda names, inputs: (seen.append(inputs["images"]), *[np.ones((1, 1))] * 2),
    )
    fake = SimpleNamespace(InferenceSession=lambda *_, **__: session)
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    monkeypatch.setattr(sys, "argv", ["use.py", str(tmp_path / "image.png")])
    exec(usage_code(formats.FORMATS["onnx"], Path("model.onnx")), {})
    expected = view(predictable(pixels))
    assert seen[0].shape == (1, SIDE, SIDE, 3) and seen[0].dtype == np.uint8
    differences = np.abs(seen[0][0] - expected)
    assert differences.max() <= 1 and differences.mean() < 0.002


def predictable(pixels):
    """Pixels on white where they are transparent."""
    if pixels.shape[-1] == 3:
        return pixels
    white = Image.new("RGBA", pixels.shape[1::-1], "white")
    return np.asarray(Image.alpha_composite(white, Image.fromarray(pixels)).convert("RGB"))


# === Checks ===


def fake_row(**options):
    """A format without a converter, whose file gives what the model gives, plus something."""

    def run(images):
        outputs = options["model"].predict_on_batch(images.astype("float32"))
        return {
            name: keras.ops.convert_to_numpy(value) + options.get("more", 0.0)
            for name, value in outputs.items()
        }

    return dataclasses.replace(
        formats.FORMATS["onnx"],
        write=lambda served, path: path.write_text("file"),
        describe=lambda path, metadata: None,
        open_file=lambda path: run,
        runtime=options.get("runtime", "numpy"),
        writers={},
    )


@pytest.mark.any_backend
@pytest.mark.parametrize("more", [0.002, np.nan])
def test_a_file_that_gives_something_else_is_not_kept(more, tmp_path, monkeypatch):
    model = make_model()
    monkeypatch.setitem(formats.FORMATS, "onnx", fake_row(model=model, more=more))
    (tmp_path / "model.onnx").write_text("older")
    with pytest.raises(ValueError, match=r"must give what Keras gives.*Received: a largest"):
        export_model(model, tmp_path / "model.onnx", "onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_text() == "older"


@pytest.mark.any_backend
def test_without_a_runtime_nothing_is_checked(tmp_path, monkeypatch):
    model = make_model(class_names=None)
    monkeypatch.setitem(formats.FORMATS, "onnx", fake_row(model=model, runtime="no_such_package"))
    exported = export_model(model, tmp_path / "m.onnx", "onnx", class_names=["x", "y", "z"])
    assert exported.difference is None and (tmp_path / "m.onnx").read_text() == "file"
    about = json.loads((tmp_path / "m.onnx.json").read_text())
    assert about["class_names"] == ["x", "y", "z"]
    assert about["largest_difference_to_keras"] is None


def test_each_format_is_written_or_names_the_backend_that_can(tmp_path):
    able = {
        "saved_model": "KERAS_BACKEND=tensorflow or KERAS_BACKEND=jax",
        "onnx": "KERAS_BACKEND=tensorflow or KERAS_BACKEND=torch",
        "openvino": "KERAS_BACKEND=tensorflow or KERAS_BACKEND=torch",
        "litert": "KERAS_BACKEND=tensorflow",
        "torch": "KERAS_BACKEND=torch",
    }
    assert {*EXPORT_FORMATS} == {*able}
    for format, backends in able.items():
        if format in WRITTEN:
            check_export(tmp_path / FILES[format], format)
            continue
        with pytest.raises(ValueError, match=f"`format` {format} needs {backends}; .*{RUNNING}$"):
            check_export(tmp_path / FILES[format], format)


@pytest.mark.any_backend("tensorflow")  # which writes all of these formats
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"format": "tflite"}, "must be one of: saved_model, onnx, .*Received: format='tflite'"),
        ({"output": "model.pb"}, r"must end in \.onnx .*output=model\.pb"),
        ({"output": "no/model.onnx"}, "must lie in a folder that is there"),
        ({"output": "folder.onnx"}, "must be a file"),
        ({"format": "saved_model", "output": "folder.onnx"}, "must be a new folder, or one with"),
        ({"quantize": "int4"}, "must be None or int8. Received: quantize='int4'"),
        ({"quantize": "int8"}, "`images` must be given with quantize='int8'"),
        ({"images": "folder.onnx"}, "`images` is for quantize='int8' alone"),
        ({"format": "openvino", "output": "m.xml", "quantize": "int8"}, "NNCF.*format onnx"),
    ],
)
def test_check_refuses(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder.onnx").mkdir()
    Path("folder.onnx", "mine.txt").touch()
    with pytest.raises(ValueError, match=said):
        check_export(**{"format": "onnx", "output": "model.onnx", **arguments})


@pytest.mark.any_backend("tensorflow")  # which alone needs tf2onnx
@pytest.mark.parametrize(
    ("format", "package"), [("onnx", "onnx"), ("onnx", "tf2onnx"), ("openvino", "openvino")]
)
def test_what_is_not_installed_is_named(format, package, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'{package}, which.*pip install "keras-clce\[export\]"'):
        check_export(tmp_path / FILES[format], format)


@pytest.mark.any_backend
def test_what_a_converter_cannot_do_is_told(tmp_path, monkeypatch):
    def fail(served, path):
        raise RuntimeError("no rule\nfor Roll")

    row = dataclasses.replace(formats.FORMATS["onnx"], write=fail)
    monkeypatch.setitem(formats.FORMATS, "onnx", row)
    with pytest.raises(ValueError, match=r"could not be written as onnx .*\(no rule for Roll\)"):
        export_model(make_model(), tmp_path / "model.onnx", "onnx")
    assert not [*tmp_path.iterdir()]


# === What is exported ===


@pytest.mark.parametrize("encoder", ENCODERS)
def test_half_precision_is_exported_in_float32(encoder):
    keras.config.set_dtype_policy("mixed_bfloat16")
    half = make_model(encoder)
    keras.config.set_dtype_policy("float32")
    single = make_model(encoder)
    for own, other in ((single.backbone, half.backbone), (single.heads, half.heads)):
        own.set_weights([np.asarray(each, "float32") for each in other.get_weights()])
    images = np.random.default_rng(0).uniform(0, 255, (2, SIDE, SIDE, 3)).astype("float32")
    expected = single.predict(images, verbose=0)["logits"]
    copy = serving.in_float32(half)
    np.testing.assert_allclose(copy.predict(images, verbose=0)["logits"], expected, atol=1e-6)
    assert np.abs(half.predict(images, verbose=0)["logits"] - expected).max() > 1e-4
    assert serving.in_float32(single) is single


def test_transformers_are_told_from_convolutional_encoders():
    assert serving.is_convolutional(make_model("convolutional"))
    assert not serving.is_convolutional(make_model("transformer"))


@pytest.mark.any_backend
def test_photographs_are_spread():
    assert spread(7, 7) == [*range(7)]
    places = spread(1000, 10)
    assert {*np.diff(places)} == {100} and places[0] == 50


@pytest.mark.any_backend
def test_a_model_of_several_labels_gives_a_probability_of_each(tmp_path):
    model, path = make_model(multi_label=True), tmp_path / FILES["onnx"]
    export_model(model, path, format="onnx")
    images = np.random.default_rng(2).integers(0, 256, (3, SIDE, SIDE, 3), dtype="uint8")
    outputs, _ = outputs_and_metadata("onnx", path, images)
    logits = model.predict(images, verbose=0)["logits"]
    np.testing.assert_allclose(outputs["logits"], logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs["probabilities"], scipy.special.expit(logits), rtol=1e-4)

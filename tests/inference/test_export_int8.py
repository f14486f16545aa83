"""Files of 8-bit numbers, on photographs of three colours that a model tells apart."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_clce import CLCEModel, backend
from keras_clce.inference import export_model
from keras_clce.inference.export.int8 import read_photographs
from keras_clce.views import Preprocessing

SIDE = 16
NAMES = ("blue", "green", "red")


@pytest.fixture
def colours(tmp_path):
    """Eight pictures of each colour, and a file that is none."""
    rng = np.random.default_rng(0)
    for channel, name in enumerate(reversed(NAMES)):
        (tmp_path / "colours" / name).mkdir(parents=True)
        for number in range(8):
            pixels = rng.integers(0, 100, (20, 30, 3), np.uint8)
            pixels[..., channel] = 250 - number
            Image.fromarray(pixels).save(tmp_path / "colours" / name / f"{number}.png")
    (tmp_path / "colours" / "red" / "9.png").write_text("no image")
    return tmp_path / "colours"


def make_model(convolutional):
    """A model whose embedding has the mean colour, and whose classes are the three colours."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    if convolutional:
        x = keras.layers.Conv2D(3, 4, strides=4, use_bias=False, name="mix")(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
    else:
        # LiteRT leaves matrices of less than 1,024 numbers as they are.
        x = keras.layers.Dense(3, use_bias=False, name="mix")(keras.layers.Flatten()(x))
    encoder = keras.Model(inputs, x)
    mix = encoder.get_layer("mix").kernel
    pixels = 16 if convolutional else SIDE**2
    means = np.broadcast_to(np.eye(3), (pixels, 3, 3)) / pixels
    mix.assign(means.reshape(mix.shape))
    model = CLCEModel(
        encoder,
        3,
        feature_normalization=None,
        class_names=NAMES,
        preprocessing=Preprocessing(SIDE),
    )
    model.heads.classifier.kernel.assign(9 * np.eye(3)[::-1])
    return model


CASES = {
    "tensorflow": [("onnx", True), ("onnx", False), ("litert", True), ("litert", False)],
    "jax": [("saved_model", False)],
    "torch": [("onnx", True), ("torch", False)],
}[backend.backend_name()]
FILES = {"saved_model": "m", "onnx": "m.onnx", "litert": "m.tflite", "torch": "m.pt2"}


def integer_types(format, path):
    """Names of types of 8-bit numbers among the weights of a file."""
    if format == "onnx":
        import onnx

        kinds = {each.data_type for each in onnx.load(path).graph.initializer}
        return {onnx.TensorProto.DataType.Name(kind) for kind in kinds} & {"INT8", "UINT8"}
    if format == "litert":
        from ai_edge_litert.interpreter import Interpreter

        details = Interpreter(str(path)).get_tensor_details()
        return {each["dtype"].__name__ for each in details} & {"int8"}
    if format == "torch":
        import torch

        program = torch.export.load(path)
        tensors = [*program.state_dict.values(), *program.constants.values()]
        return {str(each.dtype) for each in tensors} & {"torch.int8"}
    import tensorflow as tf

    variables = tf.train.list_variables(str(path / "variables" / "variables"))
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    kinds = {reader.get_variable_to_dtype_map()[name].name for name, _ in variables}
    return kinds & {"int8"}


@pytest.mark.parametrize(("format", "convolutional"), CASES)
def test_int8(format, convolutional, colours, tmp_path):
    path = tmp_path / FILES[format]
    model = make_model(convolutional)
    exported = export_model(model, path, format, quantize="int8", images=colours)
    # Half of the 25 files find ranges; the damaged one is among the last.
    assert exported.photographs == (12, 12, 1)
    assert exported.difference < 1e-4
    for measured in (exported.before, exported.after):
        assert measured.accuracy == measured.agreement == 1
        assert measured.milliseconds > 0 and measured.megabytes > 0
    assert integer_types(format, path)
    about = json.loads((tmp_path / f"{path.name}.json").read_text())
    assert about["int8"]["int8"]["megabytes"] == exported.after.megabytes
    # The model that was given has not changed.
    assert model.heads.classifier.quantization_mode is None


@pytest.mark.any_backend
def test_adapters_are_merged_before(colours, tmp_path):
    model = make_model(False)
    model.enable_lora(1)
    for weight in model.backbone.trainable_weights:
        weight.assign(0.1 * np.ones(weight.shape))
    expected = model.predict(np.zeros((1, SIDE, SIDE, 3)) + 99, verbose=0)["logits"]
    path = tmp_path / FILES["torch"]
    exported = export_model(model, path, "torch", quantize="int8", images=colours)
    assert exported.difference < 1e-4 and integer_types("torch", path)
    assert model.lora is not None
    found = model.predict(np.zeros((1, SIDE, SIDE, 3)) + 99, verbose=0)["logits"]
    np.testing.assert_array_equal(found, expected)


def test_keras_quantises_no_convolutions(colours, tmp_path):
    format = "torch" if backend.backend_name() == "torch" else "saved_model"
    with pytest.raises(ValueError, match=r"quantises dense layers, .*format onnx or litert"):
        export_model(
            make_model(True), tmp_path / FILES[format], format, None, None, "int8", colours
        )


@pytest.mark.any_backend
def test_photographs_are_divided(colours):
    shown = read_photographs(colours, Preprocessing(SIDE), NAMES, limit=5)
    assert len(shown.calibration) == 12 and len(shown.views) == 5
    assert len({view.tobytes() for view in [*shown.calibration, *shown.views]}) == 17
    # Labels are by the folders; the largest mean is that of the colour.
    means = shown.views.mean((1, 2))
    assert [NAMES[label] for label in shown.labels] == [
        ("red", "green", "blue")[channel] for channel in means.argmax(-1)
    ]
    other = read_photographs(colours / "red", Preprocessing(SIDE), NAMES, limit=2)
    assert [*other.labels] == [-1, -1]


@pytest.mark.any_backend
def test_too_few_photographs(colours):
    with pytest.raises(ValueError, match=r"`images` must have two photographs .*Received: 1"):
        read_photographs(colours / "red" / "0.png", Preprocessing(SIDE), NAMES, limit=5)

"""Exported files against the models that they were made from."""

import dataclasses

import keras
import numpy as np
import pytest
from backbone_checks import assert_close, perturb, random_pixels
from marks import others_on_any_backend

from keras_clce import CLCEModel, backend
from keras_clce.data import two_view_augmenter
from keras_clce.models import build_backbone
from keras_clce.models.families.efficientnetv2 import Stages
from keras_clce.models.fast_operations import use_fast_operations
from keras_clce.models.registry import find_row

SIZE = 32
CLASSES = 3

# Each family of encoders in a size that exports quickly.
_VIT = {"patch_size": 8, "hidden_dim": 8, "num_layers": 2, "num_heads": 2}
_RESNET = {"blocks": [1, 2, 1, 1], "block_type": "block"}
_RESNET_V2 = {"blocks": [2] * 4, "block_type": "block"}  # with one alone keras-cv repeats a name
_V2 = Stages(8, [8] * 6, [1] * 6)
FAMILIES = {
    "small_resnet": {},
    "efficientnet_lite0": {"width": 0.3, "depth": 0.3},
    "efficientnetv2_b0": {"stages": _V2, "width": 1.0, "depth": 1.0},
    "resnet50": {"version": 1, **_RESNET},
    "resnet50_v2": {"version": 2, **_RESNET_V2},
    "resnet101": {"blocks": [1, 1, 1, 1]},
    "resnet101_in21k": {"blocks": [1, 1]},
    "vit_tiny": _VIT,
    "mae_base": _VIT,
    "beit3_base": _VIT,
    "app:MobileNet": None,
}
KINDS_OF_LAYERS = ("efficientnet_lite0", "resnet101_in21k", "beit3_base", "app:MobileNet")
# What Keras writes from a backend with nothing but what the tests install.
FORMATS = {
    "tensorflow": ("onnx", "tf_saved_model", "litert"),
    "jax": ("tf_saved_model",),
    "torch": ("onnx", "torch"),
}[backend.backend_name()]
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "litert": ".tflite", "tf_saved_model": ""}


def encoder(name):
    if FAMILIES.get(name) is None:
        model = build_backbone(name, SIZE)
    else:
        row = dataclasses.replace(find_row(name), sizes=FAMILIES[name])
        model = use_fast_operations(row.create(SIZE, None))
    perturb(model)
    return model


def run_exported(path, format, images):
    """What an exported file gives, as a list."""
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        return session.run(None, {session.get_inputs()[0].name: images})
    if format == "torch":
        import torch

        outputs = torch.export.load(path).module()(torch.tensor(images))
        return [each.detach().numpy() for each in keras.tree.flatten(outputs)]
    import tensorflow as tf

    if format == "tf_saved_model":
        loaded = tf.saved_model.load(path)  # its variables live as long as it does
        outputs = loaded.serve(images)
        return [np.asarray(each) for each in keras.tree.flatten(outputs)]
    runner = tf.lite.Interpreter(model_path=path)
    (taken,) = runner.get_input_details()
    runner.resize_tensor_input(taken["index"], images.shape)
    runner.allocate_tensors()
    runner.set_tensor(taken["index"], images)
    runner.invoke()
    names = runner.get_output_details()
    return [runner.get_tensor(each["index"]) for each in sorted(names, key=lambda x: x["name"])]


def images_for(format):
    # torch's own format is of one image unless told otherwise.
    return random_pixels(SIZE, batch=1 if format == "torch" else 3)


def assert_exports(model, format, folder):
    path = str(folder / f"model{SUFFIXES[format]}")
    model.export(path, format=format, verbose=False)
    images = images_for(format)
    expected = keras.tree.flatten(model.predict(images, verbose=0))
    # Of another number than those that the model may have been called with.
    few = images[:2]
    outputs = run_exported(path, format, few)
    assert np.std(outputs[0]) > 0
    # Deep random encoders may give features so small that all classes are equally probable.
    for actual, each in zip(outputs, expected, strict=True):
        bound = 1e-5 * np.abs(each).max()
        np.testing.assert_allclose(actual, each[: len(few)], rtol=0, atol=bound)


@pytest.mark.parametrize(
    ("format", "name"),
    # ONNX knows the fewest operations; else, an encoder of each kind of layers is enough.
    others_on_any_backend(
        [
            (format, name)
            for format in FORMATS[:2]
            for name in (FAMILIES if format == "onnx" else KINDS_OF_LAYERS)
        ],
        *((format, name) for format in FORMATS[:2] for name in KINDS_OF_LAYERS),
    ),
)
def test_model(name, format, tmp_path):
    # It was never called; and the augmenter is for training alone.
    model = CLCEModel(
        encoder(name),
        CLASSES,
        augmenter=two_view_augmenter(SIZE),
        embedding_dim=4,
    )
    assert_exports(model, format, tmp_path)


# The other families are written as parts of models, above.
@pytest.mark.parametrize("name", ["efficientnet_lite0", "vit_tiny"])
def test_encoder(name, tmp_path):
    model = encoder(name)
    model.predict(images_for(FORMATS[0]), verbose=0)  # Keras exports what was called
    assert_exports(model, FORMATS[0], tmp_path)


@pytest.mark.parametrize("normalization", ["layer", "batch", "unit"])
def test_feature_normalization(normalization, tmp_path):
    model = CLCEModel(encoder("small_resnet"), CLASSES, feature_normalization=normalization)
    assert_exports(model, FORMATS[0], tmp_path)


@pytest.mark.skipif("litert" not in FORMATS, reason="of TensorFlow")
@pytest.mark.parametrize("name", ["small_resnet", "vit_tiny"])
def test_litert(name, tmp_path):
    assert_exports(CLCEModel(encoder(name), CLASSES), "litert", tmp_path)


def test_own_model_exports_after_training(tmp_path):
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(4, 3)(images)
    x = keras.layers.BatchNormalization()(x)
    own = keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))
    model = CLCEModel(own, CLASSES)
    model.compile("sgd")
    model.fit(random_pixels(SIZE, batch=6) / 255, np.arange(6) % 3, epochs=1, verbose=0)
    own.predict(images_for(FORMATS[0]), verbose=0)
    assert_exports(own, FORMATS[0], tmp_path)


def test_images_of_one_size_by_the_callers_signature(tmp_path):
    model = CLCEModel(encoder("vit_tiny"), CLASSES)
    signature = [keras.InputSpec(shape=(2, SIZE, SIZE, 3), dtype="float32", name="pictures")]
    path = str(tmp_path / f"model{SUFFIXES[FORMATS[0]]}")
    model.export(path, format=FORMATS[0], verbose=False, input_signature=signature)
    images = random_pixels(SIZE, batch=2)
    expected = model.predict(images, verbose=0)
    assert_close(run_exported(path, FORMATS[0], images)[0], expected["embedding"], 1e-5)

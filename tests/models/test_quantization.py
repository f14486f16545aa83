"""Quantised models, which have to load as they were saved."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from marks import on_any_backend

from keras_clce import CLCEModel
from keras_clce.models.architectures.vit import vision_transformer

SIZE = 16
MODES = {
    "int8": {"mode": "int8"},
    "int4": {"mode": "int4"},
    "int4 in blocks": {"config": keras.quantizers.Int4QuantizationConfig(block_size=4)},
    "float8": {"mode": "float8"},
}
LOAD = """
import gc, sys, keras, numpy as np, keras_clce
gc.freeze()  # Keras collects garbage for each quantised layer.
folder, *names = sys.argv[1:]
images = np.load(f"{folder}/images.npy")
for name in names:
    outputs = keras_clce.load_model(f"{folder}/{name}.keras").predict(images, verbose=0)
    encoder = keras.saving.load_model(f"{folder}/{name} encoder.keras")
    encoder.compile(run_eagerly=True)
    np.savez(f"{folder}/{name}.npz", features=encoder.predict(images, verbose=0), **outputs)
"""


def encoder():
    images = keras.Input((SIZE, SIZE, 3))
    features = vision_transformer(
        images, patch_size=8, hidden_dim=8, num_layers=1, num_heads=2, sub_norm=True
    )
    return keras.Model(images, features)


def quantized_layers(model):
    return {layer.name for layer in model._flatten_layers() if layer.quantization_mode}


# What a file keeps of a mode does not depend on the backend. One process for several: most of its
# time is the import of the backend.
@pytest.mark.parametrize(
    "modes",
    [["int8"], *on_any_backend([mode for mode in MODES if mode != "int8"])],
    ids=",".join,
)
def test_round_trip_in_a_new_process(modes, tmp_path):
    images = np.random.default_rng(0).normal(size=(6, SIZE, SIZE, 3)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    expected = {}
    for name in modes:
        model = CLCEModel(encoder(), 3, embedding_dim=4)
        # Compiling a graph for each prediction would take most of the time.
        model.compile("adam", run_eagerly=True)
        model.backbone.compile(run_eagerly=True)
        model.fit(images, np.arange(6) % 3, verbose=0)
        plain = model.predict(images, verbose=0)["logits"]
        model.quantize(**MODES[name])
        assert quantized_layers(model) == {"qkv", "projection", "fc1", "fc2", "classifier"}
        outputs = model.predict(images, verbose=0)
        assert np.abs(outputs["logits"] - plain).max() > 0
        expected[name] = {**outputs, "features": model.backbone.predict(images, verbose=0)}
        model.save(tmp_path / f"{name}.keras")
        model.backbone.save(tmp_path / f"{name} encoder.keras")
    subprocess.run([sys.executable, "-c", LOAD, tmp_path, *modes], check=True)
    for name in modes:
        outputs = np.load(tmp_path / f"{name}.npz")
        assert set(outputs) == set(expected[name])
        for key, value in expected[name].items():
            np.testing.assert_allclose(outputs[key], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.any_backend
def test_a_trained_models_file_has_no_history_of_kernels_that_are_gone(tmp_path):
    images = np.random.default_rng(0).normal(size=(6, SIZE, SIZE, 3)).astype("float32")
    model = CLCEModel(encoder(), 3)
    model.compile("adam", run_eagerly=True)
    model.fit(images, np.arange(6) % 3, verbose=0)
    learnt = len(model.trainable_variables)
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Skipping variable loading")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    # A count of steps, a learning rate, and two moments of each weight that still learns.
    assert len(loaded.optimizer.variables) == 2 + 2 * len(loaded.trainable_variables)
    assert len(loaded.trainable_variables) == learnt - len(quantized_layers(loaded))


@pytest.mark.any_backend
def test_layers_that_were_left_out_stay_as_they_were(tmp_path):
    model = CLCEModel(encoder(), 3)
    model.quantize("int8", filters="fc1|classifier")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert quantized_layers(loaded) == {"fc1", "classifier"}
    images = np.random.default_rng(0).normal(size=(2, SIZE, SIZE, 3)).astype("float32")
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0)["logits"],
        model.predict(images, verbose=0)["logits"],
        rtol=1e-5,
    )


def test_files_that_hold_nothing_of_it(tmp_path):
    model = CLCEModel(encoder(), 3)
    config = model.get_config()
    del config["quantized_heads"]
    assert not quantized_layers(CLCEModel.from_config(config))
    # Nothing new stands in files of models that are not quantised.
    branch = next(each for each in model.backbone.layers if "attention" in each.name)
    assert set(branch.get_build_config()) == {"input_shape"}

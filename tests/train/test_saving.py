"""Saved models: what is in them, here and in a process that knows nothing but the library."""

import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from small_models import CLASSES, SHAPE, compiled, flips, separable, small_backbone, small_model

import keras_clce
from keras_clce import CLCELoss, CLCEModel, HSCLLoss
from keras_clce.views import VIEW_POLICIES, two_view_augmenter

LOAD = """
import sys, numpy as np, keras_clce
folder, *names = sys.argv[1:]
images = np.load(f"{folder}/images.npy")
for name in names:
    model = keras_clce.load_model(f"{folder}/{name}.keras")
    np.savez(f"{folder}/{name}.npz", **model.predict(images, verbose=0))
    model.fit(images, np.arange(len(images)) % 2, batch_size=4, verbose=0)
unused = {"keras_cv", "keras_hub", "tensorflow_datasets"} & set(sys.modules)
assert not unused, unused
"""


@pytest.mark.any_backend
def test_a_new_process_needs_the_library_alone(tmp_path):
    images, labels = separable(8)
    expected = {}
    for policy in VIEW_POLICIES:
        model = compiled(small_model(augmenter=two_view_augmenter(SHAPE[0], policy)))
        model.fit(images, labels, batch_size=4, verbose=0)
        model.save(tmp_path / f"{policy}.keras")
        expected[policy] = model.predict(images, verbose=0)
    np.save(tmp_path / "images.npy", images)
    # One process for all: most of its time is the import of the backend.
    subprocess.run([sys.executable, "-c", LOAD, tmp_path, *VIEW_POLICIES], check=True)
    for policy in VIEW_POLICIES:
        outputs = np.load(tmp_path / f"{policy}.npz")
        for name, value in expected[policy].items():
            np.testing.assert_allclose(outputs[name], value, rtol=1e-5, atol=1e-6, err_msg=policy)


class Own(keras.layers.Layer):
    """An augmenter whose class is registered nowhere."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, images, training=False):
        return images + keras.random.uniform((), seed=self.seeds)


@pytest.mark.parametrize("inside", [False, True])
def test_inference_needs_no_augmenter(inside, tmp_path):
    own = keras.Sequential([keras.Input(SHAPE), Own()]) if inside else Own()
    model = compiled(small_model(augmenter=own))
    images, labels = separable(8)
    model.fit(images, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match=r"augmenter is left out.*class Own"):
        loaded = keras_clce.load_model(tmp_path / "model.keras")
    assert loaded.augmenter is None
    expected = model.predict(images, verbose=0)["logits"]
    np.testing.assert_allclose(loaded.predict(images, verbose=0)["logits"], expected, rtol=1e-5)
    with keras.saving.custom_object_scope({"Own": Own}):
        assert keras_clce.load_model(tmp_path / "model.keras").augmenter is not None


def test_an_augmenter_that_is_damaged_is_an_error(tmp_path):
    model = small_model(augmenter=two_view_augmenter(SHAPE[0]))
    config = model.get_config()
    config["augmenter"]["config"]["layers"][1]["config"]["area"] = 3
    with pytest.raises(TypeError):
        CLCEModel.from_config(config)


def test_what_is_no_saved_model(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"`path` must be .*Received: path='.*absent.keras'"
    ):
        keras_clce.load_model(tmp_path / "absent.keras")
    with pytest.raises(FileNotFoundError, match="`path` must be"):
        keras_clce.load_model(tmp_path)
    other = tmp_path / "other.keras"
    small_backbone().save(other)
    with pytest.raises(ValueError, match=r"hold a CLCEModel.*other.keras' with a Functional"):
        keras_clce.load_model(other)
    text = tmp_path / "text.keras"
    text.write_text("no archive")
    with pytest.raises(ValueError, match=r"whole .keras file.*BadZipFile.*Received: path="):
        keras_clce.load_model(text)
    whole = tmp_path / "whole.keras"
    CLCEModel(small_backbone(), CLASSES).save(whole)
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"whole .keras file.*Received: path="):
        keras_clce.load_model(damaged)


def test_files_whose_config_is_no_config(tmp_path):
    for content in ("[]", "{}", "3", json.dumps({"class_name": "CLCEModel"})):
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", content)
        with pytest.raises(ValueError, match=r"whole .keras file.*Received: path="):
            keras_clce.load_model(path)


@keras.saving.register_keras_serializable(package="tests")
class Mine(CLCEModel):
    """A user's own kind of model."""


def test_a_subclass_loads_as_what_it_is(tmp_path):
    Mine(small_backbone(), CLASSES).save(tmp_path / "mine.keras")
    assert type(keras_clce.load_model(tmp_path / "mine.keras")) is Mine


def test_compilation_is_decided_anew_where_a_model_is_loaded(tmp_path):
    """A file of one backend says what is best there, which another may not take."""
    path = tmp_path / "model.keras"
    for asked in (True, False, "auto"):
        model = small_model()
        model.compile("adam", jit_compile=asked)
        model.save(path)
        automatic = small_model()
        automatic.compile("adam")
        expected = automatic.jit_compile if asked else False
        assert keras_clce.load_model(path).jit_compile == expected
        assert model.get_compile_config()["jit_compile"] == asked


def test_what_torch_saved_trains_on_the_backend_that_runs():
    images, labels = separable()
    saved = small_model()
    saved.compile(keras.optimizers.AdamW(1e-3), loss="clce")
    config = saved.get_compile_config()
    config["optimizer"]["module"] = "keras.src.backend.torch.optimizers.torch_adamw"
    model = small_model()
    model.compile_from_config(config)
    of_torch = "torch" in type(model.optimizer).__module__
    assert of_torch == (keras.backend.backend() == "torch")
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)
    history = model.fit(images[:16], labels[:16], verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_save_and_load_goes_on_with_the_optimizers_state(tmp_path):
    images, labels = separable(32)
    model = small_model(flips())
    # Not Adam: it blows rounding errors up where a gradient is zero but for them.
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), CLCELoss(), ["accuracy"])
    model.fit(images, labels, batch_size=16, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded_outputs = loaded.predict(images, verbose=0)
    for key, value in model.predict(images, verbose=0).items():
        np.testing.assert_allclose(loaded_outputs[key], value, rtol=1e-5, atol=1e-6)
    assert loaded.get_config().keys() == model.get_config().keys()
    assert loaded.loss.get_config() == model.loss.get_config()
    pairs = images, images[:, :, ::-1]
    for each in (model, loaded):
        each.fit(pairs, labels, batch_size=32, epochs=2, verbose=0)
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b), rtol=1e-4, atol=1e-6
        )
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_saved_loss_keeps_its_parts(tmp_path):
    model = small_model()
    loss = CLCELoss(0.3, HSCLLoss(0.2, threshold=0.4), label_smoothing=0.1)
    model.compile("sgd", loss=loss)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").loss.get_config() == loss.get_config()


def test_clone_from_config():
    model = small_model(flips())
    clone = CLCEModel.from_config(model.get_config())
    assert [w.shape for w in clone.get_weights()] == [w.shape for w in model.get_weights()]
    assert isinstance(clone.augmenter, keras.Sequential)


@pytest.mark.parametrize("frozen", ["heads", "classifier"])
def test_frozen_heads_stay_so_and_the_optimizer_goes_on(frozen, tmp_path):
    images, labels = separable()
    model = small_model()
    (model.heads if frozen == "heads" else model.heads.classifier).trainable = False
    compiled(model).fit(images, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) > 0
    before = keras.ops.convert_to_numpy(loaded.heads.classifier.kernel)
    loaded.fit(images, labels, verbose=0)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(loaded.heads.classifier.kernel), before
    )

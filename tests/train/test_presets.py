"""Models as folders of plain files: written, read, downloaded, damaged."""

import json
import os
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
from small_models import CLASSES, SHAPE, compiled, flips, separable, small_backbone, small_model

import keras_clce
from keras_clce import CLCEModel
from keras_clce.views import Preprocessing

NAMES = ("bee", "cat", "dog", "elk")
FILES = ["README.md", "config.json", "metadata.json", "model.weights.h5"]
LOAD = """
import sys, numpy as np, keras_clce
folder = sys.argv[1]
outputs = keras_clce.load_model(f"{folder}/pets").predict(np.load(f"{folder}/images.npy"))
np.savez(f"{folder}/outputs.npz", **outputs)
"""


def described(**kwargs):
    about = {"class_names": NAMES, "preprocessing": Preprocessing(SHAPE[0], crop_fraction=0.9)}
    return CLCEModel(small_backbone(), CLASSES, **about, **kwargs)


@pytest.fixture
def preset(tmp_path):
    """The folder of a preset, and what its model predicts."""
    model = described()
    model.save_to_preset(tmp_path / "pets")
    return tmp_path / "pets"


def test_a_model_comes_back(tmp_path):
    images, _ = separable(16)
    model = compiled(described(augmenter=flips(), embedding_dim=5))
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    expected = model.predict(images, verbose=0)
    folder = tmp_path / "shared" / "pets"
    model.save_to_preset(folder)
    loaded = CLCEModel.from_preset(folder)
    for name, value in loaded.predict(images, verbose=0).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, atol=1e-7, err_msg=name)
    assert (loaded.class_names, loaded.preprocessing) == (NAMES, model.preprocessing)
    assert isinstance(loaded.augmenter, keras.Sequential) and loaded.embedding_dim == 5
    # The state of the optimizer stays with the model that was saved.
    assert model.optimizer is optimizer and not loaded.compiled
    assert sorted(path.name for path in folder.iterdir()) == FILES
    with h5py.File(folder / "model.weights.h5") as weights:
        assert {*weights} == {"augmenter", "backbone", "heads", "vars"}


def test_it_is_loaded_on_other_backends(tmp_path):
    """Written on the one that runs, and read by another process."""
    other = {"tensorflow": "jax", "jax": "torch", "torch": "tensorflow"}[keras.backend.backend()]
    images, _ = separable(8)
    model = described()
    model.save_to_preset(tmp_path / "pets")
    np.save(tmp_path / "images.npy", images)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, tmp_path],
        env={**os.environ, "KERAS_BACKEND": other},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    outputs = np.load(tmp_path / "outputs.npz")
    for name, value in model.predict(images, verbose=0).items():
        np.testing.assert_allclose(outputs[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.any_backend
def test_an_older_preset_is_replaced_and_its_card_kept(preset):
    assert "An image classifier of 4 classes" in (preset / "README.md").read_text()
    (preset / "README.md").write_text("mine")
    model = small_model()
    model.save_to_preset(preset)
    assert (preset / "README.md").read_text() == "mine"
    assert CLCEModel.from_preset(preset).class_names is None
    model.save_to_preset(preset, card="another")
    assert (preset / "README.md").read_text() == "another"
    metadata = json.loads((preset / "metadata.json").read_text())
    # A convolution 3x3x3x8 with biases, four numbers of a norm for each channel, and the head.
    assert metadata["parameter_count"] == 216 + 8 + 32 + 8 * CLASSES + CLASSES
    assert metadata["keras_version"] == keras.version()


@pytest.mark.any_backend
def test_the_card_of_a_model_alone_has_the_metadata_of_the_hub(preset):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard.load(preset / "README.md")
    assert (card.data.library_name, card.data.tags) == ("keras", ["keras-clce"])
    assert card.data.pipeline_tag == "image-classification"
    assert "keras_clce.load_model('pets')" in card.text and "bee, cat, dog, elk" in card.text


@pytest.mark.any_backend
@pytest.mark.parametrize("name", ["config.json", "metadata.json", "model.weights.h5"])
def test_a_missing_or_damaged_file_is_named(preset, name):
    content = (preset / name).read_bytes()
    (preset / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"`preset` must be a whole preset.*{name}.*pets'") as end:
        CLCEModel.from_preset(preset)
    assert "\n" not in str(end.value)
    (preset / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"`preset` must be .*pets', which has no {name}"):
        CLCEModel.from_preset(preset)


@pytest.mark.any_backend
def test_weights_of_another_model_are_refused(preset, tmp_path):
    other = small_model()
    other.save_to_preset(tmp_path / "other")
    weights = (tmp_path / "other" / "model.weights.h5").read_bytes()
    (preset / "model.weights.h5").write_bytes(weights)
    with pytest.raises(ValueError, match=r"model\.weights\.h5 is not the file that was saved"):
        CLCEModel.from_preset(preset)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("config", "said"),
    [
        ([], "config.json is damaged .it holds no JSON object"),
        ({}, "must hold a CLCEModel.*with a model of another library"),
        ({"model_type": "vit"}, "with a model of another library"),
        ({"class_name": "Functional", "registered_name": "Functional"}, "with a Functional"),
        ({"class_name": "system", "registered_name": None, "module": "os"}, "with a system"),
        (
            {"class_name": "CLCELoss", "registered_name": "keras_clce>CLCELoss", "config": {}},
            "with a CLCELoss",
        ),
        (
            {"class_name": "CLCEModel", "registered_name": "keras_clce>CLCEModel", "config": {}},
            "must be a whole preset of known layers .*saved by keras_clce .*, Keras",
        ),
    ],
)
def test_what_is_no_preset_is_refused(preset, config, said):
    (preset / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=rf"`path` must .*{said}.*Received: path=|{said}") as end:
        keras_clce.load_model(preset)
    assert "`path`" in str(end.value)


@pytest.mark.any_backend
def test_code_in_a_preset_is_not_run(preset):
    config = json.loads((preset / "config.json").read_text())
    doubled = keras.layers.Lambda(lambda x: x * 2.0, name="relu")
    layers = config["config"]["backbone"]["config"]["layers"]
    (relu,) = (layer for layer in layers if layer["name"] == "relu")
    relu |= keras.saving.serialize_keras_object(doubled)
    (preset / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"whole preset of known layers .*[Ll]ambda"):
        CLCEModel.from_preset(preset)


@pytest.mark.any_backend
def test_a_folder_of_something_else_is_not_written_to(tmp_path):
    (tmp_path / "letter.txt").write_text("private")
    (tmp_path / ".git").mkdir()
    with pytest.raises(ValueError, match=r"`folder` must be new, empty or a preset.*letter\.txt"):
        small_model().save_to_preset(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", "letter.txt"]
    with pytest.raises(ValueError, match=r"`folder` must be a folder that can be written"):
        small_model().save_to_preset(tmp_path / "letter.txt")
    (tmp_path / "letter.txt").unlink()
    small_model().save_to_preset(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", *FILES]


@keras.saving.register_keras_serializable(package="preset_tests")
class Own(CLCEModel):
    """A user's own kind of model."""


@pytest.mark.any_backend
def test_a_subclass_comes_back_as_what_it_is(preset, tmp_path):
    Own(small_backbone(), CLASSES).save_to_preset(tmp_path / "own")
    assert type(CLCEModel.from_preset(tmp_path / "own")) is Own
    with pytest.raises(ValueError, match=r"`preset` must hold a Own, .* with a CLCEModel"):
        Own.from_preset(preset)


@pytest.mark.any_backend
def test_presets_of_the_hub(preset, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def download(repository, allow_patterns):
        asked.append((repository, sorted(allow_patterns)))
        return str(preset)

    monkeypatch.setattr(hub, "snapshot_download", download)
    for load in (CLCEModel.from_preset, keras_clce.load_model):
        assert load("hf://owner/pets").class_names == NAMES
    assert asked == 2 * [("owner/pets", FILES)]
    (preset / "metadata.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"path='hf://owner/pets', which has no metadata"):
        keras_clce.load_model("hf://owner/pets")

    def offline(repository, allow_patterns):
        raise OSError("no route\nto the host")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    said = r"files of the preset 'hf://owner/pets' could not be downloaded \(OSError: no route\)"
    with pytest.raises(ConnectionError, match=said) as error:
        CLCEModel.from_preset("hf://owner/pets")
    assert str(error.value).endswith("Received: preset='hf://owner/pets'")

"""Class names and preprocessing that a model carries."""

import json
import zipfile

import keras
import numpy as np
import pytest
from train.small_models import CLASSES, SHAPE, compiled, separable, small_backbone, small_model
from train.test_inputs import STREAMS

import keras_clce
from keras_clce import CLCEModel
from keras_clce.views import Preprocessing

NAMES = ["bee", "cat", "dog", "elk"]
PREPROCESSING = Preprocessing(SHAPE[0], crop_fraction=0.9, interpolation="bicubic")


def described(**kwargs):
    return CLCEModel(
        small_backbone(), CLASSES, class_names=NAMES, preprocessing=PREPROCESSING, **kwargs
    )


@pytest.mark.parametrize("load", [keras_clce.load_model, keras.saving.load_model])
def test_both_are_saved_and_loaded(load, tmp_path):
    images, labels = separable(8)
    model = compiled(described())
    model.fit(images, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    assert loaded.class_names == tuple(NAMES)
    assert loaded.preprocessing == PREPROCESSING
    expected = model.predict(images, verbose=0)["logits"]
    outputs = loaded.predict(images, verbose=0)["logits"]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


def test_files_without_them_load(tmp_path):
    """Files from before models carried them have no such entries."""
    path = tmp_path / "model.keras"
    compiled(small_model()).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    assert config["config"].pop("class_names", "absent") is None
    assert config["config"].pop("preprocessing", "absent") is None
    members["config.json"] = json.dumps(config)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    loaded = keras_clce.load_model(path)
    assert loaded.class_names is None
    assert loaded.preprocessing is None


@pytest.mark.any_backend
def test_config_is_plain_json():
    config = described().get_config()
    assert config["class_names"] == NAMES
    assert json.loads(json.dumps(config["preprocessing"])) == config["preprocessing"]
    rebuilt = CLCEModel.from_config(config)
    assert (rebuilt.class_names, rebuilt.preprocessing) == (tuple(NAMES), PREPROCESSING)


@pytest.mark.any_backend
def test_from_backbone_sets_both():
    model = CLCEModel.from_backbone(
        "small_resnet",
        num_classes=2,
        image_size=32,
        class_names=np.array(["cat", "dog"]),
        preprocessing=Preprocessing(32),
    )
    assert model.class_names == ("cat", "dog")
    assert [type(name) for name in model.class_names] == [str, str]
    assert model.preprocessing == Preprocessing(32)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("class_names", "received"),
    [
        ("abcd", "class_names='abcd'"),
        (4, "class_names=4"),
        (["bee", "cat", "dog"], r"3 class_names=\['bee', 'cat', 'dog'\]"),
        (["bee", "cat", "dog", 3], "3 of type int"),
        (["bee", "cat", "dog", "cat"], "'cat' 2 times"),
        ([], "0 class_names"),
    ],
)
def test_class_names_that_do_not_name_the_classes_are_refused(class_names, received):
    with pytest.raises(ValueError, match=f"`class_names` must be .* 4 different.*{received}"):
        CLCEModel(small_backbone(), CLASSES, class_names=class_names)


@pytest.mark.any_backend
@pytest.mark.parametrize("preprocessing", [224, {"image_size": SHAPE[0]}, Preprocessing(13)])
def test_preprocessing_that_does_not_fit_is_refused(preprocessing):
    with pytest.raises(ValueError, match=r"`preprocessing` must .*Received: preprocessing="):
        CLCEModel(small_backbone(), CLASSES, preprocessing=preprocessing)


@pytest.mark.any_backend
def test_an_encoder_of_any_size_takes_any_preprocessing():
    images = keras.Input((None, None, 3))
    encoder = keras.Model(images, keras.layers.Conv2D(4, 3)(images))
    model = CLCEModel(encoder, CLASSES, preprocessing=Preprocessing(48))
    assert model.preprocessing.image_size == 48


@pytest.mark.any_backend
@pytest.mark.parametrize("method", ["fit", "validation", "evaluate"])
def test_other_class_names_of_a_data_set_are_warned_of(method):
    images, labels = separable(32)
    data = STREAMS[0](images, labels)
    data.class_names = ["bee", "dog", "cat", "elk"]
    model = compiled(described())
    with pytest.warns(UserWarning, match="Class 1 is 'dog' in the data set and 'cat' in the model"):
        if method == "evaluate":
            model.evaluate(data, verbose=0)
        elif method == "fit":
            model.fit(data, verbose=0)
        else:
            model.fit(images, labels, validation_data=data, verbose=0)


@pytest.mark.any_backend
@pytest.mark.parametrize("names", [NAMES, None])
def test_equal_and_unknown_names_are_not_warned_of(names, recwarn):
    images, labels = separable(32)
    data = STREAMS[0](images, labels)
    if names is not None:
        data.class_names = names
    compiled(described()).fit(data, validation_data=data, verbose=0)
    assert not [w for w in recwarn if "class_names" in str(w.message)]

"""Calibration of a model on photographs, against SciPy's minimum of the likelihood."""

import keras
import numpy as np
import pytest
from photographs import NAMES, SIDE, make_model, write_photographs
from scipy import optimize, special

from keras_clce.inference import calibrate, find_photographs, model_outputs, predict_images


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return make_model()


@pytest.fixture
def folder(tmp_path, model):
    """Photographs in folders of the class that the model predicts, but for a fourth of them."""
    write_photographs(tmp_path / "all", count=8)
    for number, row in enumerate(predict_images(model, tmp_path / "all", verbose=0)):
        place = (NAMES.index(row.class_name) + (number % 4 == 0)) % len(NAMES)
        home = tmp_path / "photographs" / NAMES[place]
        home.mkdir(parents=True, exist_ok=True)
        source = tmp_path / "all" / row.name
        source.rename(home / f"{number}{source.suffix}")
    return tmp_path / "photographs"


def best_temperature(logits, labels):
    def nll(parameters):
        scaled = special.log_softmax(logits.astype("float64") / np.exp(parameters[0]), axis=1)
        return -np.mean(scaled[np.arange(len(labels)), labels])

    return np.exp(optimize.minimize(nll, [0.0], options={"gtol": 1e-9}).x[0])


def test_the_temperature_is_the_best_and_predictions_use_it(model, folder, tmp_path):
    before = predict_images(model, folder, verbose=0)
    found = calibrate(model, folder, batch_size=5, verbose=0)
    try:
        labels = np.array([NAMES.index(row.label) for row in before])
        views = np.stack([model.preprocessing(row.photograph.pixels()) for row in before])
        logits = model.predict(views, verbose=0)["logits"]
        assert found.temperature == pytest.approx(best_temperature(logits, labels), rel=1e-3)
        assert found.examples == len(labels) == 24
        assert found.after.nll < found.before.nll
        # What was saved predicts with it.
        model.save(tmp_path / "calibrated.keras")
        loaded = keras.saving.load_model(tmp_path / "calibrated.keras")
        expected = special.softmax(logits / found.temperature, axis=1)
        for row, scores in zip(predict_images(loaded, folder, verbose=0), expected, strict=True):
            assert row.probability == pytest.approx(scores.max(), abs=1e-4)
        again = calibrate(loaded, folder, verbose=0)
        assert again.temperature == pytest.approx(found.temperature, rel=1e-5)
        assert again.before.ece == pytest.approx(found.after.ece, abs=1e-6)
    finally:
        model.softmax_temperature = None


def test_arrays_with_labels_are_as_good(model, folder):
    photographs = find_photographs(folder)
    labels = [NAMES.index(one.folder) for one in photographs]
    expected = calibrate(model, folder, verbose=0).temperature
    arrays = [one.pixels() for one in photographs]
    assert calibrate(model, arrays, labels, verbose=0).temperature == pytest.approx(expected)
    model.softmax_temperature = None


@pytest.mark.any_backend
def test_what_cannot_be_calibrated_leaves_the_model_as_it_was(model, folder):
    with pytest.raises(ValueError, match="`images` must lie in folders that bear names"):
        calibrate(model, folder, class_names=["x", "y", "z"], verbose=0)
    pixels = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    with pytest.raises(ValueError, match="`labels` must be a class for each of 2 images"):
        calibrate(model, pixels, [0], verbose=0)
    best = int(model.predict(pixels, verbose=0)["logits"][0].argmax())
    with pytest.raises(ValueError, match="all of them classified rightly"):
        calibrate(model, pixels, [best, best], verbose=0)
    assert model.softmax_temperature is None


@pytest.mark.any_backend
def test_outputs_of_photographs_that_can_be_read(model, folder):
    broken = folder / NAMES[0] / "broken.png"
    broken.write_bytes(b"no image")
    photographs = find_photographs(folder)
    place = [one.source for one in photographs].index(broken)
    found = model_outputs(model, photographs, model.preprocessing, batch_size=4)
    assert [*found.rows] == [n for n in range(25) if n != place]
    assert [name for name, _ in found.unreadable] == [f"{NAMES[0]}/broken.png"]
    views = [model.preprocessing(photographs[n].pixels()) for n in found.rows]
    expected = model.predict(np.stack(views), verbose=0)
    np.testing.assert_allclose(found.logits, expected["logits"], atol=1e-5)
    np.testing.assert_allclose(found.embeddings, expected["embedding"], atol=1e-5)
    assert found.taken(np.array([3, 1])).rows.tolist() == found.rows[[3, 1]].tolist()
    with pytest.raises(ValueError, match=r"must have an image that can be read\. Received: 1 that"):
        model_outputs(model, [photographs[place]], model.preprocessing)

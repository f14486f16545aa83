"""A temperature of calibration that is stored with the model."""

import keras
import numpy as np
import pytest
from scipy import special
from small_models import compiled, separable, small_model

from keras_clce import CLCEModel


def test_probabilities_are_those_of_the_divided_logits():
    model, (images, _) = small_model(), separable(8)
    before = model.predict(images, verbose=0)
    np.testing.assert_allclose(
        before["probabilities"], special.softmax(before["logits"], axis=1), atol=1e-6
    )
    # The second temperature meets a compiled function of the first.
    for temperature in (2.5, 0.5):
        model.softmax_temperature = temperature
        after = model.predict(images, verbose=0)
        expected = special.softmax(before["logits"] / temperature, axis=1)
        np.testing.assert_allclose(after["probabilities"], expected, atol=1e-6)
        for name in ("logits", "embedding"):
            np.testing.assert_allclose(after[name], before[name], atol=1e-6)
    model.softmax_temperature = None
    again = model.predict(images, verbose=0)["probabilities"]
    np.testing.assert_allclose(again, before["probabilities"], atol=1e-6)


def test_the_loss_and_training_do_not_change():
    images, labels = separable(16)
    losses, weights = [], []
    for temperature in (None, 3.0):
        keras.utils.set_random_seed(0)
        model = compiled(small_model())
        model.softmax_temperature = temperature
        losses.append(model.evaluate(images, labels, verbose=0, return_dict=True)["loss"])
        model.fit(images, labels, batch_size=8, epochs=1, shuffle=False, verbose=0)
        weights.append(keras.ops.convert_to_numpy(model.heads.classifier.kernel))
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    np.testing.assert_allclose(*weights, atol=1e-6)


def test_it_is_saved_with_the_model(tmp_path):
    model, (images, _) = small_model(), separable(8)
    assert model.get_config()["softmax_temperature"] is None
    model.softmax_temperature = np.float32(1.75)
    expected = model.predict(images, verbose=0)["probabilities"]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.softmax_temperature == 1.75
    found = loaded.predict(images, verbose=0)["probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.any_backend
def test_a_model_of_an_earlier_version_has_none():
    config = small_model().get_config()
    del config["softmax_temperature"]
    assert CLCEModel.from_config(config).softmax_temperature is None


@pytest.mark.any_backend
@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf"), "2", True, [2.0]])
def test_what_is_no_temperature_is_refused(temperature):
    model = small_model()
    with pytest.raises(ValueError, match="`softmax_temperature` must be None or a finite number"):
        model.softmax_temperature = temperature
    assert model.softmax_temperature is None

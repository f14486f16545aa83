"""Training steps of JAX, which are many times slower where one layer turns compilation off."""

import warnings

import keras
import pytest
from small_models import separable, small_model

pytestmark = pytest.mark.any_backend("jax")

GEOMETRY = {
    "RandomPerspective": {"factor": 0.5},
    "RandomRotation": {"factor": 0.1},
    "RandomShear": {"x_factor": 0.1, "y_factor": 0.1},
    "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1},
    "RandomZoom": {"height_factor": 0.2},
}


def compiled(name, **options):
    layer = getattr(keras.layers, name)(seed=1, **GEOMETRY[name])
    model = small_model(keras.Sequential([layer]))
    model.compile("sgd", **options)
    return model


def trained(name, **options):
    keras.utils.set_random_seed(0)
    model = compiled(name, **options)
    history = model.fit(*separable(16), batch_size=8, shuffle=False, verbose=0).history
    return model, history["loss"]


@pytest.mark.parametrize("name", GEOMETRY)
def test_random_geometry_is_compiled_and_draws_the_same(name):
    model, loss = trained(name)
    assert model.jit_compile and compiled(name, jit_compile=True).jit_compile
    assert loss == pytest.approx(trained(name, run_eagerly=True)[1], rel=1e-4)


def test_what_does_not_compile_is_named():
    """AugMix chooses by Python's random numbers, which a compiled step would draw once for all."""
    model = small_model(keras.layers.AugMix((0, 255)))
    with pytest.warns(UserWarning, match=r"do not compile: random_.*two_view_augmenter"):
        model.compile("sgd")
    assert not model.jit_compile
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.compile("sgd", jit_compile=False)
        model.compile("sgd", run_eagerly=True)

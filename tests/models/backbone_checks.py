"""What the backbone tests share: pixels, perturbed weights, one way to compare."""

import numpy as np

from keras_clce.models.backbones import backbone_spec


def random_pixels(image_size, batch=2, seed=0):
    shape = (batch, image_size, image_size, 3)
    return np.random.default_rng(seed).uniform(0, 255, shape).astype("float32")


def scaled(pixels, name):
    """Pixels as the reference of an encoder takes them."""
    spec = backbone_spec(name)
    return (pixels - np.array(spec.mean)) / np.array(spec.std)


def perturb(model, seed=0):
    """Move every weight, moving statistics included, so that a mix-up cannot go unseen."""
    generator = np.random.default_rng(seed)
    model.set_weights(
        [w * generator.uniform(0.8, 1.2, w.shape).astype("float32") for w in model.get_weights()]
    )


def assert_close(actual, expected, tolerance=1e-4):
    assert actual.shape == expected.shape
    assert np.std(expected) > 0
    assert np.linalg.norm(actual - expected) <= tolerance * np.linalg.norm(expected)

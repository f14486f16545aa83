"""Views of a batch: their pixels, augmenters with a state of their own, losses that need two."""

import keras
import numpy as np
import pytest
from keras import ops
from small_models import CLASSES, SHAPE, compiled, flips, separable, small_model

from keras_clce import CLCELoss, CLCEModel, HSCLLoss


class WithState(keras.layers.Layer):
    """Noise, and a factor for each channel, both made when the first images come."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", trainable=False)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, images, training=False):
        return images * self.factor + keras.random.normal(ops.shape(images), seed=self.seed)


@pytest.mark.parametrize("within", ["alone", "in a sequence"])
def test_an_augmenter_may_make_its_state_when_images_come(within):
    images, labels = separable(16)
    layer = WithState()
    model = compiled(small_model(layer if within == "alone" else keras.Sequential([layer])))
    logs = model.fit(images, labels, batch_size=8, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert int(ops.convert_to_numpy(model.optimizer.iterations)) == 2
    assert int(ops.convert_to_numpy(layer.seed.state)[1]) > 0


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_pixels_reach_the_encoder_as_they_are(policy):
    keras.config.set_dtype_policy(policy)
    images = keras.Input(SHAPE)
    # As an encoder's own scaling of pixels, which is in float32.
    shifted = keras.layers.Rescaling(1.0, offset=-200.0, dtype="float32")(images)
    model = CLCEModel(keras.Model(images, shifted), CLASSES, feature_normalization=None)
    pixels = np.full((4, *SHAPE), 200.4, "float32")
    # Three features, each what 200 leaves; in half precision 200.4 has no or one bit below 1.
    length = np.sqrt(3) * (pixels[0, 0, 0, 0] - 200)
    found = model(pixels, training=True)["feature_norm"]
    np.testing.assert_allclose(ops.convert_to_numpy(found), length, rtol=1e-2)
    model.compile("sgd", CLCELoss())
    logs = model.fit((pixels, pixels), np.arange(4) % CLASSES, verbose=0).history
    assert logs["feature_norm"] == pytest.approx([length], rel=1e-2)


def test_a_loss_of_two_views_is_evaluated_by_classes():
    images, labels = separable(16)
    model = small_model(flips())
    model.compile("sgd", CLCELoss(0.5, HSCLLoss(positives="view")))
    model.fit(images, labels, batch_size=8, verbose=0)
    order = np.random.default_rng(0).permutation(16)
    once, again = (
        model.evaluate(images[rows], labels[rows], batch_size=16, verbose=0, return_dict=True)
        for rows in (np.arange(16), order)
    )
    assert once["contrastive"] == pytest.approx(again["contrastive"], rel=1e-5)
    embedding = model.predict(images, verbose=0)["embedding"]
    by_class = float(ops.convert_to_numpy(HSCLLoss()(labels, embedding)))
    assert once["contrastive"] == pytest.approx(by_class, rel=1e-5)


@pytest.mark.any_backend
def test_a_loss_of_two_views_needs_them():
    images, labels = separable(8)
    model = small_model()
    model.compile("sgd", CLCELoss(0.5, HSCLLoss(positives="view")))
    with pytest.raises(ValueError, match="must be pairs of views, or `augmenter` make them"):
        model.fit(images, labels, verbose=0)
    model.fit((images, images[:, :, ::-1]), labels, verbose=0)
    model.compile("sgd", CLCELoss(0.0, HSCLLoss(positives="view")))
    model.fit(images, labels, verbose=0)

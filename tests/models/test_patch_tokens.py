"""Patch tokens of encoders, against what their last layers make of them."""

import keras
import numpy as np
import pytest

from keras_clce.models import build_backbone, patch_tokens
from keras_clce.models.architectures.vit import vision_transformer


def transformer(**options):
    images = keras.Input((8, 8, 3))
    sizes = {"patch_size": 4, "hidden_dim": 6, "num_layers": 1, "num_heads": 2}
    return keras.Model(images, vision_transformer(images, **sizes, **options))


def predicted(model, images):
    return keras.ops.convert_to_numpy(model.predict(images, verbose=0))


def test_tokens_of_a_transformer_are_those_that_it_pools():
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype("float32")
    for options in ({"pool": "mean"}, {"pool": "mean", "final_norm": False}):
        model = transformer(**options)
        tokens = predicted(keras.Model(model.input, patch_tokens(model)), images)
        assert tokens.shape == (3, 4, 6)
        np.testing.assert_allclose(tokens.mean(axis=1), predicted(model, images), atol=1e-5)


def test_tokens_beside_a_class_token_are_all_but_the_first():
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype("float32")
    model = transformer(pool="token")
    tokens = predicted(keras.Model(model.input, patch_tokens(model)), images)
    normed = predicted(keras.Model(model.input, model.get_layer("norm").output), images)
    assert normed.shape == (3, 5, 6)
    np.testing.assert_allclose(tokens, normed[:, 1:], atol=1e-6)
    np.testing.assert_allclose(predicted(model, images), normed[:, 0], atol=1e-6)


@pytest.mark.any_backend
def test_places_of_maps_are_tokens_in_their_order_and_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 2, strides=2)(inputs))
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    tokens = predicted(keras.Model(model.input, patch_tokens(model)), images)
    maps = np.asarray(predicted(model, images), "float32")
    assert tokens.dtype == np.float32
    for number in range(4):
        np.testing.assert_allclose(tokens[:, number], maps[:, number // 2, number % 2])


@pytest.mark.any_backend
def test_an_encoder_that_pools_where_nobody_knows_is_refused():
    inputs = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    with pytest.raises(ValueError, match=r"`backbone` must give feature maps.*\(None, 3\)"):
        patch_tokens(keras.Model(inputs, pooled))


@pytest.mark.any_backend
def test_encoders_of_the_registry_have_tokens():
    for name, tokens in (("vit_tiny_patch4", 16), ("small_resnet", None)):
        backbone = build_backbone(name, image_size=16)
        assert len(patch_tokens(backbone).shape) == 3
        assert tokens in (None, patch_tokens(backbone).shape[1])

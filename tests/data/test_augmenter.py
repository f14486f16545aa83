"""The augmenter of Keras layers, which runs inside a training step."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_clce.data import VIEW_POLICIES, two_view_augmenter
from keras_clce.data.augmenter import RandomResizedCrop

SIZE = 16


def _images(count=6):
    return np.random.default_rng(0).uniform(0, 255, (count, SIZE, SIZE, 3)).astype("float32")


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("policy", VIEW_POLICIES)
def test_shape_range_and_no_effect_outside_training(policy):
    augmenter, images = two_view_augmenter(SIZE, policy), _images()
    for _ in range(4):
        views = _numpy(augmenter(images, training=True))
        assert views.shape == images.shape
        assert views.dtype == np.float32
        assert views.min() >= 0
        assert views.max() <= 255
    np.testing.assert_array_equal(_numpy(augmenter(images, training=False)), images)


@pytest.mark.parametrize("policy", VIEW_POLICIES[1:])
def test_each_call_draws_anew_and_the_seed_fixes_the_sequence(policy):
    images = _images()
    one, two, other = (two_view_augmenter(SIZE, policy, seed=seed) for seed in (1, 1, 2))
    first, second = (_numpy(one(images, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1
    np.testing.assert_array_equal(_numpy(two(images, training=True)), first)
    assert np.abs(_numpy(other(images, training=True)) - first).max() > 1


@pytest.mark.parametrize("policy", VIEW_POLICIES)
def test_config_round_trip_draws_the_same(policy):
    images, augmenter = _images(), two_view_augmenter(SIZE, policy, seed=5)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(augmenter))
    np.testing.assert_array_equal(
        _numpy(copy(images, training=True)), _numpy(augmenter(images, training=True))
    )


def test_stateless_call_advances_the_seed_state():
    augmenter, images = two_view_augmenter(SIZE, "light"), _images()
    state = [variable.value for variable in augmenter.non_trainable_variables]
    first, after = augmenter.stateless_call([], state, images, training=True)
    again, _ = augmenter.stateless_call([], state, images, training=True)
    second, _ = augmenter.stateless_call([], after, images, training=True)
    np.testing.assert_allclose(_numpy(first), _numpy(again), atol=1e-3)
    assert np.abs(_numpy(first) - _numpy(second)).max() > 1


@pytest.mark.parametrize("policy", ["light", "simclr"])
def test_it_runs_in_a_compiled_training_step(policy):
    augmenter = two_view_augmenter(SIZE, policy)
    inputs = keras.Input((SIZE, SIZE, 3))
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(augmenter(inputs)))
    model = keras.Model(inputs, outputs)
    # On JAX one layer that declares no jit turns compilation off for the whole step.
    assert all(layer.supports_jit for layer in model._flatten_layers())
    model.compile("sgd", "mse")
    seeds = [_numpy(variable) for variable in augmenter.non_trainable_variables]
    model.fit(_images(4), np.zeros((4, 2)), batch_size=2, epochs=1, verbose=0)
    assert all(
        (_numpy(variable) != before).any()
        for variable, before in zip(augmenter.non_trainable_variables, seeds, strict=True)
    )


def test_mixed_precision_and_integer_images():
    keras.config.set_dtype_policy("mixed_float16")
    images = _images().round()
    augmenter = two_view_augmenter(SIZE, "light", seed=1)
    views = _numpy(augmenter(images.astype("uint8"), training=True))
    assert views.dtype == np.float32
    keras.config.set_dtype_policy("float32")
    plain = two_view_augmenter(SIZE, "light", seed=1)
    np.testing.assert_allclose(views, _numpy(plain(images, training=True)), atol=1e-3)


def test_crop_shows_a_box_of_the_image_in_range():
    # Red counts columns and green rows; a bilinear crop of a ramp is the ramp between its ends.
    ramp = np.linspace(0, 1, SIZE, dtype="float32")
    images = np.zeros((300, SIZE, SIZE, 3), "float32")
    images[..., 0], images[..., 1] = ramp[None, :], ramp[:, None]
    views = _numpy(RandomResizedCrop((0.25, 1.0), seed=3)(images, training=True))
    ends = views[:, :, [0, -1], 0].mean(axis=1)
    inner = np.linspace(ends[:, 0], ends[:, 1], SIZE, axis=1)
    # Samples beyond the outermost centres repeat the border, hence the tolerance of a pixel.
    np.testing.assert_allclose(views[:, 8, :, 0], inner, atol=1.5 / SIZE)
    width = (ends[:, 1] - ends[:, 0]) * SIZE / (SIZE - 1)
    height = (views[:, -1, 8, 1] - views[:, 0, 8, 1]) * SIZE / (SIZE - 1)
    assert (width * height).min() > 0.25 * 0.8
    assert (width * height).max() < 1.2
    assert len(np.unique(width.round(3))) > 100
    assert views[..., 2].max() == 0


def test_no_flip_and_bad_arguments():
    names = [layer.name for layer in two_view_augmenter(SIZE, "light", flip=False).layers]
    assert not any("flip" in name for name in names)
    with pytest.raises(ValueError, match="image_size=-1"):
        two_view_augmenter(-1)
    with pytest.raises(ValueError, match="policy='crop'"):
        two_view_augmenter(SIZE, "crop")

"""The augmenter of Keras layers, which runs inside a training step."""

import keras
import numpy as np
import pytest
from keras import ops
from marks import others_on_any_backend

from keras_clce import CLCELoss, CLCEModel
from keras_clce.views import VIEW_POLICIES, two_view_augmenter
from keras_clce.views.augmenter import MiddleSquare, RandomResizedCrop

SIZE = 16
# What the largest of them needs of a graph, the others need too.
FITTED = others_on_any_backend(sorted(VIEW_POLICIES), "randaugment")


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


# === Images of another size than the views ===


def _photographs(count=4, height=40, width=28):
    """Smooth images, which resizing changes little."""
    rows, columns = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    image = 255 * np.stack([rows, columns, 1 - rows * columns], axis=-1)
    return np.repeat(image[None], count, axis=0).astype("float32")


@pytest.mark.parametrize("policy", VIEW_POLICIES)
@pytest.mark.parametrize("sides", [(40, 28), (9, 12)])
def test_views_have_the_size_that_was_asked_for(policy, sides):
    images = _photographs(4, *sides)
    views = _numpy(two_view_augmenter(SIZE, policy)(images, training=True))
    assert views.shape == (4, SIZE, SIZE, 3)
    assert views.min() >= 0 and views.max() <= 255


def test_outside_training_it_gives_the_middle_square():
    views = _numpy(two_view_augmenter(SIZE, "light")(_photographs(1), training=False))
    # Centres of 16 pixels of 1.75 each; 6 of the 40 rows are left out at either end.
    places = (np.arange(SIZE) + 0.5) * 28 / SIZE - 0.5
    expected = np.stack(np.meshgrid((6 + places) / 39, places / 27, indexing="ij"), axis=-1)
    np.testing.assert_allclose(views[0, 1:-1, 1:-1, :2] / 255, expected[1:-1, 1:-1], atol=1e-2)
    none = two_view_augmenter(SIZE, "none")(_photographs(1), training=True)
    np.testing.assert_allclose(_numpy(none), views, atol=1e-3)


def test_every_pixel_counts_where_views_are_smaller():
    # Stripes of one pixel, between whose samples the rest would be lost.
    stripes = np.zeros((1, 64, 64, 3), "float32")
    stripes[:, :, ::8] = 255
    middle = _numpy(MiddleSquare(8)(stripes))[:, :, 1:-1]
    np.testing.assert_allclose(middle, 255 / 8, atol=8)


def test_unsigned_pixels_are_not_rounded():
    images = _photographs(2).astype("uint8")
    crop = RandomResizedCrop((0.9, 1.0), size=SIZE)
    for views in (MiddleSquare(SIZE)(images), crop(images, training=True)):
        assert len(np.unique(_numpy(views) % 1)) > 10


@pytest.mark.parametrize("policy", ["light", "simclr"])
def test_fit_on_arrays_of_another_size(policy):
    model = _model(policy)
    history = model.fit(_photographs(8), np.arange(8) % 2, batch_size=4, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert model.predict(_photographs(2, SIZE, SIZE), verbose=0)["logits"].shape == (2, 2)


@pytest.mark.parametrize("policy", FITTED)
def test_fit_on_a_stream_whose_sizes_are_not_known(policy):
    tf = pytest.importorskip("tensorflow")

    def batches():
        for height, width in ((40, 28), (20, 30)):
            yield _photographs(4, height, width), np.arange(4) % 2

    spec = (
        tf.TensorSpec((None, None, None, 3), tf.float32),
        tf.TensorSpec((None,), tf.int64),
    )
    stream = tf.data.Dataset.from_generator(batches, output_signature=spec)
    history = _model(policy).fit(stream, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def _model(policy):
    images = keras.Input((SIZE, SIZE, 3))
    features = keras.layers.Conv2D(4, 3, strides=2)(images)
    model = CLCEModel(keras.Model(images, features), 2, augmenter=two_view_augmenter(SIZE, policy))
    model.compile("sgd", loss=CLCELoss(), metrics=["accuracy"])
    return model


def test_files_from_before_there_was_a_size():
    layer = RandomResizedCrop((0.3, 1.0), seed=2)
    saved = keras.saving.serialize_keras_object(layer)
    saved["module"] = "keras_clce.data.augmenter"
    del saved["config"]["size"]
    images = _photographs(2)
    loaded = keras.saving.deserialize_keras_object(saved)
    np.testing.assert_array_equal(
        _numpy(loaded(images, training=True)), _numpy(layer(images, training=True))
    )
    assert loaded(images).shape == images.shape

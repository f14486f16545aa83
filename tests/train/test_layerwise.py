"""What differs by depth: the rate that each variable really gets, and what is frozen."""

import keras
import numpy as np
import pytest

from keras_clce import CLCEModel
from keras_clce.models.architectures.vit import vision_transformer
from keras_clce.train.layerwise import layer_multipliers, unfreeze_last
from keras_clce.train.optimization import build_optimizer


def small_model():
    images = keras.Input((8, 8, 3))
    features = vision_transformer(images, patch_size=4, hidden_dim=8, num_layers=3, num_heads=2)
    return CLCEModel(keras.Model(images, features), num_classes=4)


def expected_multiplier(path):
    for part, factor in (("patch/", 0.5**4), ("tokens/", 0.5**4), ("block0_", 0.5**3)):
        if part in path:
            return factor
    return 0.25 if "block1_" in path else 0.5 if "block2_" in path else 1.0


def test_each_layer_gets_its_rate():
    model = small_model()
    variables = model.trainable_variables
    multipliers = layer_multipliers(variables, 0.5)
    assert multipliers == {v.path: expected_multiplier(v.path) for v in variables}
    assert set(multipliers.values()) == {0.0625, 0.125, 0.25, 0.5, 1.0}

    before = [np.array(v) for v in variables]
    optimizer = build_optimizer("sgd", 0.1, 0.0, 10, 0, variables, layer_decay=0.5)
    optimizer.momentum = 0.0
    optimizer.apply([keras.ops.ones(v.shape) for v in variables], variables)
    for variable, old in zip(variables, before, strict=True):
        step = old - keras.ops.convert_to_numpy(variable)
        # Nesterov's first step is 1 + momentum gradients long.
        ratio = step / expected_multiplier(variable.path)
        np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-3)
        assert ratio.flat[0] == pytest.approx(0.1, rel=1e-3) or ratio.flat[0] == pytest.approx(
            0.19, rel=1e-3
        )


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_decay_follows_the_rate_and_spares_tokens_and_positions(name):
    model = small_model()
    variables = model.trainable_variables
    for variable in variables:
        variable.assign(keras.ops.ones(variable.shape))
    optimizer = build_optimizer(name, 0.1, 0.5, 10, 0, variables, layer_decay=0.5)
    optimizer.apply([keras.ops.zeros(v.shape) for v in variables], variables)
    for variable in variables:
        free = len(variable.shape) == 1 or "tokens/" in variable.path
        expected = 1 if free else 1 - 0.1 * 0.5 * expected_multiplier(variable.path)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), expected, rtol=1e-5)


def test_layerwise_adamw_equals_adamw_where_nothing_decays():
    results = []
    for decay in (1.0, 0.999999):
        keras.utils.set_random_seed(0)
        model = small_model()
        variables = model.trainable_variables
        optimizer = build_optimizer(
            "adamw", 0.01, 0.1, 10, 0, variables, layer_decay=decay, global_clipnorm=1.0
        )
        gradients = np.random.default_rng(0)
        for _ in range(3):
            optimizer.apply(
                [
                    keras.ops.convert_to_tensor(gradients.normal(size=v.shape).astype("float32"))
                    for v in variables
                ],
                variables,
            )
        results.append([keras.ops.convert_to_numpy(v) for v in variables])
    for plain, layerwise in zip(*results, strict=True):
        np.testing.assert_allclose(layerwise, plain, rtol=1e-4, atol=1e-5)


def test_trains_saves_and_goes_on(tmp_path):
    model = small_model()
    optimizer = build_optimizer(
        "adamw", 0.01, 0.1, 10, 0, model.trainable_variables, layer_decay=0.5, ema_momentum=0.9
    )
    model.compile(optimizer, metrics=["accuracy"])
    images = np.random.default_rng(0).uniform(0, 1, (8, 8, 8, 3)).astype("float32")
    labels = np.arange(8) % 4
    model.fit(images, labels, epochs=2, batch_size=4, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.multipliers == model.optimizer.multipliers
    assert int(loaded.optimizer.iterations) == 4
    loaded.fit(images, labels, epochs=1, batch_size=4, verbose=0)


def test_what_is_frozen_stays_so_in_a_saved_model(tmp_path):
    model = small_model()
    unfreeze_last(model.backbone, 1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    trainable = [variable.path for variable in model.trainable_variables]
    assert [variable.path for variable in loaded.trainable_variables] == trainable
    assert not any("block0" in path or "patch" in path for path in trainable)


@pytest.mark.any_backend
def test_unfreeze_last():
    backbone = small_model().backbone
    unfreeze_last(backbone, 1)
    trainable = {layer.name for layer in backbone.layers if layer.weights and layer.trainable}
    assert trainable == {"block2_attention", "block2_mlp", "norm"}
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="a")(images)
    x = keras.layers.ReLU()(x)
    other = keras.Model(images, keras.layers.Conv2D(4, 3, name="b")(x))
    unfreeze_last(other, 1)
    assert [layer.trainable for layer in other.layers if layer.weights] == [False, True]
    with pytest.raises(ValueError, match=r"within \[1, 3\].*Received: count=4"):
        unfreeze_last(small_model().backbone, 4)


@pytest.mark.any_backend
def test_layer_decay_needs_blocks():
    with pytest.raises(ValueError, match="Vision Transformer"):
        layer_multipliers([keras.Variable(np.ones(2), name="kernel")], 0.5)
    with pytest.raises(ValueError, match=r"within \(0, 1\]"):
        layer_multipliers(small_model().trainable_variables, 0.0)

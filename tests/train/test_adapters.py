"""LoRA: adapters and heads learn and nothing else, are saved as they are, and merge."""

import keras
import numpy as np
import pytest

from keras_clce import CLCELoss, CLCEModel, load_model
from keras_clce.models.architectures.vit import vision_transformer
from keras_clce.models.backbones import build_backbone
from keras_clce.train.callbacks import RunCheckpoint
from keras_clce.train.layerwise import layer_multipliers

SIZE, CLASSES, BATCH = 16, 3, 12


def transformer():
    """Dense layers inside layers of this package."""
    images = keras.Input((SIZE, SIZE, 3))
    features = vision_transformer(images, patch_size=8, hidden_dim=8, num_layers=2, num_heads=2)
    return keras.Model(images, features, name="transformer")


def layers_of_keras():
    """Dense, and EinsumDense inside the attention."""
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 8, strides=8)(images)
    x = keras.layers.Reshape((4, 8))(x)
    x = x + keras.layers.MultiHeadAttention(2, 4)(x, x)
    x = keras.layers.LayerNormalization()(x)
    x = keras.layers.Dense(8, activation="gelu", name="hidden")(x)
    return keras.Model(images, keras.layers.GlobalAveragePooling1D()(x), name="of_keras")


def data():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(BATCH, SIZE, SIZE, 3)).astype("float32")
    return images, np.arange(BATCH) % CLASSES


def fit(model, epochs=2):
    images, labels = data()
    pair = (images, images[:, :, ::-1])
    return model.fit(pair, labels, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0)


def trained(make=transformer, rank=2, options=None, **arguments):
    model = CLCEModel(make(), CLASSES)
    model.enable_lora(rank, **arguments)
    model.compile(keras.optimizers.AdamW(0.01), CLCELoss(0.5), **(options or {}))
    fit(model)
    return model


def numbers(weights):
    return [keras.ops.convert_to_numpy(weight).astype("float32") for weight in weights]


def outputs(model):
    return {
        name: np.asarray(value, "float32")
        for name, value in model.predict(data()[0], verbose=0).items()
    }


def assert_same(found, expected, tolerance=1e-5):
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("make", "count", "policy", "options"),
    [
        (transformer, 8, "float32", {}),
        (layers_of_keras, 5, "float32", {"gradient_cache_size": 8}),
        (transformer, 8, "mixed_bfloat16", {"gradient_cache_size": 8}),
    ],
    ids=["at once", "in chunks", "in chunks, mixed precision"],
)
def test_adapters_and_heads_learn_and_nothing_else(make, count, policy, options):
    keras.config.set_dtype_policy(policy)
    model = CLCEModel(make(), CLASSES)
    before = outputs(model)
    model.enable_lora(2)
    assert_same(outputs(model), before)
    names = [weight.path.split("/")[-1] for weight in model.trainable_weights]
    adapters = ["lora_kernel_a", "lora_kernel_b"]
    assert sorted(names) == sorted([*(count * adapters), "kernel", "bias"])
    assert len(model.heads.trainable_weights) == 2
    model.compile(keras.optimizers.SGD(0.1), CLCELoss(0.5), **options)
    old = numbers(model.weights)
    fit(model)
    moved = {
        weight.path
        for weight, was, now in zip(model.weights, old, numbers(model.weights), strict=True)
        if (was != now).any()
    }
    assert moved == {weight.path for weight in model.trainable_weights}


def test_merged_it_gives_the_same_and_has_kernels_of_the_formula():
    model = trained(layers_of_keras, rank=2, alpha=6.0)
    dense = model.backbone.get_layer("hidden")
    kernel, _, a, b = numbers([dense._kernel, dense.bias, dense.lora_kernel_a, dense.lora_kernel_b])
    assert np.abs(b).max() > 0
    expected = outputs(model)
    model.merge_lora()
    assert_same(outputs(model), expected)
    np.testing.assert_allclose(numbers([dense.kernel])[0], kernel + 6 / 2 * a @ b, rtol=1e-6)
    assert model.lora is None
    assert not [weight.path for weight in model.weights if "lora" in weight.path]
    # It trains on: frozen, and then whole.
    assert {weight.path.split("/")[-1] for weight in fit_weights(model)} == {"kernel", "bias"}
    model.backbone.trainable = True
    model.compile("adam", CLCELoss(0.5))
    assert any("hidden" in weight.path for weight in fit_weights(model))


def fit_weights(model):
    fit(model, epochs=1)
    return model.optimizer._trainable_variables


@pytest.mark.parametrize("make", [transformer, layers_of_keras])
def test_saved_and_loaded_it_goes_on_where_it_stood(make, tmp_path):
    model = trained(make, rank=2, alpha=4)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert loaded.lora == model.lora
    for name in ("weights", "trainable_weights"):
        found, expected = getattr(loaded, name), getattr(model, name)
        assert [each.shape for each in found] == [each.shape for each in expected]
        for one, other in zip(numbers(found), numbers(expected), strict=True):
            np.testing.assert_array_equal(one, other)
    assert_same(outputs(loaded), outputs(model))
    losses = [fit(each).history["loss"] for each in (model, loaded)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert_same(outputs(loaded), outputs(model), 1e-3)


def test_keras_alone_saves_the_sum_of_kernels_and_adapters(tmp_path):
    model = trained()
    model.backbone.save(tmp_path / "encoder.keras")
    images, _ = data()
    expected = model.backbone.predict(images, verbose=0)
    found = keras.saving.load_model(tmp_path / "encoder.keras").predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_saved_model_is_an_encoder_without_adapters(tmp_path):
    model = trained()
    model.save(tmp_path / "model.keras")
    images, _ = data()
    encoder = build_backbone(str(tmp_path / "model.keras"), SIZE)
    found = encoder.predict(images, verbose=0)
    expected = model.backbone.predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert not [weight.path for weight in encoder.weights if "lora" in weight.path]


def test_weights_of_before_there_were_adapters_leave_them_able_to_learn(tmp_path):
    plain = CLCEModel(transformer(), CLASSES)
    plain.save_weights(tmp_path / "plain.weights.h5")
    model = trained()
    model.load_weights(tmp_path / "plain.weights.h5")
    assert_same(outputs(model), outputs(plain))
    fit(model)
    assert np.abs(outputs(model)["logits"] - outputs(plain)["logits"]).max() > 1e-3


def test_a_checkpoint_goes_on_as_if_nothing_had_happened(tmp_path):
    def begun():
        keras.utils.set_random_seed(1)
        model = CLCEModel(transformer(), CLASSES)
        model.enable_lora(2)
        model.compile(keras.optimizers.AdamW(0.01), CLCELoss(0.5))
        return model

    whole, killed, resumed = begun(), begun(), begun()
    expected = fit(whole, epochs=4).history["loss"]
    images, labels = data()
    pair = (images, images[:, :, ::-1])
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    checkpoint = RunCheckpoint(tmp_path)
    killed.fit(pair, labels, epochs=2, callbacks=[checkpoint], **options)
    first = RunCheckpoint(tmp_path).restore(resumed)
    assert first == 2
    history = resumed.fit(pair, labels, initial_epoch=first, epochs=4, **options).history
    np.testing.assert_allclose(history["loss"], expected[2:], rtol=1e-5)


def test_named_layers_alone_get_adapters():
    model = CLCEModel(transformer(), CLASSES)
    model.enable_lora(1, layers=("qkv", "fc2"))
    adapted = {w.path.split("/")[-2] for w in model.backbone.trainable_weights}
    assert adapted == {"qkv", "fc2"}
    assert CLCEModel.from_config(model.get_config()).lora == model.lora


def test_rates_fall_with_depth_in_adapters_too():
    model = CLCEModel(transformer(), CLASSES)
    model.enable_lora(1)
    found = layer_multipliers(model.trainable_weights, 0.5)
    by_block = {path.split("_")[0]: rate for path, rate in found.items() if "lora" in path}
    assert by_block == {"block0": 0.25, "block1": 0.5}
    assert {rate for path, rate in found.items() if "lora" not in path} == {1.0}


def test_an_optimizer_of_before_starts_anew():
    model = CLCEModel(transformer(), CLASSES)
    model.compile(keras.optimizers.Adam(0.01), CLCELoss(0.5))
    fit(model)
    model.enable_lora(2)
    fit(model)
    model.merge_lora()
    history = fit(model).history["loss"]
    assert np.isfinite(history).all()


@pytest.mark.any_backend
def test_what_is_refused():
    convolutions = keras.Sequential([keras.Input((SIZE, SIZE, 3)), keras.layers.Conv2D(4, 3)])
    with pytest.raises(ValueError, match=r"with Dense or EinsumDense .*Vision Tr.*Received"):
        CLCEModel(convolutions, CLASSES).enable_lora(2)
    model = CLCEModel(transformer(), CLASSES)
    with pytest.raises(ValueError, match=r"`merge_lora` is for a model with adapters"):
        model.merge_lora()
    for arguments, message in (
        ({"rank": 0}, r"`rank` must be a whole number .*Received: rank=0"),
        ({"rank": 2, "alpha": -1}, r"`alpha` must be a number above 0. Received: alpha=-1"),
        ({"rank": 2, "layers": "dense"}, r"`layers` .*qkv, projection, fc1, fc2.*'dense'"),
        ({"rank": 2, "layers": ()}, r"`layers` must be None, or names.*Received: layers=\(\)"),
    ):
        with pytest.raises(ValueError, match=message):
            model.enable_lora(**arguments)
    assert not [weight.path for weight in model.weights if "lora" in weight.path]
    model.enable_lora(2)
    with pytest.raises(ValueError, match=r"must be called once.*adapters of rank 2"):
        model.enable_lora(4)
    with pytest.raises(ValueError, match=r"`quantize` is for .*call `merge_lora` before"):
        model.quantize("int8")
    model.merge_lora()
    model.quantize("int8")
    with pytest.raises(ValueError, match=r"not quantised. Received.*8 quantised layers.*'qkv'"):
        model.enable_lora(2)

"""LoRA: adapters and heads learn and nothing else, are saved as they are, and merge."""

import keras
import numpy as np
import pytest

from keras_clce import CLCELoss, CLCEModel, load_model
from keras_clce.experiments import Settings
from keras_clce.models.architectures.vit import vision_transformer
from keras_clce.models.backbones import build_backbone
from keras_clce.models.fast_operations import fast_operations
from keras_clce.train.callbacks import RunCheckpoint
from keras_clce.train.layerwise import LayerwiseAdamW, layer_multipliers

SIZE, CLASSES, BATCH = 16, 3, 12


def transformer(blocks=1):
    """Dense layers inside layers of this package."""
    images = keras.Input((SIZE, SIZE, 3))
    sizes = {"patch_size": 8, "hidden_dim": 8, "num_heads": 2}
    features = vision_transformer(images, num_layers=blocks, **sizes)
    return keras.Model(images, features, name="transformer")


def layers_of_keras():
    """Dense, and EinsumDense inside the attention."""
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(8, 8, strides=8)(images)
    x = keras.layers.Reshape((4, 8))(x)
    x = x + keras.layers.MultiHeadAttention(2, 4)(x, x)
    x = keras.layers.LayerNormalization()(x)
    x = keras.layers.Dense(8, activation="gelu", name="fc1")(x)
    return keras.Model(images, keras.layers.GlobalAveragePooling1D()(x), name="of_keras")


def constrained():
    """Two dense layers, of which the second cannot have adapters."""
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Dense(8, name="free")(images)
    x = keras.layers.Dense(8, kernel_constraint="max_norm", name="bound")(x)
    return keras.Model(images, x)


def data():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(BATCH, SIZE, SIZE, 3)).astype("float32")
    return images, np.arange(BATCH) % CLASSES


def fit(model, epochs=2):
    images, labels = data()
    pair = (images, images[:, :, ::-1])
    return model.fit(pair, labels, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0)


def adapted(make=transformer, rank=2, **arguments):
    model = CLCEModel(make(), CLASSES)
    model.enable_lora(rank, **arguments)
    # Tracing takes longer than the steps; JAX compiles each operation by itself else.
    eagerly = keras.backend.backend() == "tensorflow"
    model.compile(keras.optimizers.AdamW(0.01), CLCELoss(0.5), run_eagerly=eagerly)
    return model


def numbers(weights):
    return [keras.ops.convert_to_numpy(weight).astype("float32") for weight in weights]


def output(model):
    result = model(data()[0])
    return keras.ops.convert_to_numpy(result["logits"] if isinstance(result, dict) else result)


def assert_same(found, expected, tolerance=1e-5):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def with_lora(model):
    return [weight.path for weight in model.weights if "lora" in weight.path]


@pytest.mark.parametrize(
    ("make", "count", "policy", "options"),
    [
        (layers_of_keras, 5, "float32", {}),
        (transformer, 4, "mixed_bfloat16", {"gradient_cache_size": 8}),
    ],
    ids=["at once", "in chunks, mixed precision"],
)
def test_adapters_and_heads_learn_and_nothing_else(make, count, policy, options):
    keras.config.set_dtype_policy(policy)
    model = CLCEModel(make(), CLASSES)
    before = output(model)
    model.enable_lora(2)
    assert_same(output(model), before)
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


@pytest.mark.parametrize("make", [transformer, layers_of_keras])
def test_saved_it_goes_on_where_it_stood_and_merged_it_gives_the_same(make, tmp_path):
    model = adapted(make, rank=2, alpha=6.0)
    fit(model)
    expected = output(model)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert loaded.lora == model.lora
    for name in ("weights", "trainable_weights"):
        found, kept = numbers(getattr(loaded, name)), numbers(getattr(model, name))
        for one, other in zip(found, kept, strict=True):
            np.testing.assert_array_equal(one, other)
    assert_same(output(loaded), expected)
    # Keras alone saves the sum of kernels and adapters.
    features = output(model.backbone)
    model.backbone.save(tmp_path / "encoder.keras")
    assert_same(output(keras.saving.load_model(tmp_path / "encoder.keras")), features)
    # As the encoder of a new model it has no adapters.
    encoder = build_backbone(str(tmp_path / "model.keras"), SIZE)
    assert_same(output(encoder), features)
    assert not with_lora(encoder)

    losses = [fit(each).history["loss"] for each in (model, loaded)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert_same(output(loaded), output(model), 1e-3)

    dense = next(each for each in model.backbone._flatten_layers() if each.name == "fc1")
    kernel, a, b = numbers([dense._kernel, dense.lora_kernel_a, dense.lora_kernel_b])
    assert np.abs(b).max() > 0
    expected = output(model)
    model.merge_lora()
    assert_same(output(model), expected)
    np.testing.assert_allclose(numbers([dense.kernel])[0], kernel + 6 / 2 * a @ b, atol=1e-7)
    assert model.lora is None and not with_lora(model)
    # It trains on: the heads, then all of it.
    old = numbers(model.weights)
    assert np.isfinite(fit(model, epochs=1).history["loss"]).all()
    model.backbone.trainable = True
    moved = [(was != now).any() for was, now in zip(old, numbers(model.weights), strict=True)]
    assert sum(moved) == 2
    assert len(model.trainable_weights) == len(model.weights)


@pytest.mark.any_backend
def test_weights_of_before_there_were_adapters_leave_them_able_to_learn(tmp_path):
    plain = CLCEModel(transformer(), CLASSES)
    plain.save_weights(tmp_path / "plain.weights.h5")
    model = CLCEModel(transformer(), CLASSES)
    model.enable_lora(2)
    model.load_weights(tmp_path / "plain.weights.h5")
    assert_same(output(model), output(plain))
    adapter = next(weight for weight in model.weights if weight.name == "lora_kernel_a")
    assert np.std(numbers([adapter])[0]) > 0.1


def test_a_checkpoint_goes_on_as_if_nothing_had_happened(tmp_path):
    model = adapted()
    checkpoint = RunCheckpoint(tmp_path)
    images, labels = data()
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    views = (images, images[:, :, ::-1])
    model.fit(views, labels, callbacks=[checkpoint], **options)
    expected = fit(model).history["loss"]
    other = adapted()
    assert RunCheckpoint(tmp_path).restore(other) == 1
    np.testing.assert_allclose(fit(other).history["loss"], expected, rtol=1e-5)


@pytest.mark.any_backend
def test_named_layers_alone_get_adapters():
    model = CLCEModel(transformer(), CLASSES)
    model.enable_lora(1, layers=("qkv", "fc2"))
    found = {weight.path.split("/")[-2] for weight in model.backbone.trainable_weights}
    assert found == {"qkv", "fc2"}
    assert CLCEModel.from_config(model.get_config()).lora == model.lora


@pytest.mark.any_backend
def test_rates_fall_with_depth_in_adapters_too():
    model = CLCEModel(transformer(blocks=2), CLASSES)
    model.enable_lora(1)
    found = layer_multipliers(model.trainable_weights, 0.5)
    by_block = {path.split("_")[0]: rate for path, rate in found.items() if "lora" in path}
    assert by_block == {"block0": 0.25, "block1": 0.5}
    assert {rate for path, rate in found.items() if "lora" not in path} == {1.0}


@pytest.mark.any_backend
def test_an_optimizer_of_before_starts_anew():
    model = CLCEModel(transformer(), CLASSES)
    model.compile(keras.optimizers.Adam(0.01), CLCELoss(0.5))
    model.optimizer.build(model.trainable_variables)
    whole = len(model.optimizer.variables)
    model.enable_lora(2)
    # Iterations, rate, and two moments of each adapter and of the classifier's two weights.
    assert len(model.optimizer.variables) == 2 + 2 * (8 + 2) < whole
    model.merge_lora()
    assert len(model.optimizer.variables) == 2 + 2 * 2
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)


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
        ({"rank": 2, "layers": "dense"}, r"`layers` .*fc1, fc2, projection, qkv.*'dense'"),
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
    with pytest.raises(ValueError, match=r"not quantised. Received.*4 quantised layers"):
        model.enable_lora(2)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"freeze_backbone": True, "loss": "ce"}, "adapters and excludes --freeze_backbone"),
        ({"unfreeze_last": 2}, "excludes --unfreeze_last. Received: lora_rank=4"),
        ({"backbone": "small_resnet"}, "`lora_rank` is for vit_tiny, .*lora_rank=4, name='small_r"),
    ],
)
def test_settings_that_exclude_adapters(more, message):
    with pytest.raises(ValueError, match=message):
        Settings(**{"backbone": "vit_tiny", "lora_rank": 4, **more})


@pytest.mark.parametrize("make", [transformer, layers_of_keras])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_adapters_beside_kernels_give_what_keras_computes_of_their_sum(policy, make):
    keras.config.set_dtype_policy(policy)
    model = CLCEModel(make(), CLASSES)
    model.enable_lora(2, alpha=6.0)
    rng = np.random.default_rng(0)
    for weight in model.backbone.trainable_weights:
        weight.assign(0.3 * rng.normal(size=weight.shape))
    images = data()[0]
    # Only inside of CLCEModel they are computed otherwise than Keras does.
    (expected,) = numbers([model.backbone(images)])
    (found,) = numbers([model(images, training=True)["feature_norm"]])
    with fast_operations(model.backbone):
        (features,) = numbers([model.backbone(images)])
    tolerance = 1e-5 if policy == "float32" else 0.05
    assert_same(features, expected, tolerance * np.abs(expected).max())
    assert_same(found, np.linalg.norm(features, axis=1), 10 * tolerance)
    dense = next(each for each in model.backbone._flatten_layers() if each.name == "fc1")
    assert "call" not in vars(dense)


@pytest.mark.any_backend
def test_what_is_refused_leaves_no_adapters_behind():
    model = CLCEModel(constrained(), CLASSES)
    trained = [variable.path for variable in model.trainable_variables]
    with pytest.raises(ValueError, match=r"`layers` can leave some out. Received: bound with"):
        model.enable_lora(2)
    assert [variable.path for variable in model.trainable_variables] == trained
    model.enable_lora(4, alpha=np.float32(4), layers="free")
    assert model.lora.alpha == 4.0


@pytest.mark.any_backend
def test_the_new_optimizer_spares_what_the_old_one_spared():
    model = CLCEModel(transformer(), CLASSES)
    multipliers = layer_multipliers(model.trainable_variables, decay=0.5)
    optimizer = LayerwiseAdamW(1e-3, weight_decay=0.1, multipliers=multipliers)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(keras.optimizers.LossScaleOptimizer(optimizer), CLCELoss())
    model.enable_lora(2)
    inner = model.optimizer.inner_optimizer
    assert inner is not optimizer
    decayed = [v.path for v in model.trainable_variables if inner._use_weight_decay(v)]
    assert decayed and not any("bias" in path for path in decayed)
    for variable in model.trainable_variables:
        if "lora_kernel" in variable.path:
            kernel = variable.path.rpartition("/")[0] + "/kernel"
            assert inner._multiplier(variable) == multipliers[kernel] < 1


def test_what_is_trained_beside_adapters_is_trained_on(tmp_path):
    model = CLCEModel(layers_of_keras(), CLASSES)
    model.enable_lora(2)
    model.backbone.get_layer("layer_normalization").trainable = True
    model.compile("adam", CLCELoss())
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    names = [[v.name for v in each.backbone.trainable_variables] for each in (model, loaded)]
    assert names[0] == names[1] and "gamma" in names[0] and "kernel" not in names[0]
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) > 0

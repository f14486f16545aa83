"""Quick ways of stock layers, against the layers as Keras computes them."""

import json
import re
import threading
import zipfile

import keras
import numpy as np
import pytest
from backbone_checks import assert_close, random_pixels

from keras_clce import CLCEModel, backend
from keras_clce.models.backbones import build_backbone
from keras_clce.models.fast_operations import fast_operations, use_fast_operations

layers = keras.layers
SHAPE = (5, 9, 8, 6)


@keras.saving.register_keras_serializable(package="tests")
class Shift(keras.layers.Layer):
    """Adds a weight to every number of a batch, whose gradient is that of the input."""

    def build(self, shape):
        self.shift = self.add_weight(shape, "zeros")

    def call(self, inputs):
        return inputs + self.shift


def graph(layer, shape=SHAPE):
    images = keras.Input(batch_shape=shape)
    return keras.Model(images, layer(Shift()(images)))


def stock(model):
    """The same model as Keras computes it."""
    copy = keras.Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy


def assert_same(layer, shape=SHAPE, tolerance=1e-5):
    """Outputs, and after a step all weights: gradients of input and weights, and averages."""
    quick = graph(layer, shape)
    rng = np.random.default_rng(0)
    for variable in quick.variables:
        if variable.path.split("/")[-1] != "shift":
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    original = stock(quick)
    use_fast_operations(quick)
    assert any(set(vars(each)) & {"call", "convolution_op"} for each in quick.layers)
    images = rng.normal(1, 2, shape).astype("float32")
    targets = 10 * rng.normal(size=quick.output_shape).astype("float32")
    results = []
    for model in (quick, original):
        model.compile(keras.optimizers.SGD(1.0), keras.losses.MeanSquaredError("sum"))
        before = [value.copy() for value in model.get_weights()]
        outputs = [model.predict_on_batch(images)]
        model.train_on_batch(images, targets)
        after = model.get_weights()
        results.append(outputs + [b - a for a, b in zip(before, after, strict=True)])
    for actual, expected in zip(*results, strict=True):
        if np.std(expected) == 0:  # of a layer that does not learn, nothing moves
            np.testing.assert_array_equal(actual, expected)
        else:
            assert_close(actual, expected, tolerance)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 1},
        {"kernel_size": 1, "strides": (2, 3), "use_bias": True, "activation": "relu"},
        {"kernel_size": 1, "groups": 2},
        {"kernel_size": 3, "padding": "same", "strides": 2},
        {"kernel_size": (5, 3), "padding": "valid", "use_bias": True},
        {"kernel_size": 2, "padding": "valid", "strides": 4},
        {"kernel_size": (3, 2), "padding": "same", "strides": (2, 5)},
        {"kernel_size": 3, "padding": "same", "groups": 3},
        {"kernel_size": 3, "padding": "same", "dilation_rate": 2},
    ],
    ids=str,
)
def test_convolution(options):
    assert_same(layers.Conv2D(12, **{"use_bias": False, **options}))


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of XLA")
@pytest.mark.parametrize("options", [{}, {"strides": 2}, {"dilation_rate": 2}], ids=str)
def test_convolutions_in_loops_have_the_order_of_axes_that_is_quick(options):
    import jax

    if jax.default_backend() != "cpu":
        pytest.skip("of XLA's compiler for the CPU")
    layer = layers.Conv2D(4, 3, padding="same", **options)
    use_fast_operations(keras.Sequential([keras.Input(SHAPE[1:]), layer]))

    def loss(kernel, images):
        step = jax.checkpoint(lambda part: layer.convolution_op(part, kernel))
        return (jax.lax.map(step, images) ** 2).sum()

    images = np.zeros((3, *SHAPE), "float32")
    gradients = jax.jit(jax.grad(loss, (0, 1)))
    program = gradients.lower(np.zeros((3, 3, 6, 4), "float32"), images).compile().as_text()
    assert "while(" in program
    orders = re.findall(r"convolution[(].*dim_labels=(\S+?)[,\s]", program)
    assert len(orders) >= 3 and set(orders) == {"b01f_01io->b01f"}


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": 3, "padding": "same", "strides": 2},
        {"kernel_size": 5, "padding": "same", "strides": 2, "activation": "relu"},
        {"kernel_size": 5, "padding": "valid", "strides": 2},
        {"kernel_size": (2, 3), "padding": "same", "strides": 3, "use_bias": False},
        {"kernel_size": 1, "strides": 2},
        {"kernel_size": 3, "padding": "same", "dilation_rate": 2},
        {"kernel_size": 3, "depth_multiplier": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [SHAPE, (2, 8, 11, 3)])
def test_depthwise_convolution(options, shape):
    assert_same(layers.DepthwiseConv2D(**options), shape)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kind", [layers.MaxPooling2D, layers.AveragePooling2D])
def test_pooling(kind, padding):
    assert_same(kind(3, 2, padding=padding))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9, "epsilon": 1e-5, "axis": 3},
        {"scale": False, "center": False},
        {"trainable": False},
        {"axis": 1},
        {"renorm": True},
    ],
    ids=str,
)
def test_batch_normalization(options):
    assert_same(layers.BatchNormalization(**options))


def test_batch_normalization_of_one_value_a_channel():
    assert_same(layers.BatchNormalization(), shape=(1, 1, 1, 6))


def test_batch_normalization_of_vectors():
    assert_same(layers.BatchNormalization(), shape=(7, 6))


def test_moving_averages_are_of_the_biased_variance():
    layer = layers.BatchNormalization(momentum=0.75)
    use_fast_operations(keras.Sequential([keras.Input(SHAPE[1:]), layer]))
    images = np.random.default_rng(0).normal(3, 2, SHAPE).astype("float32")
    layer(images, training=True)
    axes = (0, 1, 2)
    assert_close(layer.get_weights()[2], 0.25 * images.mean(axes), 1e-5)
    assert_close(layer.get_weights()[3], 0.75 + 0.25 * images.var(axes), 1e-5)


@pytest.mark.parametrize("kind", ["Conv2D", "DepthwiseConv2D", "BatchNormalization"])
def test_mixed_precision(kind):
    options = {"Conv2D": (12, 1), "DepthwiseConv2D": (3, 2)}
    layer = getattr(layers, kind)(*options.get(kind, ()), dtype="mixed_bfloat16")
    assert_same(layer, tolerance=2e-2)


# === Whole models ===


@pytest.fixture
def counted(monkeypatch):
    """How often each operation was asked for."""
    counts = dict.fromkeys(("conv", "depthwise_conv", "pool", "batch_norm"), 0)

    def counting(name):
        function = getattr(backend, name)

        def call(*args, **options):
            counts[name] += 1
            return function(*args, **options)

        return call

    for name in counts:
        monkeypatch.setattr(backend, name, counting(name))
    return counts


def test_encoders_are_quick_before_and_after_their_plain_files(counted, tmp_path):
    backbone = build_backbone("small_resnet", 8)
    pixels = random_pixels(8)
    expected = backbone(pixels)
    assert counted == {"conv": 15, "depthwise_conv": 0, "pool": 0, "batch_norm": 15}

    backbone.save(tmp_path / "encoder.keras")
    with zipfile.ZipFile(tmp_path / "encoder.keras") as file:
        config = json.loads(file.read("config.json"))
    assert "keras_clce" not in json.dumps(config)
    loaded = CLCEModel(keras.saving.load_model(tmp_path / "encoder.keras"), 3)
    probabilities = loaded(pixels)["probabilities"]
    assert counted == {"conv": 30, "depthwise_conv": 0, "pool": 0, "batch_norm": 30}
    to_numpy = keras.ops.convert_to_numpy
    np.testing.assert_array_equal(
        to_numpy(probabilities), to_numpy(loaded.heads(expected)["probabilities"])
    )


def test_layers_inside_of_layers_and_subclasses(counted):
    class Twice(layers.Conv2D):
        def convolution_op(self, inputs, kernel):
            return 2 * super().convolution_op(inputs, kernel)

    inner = keras.Sequential([keras.Input(SHAPE[1:]), layers.Conv2D(4, 3)])
    images = keras.Input(SHAPE[1:])
    model = keras.Model(images, Twice(2, 1)(inner(images)))
    pixels = np.ones(SHAPE, "float32")
    expected = model.predict(pixels, verbose=0)
    use_fast_operations(model)(pixels)
    assert counted["conv"] == 1
    assert_close(model.predict(pixels, verbose=0), expected, 1e-6)


# === A user's own model ===


def own_model():
    images = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, use_bias=False)(images)
    x = layers.BatchNormalization(momentum=0.8)(x)
    x = layers.MaxPooling2D()(layers.DepthwiseConv2D(3)(x))
    return keras.Model(images, layers.LayerNormalization()(layers.GlobalAveragePooling2D()(x)))


def own_methods(model):
    """What has been set on the layers themselves under the name of a method."""
    return {
        (layer.name, name)
        for layer in model._flatten_layers()
        for name in ("call", "convolution_op")
        if name in vars(layer)
    }


def test_own_model_stays_as_it_was_and_learns(counted):
    encoder = own_model()
    before = {layer.name: set(vars(layer)) for layer in encoder._flatten_layers()}
    weights = [value.copy() for value in encoder.get_weights()]
    pixels, labels = random_pixels(12, batch=8) / 255, np.arange(8) % 2
    model = CLCEModel(encoder, 2)
    assert not own_methods(encoder)
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(pixels, labels, batch_size=8, epochs=2, verbose=0)
    model.evaluate(pixels, labels, verbose=0)
    model.predict(pixels, verbose=0)
    assert min(counted.values()) > 0

    assert not own_methods(encoder)
    # Keras itself sets a few more on layers that are called.
    plain = own_model()
    plain.predict(pixels, verbose=0)
    added = {
        name for each in encoder._flatten_layers() for name in set(vars(each)) - before[each.name]
    }
    expected = {name for each in plain._flatten_layers() for name in vars(each)}
    assert added <= expected

    assert all(
        np.abs(new - old).max() > 0 for new, old in zip(encoder.get_weights(), weights, strict=True)
    )
    used = dict(counted)
    outputs = encoder.predict(pixels, verbose=0)
    assert counted == used
    np.testing.assert_array_equal(outputs, stock(encoder).predict(pixels, verbose=0))


def test_chunks_that_are_computed_again_are_quick(counted):
    encoder = own_model()
    model = CLCEModel(encoder, 2)
    model.compile("sgd", gradient_cache_size=4, run_eagerly=keras.backend.backend() == "torch")
    model.train_on_batch(random_pixels(12, batch=8) / 255, np.arange(8) % 2)
    assert min(counted.values()) > 0
    assert not own_methods(encoder)


def test_quick_meanwhile_whatever_happens():
    encoder = own_model()
    names = {"call", "convolution_op"}
    quick = {
        (layer.name, name) for layer in encoder.layers for name in names if _is_slow(layer, name)
    }
    assert len(quick) == 5
    with fast_operations(encoder):
        with fast_operations(encoder):
            assert own_methods(encoder) == quick
        assert own_methods(encoder) == quick
    assert not own_methods(encoder)
    with pytest.raises(RuntimeError), fast_operations(encoder):
        raise RuntimeError
    assert not own_methods(encoder)


def _is_slow(layer, name):
    kinds = (layers.BatchNormalization, layers.LayerNormalization, layers.MaxPooling2D)
    if isinstance(layer, (*kinds, layers.DepthwiseConv2D)):
        return name == "call"
    return type(layer) is layers.Conv2D and name == "convolution_op"


def test_threads_leave_in_any_order():
    encoder = own_model()
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with fast_operations(encoder):
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=stay)
    with fast_operations(encoder):
        thread.start()
        assert inside.wait(60)
    assert len(own_methods(encoder)) == 5
    leave.set()
    thread.join(60)
    assert not own_methods(encoder)


def test_methods_that_users_set_stay():
    encoder = own_model()
    layer = encoder.layers[1]
    own = layer.convolution_op = lambda inputs, kernel: keras.ops.conv(inputs, kernel) + 1
    with fast_operations(encoder):
        assert vars(layer)["convolution_op"] is own
    assert vars(layer)["convolution_op"] is own


@pytest.mark.parametrize(
    "options", [{}, {"axis": 3, "scale": True, "center": False}, {"axis": (1, 2, 3)}], ids=str
)
def test_layer_normalization(options):
    assert_same(layers.LayerNormalization(**options))

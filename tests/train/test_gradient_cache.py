"""Training in chunks of views: the step of the whole batch, or of chunks that are all kept."""

import gc
import itertools
import math

import keras
import numpy as np
import pytest
import small_models
import tensorflow as tf
from keras import ops
from marks import on_any_backend, others_on_any_backend

from keras_clce import CLCELoss, CLCEModel
from keras_clce.data import ClassBalancedBatches
from keras_clce.losses import HSCLLoss, SupConLoss
from keras_clce.models.architectures.vit import vision_transformer
from keras_clce.models.backbones import build_backbone

LOSSES = {
    "clce": CLCELoss(0.5),
    "ce": CLCELoss(0.0),
    "supcon": CLCELoss(1.0, SupConLoss(0.2)),
    "hscl": CLCELoss(0.5, HSCLLoss(0.2)),
}
IMAGES, LABELS = small_models.separable(12)
VIEWS = (IMAGES, IMAGES[:, ::-1].copy())


class KeepsChunks(CLCEModel):
    """The chunked step as anybody would write it: all chunks stay in memory."""

    size = None

    def call(self, inputs, training=False):
        images = inputs[0] if isinstance(inputs, (tuple, list)) else inputs
        if not training:
            return self.heads(self.backbone(images, training=False))
        first = len(images) % self.size or self.size
        cuts = [0, *range(first, len(images) + 1, self.size)]
        chunks = [
            self.heads(self.backbone(images[start:stop], training=True), training=True)
            for start, stop in itertools.pairwise(cuts)
        ]
        return {key: ops.concatenate([chunk[key] for chunk in chunks]) for key in chunks[0]}


def noisy_backbone(norm):
    inputs = keras.Input(small_models.SHAPE)
    x = keras.layers.Conv2D(8, 3, strides=2)(inputs)
    x = {"batch": keras.layers.BatchNormalization, "layer": keras.layers.LayerNormalization}[norm](
        **({"momentum": 0.8} if norm == "batch" else {})
    )(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Dropout(0.3, seed=3)(x)
    x = keras.layers.Dropout(0.3, noise_shape=(None, 1, 1, 1), seed=4)(x)  # stochastic depth
    return keras.Model(inputs, x)


def train(model, loss=None, steps=2, size=None, optimizer=None, options=None, data=None, **kwargs):
    """Weights, state and logs after some steps, on one batch unless there are other data.

    At this rate gradients show in full; more steps would carry rounding over a ReLU's corner.
    """
    if isinstance(model, KeepsChunks):
        model.size, size = size, None
        # A Python loop over the batch needs its size, which `fit` hides from TensorFlow's graphs.
        options = {"run_eagerly": keras.backend.backend() == "tensorflow"}
    model.compile(
        optimizer or keras.optimizers.SGD(1.0),
        loss=loss or LOSSES["clce"],
        metrics=["accuracy"],
        gradient_cache_size=size,
        **(options or {}),
    )
    data = (VIEWS, LABELS, 12) if data is None else (data,)
    history = model.fit(*data, epochs=steps, shuffle=False, verbose=0, **kwargs)
    return model, history.history


def assert_same(got, want):
    (model, logs), (wanted, wanted_logs) = got, want
    assert set(logs) == set(wanted_logs)
    for name in logs:
        np.testing.assert_allclose(logs[name], wanted_logs[name], rtol=1e-5, atol=1e-5)
    for group in ("trainable_variables", "non_trainable_variables"):
        pairs = list(zip(getattr(model, group), getattr(wanted, group), strict=True))
        for ours, theirs in pairs:
            np.testing.assert_allclose(
                ops.convert_to_numpy(ops.cast(ours, "float32")),
                ops.convert_to_numpy(ops.cast(theirs, "float32")),
                rtol=1e-5,
                atol=1e-5,
                err_msg=ours.path,
            )


def copies(build, *classes):
    """One model a class, with equal weights and random seeds."""
    models = []
    for each in classes:
        keras.utils.set_random_seed(0)
        models.append(each(build(), small_models.CLASSES))
    return models


def layer_norm_backbone():
    inputs = keras.Input(small_models.SHAPE)
    x = keras.layers.Conv2D(8, 3, strides=2)(inputs)
    return keras.Model(inputs, keras.layers.ReLU()(keras.layers.LayerNormalization()(x)))


# 24 views: chunks that divide them, that do not, and one that holds all.
@pytest.mark.parametrize(
    ("loss", "size"),
    others_on_any_backend(
        [("clce", 8), ("clce", 64), *((loss, 7) for loss in LOSSES)], ("clce", 7), ("clce", 64)
    ),
)
def test_it_is_the_step_of_the_whole_batch(loss, size):
    cached, plain = copies(layer_norm_backbone, CLCEModel, CLCEModel)
    assert_same(train(cached, LOSSES[loss], size=size), train(plain, LOSSES[loss]))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"class_weight": {0: 2.0, 1: 0.0, 2: 1.0, 3: 0.5}},
        *on_any_backend({"sample_weight": np.linspace(0, 2, 12).astype("float32")}),
    ],
)
def test_weights_of_classes_and_examples(kwargs):
    cached, plain = copies(layer_norm_backbone, CLCEModel, CLCEModel)
    assert_same(train(cached, size=7, **kwargs), train(plain, **kwargs))


@pytest.mark.any_backend
def test_balanced_batches():
    cached, plain = copies(layer_norm_backbone, CLCEModel, CLCEModel)
    got, want = (
        train(model, size=size, data=ClassBalancedBatches(VIEWS, LABELS, 8, images_per_class=2))
        for model, size in ((cached, 7), (plain, None))
    )
    assert_same(got, want)


@pytest.mark.parametrize(
    ("norm", "size"), [("batch", 7), ("layer", 8), *on_any_backend(("batch", 8), ("layer", 7))]
)
def test_chunks_meet_the_random_numbers_and_statistics_of_chunks_that_are_kept(norm, size):
    cached, kept = copies(lambda: noisy_backbone(norm), CLCEModel, KeepsChunks)
    assert_same(train(cached, size=size), train(kept, size=size))


@pytest.mark.parametrize("size", [7, *on_any_backend(8)])
def test_frozen_batch_normalisation(size):
    def build():
        backbone = noisy_backbone("batch")
        for layer in backbone.layers:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
        return backbone

    cached, kept = copies(build, CLCEModel, KeepsChunks)
    assert_same(train(cached, size=size), train(kept, size=size))
    (cached,) = copies(build, CLCEModel)
    cached.backbone.trainable = False
    before = [ops.convert_to_numpy(v) for v in cached.backbone.variables]
    train(cached, size=size)
    for value, variable in zip(before, cached.backbone.variables, strict=True):
        if "seed" not in variable.path:
            np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)


def test_no_gradient_goes_from_chunk_to_chunk():
    class MinusRunningMean(keras.layers.Layer):
        def build(self, shape):
            self.mean = self.add_weight(shape=shape[-1:], initializer="zeros", trainable=False)

        def call(self, x, training=False):
            outputs = x - ops.stop_gradient(self.mean) if stop else x - self.mean
            if training:
                self.mean.assign(0.5 * self.mean + 0.5 * ops.mean(x, (0, 1, 2)))
            return outputs

        def compute_output_shape(self, shape):
            return shape

    def build():
        inputs = keras.Input(small_models.SHAPE)
        return keras.Model(inputs, MinusRunningMean()(keras.layers.Conv2D(4, 3)(inputs)))

    stop = True
    stopped, not_stopped = copies(build, CLCEModel, CLCEModel)
    stopped = train(stopped, size=6)
    stop = False
    assert_same(train(not_stopped, size=6), stopped)


def test_images_whose_size_no_graph_knows():
    def batches():
        yield VIEWS, LABELS

    data = tf.data.Dataset.from_generator(
        batches,
        output_signature=(
            (tf.TensorSpec((None, None, None, 3)),) * 2,
            tf.TensorSpec((None,), "int64"),
        ),
    ).repeat(2)
    cached, plain = copies(layer_norm_backbone, CLCEModel, CLCEModel)
    got = train(cached, size=7, data=data, steps=1)
    assert_same(got, train(plain, data=data, steps=1))


def test_transformer_with_stochastic_depth_and_remat():
    remat = keras.backend.backend() != "tensorflow"

    def build():
        images = keras.Input(small_models.SHAPE)
        options = {"patch_size": 4, "hidden_dim": 16, "num_layers": 3, "num_heads": 2}
        options |= {"stochastic_depth": 0.3, "remat": remat}
        return keras.Model(images, vision_transformer(images, **options))

    cached, kept = copies(build, CLCEModel, KeepsChunks)
    assert_same(train(cached, size=8), train(kept, size=8))


@pytest.mark.parametrize("policy", ["mixed_float16", *on_any_backend("mixed_bfloat16")])
def test_mixed_precision_and_loss_scaling(policy):
    keras.config.set_dtype_policy(policy)
    cached, plain = copies(layer_norm_backbone, CLCEModel, CLCEModel)
    got = train(cached, size=7, optimizer=keras.optimizers.Adam(1e-2))
    want = train(plain, optimizer=keras.optimizers.Adam(1e-2))
    # Adam turns rounding of the smallest gradients into whole steps, so only the loss is compared.
    np.testing.assert_allclose(got[1]["loss"], want[1]["loss"], rtol=2e-2)
    assert got[1]["loss"][-1] < got[1]["loss"][0]


@pytest.mark.parametrize(
    "options",
    [*on_any_backend({"run_eagerly": True}), {"jit_compile": False}, {"jit_compile": True}],
)
def test_compile_options(options):
    if keras.backend.backend() == "tensorflow" and options.get("jit_compile"):
        pytest.skip("TensorFlow's XLA has no gradient of such a loop")
    cached, plain = copies(layer_norm_backbone, CLCEModel, CLCEModel)
    assert_same(train(cached, size=7, options=options), train(plain))


@pytest.mark.parametrize("size", [7, *on_any_backend(8)])
def test_a_batch_whose_size_the_graph_knows(size):
    # `fit` hides the size of arrays from TensorFlow's graphs.
    cached, plain = copies(layer_norm_backbone, CLCEModel, CLCEModel)
    train(cached, steps=0, size=size)
    train(plain, steps=0)
    for model in (cached, plain):
        for _ in range(2):
            model.train_on_batch(VIEWS, LABELS)
    assert_same((cached, {}), (plain, {}))


def test_xla_of_tensorflow_is_refused_where_asked_for_and_not_chosen_by_default(monkeypatch):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow's XLA alone has no gradient of such a loop")
    model = small_models.small_model()
    # As where there is a GPU.
    monkeypatch.setattr(type(model), "_resolve_auto_jit_compile", lambda self: True)
    model.compile("sgd", gradient_cache_size=7)
    assert not model.jit_compile
    with pytest.raises(ValueError, match=r"`jit_compile` must be .*Received: jit_compile=True"):
        model.compile("sgd", gradient_cache_size=7, jit_compile=True)


def test_the_encoder_is_traced_a_few_times_however_many_chunks_there_are():
    traces = []

    class Counts(keras.layers.Layer):
        def call(self, x):
            traces.append(1)
            return x

    def build():
        inputs = keras.Input(small_models.SHAPE)
        return keras.Model(inputs, Counts()(keras.layers.Conv2D(4, 3)(inputs)))

    if keras.backend.backend() == "torch":
        pytest.skip("torch trains eagerly: there are no traces")
    found = {}
    for size in (12, 1):
        (model,) = copies(build, CLCEModel)
        traces.clear()
        train(model, size=size, steps=2)
        found[size] = len(traces)
    # 2 chunks and 24.
    assert found[1] <= found[12]


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts tensors of torch")
def test_a_chunk_is_forgotten_before_the_next_is_computed_again():
    import torch

    class Watch(keras.layers.Layer):
        """Notes how many bytes of tensors there are when it is called."""

        def call(self, inputs):
            tensors = (each for each in gc.get_objects() if type(each) is torch.Tensor)
            held = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in tensors}
            watched.append(sum(held.values()))
            return inputs

    watched = []
    inputs = keras.Input(small_models.SHAPE)
    x = Watch()(inputs)
    for _ in range(6):
        x = keras.layers.Conv2D(16, 3, padding="same", activation="tanh")(x)
    model = CLCEModel(keras.Model(inputs, x), small_models.CLASSES)
    watched.clear()
    train(model, steps=1, size=6)
    first, *rest = watched[-4:]  # 24 views: four chunks, and then four times again
    one_map = 4 * 6 * 16 * math.prod(small_models.SHAPE[:2])
    assert max(rest) < first + 2 * one_map, "only sums of gradients may have come"


def test_a_saved_model_keeps_the_size(tmp_path):
    (model,) = copies(layer_norm_backbone, CLCEModel)
    train(model, size=np.int64(7), steps=1)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").gradient_cache_size == 7


def test_remat_inside_of_remat_is_refused_on_tensorflow():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("JAX and torch nest rematerialisation")
    model = CLCEModel(build_backbone("vit_tiny_patch4", 12, remat=True), small_models.CLASSES)
    with pytest.raises(ValueError, match="`gradient_cache_size` must be None on TensorFlow"):
        train(model, size=7)


def test_losses_of_layers_are_refused():
    def build():
        inputs = keras.Input(small_models.SHAPE)
        return keras.Model(inputs, keras.layers.Conv2D(4, 3, activity_regularizer="l2")(inputs))

    (model,) = copies(build, CLCEModel)
    with pytest.raises(ValueError, match="`gradient_cache_size` must be None for layers"):
        train(model, size=7)


@pytest.mark.parametrize("size", [0, -64, 1.5, True, "auto"])
def test_a_wrong_size_is_refused(size):
    with pytest.raises(ValueError, match=r"`gradient_cache_size` must be .*Received: grad"):
        small_models.small_model().compile("sgd", gradient_cache_size=size)

import keras
import numpy as np
import pytest
from marks import others_on_any_backend
from small_models import (
    CLASSES,
    SHAPE,
    compiled,
    flips,
    separable,
    small_backbone,
    small_model,
)

from keras_clce import CLCELoss, CLCEModel, SupConLoss


def logs_of(model, *args, **kwargs):
    history = model.fit(*args, verbose=0, **kwargs).history
    return {key: values[-1] for key, values in history.items()}


def test_fit_learns_and_logs_both_parts():
    images, labels = separable()
    model = compiled(small_model(flips()), learning_rate=3e-2)
    # One batch of validation: of several, one may hold a class's only image, which the contrastive
    # part does not count and the loss does.
    history = model.fit(
        images,
        labels,
        batch_size=16,
        epochs=12,
        validation_data=(images, labels),
        validation_batch_size=len(labels),
        verbose=0,
    ).history
    names = {"loss", "cross_entropy", "contrastive", "accuracy"}
    assert set(history) == names | {f"val_{name}" for name in names} | {"feature_norm"}
    for prefix in ("", "val_"):
        joined = 0.1 * np.array(history[f"{prefix}cross_entropy"]) + 0.9 * np.array(
            history[f"{prefix}contrastive"]
        )
        np.testing.assert_allclose(history[f"{prefix}loss"], joined, rtol=1e-4)
    assert history["val_accuracy"][-1] > 0.6
    assert history["val_contrastive"][-1] < history["val_contrastive"][0]


def test_outputs():
    images, _ = separable(10)
    outputs = small_model().predict(images, verbose=0)
    assert {key: value.shape for key, value in outputs.items()} == {
        "embedding": (10, 8),
        "logits": (10, CLASSES),
        "probabilities": (10, CLASSES),
    }
    np.testing.assert_allclose(np.linalg.norm(outputs["embedding"], axis=1), 1, rtol=1e-5)
    exponentials = np.exp(outputs["logits"] - outputs["logits"].max(axis=1, keepdims=True))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=1e-4, atol=1e-6)


def test_embedding_is_the_pooled_features():
    images, _ = separable(6)
    model = CLCEModel(small_backbone(), CLASSES, feature_normalization=None)
    maps = model.backbone.predict(images, verbose=0)
    pooled = maps.mean(axis=(1, 2))
    expected = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    outputs = model.predict(images, verbose=0)
    np.testing.assert_allclose(outputs["embedding"], expected, rtol=1e-4, atol=1e-6)
    kernel, bias = model.heads.classifier.get_weights()
    np.testing.assert_allclose(outputs["logits"], pooled @ kernel + bias, rtol=1e-4, atol=1e-5)


def test_embedding_dim_projects_the_embedding_alone():
    model = CLCEModel(small_backbone(), CLASSES, embedding_dim=5)
    outputs = model.predict(separable(6)[0], verbose=0)
    assert outputs["embedding"].shape == (6, 5)
    assert model.heads.classifier.kernel.shape == (8, CLASSES)


def test_vector_backbone():
    inputs = keras.Input(SHAPE)
    outputs = keras.layers.Dense(7)(keras.layers.Flatten()(inputs))
    model = compiled(CLCEModel(keras.Model(inputs, outputs), CLASSES))
    images, labels = separable(16)
    assert np.isfinite(logs_of(model, images, labels, batch_size=8)["loss"])
    assert model.predict(images, verbose=0)["embedding"].shape == (16, 7)


def arrays(x, labels):
    return (x, labels), {"batch_size": 16}


def tf_data(x, labels):
    import tensorflow as tf

    return (tf.data.Dataset.from_tensor_slices((x, labels)).batch(16),), {}


def py_dataset(x, labels):
    class Slices(keras.utils.PyDataset):
        def __len__(self):
            return len(labels) // 16

        def __getitem__(self, index):
            rows = slice(16 * index, 16 * index + 16)
            return keras.tree.map_structure(lambda part: part[rows], (x, labels))

    return (Slices(),), {}


def data_loader(x, labels):
    torch = pytest.importorskip("torch")

    class Examples(torch.utils.data.Dataset):
        def __len__(self):
            return len(labels)

        def __getitem__(self, index):
            return keras.tree.map_structure(lambda part: part[index], (x, labels))

    return (torch.utils.data.DataLoader(Examples(), batch_size=16),), {}


@pytest.fixture(scope="module")
def trained_on_arrays(request):
    """Inputs, labels, a model's weights before a first epoch on arrays, and what it logs."""
    images, labels = separable(64)
    x = (images, images[:, :, ::-1].copy()) if request.param else images
    model = compiled(small_model())
    model.set_weights([np.full(w.shape, 0.02) + 0.01 * w for w in model.get_weights()])
    start = model.get_weights()
    return x, labels, start, logs_of(model, x, labels, batch_size=16, shuffle=False)


FORMS = [arrays, tf_data, py_dataset, data_loader]


@pytest.mark.parametrize(
    ("trained_on_arrays", "form"),
    others_on_any_backend(
        [(is_pair, form) for is_pair in (False, True) for form in FORMS],
        *((False, form) for form in FORMS),
        (True, tf_data),
    ),
    indirect=["trained_on_arrays"],
)
def test_every_kind_of_data_gives_the_same_step(form, trained_on_arrays):
    x, labels, start, expected = trained_on_arrays
    args, kwargs = form(x, labels)
    model = compiled(small_model())
    model.set_weights(start)
    validation = args if len(args) == 2 else args[0]
    logs = logs_of(model, *args, shuffle=False, validation_data=validation, **kwargs)
    evaluated = model.evaluate(*args, verbose=0, return_dict=True, **kwargs)
    assert evaluated["loss"] == pytest.approx(logs["val_loss"], rel=1e-4)
    assert logs["loss"] == pytest.approx(expected["loss"], rel=1e-5)


def test_pairs_train_like_their_stacked_batch():
    images, labels = separable(16)
    views = images + 0.1, images[:, :, ::-1]
    # Not Adam, which makes whole steps of the rounding errors in a bias before normalization.
    paired, stacked = small_model(), small_model()
    for model in (paired, stacked):
        model.compile(keras.optimizers.SGD(1e-2), loss=CLCELoss(), metrics=["accuracy"])
    stacked.set_weights(paired.get_weights())
    first = logs_of(paired, views, labels, batch_size=16, shuffle=False)
    both = np.concatenate(views), np.concatenate([labels, labels])
    second = logs_of(stacked, *both, batch_size=32, shuffle=False)
    for key, value in second.items():
        assert first[key] == pytest.approx(value, rel=1e-4), key
    for a, b in zip(paired.get_weights(), stacked.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_pairs_from_tf_data_and_evaluation_on_the_first_view():
    import tensorflow as tf

    images, labels = separable(32)
    pairs = tf.data.Dataset.from_tensor_slices(((images, -images), labels)).batch(32)
    model = compiled(small_model())
    assert np.isfinite(logs_of(model, pairs)["loss"])
    on_pairs = model.evaluate(pairs, verbose=0, return_dict=True)
    on_images = model.evaluate(images, labels, batch_size=32, verbose=0, return_dict=True)
    assert on_pairs["loss"] == pytest.approx(on_images["loss"], rel=1e-5)


def test_augmenter_draws_anew_for_each_view_and_step():
    class Shift(keras.layers.Layer):
        """Adds a random number, and keeps every number that it drew."""

        def __init__(self):
            super().__init__()
            self.seed_generator = keras.random.SeedGenerator(0)
            self.draws = self.add_weight(shape=(6,), initializer="zeros", trainable=False)
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, images, training=False):
            draw = keras.random.uniform((), seed=self.seed_generator)
            slot = keras.ops.one_hot(keras.ops.cast(self.count, "int32"), 6)
            self.draws.assign(self.draws + slot * draw)
            self.count.assign(self.count + 1)
            return images + draw

    shift = Shift()
    images, labels = separable(48)
    model = compiled(small_model(shift))
    model.fit(images, labels, batch_size=16, epochs=1, verbose=0)
    draws = keras.ops.convert_to_numpy(shift.draws)
    assert int(keras.ops.convert_to_numpy(shift.count)) == 6
    assert len(np.unique(draws)) == 6
    model.evaluate(images, labels, verbose=0)
    assert int(keras.ops.convert_to_numpy(shift.count)) == 6


@pytest.mark.parametrize("labels_form", ["column", "one-hot"])
def test_label_forms_give_the_same_loss(labels_form):
    images, labels = separable(16)
    other = labels[:, None] if labels_form == "column" else np.eye(CLASSES)[labels]
    model = compiled(small_model())
    expected = model.evaluate(images, labels, verbose=0, return_dict=True)
    received = compiled(model).evaluate(images, other, verbose=0, return_dict=True)
    for key, value in expected.items():
        assert received[key] == pytest.approx(value, rel=1e-5), key


def test_sample_weight_counts_in_both_parts():
    images, labels = separable(16)
    weights = np.linspace(0, 2, 16).astype("float32")
    model = compiled(small_model())
    plain = model.loss(labels, model.predict(images, verbose=0), weights)
    logged = model.evaluate(
        images, labels, batch_size=16, sample_weight=weights, verbose=0, return_dict=True
    )
    assert logged["loss"] == pytest.approx(float(plain), rel=1e-5)
    doubled = logs_of(model, (images, images), labels, sample_weight=0 * weights, batch_size=16)
    assert doubled["loss"] == 0


def test_class_weight_equals_sample_weight():
    images, labels = separable(16)
    weights = {0: 0.5, 1: 1.0, 2: 2.0, 3: 0.0}
    a, b = compiled(small_model()), compiled(small_model())
    b.set_weights(a.get_weights())
    by_class = logs_of(a, (images, images), labels, class_weight=weights, batch_size=16)
    per_row = np.array([weights[label] for label in labels])
    by_row = logs_of(b, (images, images), labels, sample_weight=per_row, batch_size=16)
    assert by_class["loss"] == pytest.approx(by_row["loss"], rel=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    images, labels = separable()
    model = compiled(small_model(flips()))
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    logs = logs_of(model, images, labels, batch_size=16, epochs=6)
    assert np.isfinite(logs["loss"])
    assert logs["accuracy"] > 0.5
    assert {v.dtype.name for v in model.predict(images, verbose=0).values()} == {"float32"}
    assert model.backbone.get_layer("conv").compute_dtype == policy.removeprefix("mixed_")


def test_regularizers_join_the_loss():
    inputs = keras.Input(SHAPE)
    outputs = keras.layers.Conv2D(4, 3, kernel_regularizer=keras.regularizers.L2(0.5))(inputs)
    model = compiled(CLCEModel(keras.Model(inputs, outputs), CLASSES))
    images, labels = separable(16)
    logs = model.evaluate(images, labels, batch_size=16, verbose=0, return_dict=True)
    kernel = model.backbone.layers[-1].get_weights()[0]
    joined = 0.1 * logs["cross_entropy"] + 0.9 * logs["contrastive"]
    assert logs["loss"] == pytest.approx(joined + 0.5 * np.sum(kernel**2), rel=1e-4)


def test_training_that_broke_off_goes_on_from_its_backup(tmp_path):
    class BreakOff(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def fit(model, *callbacks):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        images, labels = separable()
        pairs = images, images[:, :, ::-1]
        options = {"batch_size": 16, "shuffle": False, "epochs": 4, "verbose": 0}
        return model.fit(pairs, labels, callbacks=[backup, *callbacks], **options).epoch

    def fresh():  # without dropout, whose seeds this callback of Keras's does not keep
        return compiled(small_model())

    whole, broken = fresh(), fresh()
    broken.set_weights(whole.get_weights())
    fit(whole)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, BreakOff())
    restored = fresh()
    assert fit(restored) == [2, 3]
    for a, b in zip(whole.get_weights(), restored.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_ready_callbacks(tmp_path):
    images, labels = separable()
    model = compiled(small_model(flips()))
    best = tmp_path / "best.keras"
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=1e6),
        keras.callbacks.ModelCheckpoint(best, monitor="val_accuracy", save_best_only=True),
        keras.callbacks.TensorBoard(tmp_path / "logs"),
    ]
    history = model.fit(
        images, labels, epochs=9, validation_split=0.25, callbacks=callbacks, verbose=0
    )
    assert len(history.epoch) == 2
    assert list((tmp_path / "logs" / "validation").glob("events*"))
    assert keras.saving.load_model(best).predict(images, verbose=0)["logits"].shape == (64, CLASSES)


def test_summary_names_encoder_and_heads(capsys):
    small_model().summary()
    printed = capsys.readouterr().out
    assert "small_backbone" in printed
    assert "heads" in printed


@pytest.mark.parametrize(
    "options",
    [{"jit_compile": True}, {"run_eagerly": True}, {"steps_per_execution": 2}],
    ids=str,
)
def test_compile_options_give_the_default_result(options):
    if keras.backend.backend() == "torch" and "run_eagerly" not in options:
        pytest.skip("Keras: torch takes one step an execution, and compiles through inductor")
    images, labels = separable(32)
    views = images, images[:, :, ::-1]
    plain, other = compiled(small_model()), compiled(small_model(), **options)
    other.set_weights(plain.get_weights())
    expected = logs_of(plain, views, labels, batch_size=16, shuffle=False)
    received = logs_of(other, views, labels, batch_size=16, shuffle=False)
    assert received["loss"] == pytest.approx(expected["loss"], rel=1e-4)


def test_frozen_backbone_keeps_its_weights():
    images, labels = separable(32)
    model = small_model()
    model.backbone.trainable = False
    compiled(model)
    before = model.backbone.get_weights()
    model.fit((images, images), labels, verbose=0)
    for a, b in zip(before, model.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_cross_entropy_alone_matches_plain_keras():
    """CLCELoss(0) on pairs trains like Keras's own cross-entropy on the stacked batch."""
    images, labels = separable(16)
    model = CLCEModel(small_backbone(), CLASSES, feature_normalization=None)
    model.compile(keras.optimizers.SGD(0.1), loss=CLCELoss(contrastive_weight=0))
    backbone = keras.models.clone_model(model.backbone)
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    plain = keras.Model(backbone.input, keras.layers.Dense(CLASSES)(pooled))
    plain.set_weights(model.get_weights())
    plain.compile(
        keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    views = images, images[:, ::-1]
    ours = logs_of(model, views, labels, batch_size=16, shuffle=False)
    both = np.concatenate(views), np.concatenate([labels, labels])
    theirs = logs_of(plain, *both, batch_size=32, shuffle=False)
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_supcon_alone_leaves_the_classifier_alone():
    images, labels = separable(16)
    model = small_model()
    model.compile(keras.optimizers.SGD(0.1), loss=CLCELoss(1.0, SupConLoss()))
    before = model.heads.classifier.get_weights()
    model.fit((images, images), labels, verbose=0)
    for a, b in zip(before, model.heads.classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)

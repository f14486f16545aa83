"""Keras's own callbacks in `CLCEModel.fit`: what each of them promises."""

import csv

import keras
import numpy as np
import pytest
from train.small_models import CLASSES, separable, small_model

from keras_clce import CLCELoss, load_model

callbacks = keras.callbacks


def compiled(rate=0.05, **options):
    model = small_model(batch_norm=False)
    model.compile(keras.optimizers.SGD(rate, **options), CLCELoss(0.5), metrics=["accuracy"])
    return model


def fit(model, *callbacks, epochs=4):
    """One step an epoch, and one of validation."""
    images, labels = separable(32)
    data = {"x": images, "y": labels, "validation_data": (images, labels)}
    return model.fit(
        **data, batch_size=32, epochs=epochs, callbacks=[*callbacks], verbose=0
    ).history


class Spoil(callbacks.Callback):
    """Makes the classifier wrong from the third epoch on, and keeps what was there before."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            self.best = self.model.get_weights()
            self.model.heads.classifier.bias.assign([50.0] + [0.0] * (CLASSES - 1))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model, its history, its best weights, and the folder that callbacks wrote to."""
    folder, model, spoil = tmp_path_factory.mktemp("callbacks"), compiled(), Spoil()
    # Keras does not know of parts of a loss whether more is better.
    best = {"monitor": "val_cross_entropy", "mode": "min", "save_best_only": True}
    history = fit(
        model,
        spoil,
        callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True),
        callbacks.ModelCheckpoint(folder / "best.keras", **best),
        callbacks.ModelCheckpoint(folder / "best.weights.h5", save_weights_only=True, **best),
        # An improvement of 10 never comes.
        callbacks.ReduceLROnPlateau("val_contrastive", 0.1, 1, mode="min", min_delta=10),
        callbacks.CSVLogger(folder / "log.csv"),
        callbacks.TensorBoard(folder, histogram_freq=1, write_graph=False),
        epochs=9,
    )
    return model, history, spoil.best, folder


def assert_equal_weights(model, weights):
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_early_stopping_brings_the_best_weights_back(trained):
    model, history, best, _ = trained
    assert len(history["loss"]) == 4
    assert_equal_weights(model, best)


def test_checkpoints_hold_the_best_epoch(trained):
    _, _, best, folder = trained
    other = compiled()
    other.load_weights(folder / "best.weights.h5")
    assert_equal_weights(other, best)
    loaded = load_model(folder / "best.keras")
    assert_equal_weights(loaded, best)
    assert int(loaded.optimizer.iterations) == 2 and isinstance(loaded.loss, CLCELoss)


def test_a_rate_falls_on_a_plateau_and_the_table_has_all_that_was_logged(trained):
    _, history, _, folder = trained
    np.testing.assert_allclose(history["learning_rate"], [0.05, 0.05, 0.005, 0.0005], rtol=1e-5)
    with open(folder / "log.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = {"loss", "contrastive", "cross_entropy", "accuracy"}
    logged = names | {f"val_{name}" for name in names} | {"feature_norm", "learning_rate"}
    assert {*rows[0]} == {"epoch", *logged} and {*history} == logged
    for name, values in history.items():
        np.testing.assert_allclose([float(row[name]) for row in rows], values, rtol=1e-6)


def test_tensorboard_has_both_parts_of_the_loss_and_histograms(trained):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tensor_util = pytest.importorskip("tensorboard.util.tensor_util")
    _, history, _, folder = trained
    for split, prefix in (("train", ""), ("validation", "val_")):
        events = reader.EventAccumulator(str(folder / split), {"tensors": 0}).Reload()
        for name in ("loss", "contrastive", "cross_entropy", "accuracy"):
            logged = [
                float(tensor_util.make_ndarray(each.tensor_proto))
                for each in events.Tensors(f"epoch_{name}")
            ]
            np.testing.assert_allclose(logged, history[prefix + name], rtol=1e-5)
        if split == "train":
            assert any("classifier" in tag for tag in events.Tags()["tensors"])


def test_a_schedule_of_rates_is_the_optimizers():
    """A rate of 0 leaves the weights as they are."""
    seen = []
    history = fit(
        model := compiled(),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch < 2 else 0.0),
        callbacks.LambdaCallback(on_epoch_end=lambda *_: seen.append(model.get_weights())),
    )
    np.testing.assert_allclose(history["learning_rate"], [0.025, 0.0125, 0, 0], rtol=1e-5)
    assert any((a != b).any() for a, b in zip(seen[0], seen[1], strict=True))
    for weights in seen[2:]:
        assert all((a == b).all() for a, b in zip(seen[1], weights, strict=True))


def test_an_average_of_weights_is_validated():
    model, seen = compiled(use_ema=True, ema_momentum=0.6), []

    class Keep(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.get_weights())

    history = fit(model, Keep(), callbacks.SwapEMAWeights())
    average = seen[0]
    for weights in seen[1:]:
        average = [0.6 * a + 0.4 * b for a, b in zip(average, weights, strict=True)]
    images, labels = separable(32)
    found = []
    for weights in (average, seen[-1]):
        model.set_weights(weights)
        found.append(model.evaluate(images, labels, verbose=0, return_dict=True)["loss"])
    assert history["val_loss"][-1] == pytest.approx(found[0], rel=1e-5)
    assert found[1] != pytest.approx(found[0], rel=1e-4)


def test_a_loss_of_nan_is_an_error_whoever_else_watches():
    images, labels = separable(16)
    stream = ((images[start : start + 8], labels[start : start + 8] + 1) for start in (0, 8))
    with pytest.raises(FloatingPointError, match="The loss became NaN by step 1 of epoch 1"):
        compiled().fit(stream, callbacks=[callbacks.TerminateOnNaN()], verbose=0)

import keras
import numpy as np
import pytest
import tensorflow as tf
from marks import on_any_backend
from small_models import CLASSES, flips, separable, small_model

from keras_clce import CLCELoss
from keras_clce.train.callbacks import RunCheckpoint


def compiled(**options):
    model = small_model(flips(), **options)
    model.compile(keras.optimizers.Adam(1e-2), loss=CLCELoss(), metrics=["accuracy"])
    return model


class Stop(keras.callbacks.Callback):
    """Ends training in the middle of an epoch, as a kill would."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if len(self.model.history.epoch) == self.epoch and batch == 1:
            raise KeyboardInterrupt


def fit(model, checkpoint, epochs=4, callbacks=(), **kwargs):
    images, labels = separable()
    model.fit(
        images,
        labels,
        batch_size=16,
        shuffle=False,
        epochs=epochs,
        initial_epoch=checkpoint.restore(model),
        validation_data=(images, labels),
        callbacks=[checkpoint, *callbacks],
        verbose=0,
        **kwargs,
    )


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_resumed_training_ends_like_uninterrupted(tmp_path, policy):
    """Broken off inside an epoch, with dropout, random views and a scale of the loss in float16."""
    keras.config.set_dtype_policy(policy)
    whole = compiled(dropout=0.3)
    start = whole.get_weights()
    fit(whole, first := RunCheckpoint(tmp_path / "whole", "val_accuracy"))
    broken = compiled(dropout=0.3)
    broken.set_weights(start)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, RunCheckpoint(tmp_path / "broken", "val_accuracy"), callbacks=[Stop(2)])
    resumed = compiled(dropout=0.3)
    second = RunCheckpoint(tmp_path / "broken", "val_accuracy")
    assert second.restore(resumed) == 2
    fit(resumed, second)
    assert [row["epoch"] for row in second.history] == [0, 1, 2, 3]
    for a, b in zip(first.history, second.history, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
    # Adam blows rounding up where a gradient is near zero, hence 1e-5 and no less.
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def last_best(seen):
    """Of equal epochs the last."""
    accuracies = [accuracy for accuracy, _ in seen]
    return max(range(len(seen)), key=lambda epoch: (accuracies[epoch], epoch))


def test_best_epoch_is_kept(tmp_path):
    model = compiled()
    checkpoint = RunCheckpoint(tmp_path, "val_accuracy")
    seen = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((logs["val_accuracy"], self.model.get_weights()))

    fit(model, checkpoint, epochs=5, callbacks=[Keep()])
    best = last_best(seen)
    assert checkpoint.best_epoch == best
    checkpoint.load_best(model)
    for a, b in zip(model.get_weights(), seen[best][1], strict=True):
        np.testing.assert_array_equal(a, b)
    kept = {best, 4, 3, last_best(seen[:4])}
    names = {f"epoch-{number}.{kind}" for number in kept for kind in ("npz", "json", "sha256")}
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.any_backend
def test_of_losses_the_lowest_and_of_equals_the_last_is_the_best(tmp_path):
    for monitor, values, best in (
        ("val_loss", [3.0, 1.0, 1.0, 2.0], 2),
        ("val_accuracy", [0.3, 0.9, 0.9, 0.2], 2),
    ):
        checkpoint = RunCheckpoint(tmp_path / monitor, monitor)
        checkpoint.set_model(compiled())
        for epoch, value in enumerate(values):
            checkpoint.on_epoch_begin(epoch)
            checkpoint.on_epoch_end(epoch, {"loss": 1.0, monitor: value})
        assert checkpoint.best_epoch == best


@pytest.mark.any_backend
def test_a_monitor_that_is_not_logged_is_named(tmp_path):
    checkpoint = RunCheckpoint(tmp_path, "val_acc")
    with pytest.raises(ValueError, match=r"`monitor` must be a logged value: loss, val_accuracy\."):
        checkpoint.on_epoch_end(0, {"loss": 1.0, "val_accuracy": 0.5})


@pytest.mark.any_backend
def test_nothing_saved_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError, match="No epoch is saved in"):
        RunCheckpoint(tmp_path / "empty").load_best(None)


@pytest.mark.any_backend
def test_without_monitor_the_last_epoch_is_the_best(tmp_path):
    checkpoint = RunCheckpoint(tmp_path)
    fit(compiled(), checkpoint, epochs=3)
    assert checkpoint.best_epoch == 2


@pytest.mark.any_backend
def test_a_file_half_written_does_not_count(tmp_path):
    checkpoint = RunCheckpoint(tmp_path)
    fit(compiled(), checkpoint, epochs=2)
    (tmp_path / "epoch-2.npz").write_bytes(b"whole, but its checksum was never written")
    (tmp_path / ".writing-epoch-2.json").write_text('{"best_ep')
    assert RunCheckpoint(tmp_path).restore(compiled()) == 2


def stream(outside=None):
    """Batches of 16, which nothing searches beforehand; a class out of range makes the loss NaN."""
    images, labels = separable()
    if outside is not None:
        labels[16 * outside] = CLASSES
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)


@pytest.mark.parametrize(
    ("batch", "constant"),
    [(2, False), *on_any_backend((0, True), (3, False))],
)
def test_nan_loss_stops_at_its_step(tmp_path, batch, constant):
    model = compiled()
    schedule = keras.optimizers.schedules.PolynomialDecay(0.5, 1000, 0.0)
    model.compile(keras.optimizers.Adam(2e-3 if constant else schedule), loss=CLCELoss())
    rate = 2e-3 if constant else 0.5 * (1 - (4 + batch) / 1000)
    checkpoint = RunCheckpoint(tmp_path)
    model.fit(stream(), callbacks=[checkpoint], verbose=0)
    with pytest.raises(FloatingPointError) as error:
        model.fit(stream(batch), epochs=2, initial_epoch=1, callbacks=[checkpoint], verbose=0)
    message = str(error.value)
    assert f"loss became nan in step {batch + 1} of epoch 2, at learning rate {rate:.3g}" in message
    assert f"The last good checkpoint is {tmp_path / 'epoch-0.npz'}" in message
    assert RunCheckpoint(tmp_path).restore(model) == 1


@pytest.mark.any_backend
def test_infinite_losses_and_nan_in_validation_stop_too(tmp_path):
    checkpoint = RunCheckpoint(tmp_path, "val_loss")
    model = compiled()
    with pytest.raises(FloatingPointError, match=r"val_loss became nan in epoch 1\. No epoch"):
        model.fit(stream(), validation_data=stream(1), callbacks=[checkpoint], verbose=0)
    with pytest.raises(FloatingPointError, match=r"loss became inf in step 4 of epoch 1"):
        checkpoint.on_train_batch_end(3, {"loss": float("inf")})
    assert not list(tmp_path.iterdir())


def test_gradients_that_overflow_under_a_scaled_loss_are_no_such_case(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    model = compiled()
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=2.0**30)
    model.compile(optimizer, loss=CLCELoss())
    before = model.get_weights()
    fit(model, RunCheckpoint(tmp_path), epochs=1)
    assert float(optimizer.dynamic_scale) == 2.0**26
    for a, b in zip(before, model.get_weights(), strict=True):
        if a.shape == (8, CLASSES):
            np.testing.assert_array_equal(a, b)
    fit(model, RunCheckpoint(tmp_path), epochs=6)
    assert float(optimizer.dynamic_scale) < 2.0**26
    assert int(optimizer.iterations) > 0

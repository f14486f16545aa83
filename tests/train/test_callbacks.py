import keras
import numpy as np
import pytest
from small_models import flips, separable, small_model

from keras_clce import CLCELoss
from keras_clce.train.callbacks import EpochReport, RunCheckpoint


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


def test_best_epoch_is_kept(tmp_path):
    model = compiled()
    checkpoint = RunCheckpoint(tmp_path, "val_accuracy")
    seen = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((logs["val_accuracy"], self.model.get_weights()))

    fit(model, checkpoint, epochs=5, callbacks=[Keep()])
    best = int(np.argmax([accuracy for accuracy, _ in seen]))
    assert checkpoint.best_epoch == best
    model.load_weights(checkpoint.best_weights)
    for a, b in zip(model.get_weights(), seen[best][1], strict=True):
        np.testing.assert_array_equal(a, b)
    names = {f"epoch-{number}.weights.h5" for number in (best, 4)}
    assert {path.name for path in tmp_path.iterdir()} == names | {"state.json"}


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


def test_without_monitor_the_last_epoch_is_the_best(tmp_path):
    checkpoint = RunCheckpoint(tmp_path)
    fit(compiled(), checkpoint, epochs=3)
    assert checkpoint.best_epoch == 2


def test_a_file_half_written_does_not_count(tmp_path):
    checkpoint = RunCheckpoint(tmp_path)
    fit(compiled(), checkpoint, epochs=2)
    (tmp_path / ".writing-epoch-2.weights.h5").write_bytes(b"half")
    (tmp_path / ".writing-state.json").write_text('{"weights": "epoch-2')
    assert RunCheckpoint(tmp_path).restore(compiled()) == 2


def test_nan_loss_stops_and_names_the_last_good_epoch(tmp_path):
    model = compiled()
    checkpoint = RunCheckpoint(tmp_path)
    fit(model, checkpoint, epochs=1)
    model.heads.classifier.bias.assign(np.full(4, np.nan, "float32"))
    checkpoint.set_model(model)
    with pytest.raises(FloatingPointError, match=r"became nan in epoch 2.*checkpoint"):
        checkpoint.on_epoch_begin(1)
        checkpoint.on_epoch_end(1, {"loss": float("nan")})
    assert len(RunCheckpoint.read_history(tmp_path)) == 1


def test_report_says_how_far_training_is():
    lines = []
    model = compiled()
    images, labels = separable(32)
    model.fit(images, labels, epochs=2, callbacks=[EpochReport(lines.append)], verbose=0)
    assert lines[0].startswith("epoch 1/2")
    assert "contrastive" in lines[0]
    assert lines[0].endswith("s left")
    assert lines[1].endswith("done")

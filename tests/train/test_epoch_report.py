"""The line on how far training is, worked out by hand from a clock that is set."""

import io
import sys
from types import SimpleNamespace

import pytest
from small_models import compiled, separable, small_model
from terminals import Terminal, as_standard_output, frames, screen

from keras_clce.train.epoch_report import EpochReport, duration
from keras_clce.train.live_line import LiveLine, live_line


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Training:
    """Epochs of four steps of 64 images, of which the first takes 9 seconds to compile."""

    def __init__(self, epochs=30, line=None, monitor="val_loss"):
        self.clock, self.lines = Clock(), []
        self.checkpoint = SimpleNamespace(monitor=monitor, history=[], best_epoch=0)
        self.report = EpochReport(self.lines.append, line, self.checkpoint, 64, self.clock)
        self.report.set_params({"epochs": epochs, "steps": 4})

    def epoch(self, number, seconds=2.0, validation=2.0, **logs):
        self.report.on_epoch_begin(number)
        # What compiles, and reads the first batch.
        self.clock.now += 9.0 * (number == 0)
        for step in range(4):
            self.report.on_train_batch_begin(step)
            self.clock.now += seconds
            self.report.on_train_batch_end(step, {})
        self.report.on_test_begin()
        self.clock.now += validation
        self.checkpoint.history.append({"epoch": number, **logs})
        values = [row[self.checkpoint.monitor] for row in self.checkpoint.history]
        self.checkpoint.best_epoch = values.index(min(values))
        self.report.on_epoch_end(number, logs)


@pytest.mark.any_backend
def test_lines_of_epochs_have_the_best_the_rate_and_the_time_left():
    training = Training()
    training.epoch(0, loss=3.0, val_accuracy=0.5, val_loss=2.0)
    # 64 images in 2 s; four steps and validation take 10 s, 29 times.
    first = "epoch  1/30  val_loss 2.0000, the best so far  val_accuracy 0.5000"
    assert training.lines == [f"{first}  32 images/s  5 min left"]
    training.epoch(1, seconds=1.0, loss=2.5, val_accuracy=0.6, val_loss=2.5)
    second = "epoch  2/30  val_loss 2.5000, best 2.0000 in epoch 1  val_accuracy 0.6000"
    # Four steps of 1 s and validation of 2 s are left 28 times.
    assert training.lines[1] == f"{second}  64 images/s  3 min left"
    training = Training(epochs=1)
    training.epoch(0, val_loss=2.0)
    assert training.lines[0].endswith("32 images/s  done")


@pytest.mark.any_backend
def test_lines_of_epochs_fit_in_100_columns_and_tell_the_same_in_each():
    training = Training(monitor="val_few_shot")
    for epoch in range(3):
        training.epoch(epoch, accuracy=0.5, val_few_shot=0.5, loss=1.0, cross_entropy=2.0)
    told = [{word for word in line.split() if word.isidentifier()} for line in training.lines]
    assert max(map(len, training.lines)) <= 100
    for words in told:
        assert {"val_few_shot", "loss"} <= words and not {"accuracy", "cross_entropy"} & words


def at(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal = Terminal()
    training = Training(line=LiveLine(terminal))
    training.epoch(0, val_accuracy=0.5, val_loss=2.0)
    training.epoch(1, val_accuracy=0.6, val_loss=2.5)
    return frames(terminal.getvalue())


# At the second step of the second epoch 4 s of 10 are over, and 28 epochs of 10 s are left: 286 s.
@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            120,
            "epoch  2/30  50%  32 images/s  5 min left  best val_loss 2.0000, val_accuracy 0.5000 "
            "in epoch 1",
        ),
        (80, "epoch  2/30  50%  32 images/s  5 min left  best val_loss 2.0000 in epoch 1"),
        (72, "epoch  2/30  50%  32 images/s  5 min left  best val_loss 2.0000"),
        (60, "epoch  2/30  50%  32 images/s  5 min left  best 2.0000"),
        (50, "epoch  2/30  32 images/s  5 min left  best 2.0000"),
        (40, "2/30  32/s  5 min left  best 2.0000"),
        (35, "2/30  32/s  5 min left"),
    ],
)
def test_the_live_line_fits_in_the_terminal(columns, expected, monkeypatch):
    shown = at(columns, monkeypatch)
    assert expected in shown
    assert max(map(len, shown)) < columns


@pytest.mark.any_backend
def test_the_live_line_says_what_is_known_and_ends_as_a_summary(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    training = Training(2, LiveLine(terminal))
    training.epoch(0, val_loss=2.0)
    shown = frames(terminal.getvalue())
    # One step says nothing of the time of the others: it compiled. 6 steps of 2 s are left then.
    assert shown[:3] == [
        "epoch 1/2  starting",
        "epoch 1/2  25%",
        "epoch 1/2  50%  32 images/s  12 s left",
    ]
    assert "epoch 1/2  validating  32 images/s  8 s left" in shown
    training.epoch(1, val_loss=1.5)
    # 9 + 10 + 10 seconds.
    summary = "2 epochs in 29 s  32 images/s  best val_loss 1.5000 in epoch 2"
    assert screen(terminal.getvalue()) == [summary, ""]
    assert training.lines == []


@pytest.mark.any_backend
def test_steps_that_report_late_do_not_count_twice():
    training = Training(epochs=1)
    training.report.on_epoch_begin(0)
    training.clock.now = 1.0
    # The first step is over, and all others have begun, before the first of them reports.
    for step in range(4):
        training.report.on_train_batch_begin(step)
    for step, now in ((0, 1.5), (2, 2.0), (1, 2.5), (3, 4.0)):
        training.clock.now = now
        training.report.on_train_batch_end(step)
    training.checkpoint.history = [{"val_loss": 1.0}]
    training.report.on_epoch_end(0, {"val_loss": 1.0})
    # Three steps after the first, in three seconds.
    assert "64 images/s" in training.lines[0]


@pytest.mark.any_backend
def test_data_of_unknown_length_may_end_after_one_step(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    training = Training(epochs=2, line=LiveLine(terminal))
    training.report.set_params({"epochs": 2, "steps": None})
    training.report.on_epoch_begin(0)
    training.report.on_train_batch_begin(0)
    training.clock.now = 5.0
    training.report.on_train_batch_end(0)
    # Keras begins a step before it finds that there is none.
    training.report.on_train_batch_begin(1)
    training.checkpoint.history = [{"val_loss": 1.0}]
    training.report.on_epoch_end(0, {"val_loss": 1.0})
    training.report.on_epoch_begin(1)
    last = frames(terminal.getvalue())[-1]
    assert last == "epoch 2/2  5 s left  best val_loss 1.0000 in epoch 1"


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h")]
)
def test_durations_are_in_words(seconds, text):
    assert duration(seconds) == text


def test_report_says_how_far_training_is():
    lines = []
    model = compiled(small_model())
    images, labels = separable(32)
    model.fit(images, labels, epochs=2, callbacks=[EpochReport(lines.append)], verbose=0)
    assert lines[0].startswith("epoch 1/2")
    assert "contrastive" in lines[0]
    assert lines[0].endswith("s left")
    assert max(map(len, "\n".join(lines).splitlines())) <= 100
    assert lines[1].endswith("done")


def test_a_terminal_has_one_line_in_the_end():
    images, labels = separable(32)
    with as_standard_output(columns=60) as written:
        print("training", file=sys.stdout)
        with live_line() as line:
            report = EpochReport(line=line, images_per_step=32)
            compiled(small_model()).fit(images, labels, epochs=2, callbacks=[report], verbose=0)
    first, second, end = screen(written[0])
    assert (first, end) == ("training", "")
    assert second.startswith("2 epochs in ") and len(second) < 60
    assert frames(written[0])[0].startswith("epoch 1/2")
    assert "epoch 2/2" in written[0]


@pytest.mark.any_backend
def test_a_file_has_a_line_for_each_epoch(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    images, labels = separable(32)
    with live_line() as line:
        compiled(small_model()).fit(
            images, labels, epochs=2, callbacks=[EpochReport(line=line)], verbose=0
        )
    assert len(sys.stdout.getvalue().splitlines()) == 2 and "\r" not in sys.stdout.getvalue()

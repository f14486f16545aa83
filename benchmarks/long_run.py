r"""Does a long run grow, or compile again? Memory and compilations over some thousands of steps.

    KERAS_BACKEND=tensorflow python benchmarks/long_run.py
    KERAS_BACKEND=jax python benchmarks/long_run.py --steps 5000

A tiny encoder on random images, trained as the recipes train: views by `tf.data`, validation and a
checkpoint after every epoch of 100 steps. Printed are the process's resident memory after each
epoch, how it grows after the first (a line fitted to it), and how often the training step was
traced; the program ends with an error where that happened after the first epoch, or where memory
grew by more than `--tolerance` megabytes a thousand steps.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from absl import app, flags

from keras_clce import CLCELoss, CLCEModel
from keras_clce.backend import backend_name
from keras_clce.data.image_split import ImageSplit
from keras_clce.train.callbacks import RunCheckpoint

EPOCH = 100
BATCH, SIZE, CLASSES = 16, 16, 8

FLAGS = flags.FLAGS


class CountingModel(CLCEModel):
    """Counts how often its loss is run in Python: once a trace, or once a step without traces."""

    traces = 0

    def compute_loss(self, *args, **kwargs):
        """The loss of the model."""
        CountingModel.traces += 1
        return super().compute_loss(*args, **kwargs)


class Watch(keras.callbacks.Callback):
    """Notes memory and traces after every epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.megabytes: list[float] = []
        self.traces: list[int] = []

    def on_epoch_end(self, epoch, logs=None):
        """Note both."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.megabytes.append(pages * resource.getpagesize() / 2**20)
        self.traces.append(CountingModel.traces)


def train(
    epochs: int, steps: int, folder: Path, callbacks: Sequence[keras.callbacks.Callback] = ()
) -> Watch:
    """Train with a checkpoint and validation after every epoch.

    Args:
        epochs: Number of epochs.
        steps: Steps of each.
        folder: Where the checkpoint goes.
        callbacks: More callbacks.

    Returns:
        What was noted.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH * steps, SIZE, SIZE, 3), np.uint8)
    split = ImageSplit(images, rng.integers(0, CLASSES, len(images)), image_size=SIZE)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    model = CountingModel(keras.Model(inputs, keras.layers.Dropout(0.1)(x)), CLASSES)
    model.compile(keras.optimizers.AdamW(1e-3), loss=CLCELoss(), metrics=["accuracy"])
    CountingModel.traces = 0
    watch = Watch()
    model.fit(
        split.view_pairs(BATCH),
        steps_per_epoch=steps,
        epochs=epochs,
        validation_data=split.batches(BATCH).take(4),
        callbacks=[RunCheckpoint(folder, "val_loss"), watch, *callbacks],
        shuffle=False,
        verbose=0,
    )
    return watch


def growth(megabytes: Sequence[float]) -> float:
    """Slope of a line through the values, in megabytes a value."""
    return float(np.polyfit(np.arange(len(megabytes)), megabytes, 1)[0])


def main(_) -> None:
    """Train, print, judge."""
    epochs = FLAGS.steps // EPOCH
    with tempfile.TemporaryDirectory() as folder:
        watch = train(epochs, EPOCH, Path(folder))
    for epoch, (megabytes, traces) in enumerate(zip(watch.megabytes, watch.traces, strict=True)):
        if epoch < 3 or (epoch + 1) % 5 == 0:
            print(f"step {(epoch + 1) * EPOCH:6}: {megabytes:7.1f} MB, loss run {traces} times")
    slope = growth(watch.megabytes[1:]) * 1000 / EPOCH
    # Where steps are not compiled, Python runs the loss in each of them and of validation's.
    again = watch.traces[-1] - watch.traces[0]
    compiled = again < epochs
    print(
        f"{backend_name()}: memory grows by {slope:.2f} MB a thousand steps after the first epoch"
    )
    print(f"traces after the first epoch: {again if compiled else 'none, steps are not compiled'}")
    if slope > FLAGS.tolerance or (compiled and again):
        sys.exit("Error: the run grows or compiles again")


if __name__ == "__main__":
    flags.DEFINE_integer("steps", 2500, "Steps in all.", 3 * EPOCH)
    flags.DEFINE_float("tolerance", 2.0, "Largest growth, in megabytes a thousand steps.", 0)
    app.run(main)

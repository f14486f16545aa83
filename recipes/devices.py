"""Training on several devices and in several processes: all that a recipe does otherwise then."""

import contextlib
import os
import sys
from pathlib import Path

import keras
import recipe_flags
from absl import flags

from keras_clce import backend

FLAGS = flags.FLAGS
# What `claim_devices` gave, where there is more than one device.
_scope, _divided = None, None


def start() -> None:
    """Claim the devices of the flags, and print in the first process alone."""
    global _scope, _divided
    if _devices() == 1:
        return
    with recipe_flags.errors_in_one_line(ValueError):
        _scope, _divided = backend.claim_devices(
            FLAGS.num_devices, FLAGS.coordinator_address, FLAGS.num_processes, FLAGS.process_id
        )
        if _divided is None and FLAGS.clip_norm is not None:
            raise ValueError(
                "--clip_norm is not for several devices with TensorFlow, where Keras clips the "
                "gradients of each before they are summed. KERAS_BACKEND=jax clips their sum. "
                f"Received: clip_norm={FLAGS.clip_norm}"
            )
    if FLAGS.process_id:
        sys.stdout = open(os.devnull, "w")


def in_words() -> str:
    """How many devices and processes train, for the plan; nothing where it is one."""
    if _devices() == 1:
        return ""
    processes = FLAGS.num_processes
    return f", {_devices()} devices" + (f" in {processes} processes" if processes > 1 else "")


def scope() -> contextlib.AbstractContextManager:
    """What models are built, trained and tested in."""
    return contextlib.nullcontext() if _scope is None else _scope.scope()


def share() -> tuple[int, int]:
    """Which of how many shares of every batch this process trains on."""
    return FLAGS.process_id, FLAGS.num_processes


def callbacks() -> list[keras.callbacks.Callback]:
    """Callbacks of a training, to stand before all others."""
    return [] if _scope is None else [_AcrossDevices()]


def wait(written: Path | None = None) -> None:
    """Wait for all processes, and look for a file that the first one has written.

    Args:
        written: The file, if any.
    """
    if FLAGS.num_processes == 1:
        return
    backend.wait_for_processes()
    if written is not None and not written.is_file():
        sys.exit(
            "Error: --output_dir must be one folder that all processes share. Process "
            f"{FLAGS.process_id} does not find {written}"
        )


def _devices():
    return FLAGS.num_devices * FLAGS.num_processes


class _AcrossDevices(keras.callbacks.Callback):
    """Divides the batches of training on JAX, joins the statistics of batches on TensorFlow."""

    def on_train_begin(self, logs=None):
        self._synchronize(_divided is None)

    def on_train_end(self, logs=None):
        # A saved model shall open on every backend.
        self._synchronize(False)

    def on_epoch_begin(self, epoch, logs=None):
        self._distribute(_divided)

    def on_test_begin(self, logs=None):
        self._distribute(_scope)

    def on_epoch_end(self, epoch, logs=None):
        self._distribute(_scope)

    def _distribute(self, distribution):
        if _divided is not None:
            keras.distribution.set_distribution(distribution)

    def _synchronize(self, value):
        for layer in self.model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = value

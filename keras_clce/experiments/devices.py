"""Training on several devices and in several processes: all that a run does otherwise then."""

import contextlib
import os
import sys
from pathlib import Path

import keras

from keras_clce import backend
from keras_clce.experiments.settings import Settings


class Devices:
    """The devices that share the batches of runs.

    Args:
        settings: Their settings; `num_devices`, `coordinator_address`, `num_processes` and
            `process_id` are read.

    Raises:
        ValueError: If there are fewer devices, or the backend does not serve several of them with
            these settings.

    Example:
    ```python
    devices = Devices(Settings(num_devices=1))
    with devices.scope():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    ```
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scope, self._divided = None, None
        if settings.total_devices == 1:
            return
        self._scope, self._divided = backend.claim_devices(
            settings.num_devices,
            settings.coordinator_address,
            settings.num_processes,
            settings.process_id,
        )
        if self._divided is None and settings.clip_norm is not None:
            raise ValueError(
                "--clip_norm is not for several devices with TensorFlow, where Keras clips the "
                "gradients of each before they are summed. KERAS_BACKEND=jax clips their sum. "
                f"Received: clip_norm={settings.clip_norm}"
            )

    def print_in_first_process_alone(self) -> None:
        """Close the standard output of all processes but the first."""
        if self._settings.process_id:
            sys.stdout = open(os.devnull, "w")

    def in_words(self) -> str:
        """How many devices and processes train, for the plan; nothing where it is one."""
        count, processes = self._settings.total_devices, self._settings.num_processes
        if count == 1:
            return ""
        return f", {count} devices" + (f" in {processes} processes" if processes > 1 else "")

    def scope(self) -> contextlib.AbstractContextManager:
        """What models are built, trained and tested in."""
        return contextlib.nullcontext() if self._scope is None else self._scope.scope()

    def share(self) -> tuple[int, int]:
        """Which of how many shares of every batch this process trains on."""
        return self._settings.process_id, self._settings.num_processes

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """Callbacks of a training, to stand before all others."""
        return [] if self._scope is None else [_AcrossDevices(self._scope, self._divided)]

    def wait(self, written: Path | None = None) -> None:
        """Wait for all processes, and look for a file that the first one has written.

        Args:
            written: The file. Defaults to `None`.

        Raises:
            OSError: If it is not there.
        """
        if self._settings.num_processes == 1:
            return
        backend.wait_for_processes()
        if written is not None and not written.is_file():
            raise OSError(
                "--output_dir must be one folder that all processes share. Process "
                f"{self._settings.process_id} does not find {written}"
            )


class _AcrossDevices(keras.callbacks.Callback):
    """Divides the batches of training on JAX, joins the statistics of batches on TensorFlow."""

    def __init__(self, scope, divided):
        super().__init__()
        self._scope, self._divided = scope, divided

    def on_train_begin(self, logs=None):
        self._synchronize(self._divided is None)

    def on_train_end(self, logs=None):
        # A saved model shall open on every backend.
        self._synchronize(False)

    def on_epoch_begin(self, epoch, logs=None):
        self._distribute(self._divided)

    def on_test_begin(self, logs=None):
        self._distribute(self._scope)

    def on_epoch_end(self, epoch, logs=None):
        self._distribute(self._scope)

    def _distribute(self, distribution):
        if self._divided is not None:
            keras.distribution.set_distribution(distribution)

    def _synchronize(self, value):
        for layer in self.model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = value

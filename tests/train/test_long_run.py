"""A run whose shapes stay does not compile again."""

import keras

from benchmarks.long_run import train

EPOCHS, STEPS = 4, 12


class Compilations(keras.callbacks.Callback):
    """Counts JAX's compilations, or torch's, and notes them after every epoch."""

    def __init__(self):
        super().__init__()
        self.events, self.after = 0, []
        self.before = self.of_torch()  # those of other tests
        if keras.backend.backend() == "jax":
            import jax

            jax.monitoring.register_event_duration_secs_listener(self.listen)

    def listen(self, event, *args, **kwargs):
        self.events += event.endswith("backend_compile_duration")

    def of_torch(self):
        if keras.backend.backend() != "torch":
            return 0
        import torch

        return sum(torch._dynamo.utils.counters["frames"].values())

    def on_epoch_end(self, epoch, logs=None):
        self.events += self.of_torch() - self.before
        self.after.append(self.events)


def test_nothing_is_compiled_after_the_first_epochs(tmp_path):
    compilations = Compilations()
    watch = train(EPOCHS, STEPS, tmp_path, [compilations])
    if keras.backend.backend() == "torch":
        assert compilations.after == [0] * EPOCHS  # Keras runs torch's steps without compiling
        assert set(a - b for a, b in zip(watch.traces[1:], watch.traces, strict=False)) == {
            STEPS + 4
        }
        return
    assert watch.traces == watch.traces[:1] * EPOCHS
    if keras.backend.backend() == "jax":
        assert compilations.after[0] > 0
        assert compilations.after[1:] == compilations.after[1:2] * (EPOCHS - 1)

import keras
import numpy as np
import pytest

from keras_clce.evaluate import FewShotCallback, few_shot_accuracy


def data(seed):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(6), 12)
    centers = rng.normal(size=(6, 10))
    return (centers[labels] + rng.normal(size=(72, 10))).astype("float32"), labels


def test_what_it_logs_picks_the_checkpoint(tmp_path):
    images, labels = data(0)
    others, other_labels = data(1)
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(4), keras.layers.Dense(6)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    options = {"ways": 3, "shots": 2, "queries": 5, "tasks": 60}
    seen = []

    class Remember(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            expected = few_shot_accuracy(
                self.model.predict(others, verbose=0), other_labels, **options
            )
            seen.append((expected.mean, logs["val_few_shot"]))

    best = tmp_path / "best.keras"
    callbacks = [
        FewShotCallback(others, other_labels, **options),
        keras.callbacks.ModelCheckpoint(
            best, monitor="val_few_shot", mode="max", save_best_only=True
        ),
        Remember(),
    ]
    history = model.fit(images, labels, epochs=4, verbose=0, callbacks=callbacks).history
    expected, logged = zip(*seen, strict=True)
    assert logged == pytest.approx(expected)
    assert history["val_few_shot"] == pytest.approx(expected)
    kept = keras.saving.load_model(best).predict(others, verbose=0)
    assert few_shot_accuracy(kept, other_labels, **options).mean == pytest.approx(max(expected))


@pytest.mark.any_backend
def test_tasks_that_cannot_be_drawn_are_refused_at_once():
    images, labels = data(0)
    with pytest.raises(ValueError, match=r"shots \+ queries = 16"):
        FewShotCallback(images, labels, shots=1, queries=15)

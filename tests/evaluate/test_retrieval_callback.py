"""Retrieval in training: what is logged, and what is refused before it."""

import keras
import numpy as np
import pytest

from keras_clce.evaluate import RetrievalCallback, retrieval_metrics


def data(seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(48) % 6
    centers = np.random.default_rng(7).normal(size=(6, 10))
    return (centers[labels] + rng.normal(size=(48, 10))).astype("float32"), labels


def test_what_it_logs_picks_the_checkpoint(tmp_path):
    images, labels = data(0)
    others, other_labels = data(1)
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(4), keras.layers.Dense(6)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    expected = []

    class Remember(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            outputs = self.model.predict(others, verbose=0)
            expected.append(retrieval_metrics(outputs, other_labels, k=[3], metric="euclidean"))

    best = tmp_path / "best.keras"
    keys = ["precision@3", "map@r"]
    callbacks = [
        RetrievalCallback(others, other_labels, keys, similarity="euclidean"),
        keras.callbacks.ModelCheckpoint(best, monitor="val_map@r", mode="max", save_best_only=True),
        Remember(),
    ]
    history = model.fit(images, labels, epochs=3, verbose=0, callbacks=callbacks).history
    for key in keys:
        assert history[f"val_{key}"] == pytest.approx([result[key] for result in expected])
    kept = keras.saving.load_model(best).predict(others, verbose=0)
    got = retrieval_metrics(kept, other_labels, metric="euclidean")["map@r"]
    assert got == pytest.approx(max(history["val_map@r"]))


@pytest.mark.any_backend
def test_what_does_not_fit_is_named_at_once():
    images, labels = data(0)
    for metrics in (["map@r", "ndcg"], ["recall@0"], []):
        with pytest.raises(ValueError, match="`metrics` must be of precision@1"):
            RetrievalCallback(images, labels, metrics)
    with pytest.raises(ValueError, match="two images of a class"):
        RetrievalCallback(images, np.arange(48))
    with pytest.raises(ValueError, match="`metric` must be 'cosine'"):
        RetrievalCallback(images, labels, similarity="dot")
    with pytest.raises(ValueError, match="one image for each of 48"):
        RetrievalCallback(images[:5], labels)


@pytest.mark.any_backend
def test_an_epoch_ends_without_logs():
    images, labels = data(0)
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(4)])
    callback = RetrievalCallback(images, labels)
    callback.set_model(model)
    callback.on_epoch_end(0)

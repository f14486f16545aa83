"""Metrics of labels that do not have one form in training and in validation."""

import keras
import numpy as np
import pytest
from small_models import CLASSES, compiled, separable, small_model

from keras_clce import CLCELoss
from keras_clce.train import ImageMixing

FORMS = {
    "classes": lambda labels: labels,
    "column": lambda labels: labels[:, None],
    "one-hot": lambda labels: np.eye(CLASSES)[labels],
    "soft": lambda labels: 0.7 * np.eye(CLASSES, dtype="float32")[labels] + 0.3 / CLASSES,
}


def true_accuracy(model, images, labels):
    return np.mean(model.predict(images, verbose=0)["logits"].argmax(axis=1) == labels)


@pytest.mark.parametrize(
    ("training", "validation"),
    [
        ("classes", "one-hot"),
        ("column", "soft"),
        ("one-hot", "column"),
        ("soft", "classes"),
    ],
)
def test_accuracy_is_that_of_the_predictions(training, validation):
    images, labels = separable()
    model = compiled(small_model())
    of_training, of_validation = (FORMS[name](labels) for name in (training, validation))
    data = (images, of_validation)
    history = model.fit(images, of_training, validation_data=data, verbose=0).history
    true = true_accuracy(model, images, labels)
    assert history["val_accuracy"][-1] == pytest.approx(true)
    found = model.evaluate(images, of_validation, verbose=0, return_dict=True)
    assert found["accuracy"] == pytest.approx(true)


def test_mixed_images_with_classes_and_validation_with_rows():
    images, labels = separable()
    model = small_model()
    mixing = ImageMixing(0.2, part="contrastive")
    model.compile("sgd", CLCELoss(), metrics=["accuracy"], mixing=mixing)
    history = model.fit(
        images, labels, validation_data=(images, np.eye(CLASSES)[labels]), verbose=0
    ).history
    assert history["val_accuracy"][-1] == pytest.approx(true_accuracy(model, images, labels))


@pytest.mark.parametrize("kind", ["column", "integers"])
def test_weights_beside_rows_without_a_class(kind):
    images, labels = separable(12)
    labels = np.where(np.arange(12) < 3, -1, labels)
    weights = np.arange(12) % 3
    given = weights[:, None].astype("float32") if kind == "column" else weights
    model = small_model()
    model.compile(keras.optimizers.SGD(0.0), CLCELoss(ignore_unlabelled=True), metrics=["accuracy"])
    found = model.evaluate(images, labels, sample_weight=given, verbose=0, return_dict=True)
    right = model.predict(images, verbose=0)["logits"].argmax(axis=1) == labels
    assert found["accuracy"] == pytest.approx(np.average(right[3:], weights=weights[3:]))
    logs = model.fit(images, labels, sample_weight=given, verbose=0).history
    assert np.isfinite(logs["loss"]).all()

"""Training on unbalanced classes: weights, adjusted logits that are saved, averaged classes."""

import keras
import numpy as np
import pytest
import reference
from train.small_models import CLASSES, separable, small_model

from keras_clce import CLCELoss, LACLNLoss

WEIGHTS = {0: 0.5, 1: 1.0, 2: 4.0, 3: 2.0}


def still(model, **options):
    """A model that training changes by nothing, so that its loss is known beforehand."""
    loss = CLCELoss(0.5, **options)
    model.compile(keras.optimizers.SGD(1e-9), loss=loss, weighted_metrics=[])
    return model


def parts_of(model, images, labels, training):
    found = model(images, training=training)
    logits, embedding = (
        keras.ops.convert_to_numpy(found[name]) for name in ("logits", "embedding")
    )
    return np.array(reference.cross_entropy(labels, logits)), *reference.lacln(labels, embedding)


def test_class_weights_weigh_both_parts_in_training_alone():
    images, labels = separable(8)
    model = still(small_model(batch_norm=False))
    entropy, values, counted = parts_of(model, images, labels, training=True)
    assert all(counted)
    weights = np.array([WEIGHTS[label] for label in labels])
    plain, expected = (np.mean(w * (0.5 * entropy + 0.5 * values)) for w in (1.0, weights))
    for y in (labels, np.eye(CLASSES, dtype="float32")[labels]):
        logs = model.fit(
            images,
            y,
            validation_data=(images, y),
            class_weight=WEIGHTS,
            batch_size=8,
            shuffle=False,
            verbose=0,
        ).history
        assert logs["loss"][0] == pytest.approx(expected, rel=1e-4)
        assert logs["val_loss"][0] == pytest.approx(plain, rel=1e-4)


def test_logits_are_adjusted_in_training_alone_and_the_shares_are_saved(tmp_path):
    images, labels = separable(8)
    counts = [100, 10, 5, 1]
    model = still(small_model(batch_norm=False), logit_adjustment=1.0, class_prior=counts)
    logits = keras.ops.convert_to_numpy(model(images)["logits"])
    shifted = logits + np.log(np.array(counts) / 116)
    before = model.predict(images, verbose=0)["probabilities"]

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss.class_prior == pytest.approx(tuple(c / 116 for c in counts))
    for each in (model, again):
        logs = each.fit(
            images, labels, validation_data=(images, labels), batch_size=8, shuffle=False, verbose=0
        ).history
        for name, of in (("cross_entropy", shifted), ("val_cross_entropy", logits)):
            want = np.mean(reference.cross_entropy(labels, of))
            assert logs[name][0] == pytest.approx(want, rel=1e-4)
    after = again.predict(images, verbose=0)["probabilities"]
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_averaged_classes_train_with_a_gradient_cache_and_a_memory():
    images, labels = separable(16)
    labels = np.where(labels < 2, 0, labels)  # half of them one class
    loss = CLCELoss(0.5, LACLNLoss(negatives="class_mean"))
    logs = []
    for options in ({}, {"gradient_cache_size": 4}, {"memory_size": 8}):
        keras.utils.set_random_seed(0)
        model = small_model(batch_norm=False)
        model.compile(keras.optimizers.SGD(0.01), loss=loss, **options)
        data = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
        logs.append(model.fit(images, labels, **data).history["loss"])
    np.testing.assert_allclose(logs[1], logs[0], rtol=1e-4)
    assert np.isfinite(logs[2]).all() and logs[2][-1] != logs[0][-1]


def test_soft_labels_in_a_compiled_step_are_told_as_the_cause():
    images, labels = separable(8)
    rows = 0.6 * np.eye(CLASSES, dtype="float32")[labels] + 0.1
    model = small_model(batch_norm=False)
    model.compile("sgd", loss=CLCELoss(0.5, LACLNLoss(negatives="class_mean")))
    with pytest.raises(FloatingPointError, match=r"soft labels.*negatives='class_mean'"):
        model.fit(images, rows, batch_size=8, verbose=0)

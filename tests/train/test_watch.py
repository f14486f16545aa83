"""NaN in training, and features that shrink."""

import threading
import time

import keras
import numpy as np
import pytest
import sklearn.datasets
from marks import on_any_backend
from train.small_models import CLASSES, compiled, separable, small_model
from train.test_inputs import STREAMS, as_generator

from keras_clce import CLCELoss, CLCEModel
from keras_clce.train.first_failure import FirstFailure
from keras_clce.train.watch import TrainingWatch


# Data are searched by what no backend has to do with, so that one case is enough on each.
@pytest.mark.parametrize(
    "stream",
    [STREAMS[0], *on_any_backend(*STREAMS[1:])],
)
@pytest.mark.parametrize("weight", [*on_any_backend(0.0), 0.9])
def test_labels_out_of_range_stop_training_and_are_named(stream, weight):
    images, labels = separable(32)
    model = small_model()
    model.compile("sgd", loss=CLCELoss(weight))
    with pytest.raises(FloatingPointError, match="NaN by step 1 of epoch 1") as error:
        model.fit(stream(images, labels + 1), verbose=0)
    assert f"the model has classes 0 to {CLASSES - 1}" in str(error.value)
    if stream is not as_generator:  # which cannot be read again
        assert f"there are classes 1 to {CLASSES} in" in str(error.value)


@pytest.mark.any_backend
def test_class_names_of_a_data_set_are_compared():
    images, labels = separable(32)
    data = STREAMS[0](images, labels + 1)
    data.class_names = [f"class {number}" for number in range(CLASSES + 1)]
    with pytest.raises(FloatingPointError, match=f"names {CLASSES + 1} classes"):
        compiled(small_model()).fit(data, verbose=0)


@pytest.mark.any_backend
def test_pixels_and_rate_are_named_too():
    images, labels = separable(32)
    images[3, 2, 1, 0] = np.nan
    with pytest.raises(FloatingPointError, match="pixels that are not finite; a learning rate"):
        compiled(small_model()).fit(STREAMS[0](images, labels), verbose=0)


@pytest.mark.any_backend
def test_features_that_shrink_to_a_hundredth_are_warned_of_once(recwarn):
    watch = TrainingWatch(None, num_classes=4)
    watch.on_epoch_begin(0)
    watch.on_train_batch_end(0, {"loss": 1.0, "feature_norm": 5.0})
    watch.on_train_batch_end(1, {"loss": 1.0, "feature_norm": 0.001})
    watch.on_epoch_end(0, {"feature_norm": 0.051})
    assert not recwarn
    watch.on_epoch_end(1, {"feature_norm": 0.049})
    watch.on_epoch_end(2, {"feature_norm": 0.001})
    (warning,) = recwarn
    assert "from 5 to 0.049" in str(warning.message)


def test_fit_logs_the_length_of_pooled_features():
    images, labels = separable(16)
    model = compiled(small_model(), learning_rate=1e-9)
    pooled = keras.ops.convert_to_numpy(model.backbone(images, training=True)).mean((1, 2))
    expected = np.linalg.norm(pooled, axis=1).mean()
    history = model.fit(images, labels, batch_size=16, verbose=0).history
    assert history["feature_norm"][0] == pytest.approx(expected, rel=1e-4)
    assert model.train_on_batch(images, labels, return_dict=True)["feature_norm"] == pytest.approx(
        expected, rel=1e-3
    )
    assert "feature_norm" not in model.evaluate(images, labels, verbose=0, return_dict=True)


@pytest.mark.any_backend("tensorflow")  # the fastest in long trainings
def test_the_classifier_survives_the_contrastive_loss():
    """Features that are not negative, a steady rate and the default loss: they once collapsed.

    Without normalization training accuracy ended at 0.55 to 0.88, validation at 0.54 to 0.67. What
    the loss does to features in 300 steps follows from its steps, which agree between backends
    (`test_backends_agree.py`).
    """
    keras.utils.set_random_seed(0)
    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1).repeat(2, 1).repeat(2, 2).astype("float32") - 8) / 8
    x = inputs = keras.Input((16, 16, 1))
    for filters in (16, 32):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.MaxPooling2D()(keras.layers.ReLU()(x))
    model = CLCEModel(
        keras.Model(inputs, x), 10, augmenter=keras.layers.RandomTranslation(0.1, 0.1)
    )
    model.compile(keras.optimizers.AdamW(3e-3), metrics=["accuracy"])
    logs = model.fit(
        images[:1437],
        labels[:1437],
        batch_size=64,
        epochs=14,
        validation_data=(images[1437:], labels[1437:]),
        verbose=0,
    ).history
    assert logs["accuracy"][-1] > 0.95
    assert min(logs["val_accuracy"][-3:]) > 0.75
    assert logs["feature_norm"][-1] > 0.2 * logs["feature_norm"][0]


@pytest.mark.any_backend
def test_the_first_step_that_fails_is_named_whichever_thread_reports_first():
    steps = FirstFailure()
    errors = []

    def end(step, failed):
        try:
            steps.end(step, (lambda: FloatingPointError(f"step {step}")) if failed else None)
        except FloatingPointError as error:
            errors.append(str(error))

    for step in (0, 2, 4, 6):  # as where Keras runs two steps as one
        steps.begin(step)
    # Steps 0 and 1 are sound; 2 and 3, as one, fail, and so do all that follow.
    threads = [threading.Thread(target=end, args=(step, step > 1)) for step in (7, 5, 3, 1)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert errors == ["step 3"] * 3

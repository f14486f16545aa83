"""What `CLCEModel` refuses, and what it says then."""

import keras
import numpy as np
import pytest
from small_models import CLASSES, SHAPE, compiled, separable, small_backbone, small_model

from keras_clce import CLCELoss, CLCEModel, SupConLoss

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize("num_classes", [0, -1, 2.5, "ten", None, True])
def test_bad_num_classes(num_classes):
    with pytest.raises(ValueError, match=r"`num_classes`.*Received: num_classes="):
        CLCEModel(small_backbone(), num_classes)


def test_bad_constructor_arguments():
    with pytest.raises(ValueError, match=r"`embedding_dim`.*Received: embedding_dim=0"):
        CLCEModel(small_backbone(), 3, embedding_dim=0)
    with pytest.raises(ValueError, match=r"`backbone`.*Received: backbone='resnet50'"):
        CLCEModel("resnet50", 3)
    for augmenter in ("light", lambda images: images):
        with pytest.raises(ValueError, match=r"`augmenter`.*Received: augmenter="):
            CLCEModel(small_backbone(), 3, augmenter=augmenter)
    inputs = keras.Input(SHAPE)
    flat = keras.Model(inputs, keras.layers.Reshape((12, 36))(inputs))
    with pytest.raises(ValueError, match=r"`features`.*Received"):
        CLCEModel(flat, 3)

    class Subclassed(keras.Model):
        def call(self, images):
            return images

    with pytest.raises(ValueError, match=r"`backbone` must know the shape.*Received: backbone=<"):
        CLCEModel(Subclassed(), 3)


@pytest.mark.parametrize(
    "loss", ["mse", SupConLoss(), CLCELoss(reduction="none")], ids=["name", "part", "no reduction"]
)
def test_bad_loss(loss):
    with pytest.raises(ValueError, match=r"`loss`.*Received: loss="):
        small_model().compile("sgd", loss=loss)


def test_loss_weights():
    with pytest.raises(ValueError, match=r"`loss_weights`.*Received: loss_weights=\[0.5\]"):
        small_model().compile("sgd", loss_weights=[0.5])


@pytest.mark.parametrize("label", [-1, CLASSES, 1000])
def test_labels_out_of_range(label):
    images, labels = separable(16)
    labels[3] = label
    model = compiled(small_model())
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=rf"`y` must hold classes.*y={label}"):
            call(images, labels, verbose=0)
    good = separable(16)
    with pytest.raises(ValueError, match="`y` must hold classes"):
        model.fit(*good, validation_data=(images, labels), verbose=0)


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y + 0.5,
        lambda y: np.where(y == 1, np.nan, y),
        lambda y: np.eye(CLASSES)[y] * (y > 0)[:, None],
        lambda y: np.full((len(y), CLASSES), 0.9 / CLASSES),
    ],
    ids=["fractions", "NaN", "rows of zeros", "rows that sum to 0.9"],
)
def test_labels_that_are_no_classes(change):
    images, labels = separable(16)
    with pytest.raises(ValueError, match="`y` must hold whole numbers or one-hot rows"):
        compiled(small_model()).fit(images, change(labels), verbose=0)


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y[:-1],
        lambda y: y[None],
        lambda y: y.astype(str),
        lambda y: y.astype("complex64"),
        lambda y: np.eye(CLASSES + 1)[y],
    ],
    ids=["too few", "a row", "text", "complex", "another number of columns"],
)
def test_labels_of_another_form(change):
    images, labels = separable(16)
    with pytest.raises(ValueError, match=r"`y` must hold numbers, of one of the shapes .*Received"):
        compiled(small_model()).fit(images, change(labels), verbose=0)


def test_images_of_another_form():
    images, labels = separable(16)
    model = compiled(small_model())
    expected = rf"`x` must hold images of shape \({', '.join(map(str, SHAPE))}\).*Received"
    for wrong in (images[0], images[..., :1], images[:, :-1]):
        with pytest.raises(ValueError, match=expected):
            model.fit(wrong, labels, verbose=0)
    with pytest.raises(ValueError, match=r"`x` must be an array of images.*list with 16 elements"):
        model.fit(list(images), labels, verbose=0)
    with pytest.raises(ValueError, match=r"`y` must be an array. Received: y of type list"):
        model.fit(images, labels.tolist(), verbose=0)
    with pytest.raises(ValueError, match=r"`y` must hold the labels"):
        model.fit(images, labels, validation_data=(images,), verbose=0)


def test_streams_without_labels():
    images, _ = separable(16)

    def batches():
        while True:
            yield (images,)

    with pytest.raises(ValueError, match=r"images and labels.*Received: images alone"):
        compiled(small_model()).fit(batches(), steps_per_epoch=1, verbose=0)


def streamed(images, labels):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)


def test_streamed_labels_out_of_range_make_the_loss_nan():
    images, labels = separable(16)
    labels[3] = CLASSES
    logs = compiled(small_model()).evaluate(streamed(images, labels), verbose=0, return_dict=True)
    assert np.isnan(logs["loss"])


def test_streamed_pixels_that_are_not_finite_make_the_loss_nan():
    images, labels = separable(16)
    images[2, 3, 4, 0] = np.nan
    model = compiled(small_model())
    with pytest.raises(FloatingPointError, match=r"NaN by step 1 of epoch 1.*pixels"):
        model.fit(streamed(images, labels), verbose=0)


def test_a_stream_of_an_empty_batch():
    images, labels = separable(16)

    def batches():
        yield images[:0], labels[:0]

    with pytest.raises(Exception):  # noqa: B017  each backend's own
        compiled(small_model()).fit(batches(), verbose=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite(value):
    images, labels = separable(16)
    images[2, 3, 4, 0] = value
    with pytest.raises(ValueError, match=r"`x` must hold finite pixels.*Received"):
        compiled(small_model()).fit(images, labels, verbose=0)


def test_no_images():
    images, labels = separable(16)
    with pytest.raises(ValueError, match=r"`x` must hold at least one image.*Received"):
        compiled(small_model()).fit(images[:0], labels[:0], verbose=0)


def test_no_labels():
    with pytest.raises(ValueError, match="`y` must hold the labels"):
        compiled(small_model()).fit(separable(16)[0], verbose=0)


def test_no_labels_of_pairs():
    images, _ = separable(16)
    with pytest.raises(ValueError, match="`y` must hold the labels"):
        compiled(small_model()).fit((images, images), verbose=0)


def test_views_of_two_sizes():
    images, labels = separable(16)
    pairs = (images, images[:, :8])
    with pytest.raises(ValueError, match=r"`x` must hold images of shape.*\(16, 8, 12, 3\)"):
        compiled(small_model()).fit(pairs, labels, verbose=0)
    with pytest.raises(ValueError, match="views of one size"):
        compiled(small_model()).fit(streamed(pairs, labels), verbose=0)


def test_streamed_images_of_the_wrong_size():
    images, labels = separable(16)
    with pytest.raises(ValueError, match="expected shape"):
        compiled(small_model()).fit(streamed(images[:, :8], labels), verbose=0)


def test_three_views():
    images, labels = separable(16)
    views = (images, images, images)
    with pytest.raises(ValueError, match=r"pair of such arrays.*tuple with 3 elements"):
        compiled(small_model()).fit(views, labels, verbose=0)
    with pytest.raises(ValueError, match=r"pair of views.*Received: x with 3"):
        compiled(small_model()).fit(streamed(views, labels), verbose=0)


class Half(keras.layers.Layer):
    def call(self, images):
        return images[: keras.ops.shape(images)[0] // 2]


def test_augmenter_that_changes_the_batch_size():
    images, labels = separable(16)
    with pytest.raises(ValueError, match=r"`augmenter`.*must keep the number of images.*Received"):
        compiled(small_model(Half()), run_eagerly=True).fit(
            images, labels, batch_size=16, verbose=0
        )


def test_augmenter_that_changes_an_unknown_batch_size_ends_in_an_error_of_some_kind():
    images, labels = separable(24)
    with pytest.raises(Exception):  # noqa: B017
        compiled(small_model(Half())).fit(images, labels, batch_size=16, verbose=0)


@pytest.mark.parametrize("top", ["dense", "layer", "activation", "nested"])
def test_encoders_that_end_in_a_softmax(top):
    inputs = keras.Input(SHAPE)
    features = keras.layers.GlobalAveragePooling2D()(inputs)
    last = {
        "dense": keras.layers.Dense(9, "softmax", name="on_top"),
        "layer": keras.layers.Softmax(name="on_top"),
        "activation": keras.layers.Activation("softmax", name="on_top"),
        "nested": keras.Sequential([keras.layers.Dense(9, "softmax", name="on_top")]),
    }[top]
    with pytest.raises(ValueError, match=r"`backbone` must give features.*'on_top'.*Received"):
        CLCEModel(keras.Model(inputs, last(features)), CLASSES)


def test_losses_by_name():
    model = small_model()
    model.compile("sgd", loss="supcon")
    assert (model.loss.trains_classifier, model.loss.trains_embedding) == (False, True)
    with pytest.raises(ValueError, match="'clce'"):
        model.compile("sgd", loss="cross_entropy")

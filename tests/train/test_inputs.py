"""What `fit`, `evaluate` and `predict` say of their data, and the order of arrays."""

import re
import warnings

import keras
import numpy as np
import pytest
from marks import others_on_any_backend
from models import toy_family
from train.small_models import CLASSES, SHAPE, compiled, flips, separable, small_model

from keras_clce import CLCELoss, CLCEModel, backend
from keras_clce.models import registry
from keras_clce.train.inputs import in_fixed_order

SIZE = 16


class Batches(keras.utils.PyDataset):
    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels) // 8

    def __getitem__(self, number):
        rows = slice(8 * number, 8 * number + 8)
        return self.images[rows], self.labels[rows]


def as_tf_data(images, labels):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)


def as_generator(images, labels):
    return (Batches(images, labels)[number] for number in range(len(labels) // 8))


def as_loader(images, labels):
    import torch

    return torch.utils.data.DataLoader(list(zip(images, labels, strict=True)), batch_size=8)


def as_grain(images, labels):
    import grain

    return grain.MapDataset.source(list(zip(images, labels, strict=True))).batch(8)


STREAMS = [Batches, as_tf_data, as_generator, as_loader, as_grain]


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setitem(registry.FAMILIES, "toy", toy_family.ROWS)
    model = CLCEModel.from_backbone("toy", CLASSES, image_size=SIZE)
    model.compile("sgd", loss=CLCELoss(0.5))
    return model


def photographs(low=0.0, high=255.0, dtype="float32"):
    rng = np.random.default_rng(0)
    images = rng.uniform(low, high, size=(16, SIZE, SIZE, 3)).astype(dtype)
    return images, np.arange(16) % CLASSES


def warnings_of(function, *args, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*args, verbose=0, **kwargs)
    return [str(each.message) for each in caught if "pixels from" in str(each.message)]


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("low", "high", "dtype", "seen"),
    [
        (0, 1, "float32", r"from \d\S* to 1, where .* 0 to 255"),
        (-1, 1, "float32", r"from -0\.99\d* to 1, where"),
        (-2.1, 2.6, "float32", r"from -2\.\d* to 2\.\d*, where"),
        (0, 65535, "uint16", r"from \d+ to 6\.55\de\+04, where"),
    ],
)
def test_pixels_on_another_scale(model, low, high, dtype, seen):
    images, labels = photographs(low, high, dtype)
    for messages in (
        warnings_of(model.fit, images, labels),
        warnings_of(model.evaluate, images, labels),
        warnings_of(model.predict, images),
    ):
        assert len(messages) == 1
        assert re.search(seen, messages[0])


@pytest.mark.any_backend
@pytest.mark.parametrize("stream", STREAMS)
def test_pixels_of_a_stream_are_seen_in_its_first_batch(model, stream):
    images, labels = photographs(0, 1)
    validation = stream(images, labels)
    messages = warnings_of(
        model.fit, stream(*photographs()), validation_data=validation, validation_steps=2
    )
    assert len(messages) == 1
    assert len(warnings_of(model.fit, stream(images, labels))) == 1
    assert len(warnings_of(model.evaluate, stream(images, labels))) == 1
    assert len(warnings_of(model.predict, stream(images, labels))) == 1
    assert not warnings_of(model.fit, stream(*photographs()))


@pytest.mark.any_backend
def test_pixels_from_0_to_255_and_a_users_own_encoder_are_taken_as_they_are(model):
    images, labels = photographs()
    assert not warnings_of(model.fit, images, labels, validation_data=(images, labels))
    assert not warnings_of(model.predict, np.zeros_like(images))
    own = compiled(small_model())
    images, labels = separable(16)
    assert not warnings_of(own.fit, images / 255, labels)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_yields_the_same_after_a_look(model, stream):
    """Three weights of the same model, one batch after the other, must come out alike."""
    images, labels = photographs()
    start = model.get_weights()
    model.fit(images, labels, batch_size=8, shuffle=False, verbose=0)
    expected = model.get_weights()
    model.set_weights(start)
    model.fit(stream(images, labels), verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def sorted_by_class():
    images, labels = separable(64)
    order = np.argsort(labels, kind="stable")
    return images[order], labels[order]


def test_the_order_of_arrays_does_not_change_an_evaluation():
    images, labels = sorted_by_class()
    weights = np.linspace(0.5, 2, len(labels)).astype("float32")
    model = compiled(small_model())
    shuffled = np.random.default_rng(1).permutation(len(labels))
    options = {"batch_size": 16, "verbose": 0, "return_dict": True}
    first = model.evaluate(images, labels, sample_weight=weights, **options)
    second = model.evaluate(
        images[shuffled], labels[shuffled], sample_weight=weights[shuffled], **options
    )
    assert first == pytest.approx(second, rel=1e-5)


def test_validation_within_fit_does_not_depend_on_the_order_either():
    images, labels = sorted_by_class()
    found = []
    start = small_model().get_weights()
    for order in (np.arange(64), np.random.default_rng(1).permutation(64)):
        model = compiled(small_model(), learning_rate=1e-9)
        model.set_weights(start)
        history = model.fit(
            images,
            labels,
            batch_size=16,
            shuffle=False,
            validation_data=(images[order], labels[order]),
            verbose=0,
        ).history
        found.append({name: value for name, value in history.items() if name.startswith("val_")})
    assert found[0]["val_contrastive"] == pytest.approx(found[1]["val_contrastive"], rel=1e-4)
    assert found[0]["val_loss"] == pytest.approx(found[1]["val_loss"], rel=1e-4)


def test_validation_of_sorted_arrays_tells_a_good_encoder_from_a_bad_one():
    labels = np.repeat(np.arange(CLASSES), 32)
    images = np.random.default_rng(0).normal(size=(len(labels), *SHAPE)).astype("float32")
    good = images * 0.01 + keras.ops.convert_to_numpy(keras.ops.one_hot(labels, 4))[
        :, :, None, None
    ].repeat(3, 1)[:, :, :, None].repeat(12, 2).reshape(len(labels), 12, 12, 1)
    inputs = keras.Input(SHAPE)
    mean = keras.layers.Flatten()(keras.layers.AveragePooling2D((3, 12))(inputs))
    model = compiled(CLCEModel(keras.Model(inputs, mean), CLASSES, feature_normalization="layer"))
    values = [
        model.evaluate(each, labels, batch_size=32, verbose=0, return_dict=True)["contrastive"]
        for each in (good, images)
    ]
    assert values[1] - values[0] > 0.5


def test_fixed_order_keeps_images_labels_and_weights_together():
    images, labels = sorted_by_class()
    weights = np.arange(64.0)
    (first, second), y, w = in_fixed_order((images, -images), labels, weights, batch_size=16)
    assert not np.array_equal(y, labels)
    place = w.astype(int)
    np.testing.assert_array_equal(first, images[place])
    np.testing.assert_array_equal(second, -images[place])
    np.testing.assert_array_equal(y, labels[place])
    assert all(len(set(y[start : start + 16])) > 2 for start in range(0, 64, 16))


def test_a_split_of_arrays_is_the_one_of_keras():
    """The last quarter, of another brightness: its loss would be another if it were others."""
    images, labels = separable(64)
    model = compiled(small_model(), learning_rate=1e-9)
    logs = model.fit(images, labels, validation_split=0.25, batch_size=16, verbose=0).history
    expected = model.evaluate(images[48:], labels[48:], batch_size=16, verbose=0, return_dict=True)
    assert logs["val_loss"][0] == pytest.approx(expected["loss"], rel=1e-5)
    assert model.optimizer.iterations == 3


@pytest.mark.parametrize("stream", others_on_any_backend(STREAMS, as_tf_data))
def test_validation_batches_of_one_class_are_warned_of(stream):
    images, labels = sorted_by_class()
    model = compiled(small_model())
    with pytest.warns(UserWarning, match="All 8 labels of the first validation batch"):
        model.evaluate(stream(images, labels), verbose=0)
    model.compile("sgd", loss=CLCELoss(0))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="All 8 labels")
        model.evaluate(stream(images, labels), verbose=0)


BAD_IMAGES = {
    "grey": (16, 12, 12, 1),
    "RGBA": (16, 12, 12, 4),
    "channels first": (16, 3, 12, 12),
    "a single image": (12, 12, 3),
}


@pytest.mark.parametrize("shape", BAD_IMAGES.values(), ids=BAD_IMAGES)
@pytest.mark.parametrize("augmenter", [None, flips], ids=["no augmenter", "augmenter"])
def test_images_of_another_kind(shape, augmenter):
    images = np.zeros(shape, "float32")
    labels = np.arange(len(images)) % CLASSES
    model = compiled(small_model(augmenter and augmenter()))
    sentence = r"`x` must hold images of shape \(.*3\), one a row. Received: x of shape"
    with pytest.raises(ValueError, match=sentence):
        model.fit(images, labels, verbose=0)
    with pytest.raises(ValueError, match=sentence):
        model.predict(images, verbose=0)
    if augmenter:
        with pytest.raises(ValueError, match=sentence):
            model.fit(Batches(images, labels), verbose=0)


def test_a_loader_with_workers_is_looked_at_once_and_keeps_its_order():
    import torch

    images, labels = photographs()
    examples = list(zip(images, labels, strict=True))
    for generator in (None, torch.Generator().manual_seed(3)):
        loader = torch.utils.data.DataLoader(
            examples, batch_size=8, shuffle=True, num_workers=2, generator=generator
        )
        source = torch.default_generator if generator is None else generator
        before, seen = source.get_state(), []
        assert backend.inspect_first_batch(loader, seen.append) is loader
        assert torch.equal(source.get_state(), before)
        ((pixels, classes),) = seen
        rows = next(iter(loader.batch_sampler))
        np.testing.assert_array_equal(classes, labels[rows])
        np.testing.assert_array_equal(pixels, images[rows])


@pytest.mark.any_backend("tensorflow")  # which alone would trace it twice
@pytest.mark.parametrize("stream", [None, as_tf_data])
def test_a_training_step_is_traced_once(monkeypatch, stream):
    model, calls = compiled(small_model()), []
    loss = type(model).compute_loss
    monkeypatch.setattr(
        type(model), "compute_loss", lambda *args, **kw: calls.append(1) or loss(*args, **kw)
    )
    images, labels = separable()
    model.fit(*((images, labels) if stream is None else (stream(images, labels),)), verbose=0)
    assert len(calls) == 1


@pytest.mark.any_backend
@pytest.mark.parametrize("augmenter", [None, "flips"])
@pytest.mark.parametrize("stream", [as_tf_data, Batches, as_generator])
def test_examples_with_names_are_refused_with_the_names(augmenter, stream):
    images, labels = separable(16)

    class Named(Batches):
        def __getitem__(self, number):
            return dict(zip(("image", "label"), super().__getitem__(number), strict=True))

    if stream is as_tf_data:
        data = stream(images, labels).map(lambda image, label: {"image": image, "label": label})
    elif stream is Batches:
        data = Named(images, labels)
    else:
        data = (Named(images, labels)[number] for number in range(2))
    model = compiled(small_model(augmenter and flips()))
    with pytest.raises(ValueError, match=r"Received: a dict with 'image', 'label'"):
        model.fit(data, verbose=0)


@pytest.mark.any_backend
def test_validation_of_another_size_is_refused_before_the_first_step():
    images = np.linspace(0, 1, 8 * 14 * 14 * 3, dtype="float32").reshape(8, 14, 14, 3)
    labels = np.arange(8) % CLASSES
    model = compiled(small_model(keras.layers.RandomCrop(*SHAPE[:2])))
    steps = []
    counted = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_: steps.append(1))
    for options in (
        {"validation_data": (images, labels)},
        {"validation_split": 0.5},
        {"validation_data": as_tf_data(images, labels)},
    ):
        with pytest.raises(ValueError, match=r"shape \(12, 12, 3\)"):
            model.fit(images, labels, callbacks=[counted], verbose=0, **options)
    assert not steps
    with pytest.raises(ValueError, match=r"shape \(12, 12, 3\)"):
        model.evaluate(images, labels, verbose=0)


@pytest.mark.any_backend
def test_class_weights_are_for_images_of_one_class():
    images, labels = separable(8)
    several = CLCEModel(small_model().backbone, CLASSES, multi_label=True)
    several.compile("sgd", "clce")
    with pytest.raises(ValueError, match="`multi_label`, where an image is of several"):
        several.fit(images, np.eye(CLASSES)[labels], class_weight={0: 2.0}, verbose=0)
    unlabelled = small_model()
    unlabelled.compile("sgd", CLCELoss(ignore_unlabelled=True))
    with pytest.raises(ValueError, match="`ignore_unlabelled`, where an image may be of none"):
        unlabelled.fit(images, labels, class_weight={0: 2.0}, verbose=0)

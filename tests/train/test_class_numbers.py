"""Labels that are no numbers from 0, and images without a class."""

import keras
import numpy as np
import pytest
from train.small_models import CLASSES, SHAPE, separable, small_backbone, small_model

from keras_clce import CLCELoss, CLCEModel
from keras_clce.train import ImageMixing
from keras_clce.train.class_numbers import are_text, refuse_text_of
from keras_clce.train.inputs import for_fit

ANIMALS = ["ant", "bee", "cat", "dog"]
NUMBERED = r"`class_names, y = np\.unique\(y, return_inverse=True\)`.*class_names=\["
UNLABELLED = r"y=-1\. An image without a class .* is left out by CLCELoss\(ignore_.*--ignore_un"


def named_model():
    return CLCEModel(small_backbone(), CLASSES, class_names=ANIMALS)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda y: y + 1,
            rf"within \[0, 4\).*Received: 4 other values, such as y=4\. .*{NUMBERED}",
        ),
        (lambda y: 10 * y, NUMBERED),
        (lambda y: np.where(y == 2, -1, y), UNLABELLED),
        (
            lambda y: np.array(["owl", "cat", "eel", "dog"])[y],
            r"dtype <U3\. Classes are numbers.*uni",
        ),
        (lambda y: np.array(ANIMALS)[y], r"Received.*\[model\.class_names\.index\(name\) for name"),
        (lambda y: np.array(ANIMALS, dtype=object)[y], r"model's class_names number them"),
        (lambda y: np.array(ANIMALS).astype("S")[y], r"model's class_names number them"),
    ],
    ids=["from 1", "gaps", "unlabelled", "other words", "words", "objects", "bytes"],
)
def test_arrays_that_number_nothing_are_told_how(change, message):
    images, labels = separable(16)
    model = named_model()
    model.compile("sgd", loss="clce")
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=message):
            call(images, change(labels), verbose=0)


@pytest.mark.any_backend
def test_a_column_of_a_table():
    pandas = pytest.importorskip("pandas")
    images, labels = separable(16)
    model = named_model()
    model.compile("sgd", loss="clce")
    with pytest.raises(ValueError, match="model's class_names number them"):
        model.fit(images, pandas.Series(np.array(ANIMALS)[labels]), verbose=0)


class Batches(keras.utils.PyDataset):
    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.images, self.labels


@pytest.mark.parametrize("kind", ["PyDataset", "generator", "tf.data", "DataLoader"])
def test_streams_of_words_are_refused_before_the_first_step(kind):
    images, labels = separable(16)
    words = np.array(ANIMALS)[labels]
    if kind == "PyDataset":
        data = Batches(images, words)
    elif kind == "generator":
        data = iter([(images, words)])
        data = (batch for batch in data)
    elif kind == "tf.data":
        import tensorflow as tf

        data = tf.data.Dataset.from_tensor_slices((images, words)).batch(8)
    else:
        torch = pytest.importorskip("torch")
        data = torch.utils.data.DataLoader(list(zip(images, words, strict=True)), batch_size=8)
    model = named_model()
    model.compile("sgd", loss="clce")
    how = "StringLookup" if kind == "tf.data" else r"such as 'ant'\. The model's class_names number"
    if kind == "DataLoader":
        data = for_fit(model, {"x": data})["x"]
        with pytest.raises(ValueError, match=how):
            next(iter(data))
        return
    with pytest.raises(ValueError, match=rf"Labels must be numbers\. Received: .*{how}"):
        model.fit(data, verbose=0)


@pytest.mark.any_backend
def test_words_beside_images_that_are_predicted_disturb_nobody():
    images, _ = separable(2)
    model = named_model()
    files = Batches(images, np.array(["a.jpg", "b.jpg"]))
    assert are_text(files[0][1])
    from keras_clce.train.inputs import for_predict

    assert for_predict(model, files) is files
    refuse_text_of(None)


def compiled(loss, images, labels, **options):
    keras.utils.set_random_seed(0)
    model = small_model(batch_norm=False)
    model.compile(keras.optimizers.SGD(0.1), loss=loss, metrics=["accuracy"], **options)
    logs = model.fit(images, labels, batch_size=len(labels), shuffle=False, epochs=2, verbose=0)
    return model, logs.history


@pytest.mark.parametrize("size", [None, 3], ids=["whole", "gradient cache"])
def test_training_past_unlabelled_images_is_training_on_the_others(size):
    images, labels = separable(12)
    views = (images, images[:, :, ::-1])
    kept = np.array([0, 1, 4, 5, 6, 8, 9, 10])
    unlabelled = np.where(np.isin(np.arange(12), kept), labels, -1)
    whole = CLCELoss(0.4, ignore_unlabelled=True)
    options = {"gradient_cache_size": size} if size else {}
    model, logs = compiled(whole, views, unlabelled, **options)
    others = tuple(view[kept] for view in views)
    want, of_others = compiled(CLCELoss(0.4), others, labels[kept])
    for name in ("loss", "cross_entropy", "contrastive", "accuracy"):
        assert logs[name] == pytest.approx(of_others[name], rel=1e-4), name
    for got, expected in zip(model.get_weights(), want.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    if size is None:
        evaluated = model.evaluate(images, unlabelled, verbose=0, return_dict=True)
        alone = model.evaluate(images[kept], labels[kept], verbose=0, return_dict=True)
        assert evaluated["accuracy"] == pytest.approx(alone["accuracy"])
        assert evaluated["cross_entropy"] == pytest.approx(alone["cross_entropy"], rel=1e-5)


def test_unlabelled_images_among_mixed_ones():
    images, labels = separable(12)
    rows = np.eye(CLASSES, dtype="float32")[labels] * (np.arange(12) % 3 > 0)[:, None]
    loss = CLCELoss(0.4, ignore_unlabelled=True)
    mixing = ImageMixing(mixup_alpha=1.0, part="contrastive")
    _, logs = compiled(loss, (images, images[:, ::-1]), rows, mixing=mixing)
    assert np.isfinite(logs["loss"]).all() and 0 <= logs["accuracy"][0] <= 1
    assert images.shape[1:] == SHAPE

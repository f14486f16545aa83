"""Batches of P classes with K images each."""

import warnings

import keras
import numpy as np
import pytest

from keras_clce.data import ClassBalancedBatches, ImageSplit
from keras_clce.data.balanced import balanced_order

pytestmark = pytest.mark.any_backend

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), [20, 8, 30, 12, 9] * 2))


def check_batch(labels, images_per_class):
    names, counts = np.unique(labels, return_counts=True)
    assert set(counts) == {images_per_class}
    assert len(names) == len(labels) // images_per_class


def test_every_batch_has_k_images_of_each_of_its_classes_and_none_twice():
    order = balanced_order(LABELS, batch_size=24, images_per_class=4, seed=1, epoch=0)
    assert order.shape == (len(LABELS) // 24, 24)
    for rows in order:
        assert len(set(rows)) == 24
        check_batch(LABELS[rows], 4)


def test_images_of_a_class_are_dealt_out_evenly():
    labels = np.arange(120) % 6
    order = balanced_order(labels, batch_size=12, images_per_class=2, seed=0, epoch=3)
    # All six classes are in each batch, so ten batches deal each of the twenty images out once.
    assert sorted(order.ravel()) == list(range(120))


def test_seed_and_epoch_decide_the_order():
    first, again, other_epoch, other_seed = (
        balanced_order(LABELS, 16, 2, seed, epoch)
        for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other_epoch).any() and (first != other_seed).any()


def test_view_pairs_of_balanced_batches_go_on_where_they_stopped():
    images = np.arange(len(LABELS), dtype=np.uint8)[:, None, None, None]
    split = ImageSplit(np.broadcast_to(images, (len(LABELS), 8, 8, 3)).copy(), LABELS, image_size=8)
    steps = len(LABELS) // 20
    options = {"policy": "none", "seed": 5, "images_per_class": 4}
    batches = list(split.view_pairs(20, **options).take(2 * steps).as_numpy_iterator())
    expected = np.concatenate([balanced_order(LABELS, 20, 4, 5, epoch) for epoch in (0, 1)])
    for ((view, other), labels), rows in zip(batches, expected, strict=True):
        np.testing.assert_array_equal(view[:, 0, 0, 0], rows)
        np.testing.assert_array_equal(view, other)
        np.testing.assert_array_equal(labels, LABELS[rows])
    later = split.view_pairs(20, **options, initial_epoch=1).take(1).as_numpy_iterator()
    np.testing.assert_array_equal(next(later)[1], batches[steps][1])


def test_arrays_and_pairs_in_fit():
    images = np.random.default_rng(0).normal(size=(len(LABELS), 5)).astype("float32")
    batches = ClassBalancedBatches((images, -images), LABELS, batch_size=12, images_per_class=3)
    (view, other), labels = batches[0]
    np.testing.assert_array_equal(view, -other)
    check_batch(labels, 3)
    before = batches[0][1]
    batches.on_epoch_end()
    assert (batches[0][1] != before).any()
    model = keras.Sequential([keras.layers.Dense(10)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    single = ClassBalancedBatches(images, LABELS, batch_size=12, images_per_class=3)
    assert np.isfinite(model.fit(single, epochs=2, verbose=0).history["loss"]).all()


def test_a_class_with_few_images_repeats_them_evenly():
    labels = np.repeat([0, 1, 2, 3], [9, 1, 3, 8])
    order = balanced_order(labels, batch_size=16, images_per_class=4, seed=2, epoch=0)
    for rows in order:
        check_batch(labels[rows], 4)
        assert sorted(np.unique(rows[labels[rows] == 2], return_counts=True)[1]) == [1, 1, 2]
        assert len(set(rows[labels[rows] == 0])) == len(set(rows[labels[rows] == 3])) == 4


def test_repeats_are_said_once_with_the_classes():
    few = r"^2 of 10 classes have fewer than images_per_class = 9 images .*: 1 \(8\), 6 \(8\)$"
    with pytest.warns(UserWarning, match=few) as caught:
        batches = ClassBalancedBatches(np.zeros((len(LABELS), 2)), LABELS, 90, 9)
        batches.on_epoch_end()
    assert len(caught) == 1
    images = np.zeros((12, 8, 8, 3), np.uint8)
    split = ImageSplit(images, np.repeat([0, 1], [10, 2]), 8, class_names=("bus", "tram"))
    with pytest.warns(UserWarning, match=r"^1 of 2 classes .*: tram \(2\)$"):
        pairs = split.view_pairs(6, policy="none", images_per_class=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split.check_balanced(6, 3)
    for _, labels in pairs.take(2):
        assert np.bincount(labels).tolist() == [3, 3]


@pytest.mark.parametrize(
    ("batch_size", "images_per_class", "message"),
    [
        (12, 5, r"divide the batch size, 12\. Received: images_per_class=5"),
        (12, 1, "at least 2"),
        (64, 4, r"at least batch_size / images_per_class = 16 classes\. Received: 10"),
        (200, 20, r"at most the number of examples, \d+\. Received: batch_size=200"),
    ],
)
def test_bad_numbers(batch_size, images_per_class, message):
    with pytest.raises(ValueError, match=message):
        ClassBalancedBatches(np.zeros((len(LABELS), 2)), LABELS, batch_size, images_per_class)

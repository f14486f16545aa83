import sys

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from keras_clce.evaluate import linear_probe, nearest_neighbor_accuracy, top_k_accuracy

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_matches_sklearn(k):
    rng = np.random.default_rng(k)
    scores, labels = rng.normal(size=(200, 7)), rng.integers(0, 7, 200)
    expected = top_k_accuracy_score(labels, scores, k=k, labels=range(7))
    assert top_k_accuracy(labels, scores, k) == pytest.approx(expected)


def test_top_k_gives_nothing_for_equal_scores():
    assert top_k_accuracy(np.zeros(4, int), np.zeros((4, 3))) == 0.0
    assert top_k_accuracy(np.zeros(4, int), np.full((4, 3), np.nan)) == 0.0


@pytest.mark.parametrize("labels", [[0, -1], [0, 2], [0.0, 1.0], [True, False], [[0], [1]], [0]])
def test_top_k_refuses_labels_that_are_no_classes(labels):
    with pytest.raises(ValueError, match=r"Received: .*labels of"):
        top_k_accuracy(np.array(labels), np.eye(2))


def test_top_k_beyond_the_number_of_classes():
    assert top_k_accuracy(np.array([0, 1]), np.eye(2), k=5) == 1.0


def test_top_k_bad_input():
    with pytest.raises(ValueError, match=r"`scores`.*Received"):
        top_k_accuracy(np.zeros(3, int), np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"`k`.*Received: k=0"):
        top_k_accuracy(np.zeros(4, int), np.zeros((4, 2)), k=0)


def test_nearest_neighbor_by_loops():
    rng = np.random.default_rng(1)
    train, test = rng.normal(size=(30, 5)), rng.normal(size=(20, 5))
    train_labels, labels = rng.integers(0, 3, 30), rng.integers(0, 3, 20)
    right = 0
    for row, label in zip(test, labels, strict=True):
        cosines = [row @ other / np.linalg.norm(row) / np.linalg.norm(other) for other in train]
        right += train_labels[int(np.argmax(cosines))] == label
    assert nearest_neighbor_accuracy(train, train_labels, test, labels) == pytest.approx(right / 20)


@pytest.mark.parametrize("k", [1, 5, 100])
def test_of_several_neighbors_most_votes_win(k):
    rng = np.random.default_rng(3)
    train, test = rng.normal(size=(30, 5)), rng.normal(size=(20, 5))
    train_labels, labels = rng.integers(0, 3, 30), rng.integers(0, 3, 20)

    def vote(row, rows, classes):
        cosines = rows @ row / np.linalg.norm(rows, axis=1)
        return np.bincount(classes[np.argsort(-cosines)[:k]], minlength=3).argmax()

    right = [vote(row, train, train_labels) == own for row, own in zip(test, labels, strict=True)]
    got = nearest_neighbor_accuracy(train, train_labels, test, labels, k=k)
    assert got == pytest.approx(np.mean(right))
    left_out = [
        vote(train[i], np.delete(train, i, axis=0), np.delete(train_labels, i)) == train_labels[i]
        for i in range(30)
    ]
    got = nearest_neighbor_accuracy(train, train_labels, k=k)
    assert got == pytest.approx(np.mean(left_out))


def test_nearest_neighbor_refuses_labels_alone_and_no_neighbor():
    with pytest.raises(ValueError, match="`embeddings`"):
        nearest_neighbor_accuracy(np.eye(2), [0, 1], labels=[0, 1])
    with pytest.raises(ValueError, match=r"`k`.*Received: k=0"):
        nearest_neighbor_accuracy(np.eye(2), [0, 1], k=0)


def test_linear_probe_takes_the_strength_that_validation_likes_best():
    rng = np.random.default_rng(2)
    centers = rng.normal(size=(3, 4))
    labels = np.arange(90) % 3
    data = centers[labels] + rng.normal(scale=0.3, size=(90, 4))
    probe = linear_probe(data[:60], labels[:60], data[60:], labels[60:], strengths=(1e-6, 10.0))
    assert probe.C == 10.0
    assert probe.score(data[60:], labels[60:]) > 0.8


def test_linear_probe_without_strengths():
    rows, labels = np.eye(4), np.arange(4) % 2
    with pytest.raises(ValueError, match=r"`strengths` must hold at least one. Received: .*\(\)"):
        linear_probe(rows, labels, rows, labels, strengths=())


@pytest.mark.parametrize(
    ("place", "wrong", "message"),
    [
        (0, np.zeros(4), r"`train_embeddings` must be numbers of shape .*Received: train_embed"),
        (1, np.zeros(3, int), r"`train_labels` must hold 4 labels.*Received: .*shape \(3,\)"),
        (2, np.full((4, 4), np.nan), r"embeddings` must be finite. Received: 4 rows"),
        (3, np.int64(1), r"labels` must hold 4 labels.*Received: .*labels of shape \(\)"),
    ],
)
@pytest.mark.parametrize("metric", [nearest_neighbor_accuracy, linear_probe])
def test_examples_that_do_not_fit_are_refused(metric, place, wrong, message):
    examples = [np.eye(4), np.arange(4) % 2, np.eye(4), np.arange(4) % 2]
    metric(*examples)
    examples[place] = wrong
    with pytest.raises(ValueError, match=message):
        metric(*examples)


@pytest.mark.parametrize(
    ("metric", "module", "purpose"),
    [
        (nearest_neighbor_accuracy, "sklearn.neighbors", "Nearest-neighbour accuracy"),
        (linear_probe, "sklearn.linear_model", "A linear probe"),
    ],
)
def test_a_missing_scikit_learn_is_named(monkeypatch, metric, module, purpose):
    monkeypatch.setitem(sys.modules, module, None)
    rows, labels = np.eye(4), np.arange(4) % 2
    with pytest.raises(ImportError, match=f"^{purpose} needs sklearn.*pip install scikit-learn$"):
        metric(rows, labels, rows, labels)

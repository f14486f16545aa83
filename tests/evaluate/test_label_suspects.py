"""Examples whose label is contradicted."""

import numpy as np
import pytest

from keras_clce.evaluate import label_suspects

pytestmark = pytest.mark.any_backend


def clusters(classes=5, each=8, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    return 3 * np.eye(classes, dim)[labels] + rng.normal(size=(len(labels), dim)), labels


@pytest.mark.parametrize("by", [None, "neighbors", "classifier", "both"])
def test_numbers_by_loops(by):
    rows, labels = clusters()
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(5), len(labels))
    k, temperature = 4, 0.2
    found = label_suspects(rows, labels, probabilities, k, temperature, by=by)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for place in range(len(labels)):
        cosines = {j: units[place] @ units[j] for j in range(len(labels)) if j != place}
        nearest = sorted(cosines, key=cosines.get)[::-1][:k]
        assert found.neighbors[place].tolist() == nearest
        votes = np.zeros(5)
        for j in nearest:
            votes[labels[j]] += np.exp(cosines[j] / temperature)
        share = votes[labels[place]] / votes.sum()
        confidence = probabilities[place, labels[place]]
        assert found.neighbor_share[place] == pytest.approx(share, abs=1e-6)
        assert found.neighbor_labels[place] == votes.argmax()
        assert found.confidence[place] == pytest.approx(confidence)
        assert found.predicted[place] == probabilities[place].argmax()
        sums = {"neighbors": 2 * share, "classifier": 2 * confidence}
        expected = 1 - sums.get(by, share + confidence) / 2
        assert found.suspicion[place] == pytest.approx(expected, abs=1e-6)
    suspicion = found.suspicion[found.ranked]
    assert (suspicion[:-1] >= suspicion[1:]).all()


def test_flipped_labels_come_first():
    rows, labels = clusters(each=20)
    rng = np.random.default_rng(2)
    flipped = rng.choice(len(labels), 5, replace=False)
    given = labels.copy()
    given[flipped] = (labels[flipped] + 1 + rng.integers(0, 4, 5)) % 5
    found = label_suspects(rows, given)
    assert {*found.ranked[:5]} == {*flipped}
    np.testing.assert_array_equal(found.neighbor_labels[flipped], labels[flipped])
    assert found.confidence is None and found.predicted is None


def test_an_example_is_no_neighbour_of_itself_among_equal_ones():
    rows = np.ones((30, 3))
    found = label_suspects(rows, np.arange(30), k=5)
    assert found.neighbors.shape == (30, 5)
    assert not (found.neighbors == np.arange(30)[:, None]).any()
    np.testing.assert_array_equal(found.neighbor_share, 0)


def test_of_equally_suspect_ones_the_classifier_tells():
    probabilities = np.array([[0.2, 0.8], [0.9, 0.1], [0.4, 0.6]])
    found = label_suspects(np.ones((3, 2)), np.array([0, 0, 0]), probabilities, by="neighbors")
    np.testing.assert_array_equal(found.suspicion, 0)
    np.testing.assert_array_equal(found.ranked, [0, 2, 1])


def test_few_examples_are_all_neighbours():
    found = label_suspects(np.eye(3), np.array([0, 0, 1]), k=10)
    assert found.neighbors.shape == (3, 2)
    np.testing.assert_allclose(found.suspicion, [0.5, 0.5, 1])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((np.eye(3), [0, 1]), "`labels` must be 3 integer classes"),
        ((np.eye(3), [0, 1, -1]), "`labels` must be integers within"),
        ((np.eye(1), [0]), "`embeddings` must be two or more"),
        ((np.eye(3), [0, 1, 2], np.eye(2)), "`probabilities` must have a row for each of 3"),
        ((np.eye(3), [0, 1, 2], np.eye(3)[:, :2]), r"within \[0, 2\)"),
        ((np.eye(3), [0, 1, 2], None, 0), "`k` must be a whole number"),
        ((np.eye(3), [0, 1, 2], None, 1, 0.0), "`temperature` must be a number above 0"),
        ((np.eye(3), [0, 1, 2], None, 1, 0.1, "both"), "`by` must be one of neighbors"),
        ((np.eye(3), [0, 1, 2], np.eye(3), 1, 0.1, "all"), "`by` must be one of neighbors"),
        ((np.zeros((3, 2)), [0, 1, 2]), "`embeddings` must have no zero row"),
    ],
)
def test_what_is_wrong_is_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        label_suspects(*arguments)

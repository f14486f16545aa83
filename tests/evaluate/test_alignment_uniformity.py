"""Alignment, uniformity and class separation, against loops and known values."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from keras_clce.evaluate import alignment, class_separation, uniformity

pytestmark = pytest.mark.any_backend


@pytest.fixture
def groups():
    rng = np.random.default_rng(0)
    # Classes of unlike sizes.
    labels = np.repeat([3, 0, 5], [20, 7, 3])
    return rng.normal(size=(30, 4)) + np.eye(6, 4)[labels], labels


def units_of(rows):
    return [row / math.sqrt(sum(x * x for x in row)) for row in rows]


@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.0])
def test_alignment_by_loops(groups, alpha):
    units, labels = units_of(groups[0]), groups[1]
    distances = [
        math.dist(units[i], units[j]) ** alpha
        for i in range(30)
        for j in range(i)
        if labels[i] == labels[j]
    ]
    assert alignment(*groups, alpha=alpha) == pytest.approx(sum(distances) / len(distances))


@pytest.mark.parametrize("t", [0.5, 2.0])
def test_uniformity_by_scipys_distances(groups, t):
    distances = pdist(np.array(units_of(groups[0])))
    expected = math.log(np.mean(np.exp(-t * distances**2)))
    assert uniformity(groups[0], t=t) == pytest.approx(expected)


def test_class_separation_by_loops(groups):
    units, labels = np.array(units_of(groups[0])), groups[1]
    classes = [units[labels == label] for label in (0, 3, 5)]

    def distance(one, other):
        return np.mean([1 - a @ b for a in one for b in other])

    within = np.mean([distance(rows, rows) for rows in classes])
    total = np.mean([distance(one, other) for one in classes for other in classes])
    assert class_separation(*groups) == pytest.approx(1 - within / total)


def test_known_values():
    points = np.repeat(np.eye(3), 4, axis=0)
    labels = np.repeat([0, 1, 2], 4)
    assert alignment(points, labels) == 0
    assert class_separation(points, labels) == pytest.approx(1)
    # 18 pairs at distance 0, 48 at √2.
    assert uniformity(points) == pytest.approx(math.log((18 + 48 * math.exp(-4)) / 66))
    one_point = np.ones((5, 3), "float32")
    assert uniformity(one_point) == pytest.approx(0, abs=1e-6)
    assert class_separation(one_point, [0, 0, 1, 1, 1]) == 0
    # Opposite points are as far apart as can be.
    assert alignment([[1.0, 0.0], [-2.0, 0.0]], [0, 0]) == pytest.approx(4)


def test_an_even_sphere_is_near_the_limit():
    # Of a sphere in d dimensions the mean of e^(2t cos) is 0F1(d/2, t²), by Bessel's integral.
    from scipy.special import hyp0f1

    rows = np.random.default_rng(2).normal(size=(3000, 16)).astype("float32")
    expected = math.log(math.exp(-4) * hyp0f1(8, 4.0))
    assert uniformity(rows) == pytest.approx(expected, abs=0.01)
    assert uniformity(rows, max_examples=500) == pytest.approx(expected, abs=0.03)
    assert uniformity(rows, max_examples=500) == uniformity(rows, max_examples=500)


@pytest.mark.parametrize(
    ("measure", "arguments", "message"),
    [
        (alignment, (np.eye(2), [0, 1]), "two examples of one class. Received: 2 labels"),
        (alignment, (np.eye(2), [0]), r"`labels` must have shape \(2,\)"),
        (alignment, (np.eye(2), [0, 0], 2.0, 1), "max_examples=1"),
        (uniformity, (np.ones((1, 3)),), "two rows or more. Received: 1 row"),
        (uniformity, (3.0,), r"`embeddings` must be numbers of shape \(examples, dim\)"),
        (uniformity, (np.zeros((2, 2)),), "2 zero rows"),
        (class_separation, (np.eye(2), [[0], [1]]), "`labels` must have shape"),
    ],
)
def test_bad_arguments_are_named(measure, arguments, message):
    with pytest.raises(ValueError, match=message):
        measure(*arguments)

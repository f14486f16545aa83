"""Few-shot tasks: what is drawn, from what seed, and their fingerprints."""

import hashlib

import numpy as np
import pytest
from drawn_tasks import all_tasks
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize

from keras_clce.evaluate import (
    compare,
    draw_tasks,
    few_shot_accuracy,
    tasks,
)

pytestmark = pytest.mark.any_backend

DIGITS = load_digits(return_X_y=True)


def test_tasks_have_what_was_asked_for_and_no_example_twice():
    labels = np.repeat([3, 5, 8, 13, 21, 34], [30, 20, 25, 20, 40, 22])
    tasks = all_tasks(labels, ways=4, shots=3, queries=15, tasks=150, seed=2)
    assert len(tasks) == 150
    for classes, support, queries in tasks:
        assert len(set(classes)) == 4
        assert support.shape == (4, 3) and queries.shape == (4, 15)
        assert len(set(support.ravel()) | set(queries.ravel())) == 4 * 18
        for name, rows in zip(classes, np.hstack([support, queries]), strict=True):
            assert set(labels[rows]) == {name}


def test_a_seed_means_the_same_tasks_and_a_longer_run_begins_like_a_shorter():
    labels = np.arange(600) % 10
    numbers = {"ways": 5, "shots": 1, "queries": 5}
    short, long, other = (
        all_tasks(labels, **numbers, tasks=tasks, seed=seed)
        for tasks, seed in ((70, 1), (130, 1), (70, 2))
    )
    for a, b in zip(short, long, strict=False):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left, right)
    assert any((a[1] != b[1]).any() for a, b in zip(short, other, strict=True))


def test_classes_and_examples_are_drawn_evenly():
    labels = np.repeat(np.arange(8), [20, 25, 30, 35, 20, 25, 30, 35])
    tasks = all_tasks(labels, ways=4, shots=1, queries=5, tasks=4000)
    classes = np.bincount(np.concatenate([task[0] for task in tasks]), minlength=8)
    assert stats.chisquare(classes).pvalue > 1e-3
    support = np.bincount(np.concatenate([task[1].ravel() for task in tasks]), minlength=220)
    for number in range(8):
        assert stats.chisquare(support[labels == number]).pvalue > 1e-4


def test_dirichlet_tasks_divide_their_queries_between_the_classes():
    labels = np.repeat([3, 5, 8, 13], [70, 60, 65, 70])
    numbers = {"ways": 3, "shots": 2, "queries": 15, "query_distribution": "dirichlet"}
    shares = []
    for drawn in draw_tasks(labels, **numbers, tasks=600, seed=4):
        for classes, support, queries, places in zip(
            drawn.classes, drawn.support, drawn.queries, drawn.query_classes, strict=True
        ):
            assert support.shape == (3, 2) and queries.shape == places.shape == (45,)
            assert len(set(support.ravel()) | set(queries)) == 3 * 2 + 45
            np.testing.assert_array_equal(labels[support], np.repeat(classes[:, None], 2, axis=1))
            np.testing.assert_array_equal(labels[queries], classes[places])
            shares.append(np.bincount(places, minlength=3) / 45)
    shares = np.array(shares)
    assert len(shares) == 600
    # Of three shares with α = 2 each one is a Beta(2, 4); rounding moves it by less than 1/45.
    np.testing.assert_allclose(shares.mean(axis=0), 1 / 3, atol=0.025)
    for column in shares.T:
        smooth = column + np.random.default_rng(0).uniform(-0.5, 0.5, 600) / 45
        assert stats.kstest(smooth, stats.beta(2, 4).cdf).pvalue > 1e-3


def test_shares_are_rounded_by_largest_remainders():
    shares = np.array([[0.25, 0.25, 0.5], [0.335, 0.335, 0.33], [0.02, 0.97, 0.01], [0, 1, 0]])
    # Of 10: 2.5, 2.5, 5; 3.35, 3.35, 3.3; 0.2, 9.7, 0.1; 0, 10, 0.
    expected = [[3, 2, 5], [4, 3, 3], [0, 10, 0], [0, 10, 0]]
    np.testing.assert_array_equal(tasks._whole_parts(shares, 10), expected)


def test_dirichlet_tasks_are_those_of_their_seed_and_count_each_query_once():
    features, labels = DIGITS
    numbers = {"ways": 4, "shots": 2, "queries": 10, "query_distribution": "dirichlet"}
    options = {**numbers, "classifier": "nearest_centroid"}
    short, long, other = (
        few_shot_accuracy(features, labels, **options, tasks=tasks, seed=seed)
        for tasks, seed in ((270, 1), (300, 1), (270, 2))
    )
    np.testing.assert_array_equal(short.accuracies, long.accuracies[:270])
    assert (short.accuracies != other.accuracies).any()
    expected = []
    for drawn in draw_tasks(labels, **numbers, tasks=270, seed=1):
        for classes, support, queries in zip(
            drawn.classes, drawn.support, drawn.queries, strict=True
        ):
            rows = normalize(features)
            model = NearestCentroid().fit(rows[support.ravel()], np.repeat(classes, 2))
            expected.append(np.mean(model.predict(rows[queries]) == labels[queries]))
    np.testing.assert_allclose(short.accuracies, expected)
    assert short.as_dict()["query_distribution"] == "dirichlet"


def test_fingerprints_of_balanced_tasks_are_those_that_saved_results_have():
    features, labels = DIGITS
    numbers = {"ways": 3, "shots": 2, "queries": 4, "tasks": 5, "seed": 6}
    drawn = next(draw_tasks(labels, **numbers))
    expected = hashlib.sha256(b"[3, 2, 4, 5, 6]")
    for rows in (labels, drawn.support, drawn.queries):
        expected.update(np.ascontiguousarray(rows, "int64").tobytes())
    options = {**numbers, "classifier": "cosine"}
    assert few_shot_accuracy(features, labels, **options).drawn_from == expected.hexdigest()
    unbalanced = few_shot_accuracy(features, labels, **options, query_distribution="dirichlet")
    assert unbalanced.drawn_from != expected.hexdigest()
    with pytest.raises(ValueError, match="on the same tasks"):
        compare(unbalanced, few_shot_accuracy(features, labels, **options))

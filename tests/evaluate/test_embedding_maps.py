"""Embeddings in two dimensions."""

import numpy as np
import pytest

from keras_clce.evaluate import embedding_map

pytestmark = pytest.mark.any_backend


def groups(examples=60, dim=8):
    labels = np.arange(examples) % 3
    rows = np.random.default_rng(0).normal(scale=0.1, size=(examples, dim))
    return rows + np.eye(3, dim)[labels], labels


def test_pca_keeps_the_largest_singular_vectors():
    rows, _ = groups()
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    centred = units - units.mean(axis=0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    got = embedding_map(5 * rows, "pca")
    # A direction has no sign of its own.
    np.testing.assert_allclose(np.abs(got.points), np.abs(centred @ directions[:2].T), atol=1e-9)
    assert got.explained == pytest.approx(np.sum(lengths[:2] ** 2) / np.sum(lengths**2))


def test_tsne_keeps_groups_together_and_follows_its_seed():
    rows, labels = groups()
    one, same = (embedding_map(rows, "tsne", seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.points, same.points)
    assert one.explained is None
    distances = np.linalg.norm(one.points[:, None] - one.points, axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert np.mean(labels[distances.argmin(axis=1)] == labels) == 1


def test_four_examples_are_enough():
    assert np.isfinite(embedding_map(np.eye(4), "tsne").points).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.eye(4), "umap"), r"`method` must be one of \('tsne', 'pca'\)"),
        ((np.eye(3),), r"4 rows or more of 2 dimensions or more. Received: .*\(3, 3\)"),
        ((np.ones((5, 1)),), r"\(5, 1\)"),
        ((np.zeros((4, 4)),), "4 zero rows"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        embedding_map(*arguments)

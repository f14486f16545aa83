"""Meta-QDA's prior, learned on episodes."""

import keras
import numpy as np
import pytest

from keras_clce.evaluate import NormalInverseWishart, few_shot_accuracy, predict_tasks
from keras_clce.evaluate.task_classifiers import meta_prior

SIZES = {"ways": 3, "shots": 2, "queries": 5}


def classes_with_prior(classes, examples=24, dim=5, seed=0):
    """Classes whose means differ along the first axes and whose rows along the last."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(classes, dim)) * np.linspace(1.5, 0.1, dim)
    labels = np.repeat(np.arange(classes), examples)
    rows = rng.normal(size=(len(labels), dim)) * np.linspace(0.5, 2.0, dim)
    return (means[labels] + rows).astype("float32"), labels


@pytest.mark.parametrize("variant", ["fb", "map"])
def test_episodes_are_scored_as_the_classifier_scores_tasks(variant):
    """Then what is learned is what will be used; the classifier's scores are tested with SciPy."""
    rng = np.random.default_rng(0)
    factor = np.tril(rng.normal(size=(4, 4))) + 2 * np.eye(4)
    prior = NormalInverseWishart(rng.normal(size=4), 0.7, 6.5, factor @ factor.T)
    support, queries = rng.normal(size=(2, 3, 2, 4)), rng.normal(size=(2, 6, 4))
    _, expected = predict_tasks(
        support, queries, "meta_qda", scores=True, prior=prior, variant=variant
    )
    root = np.linalg.cholesky(prior.scale)
    layer = meta_prior._Discriminant(prior, root, variant, 0.3, dtype="float32")
    rows = [
        np.linalg.solve(root, (some - prior.mean)[..., None])[..., 0].astype("float32")
        for some in (support, queries)
    ]
    received = keras.ops.convert_to_numpy(layer(rows))
    # Constants that all classes of a task share are left out.
    np.testing.assert_allclose(
        received - received[..., :1], expected - expected[..., :1], rtol=1e-3, atol=1e-3
    )
    untouched = layer.prior(prior, root)
    for name in ("mean", "kappa", "nu", "scale"):
        np.testing.assert_allclose(getattr(untouched, name), getattr(prior, name), rtol=1e-5)


def test_a_prior_that_is_learned_fits_new_classes_better_and_is_the_same_again():
    base, labels = classes_with_prior(12)
    keras.utils.set_random_seed(3)
    learned = [
        NormalInverseWishart.from_episodes(
            base, labels, **SIZES, episodes=160, learning_rate=0.05, seed=1
        )
        for _ in range(2)
    ]
    for name in ("mean", "kappa", "nu", "scale"):
        a, b = (getattr(prior, name) for prior in learned)
        np.testing.assert_array_equal(a, b)
    novel, of = classes_with_prior(40, seed=1)
    means = [
        few_shot_accuracy(
            novel,
            of,
            **SIZES,
            tasks=500,
            classifier="meta_qda",
            transform=None,
            classifier_options={"prior": prior},
        ).mean
        for prior in (NormalInverseWishart(np.zeros(5), 0.1, 6.0, np.eye(5)), learned[0])
    ]
    assert means[1] > means[0] + 0.02


def test_the_classifier_learns_the_prior_for_its_own_scores(monkeypatch):
    asked = {}

    def learn(start, features, labels, variant, regularization, size, learning_rate):
        asked.update(variant=variant, regularization=regularization, shape=features.shape)
        return start

    monkeypatch.setattr(meta_prior, "learn_prior", learn)
    base, labels = classes_with_prior(5, dim=4)
    predict_tasks(
        *(np.zeros((1, 2, 2, 4)), np.zeros((1, 3, 4))),
        "meta_qda",
        base,
        labels,
        prior="meta",
        variant="map",
        regularization=0.1,
    )
    assert asked == {"variant": "map", "regularization": 0.1, "shape": (120, 4)}


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variant": "ml"}, r"`variant` must be one of fb, map"),
        ({"episodes": 0}, r"`episodes` must be a whole number of at least 1"),
        ({"learning_rate": 0}, r"`learning_rate` must be a finite number above 0"),
        ({"regularization": -1}, r"`regularization` must be a number in 0..1"),
        ({"ways": 9}, r"`ways` must be at most the number of classes, 5"),
    ],
)
def test_bad_input(change, message):
    base, labels = classes_with_prior(5, dim=4)
    with pytest.raises(ValueError, match=message):
        NormalInverseWishart.from_episodes(base, labels, **change)

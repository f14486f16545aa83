"""What holds of all task classifiers, and what they refuse."""

import numpy as np
import pytest
from random_tasks import random_tasks

from keras_clce.evaluate import TASK_CLASSIFIERS, NormalInverseWishart, predict_tasks

pytestmark = pytest.mark.any_backend

TRANSDUCTIVE = {
    "transductive_finetuning",
    "soft_kmeans",
    "bavardage",
    "bd_cspn",
    "laplacian_shot",
    "pt_map",
    "tim",
}


# === What holds of all ===


def arguments(name, **sizes):
    """Support, queries and base features that fit a classifier."""
    kind = TASK_CLASSIFIERS[name]()
    support, queries, base, of = random_tasks(tokens=6 if kind.tokens else None, **sizes)
    return support, queries, name, *((base, of) if kind.base_features else (None, None))


@pytest.mark.parametrize("name", TASK_CLASSIFIERS)
def test_only_transductive_classifiers_see_the_queries_of_a_task_together(name):
    support, queries, *rest = arguments(name, tasks=12)
    together = predict_tasks(support, queries, *rest)
    alone = np.concatenate(
        [predict_tasks(support, queries[:, [place]], *rest) for place in range(queries.shape[1])],
        axis=1,
    )
    assert TASK_CLASSIFIERS[name].transductive == (name in TRANSDUCTIVE)
    if name in TRANSDUCTIVE - {"transductive_finetuning", "tim"}:
        assert (together != alone).any()
    elif name not in TRANSDUCTIVE:
        np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("name", TASK_CLASSIFIERS)
def test_tasks_do_not_depend_on_those_beside_them(name):
    support, queries, *rest = arguments(name, tasks=70, queries=4)
    _, scores = predict_tasks(support, queries, *rest, scores=True)
    for place in (0, 40, 69):
        _, alone = predict_tasks(support[[place]], queries[[place]], *rest, scores=True)
        np.testing.assert_allclose(scores[[place]], alone, rtol=1e-4, atol=1e-3)


def degenerate(name, dim):
    """Tasks with equal rows, zero rows, a class all alike, and features far from 1."""
    support, queries, *rest = arguments(name, tasks=7, dim=dim, shots=2, queries=3)
    queries = queries.copy()
    support[0], queries[0] = 1.0, 1.0
    support[1], queries[1] = 0.0, 0.0
    support[2, 0] = support[2, 0, :1]
    queries[3] = support[3, 0, 0]
    support[4] *= 1e12
    queries[4] *= 1e12
    support[5] *= 1e-20
    queries[5] *= 1e-20
    support[6], queries[6] = support[6, :1], support[6, 0, 0]
    return support, queries, *rest


# scikit-learn warns of logistic regression of features that are a million million long.
@pytest.mark.filterwarnings("error::RuntimeWarning", "default::scipy.linalg.LinAlgWarning")
@pytest.mark.parametrize("dim", [1, 3, 90])
@pytest.mark.parametrize("name", TASK_CLASSIFIERS)
def test_degenerate_tasks_have_finite_scores(name, dim):
    support, queries, *rest = degenerate(name, dim)
    for some in (queries, queries[:, :1]):
        classes, scores = predict_tasks(support, some, *rest, scores=True)
        assert np.isfinite(scores).all()
        np.testing.assert_array_equal(classes, scores.argmax(axis=-1))
    many = predict_tasks(*arguments(name, tasks=1, ways=20, shots=1, queries=1, dim=dim))
    assert many.shape == (1, 20) and 0 <= many.min() and many.max() < 20


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("name", ["simple_shot", "soft_kmeans", "bavardage", "meta_qda"])
def test_degenerate_base_classes_have_finite_scores(name):
    support, queries, base, _ = random_tasks(tasks=1)
    for rows in (0 * base, np.ones_like(base), np.repeat(base[:8], 20, axis=0), base[:8]):
        labels = np.arange(len(rows)) if len(rows) == 8 else np.repeat(np.arange(8), 20)
        _, scores = predict_tasks(support, queries, name, rows, labels, scores=True)
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", TASK_CLASSIFIERS)
def test_easy_tasks_are_solved(name):
    rng = np.random.default_rng(0)
    extra = (6,) if TASK_CLASSIFIERS[name].tokens else ()
    centers = np.abs(rng.normal(size=(3, 5, 1, *(1 for _ in extra), 30))) * 3
    support, queries = (
        centers + 0.05 * rng.normal(size=(3, 5, shots, *extra, 30)) for shots in (3, 6)
    )
    base = rng.normal(size=(8, 30))[np.arange(200) % 8] + 0.1 * rng.normal(size=(200, 30))
    base = base, np.arange(200) % 8
    if TASK_CLASSIFIERS[name]().base_features is None:
        base = None, None
    predicted = predict_tasks(support, queries.reshape(3, 30, *extra, 30), name, *base)
    np.testing.assert_array_equal(predicted, np.tile(np.repeat(np.arange(5), 6), (3, 1)))


# === Bad input ===


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classifier": "svm"}, r"`classifier` must be one of logistic, .*Received: classifier='s"),
        ({"classifier": "bavardage"}, r"bavardage needs `base_features` and `base_labels`"),
        ({"classifier": "meta_qda"}, r"meta_qda needs `base_features`"),
        ({"classifier": "fewture"}, r"`support` must be numbers of shape .*tokens.*fewture takes"),
        ({"support": np.zeros((1, 2, 2, 6, 3))}, r"patch tokens are what fewture takes"),
        ({"support": np.zeros((1, 1, 2, 3))}, r"`support` must have two classes"),
        ({"support": np.full((1, 2, 2, 3), np.nan)}, r"`support` must be finite"),
        ({"queries": np.full((1, 4, 3), np.inf)}, r"`queries` must be finite"),
        ({"queries": np.full((1, 4, 3), 1e20)}, r"`queries` must lie within"),
        ({"queries": np.zeros((2, 4, 3))}, r"`queries` must be as many tasks as `support`"),
        ({"queries": np.zeros((1, 4, 5))}, r"`queries` must be as many tasks as `support`"),
        ({"queries": "features"}, r"`queries` must be numbers of shape \(tasks, examples, dim\)"),
        ({"temperature": 1.0}, r"Options of the classifier logistic are none. .*temperature=1.0"),
        ({"classifier": "tim", "rate": 1}, r"are steps, learning_rate, .*Received: rate=1"),
        ({"classifier": "tim", "temperature": 0}, r"`temperature` must be .*above 0. Received"),
        ({"classifier": "tim", "steps": 1.5}, r"`steps` must be a whole number"),
        ({"classifier": "tim", "marginal_entropy_weight": -1}, r"`marginal_entropy_weight`.*least"),
        ({"classifier": "pt_map", "power": np.nan}, r"`power` must be a finite number"),
        ({"classifier": "bavardage", "balanced": "no"}, r"`balanced` must be True or False"),
        ({"classifier": "meta_qda", "variant": "ml"}, r"`variant` must be one of fb, map"),
        ({"classifier": "meta_qda", "prior": "flat"}, r"`prior` must be"),
        ({"classifier": "meta_qda", "regularization": 2}, r"`regularization` must be .* 0..1"),
        (
            {"classifier": "transductive_finetuning", "similarity": "dot"},
            r"`similarity` must be one of euclidean, cosine",
        ),
    ],
)
def test_bad_input(change, message):
    given = {"support": np.zeros((1, 2, 2, 3)), "queries": np.zeros((1, 4, 3)), **change}
    with pytest.raises(ValueError, match=message):
        predict_tasks(**given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_features": np.zeros((6, 4))}, r"`base_features` must have 3 dimensions"),
        ({"base_features": np.full((6, 3), np.nan)}, r"`base_features` must be finite"),
        ({"base_features": np.zeros((6, 2, 3))}, r"`base_features` must be numbers of shape"),
        ({"base_labels": None}, r"bavardage needs `base_labels`"),
        ({"base_labels": np.zeros(6, int)}, r"`base_labels` must have two classes"),
        ({"base_labels": np.arange(5)}, r"`base_labels` must be integers of shape \(6,\)"),
        ({"base_labels": np.arange(6) / 2}, r"`base_labels` must be integers"),
    ],
)
def test_bad_base_classes(change, message):
    given = {"base_features": np.eye(6)[:, :3], "base_labels": np.arange(6) % 2, **change}
    with pytest.raises(ValueError, match=message):
        predict_tasks(np.zeros((1, 2, 2, 3)), np.zeros((1, 4, 3)), "bavardage", **given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": np.eye(3)}, r"`scale` must be symmetric and of shape \(2, 2\)"),
        ({"scale": np.array([[1.0, 2.0], [0.0, 1.0]])}, r"`scale` must be symmetric"),
        ({"scale": -np.eye(2)}, r"`scale` must be positive definite"),
        ({"nu": 1.0}, r"`nu` must be above dim - 1 = 1"),
        ({"kappa": 0.0}, r"`kappa` must be a finite number above 0"),
        ({"mean": [0.0, np.nan]}, r"`mean` must be finite"),
    ],
)
def test_bad_priors(change, message):
    given = {"mean": np.zeros(2), "kappa": 1.0, "nu": 4.0, "scale": np.eye(2), **change}
    with pytest.raises(ValueError, match=message):
        NormalInverseWishart(**given)


def test_a_prior_of_other_dimensions_is_refused():
    prior = NormalInverseWishart(np.zeros(2), 1.0, 4.0, np.eye(2))
    with pytest.raises(ValueError, match=r"`prior` must be one of features with 3 dimensions"):
        predict_tasks(np.zeros((1, 2, 2, 3)), np.zeros((1, 4, 3)), "meta_qda", prior=prior)

"""Few-shot evaluation, against scikit-learn, SciPy and loops."""

import json

import numpy as np
import pytest
from drawn_tasks import all_tasks
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from keras_clce.evaluate import (
    check_tasks,
    classify_tasks,
    compare,
    draw_tasks,
    few_shot_accuracy,
    predict_tasks,
)

pytestmark = pytest.mark.any_backend

DIGITS = load_digits(return_X_y=True)
SKLEARN = {
    "logistic": lambda: LogisticRegression(C=1, tol=1e-8, max_iter=10_000),
    "nearest_centroid": NearestCentroid,
}


def loop_predictions(features, labels, build, **numbers):
    """One scikit-learn classifier after the other; classes as their place in the task."""
    predictions = []
    # On so little data the threads of BLAS wait for each other most of the time.
    with threadpool_limits(1):
        for classes, support, queries in all_tasks(labels, **numbers):
            known = np.repeat(np.arange(len(classes)), numbers["shots"])
            model = build().fit(features[support.ravel()], known)
            predictions.append(model.predict(features[queries.ravel()]).reshape(queries.shape))
    return np.array(predictions)


def accuracies_of(predictions):
    truth = np.arange(predictions.shape[1])[:, None]
    return (predictions == truth).mean(axis=(1, 2))


# === Classifiers ===


@pytest.mark.parametrize("shots", [1, 5])
def test_logistic_predicts_what_scikit_learn_predicts(shots):
    features, labels = DIGITS
    numbers = {"ways": 5, "shots": shots, "queries": 15, "tasks": 500, "seed": 3}
    theirs = loop_predictions(normalize(features), labels, SKLEARN["logistic"], **numbers)
    ours = np.concatenate(list(classify_tasks(features, draw_tasks(labels, **numbers))))
    assert np.mean(ours == theirs) >= 0.995
    mean = few_shot_accuracy(features, labels, **numbers).mean
    assert mean == pytest.approx(accuracies_of(theirs).mean(), abs=0.0005)
    assert 0.5 < mean < 0.99


@pytest.mark.parametrize(("ways", "length"), [(2, 1), (3, 20), (5, 60), (5, 800)])
def test_logistic_of_two_ways_and_of_long_features(ways, length):
    """Two classes have one vector of weights in scikit-learn; long features take many steps."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 20)
    latent = rng.normal(size=(6, 12))[labels] + rng.normal(size=(120, 12))
    features = np.maximum(latent @ rng.normal(size=(12, 64)), 0)
    features *= length / np.linalg.norm(features, axis=1).mean()
    numbers = {"ways": ways, "shots": 5, "queries": 15, "tasks": 40, "seed": 0}
    ours = classify_tasks(features, draw_tasks(labels, **numbers), transform=None)

    def precise():
        return LogisticRegression(C=1, solver="newton-cholesky", tol=1e-9, max_iter=1000)

    theirs = loop_predictions(features, labels, precise, **numbers)
    assert np.mean(np.concatenate(list(ours)) == theirs) >= 0.999


@pytest.mark.parametrize(
    ("dtype", "factor"),
    [("float32", 1e19), ("float32", 1e-25), ("float64", 1e60), ("float64", 1e-200)],
)
def test_normalised_features_may_be_of_any_length(dtype, factor):
    features, labels = DIGITS
    numbers = {"tasks": 40, "classifier": "nearest_centroid"}
    expected = few_shot_accuracy(features, labels, **numbers).accuracies
    scaled = features.astype(dtype) * np.asarray(factor, dtype)
    received = few_shot_accuracy(scaled, labels, **numbers).accuracies
    np.testing.assert_allclose(received, expected, atol=1.01 / 75)


def test_logistic_of_many_ways_and_dimensions():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(25), 12)
    features = rng.normal(size=(25, 2048))[labels] * 0.2 + rng.normal(size=(300, 2048))
    numbers = {"ways": 20, "shots": 5, "queries": 6, "tasks": 8, "seed": 0}
    ours = few_shot_accuracy(features, labels, **numbers)
    theirs = loop_predictions(normalize(features), labels, SKLEARN["logistic"], **numbers)
    np.testing.assert_allclose(ours.accuracies, accuracies_of(theirs), atol=0.01)


def test_nearest_centroid_equals_scikit_learns():
    features, labels = DIGITS
    numbers = {"ways": 4, "shots": 3, "queries": 10, "tasks": 100, "seed": 1}
    for transform, given in ((None, features), ("l2", normalize(features))):
        ours = few_shot_accuracy(
            features, labels, **numbers, classifier="nearest_centroid", transform=transform
        )
        theirs = loop_predictions(given, labels, SKLEARN["nearest_centroid"], **numbers)
        np.testing.assert_allclose(ours.accuracies, accuracies_of(theirs), atol=1e-6)


def test_cosine_and_centering_equal_a_loop():
    features, labels = DIGITS
    center = features[:500].mean(axis=0)
    numbers = {"ways": 3, "shots": 2, "queries": 8, "tasks": 60, "seed": 0}
    ours = few_shot_accuracy(
        features, labels, **numbers, classifier="cosine", transform="cl2", center=center
    )
    rows = normalize(features - center)
    for accuracy, (_, support, queries) in zip(
        ours.accuracies, all_tasks(labels, **numbers), strict=True
    ):
        means = [rows[class_rows].mean(axis=0) for class_rows in support]
        right = [
            np.argmax([query @ mean / np.linalg.norm(mean) for mean in means]) == number
            for number, class_rows in enumerate(queries)
            for query in rows[class_rows]
        ]
        assert accuracy == pytest.approx(np.mean(right))


def test_features_of_other_frameworks():
    features, labels = DIGITS
    numbers = {"tasks": 70, "classifier": "nearest_centroid"}
    expected = few_shot_accuracy(features, labels, **numbers).accuracies
    torch = pytest.importorskip("torch")
    jax = pytest.importorskip("jax")
    import tensorflow as tf

    for convert in (torch.tensor, tf.constant, jax.numpy.asarray):
        received = few_shot_accuracy(convert(features), convert(labels), **numbers).accuracies
        np.testing.assert_array_equal(received, expected)
    # Digits are whole numbers up to 16, which bfloat16 holds exactly.
    for tensor in (
        torch.tensor(features, requires_grad=True),
        torch.tensor(features, dtype=torch.bfloat16),
        tf.constant(features, tf.bfloat16),
    ):
        received = few_shot_accuracy(tensor, labels, **numbers).accuracies
        np.testing.assert_allclose(received, expected, atol=1.01 / 75)


@pytest.mark.parametrize("transform", ["l2", "cl2", None])
def test_classifiers_of_base_classes_get_them_transformed_as_the_features_are(transform):
    features, labels = DIGITS
    rng = np.random.default_rng(0)
    base, of = features[:600] + rng.normal(size=(600, 64)), labels[:600]
    center = base.mean(axis=0) if transform == "cl2" else None
    numbers = {"ways": 4, "shots": 2, "queries": 6, "tasks": 40, "seed": 2}
    changed = [rows - center if center is not None else rows for rows in (features, base)]
    rows, base_rows = changed if transform is None else map(normalize, changed)
    drawn = next(draw_tasks(labels, **numbers))
    for classifier, options in (("bavardage", {"rounds": 2}), ("meta_qda", {"variant": "map"})):
        result = few_shot_accuracy(
            features,
            labels,
            **numbers,
            classifier=classifier,
            transform=transform,
            center=center,
            base_features=base,
            base_labels=of,
            classifier_options=options,
        )
        expected = predict_tasks(
            rows[drawn.support],
            rows[drawn.queries.reshape(40, -1)],
            classifier,
            base_rows,
            of,
            **options,
        )
        right = accuracies_of(expected.reshape(40, 4, 6))
        np.testing.assert_allclose(result.accuracies, right, atol=1.01 / 24)
        assert json.loads(json.dumps(result.as_dict()))["classifier_options"] == options


def test_patch_tokens_are_transformed_one_by_one():
    labels = np.arange(60) % 4
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(4, 1, 8))[labels] + rng.normal(size=(60, 9, 8))
    numbers = {"ways": 3, "shots": 2, "queries": 5, "tasks": 3}
    center = tokens.mean(axis=(0, 1))
    result = few_shot_accuracy(
        tokens, labels, **numbers, classifier="fewture", transform="cl2", center=center
    )
    drawn = next(draw_tasks(labels, **numbers))
    rows = tokens - center
    expected = predict_tasks(
        rows[drawn.support], rows[drawn.queries.reshape(3, -1)], "fewture"
    ).reshape(3, 3, 5)
    np.testing.assert_allclose(result.accuracies, accuracies_of(expected), atol=1.01 / 15)


# === Intervals and comparisons ===


@pytest.fixture(scope="module")
def results():
    features, labels = DIGITS
    rng = np.random.default_rng(0)
    noisy = features + rng.normal(scale=2.0, size=features.shape)
    options = {"shots": 1, "tasks": 300, "classifier": "nearest_centroid"}
    return [few_shot_accuracy(x, labels, **options) for x in (features, noisy)]


def test_intervals(results):
    values = results[0].accuracies
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    assert results[0].mean - results[0].ci95 == pytest.approx(low)
    assert results[0].mean + results[0].ci95 == pytest.approx(high)
    rng = np.random.default_rng(5)
    medians = [np.median(rng.choice(values, len(values))) for _ in range(4000)]
    expected = np.percentile(medians, [2.5, 97.5])
    # Accuracies lie 1/75 apart, and so do medians.
    np.testing.assert_allclose(results[0].median_ci95, expected, atol=1.01 / 75)
    reported = results[0].as_dict()
    assert reported["tasks"] == 300 and reported["median"] == np.median(values)
    assert 0 < reported["median_ci95"][0] <= reported["median"] <= reported["median_ci95"][1] <= 1
    assert json.loads(json.dumps(reported)) == reported


def test_comparison_equals_scipys(results):
    a, b = results
    received = compare(a, b)
    expected = stats.ttest_rel(a.accuracies, b.accuracies)
    assert received.p_value == pytest.approx(expected.pvalue)
    assert received.mean_difference == pytest.approx(a.mean - b.mean)
    interval = expected.confidence_interval()
    assert received.mean_difference - received.ci95 == pytest.approx(interval.low)


def test_permutation_p_value_equals_scipys():
    features, labels = DIGITS
    rng = np.random.default_rng(1)
    noisy = features + rng.normal(scale=0.7, size=features.shape)
    options = {"shots": 1, "tasks": 40, "classifier": "nearest_centroid"}
    a, b = (few_shot_accuracy(x, labels, **options) for x in (features, noisy))
    expected = stats.permutation_test(
        (a.accuracies, b.accuracies),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        vectorized=True,
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(0),
    ).pvalue
    assert 0.01 < expected < 0.99
    assert compare(a, b).permutation_p_value == pytest.approx(expected, abs=0.02)


def test_other_tasks_are_not_compared(results):
    features, labels = DIGITS
    for change in ({"seed": 1}, {"shots": 2}, {"tasks": 301}):
        options = {"shots": 1, "tasks": 300, "classifier": "nearest_centroid", **change}
        with pytest.raises(ValueError, match="on the same tasks"):
            compare(results[0], few_shot_accuracy(features, labels, **options))


def test_numpys_integers_count_as_integers(results):
    features, labels = DIGITS
    options = {"shots": np.int64(1), "tasks": np.int32(300), "classifier": "nearest_centroid"}
    result = few_shot_accuracy(features, labels, ways=np.int64(5), seed=np.uint8(0), **options)
    assert compare(results[0], result).mean_difference == 0
    assert json.loads(json.dumps(result.as_dict())) == results[0].as_dict()


def test_results_have_their_place_in_sets_and_lists(results):
    assert len({*results}) == len(results) and results.index(results[1]) == 1
    assert results[0] != results[1]


def test_only_results_are_compared(results):
    with pytest.raises(ValueError, match=r"`b` must be a FewShotResult. Received: b of type float"):
        compare(results[0], 0.5)


# === Bad input ===


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ways": 11}, r"`ways` must be at most the number of classes, 10"),
        ({"ways": 1}, r"`ways`.*at least 2"),
        ({"shots": 0}, r"`shots`.*at least 1"),
        ({"queries": 1.5}, r"`queries`.*Received: queries=1.5"),
        ({"tasks": 0}, r"`tasks`"),
        ({"seed": -1}, r"`seed`"),
        ({"shots": 170}, r"shots \+ queries = 185.*8 \(174\)"),
        ({"classifier": "svm"}, r"`classifier` must be one of logistic"),
        ({"classifier": ["cosine"]}, r"`classifier` must be one of logistic"),
        ({"classifier": "bavardage"}, r"bavardage needs `base_features` and `base_labels`"),
        ({"classifier": "fewture"}, r"`features` must be numbers of shape .*tokens.*fewture takes"),
        ({"classifier_options": {"C": 2}}, r"Options of the classifier logistic are none.*C=2"),
        ({"query_distribution": "zipf"}, r"`query_distribution` must be one of balanced, dirich"),
        (
            {"query_distribution": "dirichlet", "queries": 40},
            r"shots \+ ways \* queries = 201.*8 \(174\)",
        ),
        ({"transform": "zscore"}, r"`transform` must be one of"),
        ({"transform": "cl2"}, r"`center` must be given"),
        ({"center": np.zeros(64)}, r"`center` must be given for transform='cl2' and for no other"),
        ({"transform": "cl2", "center": np.zeros(3)}, r"`center` must have shape \(64,\)"),
        ({"transform": "cl2", "center": np.full(64, np.nan)}, r"`center` must be finite"),
        ({"transform": "cl2", "center": "mean"}, r"`center` must be numbers of shape \(dim,\)"),
        ({"transform": None, "features": DIGITS[0] * 1e20}, r"`features` must lie within ±1e\+15"),
        ({"features": DIGITS[0][:, :0]}, r"`features` must be numbers of shape"),
        ({"features": None}, r"`features` must be numbers of shape"),
        ({"features": {"embedding": DIGITS[0]}}, r"`features` must be numbers of shape"),
        ({"features": DIGITS[0][:, 0]}, r"`features` must be numbers of shape \(examples, dim\)"),
        ({"features": np.where(DIGITS[0] > 15, np.nan, DIGITS[0])}, r"finite.*rows that are not"),
        ({"labels": DIGITS[1][:-1]}, r"`labels` must have shape \(1797,\)"),
        ({"labels": DIGITS[1] + 0.5}, r"`labels` must be integers"),
    ],
)
def test_bad_input(change, message):
    given = {"features": DIGITS[0], "labels": DIGITS[1], **change}
    with pytest.raises(ValueError, match=message):
        few_shot_accuracy(**given)


def test_classes_go_by_their_names_where_they_have_any():
    labels = np.repeat([0, 1, 2], [20, 12, 16])
    names = ["ant", "bee", "cat"]
    with pytest.raises(ValueError, match=r"with fewer, bee \(12\)$"):
        check_tasks(labels, ways=3, shots=1, queries=15, tasks=1, class_names=names)

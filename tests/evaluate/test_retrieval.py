"""Retrieval metrics against loops over rankings and pytorch-metric-learning."""

import numpy as np
import pytest

from keras_clce.evaluate import clustering_metrics, retrieval_metrics

pytestmark = pytest.mark.any_backend

KEYS = {
    "precision@1": "precision_at_1",
    "r_precision": "r_precision",
    "map@r": "mean_average_precision_at_r",
    "map": "mean_average_precision",
    "mrr": "mean_reciprocal_rank",
}


def by_loops(embeddings, labels, gallery=None, classes=None, k=(1, 5, 10), metric="cosine"):
    """Means over queries with a match, from Python's own sort of each ranking."""
    alone = gallery is None
    gallery, classes = (embeddings, labels) if alone else (gallery, classes)
    found = {}
    for i, (query, label) in enumerate(zip(embeddings, labels, strict=True)):
        others = [j for j in range(len(gallery)) if not (alone and i == j)]
        if metric == "cosine":
            size = np.linalg.norm(query)
            near = [query @ gallery[j] / size / np.linalg.norm(gallery[j]) for j in others]
        else:
            near = [-np.sum((query - gallery[j]) ** 2) for j in others]
        # Python's sort keeps the gallery's order where two are equal.
        ranking = [others[n] for n in sorted(range(len(others)), key=lambda n: -near[n])]
        hits = [classes[j] == label for j in ranking]
        total = sum(hits)
        if not total:
            continue
        precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
        values = {f"precision@{n}": sum(hits[:n]) / n for n in k}
        values |= {f"recall@{n}": float(any(hits[:n])) for n in k}
        values["r_precision"] = sum(hits[:total]) / total
        values["map@r"] = sum(p for p, h in zip(precision[:total], hits, strict=False) if h) / total
        values["map"] = sum(p for p, h in zip(precision, hits, strict=True) if h) / total
        values["mrr"] = 1 / (hits.index(True) + 1)
        for key, value in values.items():
            found.setdefault(key, []).append(value)
    return {key: np.mean(values) for key, values in found.items()}


def case(seed, rows=130, classes=5, dim=6):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, dim)), rng.integers(0, classes, rows)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("classes", [1, 2, 5, 30])
def test_against_loops(metric, classes):
    embeddings, labels = case(classes, classes=classes)
    gallery, others = case(9, rows=33, classes=classes)
    result = retrieval_metrics(embeddings, labels, metric=metric)
    assert dict(result) == pytest.approx(by_loops(embeddings, labels, metric=metric))
    result = retrieval_metrics(embeddings, labels, gallery, others, (2, 50), metric)
    expected = by_loops(embeddings, labels, gallery, others, (2, 50), metric)
    assert dict(result) == pytest.approx(expected)


def test_equal_similarities_rank_as_the_gallery_stands():
    # Whole numbers, so that sums are exact; many rows of the same direction and of none.
    rng = np.random.default_rng(0)
    embeddings = rng.integers(-1, 2, (60, 2)).astype("float64")
    for labels in (rng.integers(0, 3, 60), rng.integers(0, 12, 60)):
        result = retrieval_metrics(embeddings, labels, metric="euclidean")
        assert dict(result) == pytest.approx(by_loops(embeddings, labels, metric="euclidean"))
    lone = retrieval_metrics(np.zeros((3, 2)), np.array([0, 1, 1]))
    # The second row meets the first, then the third; the third meets the first, then the second.
    assert (lone["mrr"], lone["precision@1"], lone["recall@5"]) == (0.5, 0.0, 1.0)


@pytest.mark.parametrize("seed", range(6))
def test_against_pytorch_metric_learning(seed):
    torch = pytest.importorskip("torch")
    calculators = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    inference = pytest.importorskip("pytorch_metric_learning.utils.inference")
    rng = np.random.default_rng(seed)
    rows, classes = int(rng.integers(5, 120)), int(rng.integers(1, 50))
    embeddings, labels = case(seed, rows, classes)
    embeddings = embeddings.astype("float32")
    # Duplicates of rows within their class, whose order changes nothing.
    doubled = rng.integers(0, rows, rows // 4)
    embeddings, labels = np.r_[embeddings, embeddings[doubled]], np.r_[labels, labels[doubled]]
    gallery, others = case(seed + 100, rows + 7, classes)
    calculator = calculators.AccuracyCalculator(
        include=tuple(KEYS.values()),
        device=torch.device("cpu"),
        knn_func=inference.CustomKNN(distances.CosineSimilarity()),
    )
    for searched in ((), (gallery.astype("float32"), others)):
        expected = calculator.get_accuracy(embeddings, labels, *searched)
        result = retrieval_metrics(embeddings, labels, *searched)
        got = {theirs: result[ours] for ours, theirs in KEYS.items()}
        assert got == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_queries_without_a_match_are_named_and_not_counted():
    embeddings = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    result = retrieval_metrics(embeddings, np.array([4, 4, 7]))
    assert result.unmatched.tolist() == [2] and result.queries.tolist() == [0, 1]
    assert result["map"] == 1.0 and "1 without a match left out" in str(result)
    alone = retrieval_metrics(embeddings, np.arange(3))
    assert np.isnan([*alone.values(), *alone.interval("map")]).all()


def sizes_of_all_kinds(seed, rows, metric):
    """Rows that are often equally similar, of lone classes, small ones and ones that are sorted."""
    rng = np.random.default_rng(seed)
    share = np.r_[0.4, np.full(4, 0.08), np.full(56, 0.005)]
    labels = rng.choice(np.arange(61) * 3 - 7, rows, p=share)
    if metric == "cosine":
        return np.eye(5)[rng.integers(0, 5, rows)] * rng.choice([1, 2], (rows, 1)), labels
    return rng.integers(-2, 3, (rows, 3)).astype("float32"), labels


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_many_ties_between_classes_of_all_sizes_in_small_blocks(metric, monkeypatch):
    embeddings, labels = sizes_of_all_kinds(0, 150, metric)
    gallery, classes = sizes_of_all_kinds(1, 140, metric)
    assert np.bincount(labels + 7).max() > 42
    sets = ((embeddings, labels), (embeddings, labels, gallery, classes))
    expected = [by_loops(*arrays, metric=metric) for arrays in sets]
    for small in (False, True):
        if small:
            for name, value in (("ROWS", 50), ("TILE_ROWS", 7), ("TILE_COLUMNS", 11)):
                monkeypatch.setattr(f"keras_clce.evaluate.retrieval_ranks._{name}", value)
            monkeypatch.setattr("keras_clce.evaluate.retrieval_ranks._SORTED_BYTES", 1)
        for arrays, each in zip(sets, expected, strict=True):
            assert dict(retrieval_metrics(*arrays, metric=metric)) == pytest.approx(each)


def test_intervals_and_paired_differences():
    embeddings, labels = case(0, rows=400, classes=8)
    better = embeddings + 2 * np.eye(8, 6)[labels]
    one, two = retrieval_metrics(better, labels), retrieval_metrics(embeddings, labels)
    values = one.per_query["map@r"]
    rng = np.random.default_rng(5)
    means = [rng.choice(values, len(values)).mean() for _ in range(4000)]
    assert one.interval("map@r") == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=4e-3)
    low, high = one.interval("map@r", 0.5)
    assert low < one["map@r"] < high and (low, high) < one.interval("map@r")[::-1]
    difference = one.compare(two)["map@r"]
    assert difference.mean_difference == pytest.approx(one["map@r"] - two["map@r"])
    assert 0 < difference.ci95[0] < difference.mean_difference < difference.ci95[1]
    assert difference.p_value < 0.001
    same = two.compare(two)["mrr"]
    assert (same.mean_difference, same.ci95, same.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_what_does_not_fit_is_named():
    embeddings, labels = case(0)
    for message, arguments in {
        "`labels` must be 130 integer classes": (embeddings, labels[:3]),
        "`labels` must be 130 integer classes,": (embeddings, labels * 0.5),
        "`embeddings` must be finite": (embeddings * np.nan, labels),
        "`gallery_embeddings` must be numbers": (embeddings, labels, None, labels),
        "dimension of `gallery_embeddings`, 2": (embeddings, labels, np.eye(2), [0, 1]),
        "`k` must hold different": (embeddings, labels, None, None, (1, 1)),
        "`k` must be": (embeddings, labels, None, None, (0,)),
        "`metric` must be": (embeddings, labels, None, None, (1,), "dot"),
    }.items():
        with pytest.raises(ValueError, match=message):
            retrieval_metrics(*arguments)
    result = retrieval_metrics(embeddings, labels)
    with pytest.raises(ValueError, match="the same queries"):
        result.compare(retrieval_metrics(embeddings[:30], labels[:30]))
    with pytest.raises(ValueError, match="RetrievalResult"):
        result.compare({"map": 1.0})


def test_clusters_of_blobs_and_of_noise():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 50)
    blobs = 20 * np.eye(4)[labels] + rng.normal(size=(200, 4))
    assert clustering_metrics(blobs, labels) == {"nmi": 1.0, "ami": 1.0}
    noise = clustering_metrics(rng.normal(size=(200, 4)), labels)
    assert abs(noise["ami"]) < 0.05 < noise["nmi"] + 0.05
    with pytest.raises(ValueError, match="`labels` must be 200"):
        clustering_metrics(blobs, labels[:5])


def test_distances_far_from_zero_are_told_apart():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 6
    rows = (1000 + rng.normal(size=(60, 8)) + 0.5 * labels[:, None]).astype("float32")
    near = rows.astype("float64") - 1000  # exact, and so are its distances
    result = retrieval_metrics(rows, labels, metric="euclidean")
    assert dict(result) == pytest.approx(by_loops(near, labels, metric="euclidean"))
    parts = (slice(None, 30), slice(30, None))
    queries, own, gallery, others = (each[part] for part in parts for each in (rows, labels))
    result = retrieval_metrics(queries, own, gallery, others, metric="euclidean")
    expected = by_loops(near[:30], own, near[30:], others, metric="euclidean")
    assert dict(result) == pytest.approx(expected)

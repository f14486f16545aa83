"""Retrieval metrics: how high the examples of a query's own class rank among all others."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_clce.checks import check_at_least, class_labels, finite_array
from keras_clce.evaluate.retrieval_ranks import NO_RANK, Ranks, match_ranks
from keras_clce.evaluate.retrieval_results import RetrievalResult


def retrieval_metrics(
    embeddings: Any,
    labels: Any,
    gallery_embeddings: Any = None,
    gallery_labels: Any = None,
    k: Sequence[int] = (1, 5, 10),
    metric: str = "cosine",
) -> RetrievalResult:
    """Rank a gallery by similarity to each query and measure where the query's class stands.

    The ranking is exact. Of gallery rows that are equally similar to a query, the one that stands
    first in the gallery ranks first. Beside three copies of the arrays it takes 150 MB, however
    many rows there are.

    | key | for each query, with R matches in the gallery |
    |---|---|
    | `precision@k` | share of matches among the k nearest |
    | `recall@k` | 1 if there is a match among the k nearest, else 0, as in benchmarks |
    | `r_precision` | share of matches among the R nearest |
    | `map@r` | sum of the precisions at each match among the R nearest, over R |
    | `map` | mean of the precisions at each match in the whole gallery |
    | `mrr` | 1 over the rank of the first match |

    Args:
        embeddings: Embeddings of the queries `(queries, dim)`.
        labels: Their integer classes `(queries,)`.
        gallery_embeddings: Embeddings that are searched `(examples, dim)`. Defaults to `None`: the
            queries themselves, where each one's own row is left out.
        gallery_labels: Their integer classes `(examples,)`; `None` where `gallery_embeddings` is.
        k: Numbers of nearest rows of `precision@k` and `recall@k`; with a smaller gallery,
            what is missing counts as no match. Defaults to `(1, 5, 10)`.
        metric: `"cosine"` or `"euclidean"`. Defaults to `"cosine"`.

    Returns:
        A `RetrievalResult`, a mapping from these keys to means over the queries that have a match.

    Raises:
        ValueError: If an array is of another shape or not finite, labels do not fit it, `k` is no
            list of different whole numbers above 0, or `metric` is unknown.

    Reference:
        Musgrave, Belongie and Lim, A Metric Learning Reality Check (2020), for `map@r`.

    Example:
    ```python
    rows = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.6, 0.7]])
    result = retrieval_metrics(rows, np.array([0, 0, 1, 1]), k=[1])
    result["precision@1"], result["mrr"]  # (1.0, 1.0)
    ```
    """
    k = _checked_k(k)
    if metric not in ("cosine", "euclidean"):
        raise ValueError(f"`metric` must be 'cosine' or 'euclidean'. Received: metric={metric!r}")
    queries, labels = _checked_rows("embeddings", embeddings, "labels", labels)
    of_one_set = gallery_embeddings is None and gallery_labels is None
    gallery, classes = queries, labels
    if not of_one_set:
        gallery, classes = _checked_rows(
            "gallery_embeddings", gallery_embeddings, "gallery_labels", gallery_labels
        )
    if gallery.shape[1] != queries.shape[1]:
        raise ValueError(
            f"`embeddings` must have the dimension of `gallery_embeddings`, {gallery.shape[1]}. "
            f"Received: embeddings of shape {queries.shape}"
        )
    matched, per_query = _measured(
        match_ranks(queries, labels, gallery, classes, of_one_set, metric), k
    )
    unmatched = np.setdiff1d(np.arange(len(queries)), matched)
    return RetrievalResult(per_query, matched, unmatched, metric)


def _checked_k(k: Sequence[int]) -> tuple[int, ...]:
    k = tuple(np.atleast_1d(np.asarray(k)).tolist())
    if not k or len(set(k)) < len(k):
        raise ValueError(f"`k` must hold different numbers, at least one. Received: k={k}")
    for number in k:
        check_at_least("k", number, 1)
    return k


def _checked_rows(
    name: str, embeddings: Any, labels_name: str, labels: Any
) -> tuple[np.ndarray, np.ndarray]:
    embeddings = finite_array(name, embeddings, ndim=2)
    labels = class_labels(labels_name, labels, len(embeddings), name)
    return embeddings.astype(np.result_type(embeddings.dtype, np.float32), copy=False), labels


def _measured(
    found: Iterable[Ranks], k: tuple[int, ...]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Row numbers of the queries that have a match, ascending, and the measures of each."""
    names = [f"{name}@{each}" for name in ("precision", "recall") for each in k]
    names += ["r_precision", "map@r", "map", "mrr"]
    rows, parts = [np.zeros(0, int)], [np.zeros((len(names), 0))]
    for queries, matches, ranks in found:
        rows.append(queries)
        parts.append(np.array([*_measures(matches, ranks, k)]))
    rows = np.concatenate(rows)
    order = np.argsort(rows)
    measures = np.concatenate(parts, axis=1)[:, order]
    return rows[order], dict(zip(names, measures, strict=True))


def _measures(matches: np.ndarray, ranks: np.ndarray, k: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Measures (queries,) of ranks (most matches, queries)."""
    within = [np.count_nonzero(ranks <= each, axis=0) for each in k]
    yield from (count / each for count, each in zip(within, k, strict=True))
    yield from (count > 0 for count in within)
    precisions = np.arange(1, len(ranks) + 1)[:, None] / ranks
    precisions[ranks == NO_RANK] = 0
    within_r = ranks <= matches
    yield np.count_nonzero(within_r, axis=0) / matches
    yield np.sum(precisions, axis=0, where=within_r) / matches
    yield np.sum(precisions, axis=0) / matches
    yield 1 / ranks[0]

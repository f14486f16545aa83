"""Retrieval metrics: how high the examples of a query's own class rank among all others."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_clce.checks import check_at_least, class_labels, finite_array
from keras_clce.evaluate.retrieval_results import RetrievalResult

# Similarities of a block of queries to the whole gallery are held at once.
_BLOCK_BYTES = 2**27
# Counting what is above a match, and level with it, costs two passes over the gallery; sorting the
# gallery costs as much as for about this many.
_COUNTED_MATCHES = 100


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
    # A class is then a slice of the columns, in which the gallery's order is kept.
    order = np.argsort(classes, kind="stable")
    starts = np.searchsorted(classes, labels, "left", order)
    counts = np.searchsorted(classes, labels, "right", order) - starts
    matches = counts - of_one_set
    found = _Measures(k, np.flatnonzero(matches > 0), len(queries))
    own = np.argsort(order) if of_one_set else None
    for rows, similarities in _similarities(queries, gallery[order], metric):
        if of_one_set:
            similarities[np.arange(len(rows)), own[rows]] = -np.inf
        for row, values in zip(rows, similarities, strict=True):
            if matches[row] > 0:
                members = np.arange(starts[row], starts[row] + counts[row])
                if of_one_set:
                    members = members[members != own[row]]
                found.add(row, _ranks(values, members, order))
    return RetrievalResult(found.measures, found.rows, np.flatnonzero(matches <= 0), metric)


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


def _similarities(
    queries: np.ndarray, gallery: np.ndarray, metric: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row numbers of queries and their similarities to the gallery, block by block."""
    if metric == "cosine":
        queries, gallery = _units(queries), _units(gallery)
    else:
        # 2 q·g - g·g ranks as the distance does.
        squares = np.einsum("ed,ed->e", gallery, gallery)
        queries = 2 * queries
    per_block = max(1, _BLOCK_BYTES // (gallery.itemsize * len(gallery)))
    for start in range(0, len(queries), per_block):
        block = queries[start : start + per_block] @ gallery.T
        if metric == "euclidean":
            block -= squares
        yield np.arange(start, start + len(block)), block


def _units(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def _ranks(similarities: np.ndarray, members: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Places of some columns in the ranking, ascending, from 1."""
    own = similarities[members]
    if len(members) <= _COUNTED_MATCHES:
        above = np.array([np.count_nonzero(similarities > one) for one in own])
        level = np.array([np.count_nonzero(similarities == one) for one in own])
    else:
        ascending = np.sort(similarities)
        right = np.searchsorted(ascending, own, "right")
        above = len(ascending) - right
        level = right - np.searchsorted(ascending, own, "left")
    for number in np.flatnonzero(level > 1):
        equal = order[similarities == own[number]]
        above[number] += np.count_nonzero(equal < order[members[number]])
    return np.sort(above) + 1


class _Measures:
    """Measures of each query that has a match, filled one query at a time."""

    def __init__(self, k: tuple[int, ...], rows: np.ndarray, count: int) -> None:
        self.k, self.rows = k, rows
        names = [f"{name}@{each}" for name in ("precision", "recall") for each in k]
        names += ["r_precision", "map@r", "map", "mrr"]
        self.measures = {name: np.zeros(len(rows)) for name in names}
        self._places = np.zeros(count, int)
        self._places[rows] = np.arange(len(rows))

    def add(self, row: int, ranks: np.ndarray) -> None:
        place, matches = self._places[row], len(ranks)
        precisions = np.arange(1, matches + 1) / ranks
        within_r = ranks <= matches
        for each in self.k:
            within = np.count_nonzero(ranks <= each)
            self.measures[f"precision@{each}"][place] = within / each
            self.measures[f"recall@{each}"][place] = within > 0
        self.measures["r_precision"][place] = within_r.mean()
        self.measures["map@r"][place] = precisions[within_r].sum() / matches
        self.measures["map"][place] = precisions.mean()
        self.measures["mrr"][place] = 1 / ranks[0]

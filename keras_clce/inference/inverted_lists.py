"""An approximate search of neighbours, by Faiss."""

import numpy as np

from keras_clce.checks import import_module

# Rows that the centres of lists are fitted to, for each list, and how often.
_FIT, _ROUNDS = 40, 10


class InvertedLists:
    """Rows in lists by their nearest of √N centres, of which those near a query are searched.

    Args:
        units: Unit rows `(examples, dim)` in float32.

    Attributes:
        lists: Number of lists.

    Raises:
        ImportError: If Faiss is not installed.

    Reference:
        Faiss's `IndexIVFFlat` (https://arxiv.org/abs/2401.08281).

    Example:
    ```python
    lists = InvertedLists(embeddings.astype("float32"))
    rows, cosines = lists.search(embeddings[:2], k=3, lists=2)
    rows[:, 0]  # [0, 1]
    ```
    """

    def __init__(self, units: np.ndarray) -> None:
        faiss = import_module("faiss", "An approximate search", '"keras-clce[search]"')
        count, dim = units.shape
        lists = max(1, min(round(count**0.5), count // _FIT))
        self._index = faiss.IndexIVFFlat(
            faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT
        )
        self._index.cp.niter = _ROUNDS
        self._index.cp.max_points_per_centroid = _FIT
        self._index.cp.min_points_per_centroid = 1  # fewer are no reason for a message
        some = np.random.default_rng(0).permutation(count)[: _FIT * lists]
        self._index.train(units[np.sort(some)])
        self._index.add(units)
        self.lists = lists

    def search(self, queries: np.ndarray, k: int, lists: int) -> tuple[np.ndarray, np.ndarray]:
        """Find neighbours.

        Args:
            queries: Unit rows `(queries, dim)`.
            k: Neighbours a query.
            lists: How many lists are searched, the nearest ones.

        Returns:
            Rows, -1 for none, and cosines, `(queries, k)` each.

        Example:
        ```python
        lists = InvertedLists(embeddings.astype("float32"))
        lists.search(embeddings[:2], k=3, lists=lists.lists)[0].shape  # (2, 3)
        ```
        """
        self._index.nprobe = lists
        cosines, rows = self._index.search(np.ascontiguousarray(queries, "float32"), k)
        return rows, cosines

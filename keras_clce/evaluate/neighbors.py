"""The nearest neighbours of embeddings among others, exactly and in little memory."""

import numpy as np

from keras_clce.checks import check_at_least, import_module, number_array


def nearest_neighbors(
    queries: np.ndarray, references: np.ndarray, k: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k rows of the largest cosine for each query.

    scikit-learn compares blocks of 256 rows, so that beside the arrays and the result it takes a
    few megabytes, however many rows there are.

    Args:
        queries: Unit rows `(queries, dim)`.
        references: Unit rows `(examples, dim)` that are searched.
        k: How many neighbours; with fewer examples than that all are given. Defaults to 10.

    Returns:
        Numbers of rows and cosines, `(queries, k)` each, the nearest first.

    Raises:
        ValueError: If the arrays are no numbers of one dimension, or `k` is no whole number above
            0.

    Example:
    ```python
    nearest_neighbors(np.array([[0.6, 0.8]]), np.eye(2), k=2)[0]  # [[1, 0]]
    ```
    """
    check_at_least("k", k, 1)
    queries = number_array("queries", queries, ndim=2)
    references = number_array("references", references, ndim=2)
    if queries.shape[1] != references.shape[1]:
        raise ValueError(
            f"`queries` must have the dimension of `references`, {references.shape[1]}. "
            f"Received: queries of shape {queries.shape}"
        )
    neighbors = import_module("sklearn.neighbors", "A search of neighbours", "scikit-learn")
    dtype = np.result_type(queries.dtype, references.dtype, np.float32)
    # On unit rows the nearest are those of the largest cosine. Distances, unlike scikit-learn's
    # cosines, are compared in compiled blocks.
    search = neighbors.NearestNeighbors(algorithm="brute", metric="euclidean")
    search.fit(np.ascontiguousarray(references, dtype))
    distances, rows = search.kneighbors(
        np.ascontiguousarray(queries, dtype), min(k, len(references))
    )
    return rows, 1.0 - 0.5 * np.square(distances, dtype="float64")

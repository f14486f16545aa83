"""Embeddings in two dimensions, for pictures."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_clce.checks import import_module
from keras_clce.evaluate.embedding_geometry import unit_rows

MAPS = ("tsne", "pca")
_PERPLEXITY = 30


@dataclass(frozen=True)
class EmbeddingMap:
    """Embeddings in two dimensions.

    Attributes:
        points: Array `(examples, 2)`.
        method: `"tsne"` or `"pca"`.
        explained: Share of the variance that the two dimensions keep, of PCA; `None` of t-SNE.

    Example:
    ```python
    embedding_map(embeddings, "pca").explained  # 0.31
    ```
    """

    points: np.ndarray
    method: str
    explained: float | None = None


def embedding_map(embeddings: Any, method: str = "tsne", seed: int = 0) -> EmbeddingMap:
    """Map embeddings to two dimensions, with scikit-learn's t-SNE or PCA.

    t-SNE keeps neighbours together; its distances between groups say nothing. It begins at PCA's
    map, with a perplexity of 30, of fewer than 91 examples a third of their number. Lengths of
    embeddings do not count.

    Args:
        embeddings: Array `(examples, dim)`, at least 4 examples of at least 2 dimensions, without
            zero rows.
        method: `"tsne"` or `"pca"`. Defaults to `"tsne"`.
        seed: Seed of t-SNE. Defaults to 0.

    Returns:
        An `EmbeddingMap`.

    Raises:
        ValueError: If an argument is out of range, values are not finite, or a row is zero.

    Reference:
        - [van der Maaten and Hinton 2008](https://jmlr.org/papers/v9/vandermaaten08a.html)

    Example:
    ```python
    embedding_map(embeddings[:40], "tsne", seed=0).points.shape  # (40, 2)
    ```
    """
    if method not in MAPS:
        raise ValueError(f"`method` must be one of {MAPS}. Received: method={method!r}")
    units = unit_rows(embeddings)
    examples, dim = units.shape
    if examples < 4 or dim < 2:
        raise ValueError(
            "`embeddings` must have 4 rows or more of 2 dimensions or more. "
            f"Received: embeddings of shape {units.shape}"
        )
    if method == "pca":
        decomposition = import_module("sklearn.decomposition", "PCA", "scikit-learn")
        pca = decomposition.PCA(2, svd_solver="full")
        points = pca.fit_transform(units)
        return EmbeddingMap(points, method, float(pca.explained_variance_ratio_.sum()))
    manifold = import_module("sklearn.manifold", "t-SNE", "scikit-learn")
    tsne = manifold.TSNE(
        2, perplexity=min(_PERPLEXITY, (examples - 1) / 3), init="pca", random_state=seed
    )
    return EmbeddingMap(tsne.fit_transform(units), method)

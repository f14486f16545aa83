"""Clustering metrics: do clusters of embeddings agree with the classes?"""

from typing import Any

from keras_clce.checks import class_labels, finite_array, import_module


def clustering_metrics(embeddings: Any, labels: Any, seed: int = 0) -> dict[str, float]:
    """Compare k-means clusters, as many as there are classes, with the classes.

    Args:
        embeddings: Embeddings `(examples, dim)`.
        labels: Their integer classes `(examples,)`.
        seed: Seed of k-means. Defaults to 0.

    Returns:
        `"nmi"`, the normalised mutual information, and `"ami"`, which is 0 for clusters by chance.

    Raises:
        ValueError: If embeddings are no finite numbers `(examples, dim)`, or labels do not fit.

    Example:
    ```python
    clustering_metrics(np.eye(4)[[0, 0, 1, 1]], [0, 0, 1, 1])  # {"nmi": 1.0, "ami": 1.0}
    ```
    """
    embeddings = finite_array("embeddings", embeddings, ndim=2)
    labels = class_labels("labels", labels, len(embeddings), "embeddings")
    cluster = import_module("sklearn.cluster", "Clustering metrics", "scikit-learn")
    metrics = import_module("sklearn.metrics", "Clustering metrics", "scikit-learn")
    means = cluster.KMeans(len(set(labels.tolist())), random_state=seed)
    clusters = means.fit_predict(embeddings)
    return {
        "nmi": float(metrics.normalized_mutual_info_score(labels, clusters)),
        "ami": float(metrics.adjusted_mutual_info_score(labels, clusters)),
    }

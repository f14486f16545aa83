"""A callback that lets retrieval on other images pick the epoch."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_clce.evaluate.feature_callback import FeatureCallback
from keras_clce.evaluate.retrieval import retrieval_metrics


class RetrievalCallback(FeatureCallback):
    """Logs retrieval metrics after every epoch, for callbacks that stand after it.

    Each image is a query, and the others are the gallery.

    Args:
        images: Images, of classes that are trained on or of others: an array, or a
            `tf.data.Dataset` of batches of images, which must come in the same order every time.
        labels: Their integer classes `(examples,)`.
        metrics: Keys of `retrieval_metrics`, each logged as `"val_"` and the key. Defaults to
            `("precision@1", "map@r")`.
        output: Key of the model's output that is the feature, where it gives a dict. Defaults to
            `"embedding"`.
        encoder: Function from the model in training to one that shares its layers and is evaluated
            in its place, such as one that gives pooled features. Defaults to `None`: the model.
        averages: Whether the moving averages of the weights are evaluated, as in
            `FewShotCallback`. Defaults to `False`.
        similarity: `"cosine"` or `"euclidean"`. Defaults to `"cosine"`.

    Raises:
        ValueError: At once, if a metric or the similarity is unknown, no class has two images,
            images are of another kind, or there are more or fewer labels than images; before the
            first epoch, if the optimizer keeps no averages or the model has no such output.

    Example:
    ```python
    retrieval = RetrievalCallback(val_images, val_labels, metrics=["map@r"])
    best = keras.callbacks.ModelCheckpoint(
        "best.keras", monitor="val_map@r", mode="max", save_best_only=True
    )
    model.fit(images, labels, epochs=2, callbacks=[retrieval, best])
    ```
    """

    def __init__(
        self,
        images: Any,
        labels: Any,
        metrics: Sequence[str] = ("precision@1", "map@r"),
        output: str = "embedding",
        encoder: Callable[[keras.Model], keras.Model] | None = None,
        averages: bool = False,
        similarity: str = "cosine",
    ) -> None:
        super().__init__(images, labels, output, encoder, averages)
        self.metrics = [metrics] if isinstance(metrics, str) else list(metrics)
        self.similarity = similarity
        # Precision and recall are there for any number of nearest rows.
        numbers = [key.partition("@")[2] for key in self.metrics]
        self.k = sorted({int(number) for number in numbers if number.isdecimal()} - {0}) or [1]
        known = retrieval_metrics(np.eye(2), [0, 0], k=self.k, metric=similarity)
        unknown = [key for key in self.metrics if key not in known]
        if unknown or not self.metrics:
            raise ValueError(
                "`metrics` must be of precision@1, recall@1 and other numbers, r_precision, "
                f"map@r, map and mrr. Received: metrics={metrics!r}"
            )
        if len(np.unique(labels)) == len(labels):
            raise ValueError(
                "`labels` must have two images of a class at least. "
                f"Received: {len(labels)} labels, all different"
            )

    def measure(self, features: np.ndarray) -> dict[str, float]:
        """Means over the images that share their class with another."""
        found = retrieval_metrics(features, self.labels, k=self.k, metric=self.similarity)
        return {f"val_{key}": found[key] for key in self.metrics}

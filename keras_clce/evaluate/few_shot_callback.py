"""A callback that lets few-shot accuracy on other classes pick the epoch."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_clce.checks import check_at_least
from keras_clce.evaluate.feature_callback import FeatureCallback, check_images
from keras_clce.evaluate.few_shot_metrics import few_shot_accuracy
from keras_clce.evaluate.task_classifiers import get_task_classifier


class FewShotCallback(FeatureCallback):
    """Logs few-shot accuracy after every epoch, for callbacks that stand after it.

    Every epoch meets the same tasks.

    Args:
        images: Images of classes that are not trained on: an array, or a `tf.data.Dataset` of
            batches of images, which must come in the same order every time.
        labels: Their integer classes `(examples,)`.
        output: Key of the model's output that is the feature, where it gives a dict. Defaults to
            `"embedding"`.
        encoder: Function from the model in training to one that shares its layers and is evaluated
            in its place, such as one that gives pooled features. Defaults to `None`: the model.
        name: Name of the logged value. Defaults to `"val_few_shot"`.
        averages: Whether the moving averages of the weights are evaluated, which an optimizer with
            `use_ema=True` keeps; not beside `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)`,
            which has swapped them already. Defaults to `False`.
        base_images: Images of base classes, for classifiers that take base features; they are
            predicted after every epoch too. Defaults to `None`.
        base_labels: Their integer classes `(base examples,)`. Defaults to `None`.
        **options: As in `few_shot_accuracy`: ways, shots, queries, tasks, classifier, transform,
            center, seed, classifier_options, query_distribution.

    Raises:
        ValueError: At once, if the tasks cannot be drawn from the labels, images are of another
            kind, there are more or fewer labels than images, or the classifier lacks what it needs;
            before the first epoch, if the optimizer keeps no averages or the model has no such
            output.

    Example:
    ```python
    few_shot = FewShotCallback(val_images, val_labels, ways=5, shots=1, tasks=100)
    best = keras.callbacks.ModelCheckpoint(
        "best.keras", monitor="val_few_shot", mode="max", save_best_only=True
    )
    model.fit(images, labels, epochs=2, callbacks=[few_shot, best])
    ```
    """

    def __init__(
        self,
        images: Any,
        labels: Any,
        output: str = "embedding",
        encoder: Callable[[keras.Model], keras.Model] | None = None,
        name: str = "val_few_shot",
        averages: bool = False,
        base_images: Any = None,
        base_labels: Any = None,
        **options: Any,
    ) -> None:
        if "base_features" in options:
            raise ValueError(
                "`base_features` change with the model; give `base_images`, which are predicted "
                "after every epoch. Received: base_features"
            )
        check_at_least("tasks", options.get("tasks", 1), 1)
        super().__init__(images, labels, output, encoder, averages)
        self.name = name
        self.base_images = base_images
        self.base_labels = base_labels
        self.options = options
        base = None
        if base_images is not None:
            check_images("base_images", base_images, () if base_labels is None else base_labels)
            base = self._blank(base_labels)
        self._accuracy(self._blank(labels), base, tasks=1)

    def _blank(self, labels):
        """Features of the right shape, to see whether a classifier will take them."""
        classifier = get_task_classifier(
            self.options.get("classifier", "logistic"),
            **(self.options.get("classifier_options") or {}),
        )
        prior, center = getattr(classifier, "prior", None), self.options.get("center")
        dim = len(getattr(prior, "mean", [0] if center is None else center))
        return np.zeros((len(labels), 1, dim) if classifier.tokens else (len(labels), dim))

    def _accuracy(self, features, base_features, **changes):
        options = {**self.options, **changes}
        if base_features is not None:
            options |= {"base_features": base_features, "base_labels": self.base_labels}
        return few_shot_accuracy(features, self.labels, **options).mean

    def measure(self, features: np.ndarray) -> dict[str, float]:
        """Mean accuracy over the tasks."""
        base = None if self.base_images is None else self.features_of(self.base_images)
        return {self.name: self._accuracy(features, base)}

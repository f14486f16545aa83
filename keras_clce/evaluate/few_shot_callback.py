"""A callback that lets few-shot accuracy on other classes pick the epoch."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_clce.checks import check_at_least
from keras_clce.evaluate.feature_callback import FeatureCallback
from keras_clce.evaluate.few_shot_metrics import few_shot_accuracy


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
        **options: As in `few_shot_accuracy`: ways, shots, queries, tasks, classifier, transform,
            seed.

    Raises:
        ValueError: At once, if the tasks cannot be drawn from the labels, images are of another
            kind, or there are more or fewer labels than images; before the first epoch, if the
            optimizer keeps no averages or the model has no such output.

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
        **options: Any,
    ) -> None:
        check_at_least("tasks", options.get("tasks", 1), 1)
        few_shot_accuracy(np.zeros((len(labels), 1)), labels, **{**options, "tasks": 1})
        super().__init__(images, labels, output, encoder, averages)
        self.name = name
        self.options = options

    def measure(self, features: np.ndarray) -> dict[str, float]:
        """Mean accuracy over the tasks."""
        return {self.name: few_shot_accuracy(features, self.labels, **self.options).mean}

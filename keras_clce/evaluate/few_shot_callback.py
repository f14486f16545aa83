"""A callback that lets few-shot accuracy on other classes pick the epoch."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_clce.checks import check_at_least
from keras_clce.evaluate.few_shot_metrics import few_shot_accuracy


class FewShotCallback(keras.callbacks.Callback):
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
        super().__init__()
        check_at_least("tasks", options.get("tasks", 1), 1)
        few_shot_accuracy(np.zeros((len(labels), 1)), labels, **{**options, "tasks": 1})
        if not hasattr(images, "shape") and not hasattr(images, "element_spec"):
            raise ValueError(
                "`images` must be an array, or a tf.data.Dataset of batches of images. "
                f"Received: images of type {type(images).__name__}"
            )
        if hasattr(images, "shape") and len(images) != len(labels):
            raise ValueError(
                f"`images` must hold one image for each of {len(labels)} labels. "
                f"Received: images of shape {tuple(images.shape)}"
            )
        self.images = images
        self.labels = labels
        self.output = output
        self.encoder = encoder
        self.name = name
        self.averages = averages
        self.options = options

    def set_model(self, model: keras.Model) -> None:
        """Take the model in training, as Keras hands it over."""
        super().set_model(model)
        # Once, so that it is compiled once.
        self.evaluated = model if self.encoder is None else self.encoder(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuse what would fail after an epoch of work."""
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        if self.averages and not optimizer.use_ema:
            raise ValueError(
                "`averages` needs an optimizer with use_ema=True. "
                f"Received: averages=True and {type(optimizer).__name__} without averages"
            )
        if isinstance(self.evaluated, keras.Model) and hasattr(self.images, "shape"):
            image = keras.KerasTensor((1, *self.images.shape[1:]), self.evaluated.compute_dtype)
            self._feature(self.evaluated(image))

    def _feature(self, outputs):
        if not isinstance(outputs, dict):
            return outputs
        if self.output not in outputs:
            raise ValueError(
                f"`output` must be one of {', '.join(map(repr, outputs))}. "
                f"Received: output={self.output!r}"
            )
        return outputs[self.output]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluate and log."""
        swap = keras.callbacks.SwapEMAWeights() if self.averages else keras.callbacks.Callback()
        swap.set_model(self.model)
        # Its calls around a prediction would not swap back.
        swap.on_test_begin()
        features = self.evaluated.predict(self.images, verbose=0)
        swap.on_test_end()
        features = self._feature(features)
        logs[self.name] = few_shot_accuracy(features, self.labels, **self.options).mean

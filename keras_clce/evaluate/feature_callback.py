"""A callback that evaluates what a model says of other images after every epoch."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np


class FeatureCallback(keras.callbacks.Callback):
    """Predicts the same images after every epoch and logs what a subclass makes of the features.

    Args:
        images: Images: an array, or a `tf.data.Dataset` of batches of images, which must come in
            the same order every time.
        labels: Their integer classes `(examples,)`.
        output: Key of the model's output that is the feature, where it gives a dict. Defaults to
            `"embedding"`.
        encoder: Function from the model in training to one that shares its layers and is evaluated
            in its place, such as one that gives pooled features. Defaults to `None`: the model.
        averages: Whether the moving averages of the weights are evaluated, which an optimizer with
            `use_ema=True` keeps; not beside `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)`,
            which has swapped them already. Defaults to `False`.

    Raises:
        ValueError: At once, if images are of another kind, or there are more or fewer labels than
            images; before the first epoch, if the optimizer keeps no averages or the model has no
            such output.

    Example:
    ```python
    class Length(FeatureCallback):
        def measure(self, features):
            return {"val_length": np.linalg.norm(features, axis=1).mean()}


    history = model.fit(images, labels, callbacks=[Length(val_images, val_labels)], verbose=0)
    # "val_length" in history.history
    ```
    """

    def __init__(
        self,
        images: Any,
        labels: Any,
        output: str = "embedding",
        encoder: Callable[[keras.Model], keras.Model] | None = None,
        averages: bool = False,
    ) -> None:
        super().__init__()
        check_images("images", images, labels)
        self.images = images
        self.labels = labels
        self.output = output
        self.encoder = encoder
        self.averages = averages

    def measure(self, features: np.ndarray) -> dict[str, float]:
        """Make values to log of the features.

        Args:
            features: Features of the images `(examples, dim)`.

        Returns:
            The values by the name that they are logged under.

        Example:
        ```python
        few_shot = FewShotCallback(val_images, val_labels, ways=5, shots=1, tasks=100)
        few_shot.measure(np.eye(len(val_labels)))["val_few_shot"]  # 0.2
        ```
        """
        raise NotImplementedError

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

    def features_of(self, images: Any) -> np.ndarray:
        """Predict features, with the weights that are evaluated.

        Args:
            images: An array, or a `tf.data.Dataset` of batches of images.

        Returns:
            Features `(examples, dim)`.

        Example:
        ```python
        callback = RetrievalCallback(val_images, val_labels)
        callback.set_model(model)
        callback.features_of(val_images[:2]).shape  # (2, 8)
        ```
        """
        return self._feature(self.evaluated.predict(images, verbose=0))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluate and log."""
        swap = keras.callbacks.SwapEMAWeights() if self.averages else keras.callbacks.Callback()
        swap.set_model(self.model)
        # Its calls around a prediction would not swap back.
        swap.on_test_begin()
        measured = self.measure(self.features_of(self.images))
        swap.on_test_end()
        if logs is not None:
            logs.update(measured)


def check_images(name: str, images: Any, labels: Any) -> None:
    """Refuse what cannot be predicted, or has other labels.

    Args:
        name: Name of the argument, for the message.
        images: An array, or a `tf.data.Dataset` of batches of images.
        labels: Their classes.

    Raises:
        ValueError: If images are of another kind, or there are more or fewer labels.

    Example:
    ```python
    check_images("images", images, labels)
    ```
    """
    if not hasattr(images, "shape") and not hasattr(images, "element_spec"):
        raise ValueError(
            f"`{name}` must be an array, or a tf.data.Dataset of batches of images. "
            f"Received: {name} of type {type(images).__name__}"
        )
    if hasattr(images, "shape") and len(images) != len(labels):
        raise ValueError(
            f"`{name}` must hold one image for each of {len(labels)} labels. "
            f"Received: {name} of shape {tuple(images.shape)}"
        )

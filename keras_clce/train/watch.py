"""The callback that `CLCEModel.fit` adds: it ends what cannot become a model, and warns."""

import math
import warnings
from typing import Any

import keras
import numpy as np

from keras_clce import backend
from keras_clce.losses import labels_are_valid
from keras_clce.train.class_numbers import how_to_number
from keras_clce.train.first_failure import FirstFailure
from keras_clce.train.model_description import class_names_of

_READ_AGAIN = 20  # batches
_COLLAPSED = 0.01


class TrainingWatch(keras.callbacks.Callback):
    """Stops training at a loss of NaN with its likely causes, and warns where features collapse.

    Args:
        data: The stream that is trained on, or arrays, which were searched before.
        num_classes: Number of classes of the model.

    Raises:
        FloatingPointError: In training, if the loss is NaN.

    Example:
    ```python
    keras.Model.fit(model, data, callbacks=[TrainingWatch(data, num_classes=10)])
    ```
    """

    # Keras may hand the logs of a step over while the next one runs, so that nothing waits.
    async_safe = True

    def __init__(self, data: Any, num_classes: int) -> None:
        super().__init__()
        self.data = data
        self.num_classes = num_classes
        self._epoch = 0
        self._first_norm: float | None = None
        self._warned = False
        self._steps = FirstFailure()

    def set_model(self, model: keras.Model) -> None:
        """Note which model is trained."""
        super().set_model(model)
        # `self.model` writes the state of a step into the variables on JAX, where the next step,
        # which may be under way, takes it from them.
        self._trained = model

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note which epoch it is."""
        self._epoch = epoch
        self._steps.reset()

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note that a step begins."""
        self._steps.begin(batch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop at NaN; the logs hold means since the epoch began."""
        logs = logs or {}
        failed = math.isnan(logs.get("loss", 0.0))
        self._steps.end(batch, (lambda: self._error(batch)) if failed else None)
        if self._first_norm is None:
            self._first_norm = logs.get("feature_norm")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Warn once where the features' length has fallen to a hundredth."""
        norm = (logs or {}).get("feature_norm")
        if self._warned or norm is None or self._first_norm is None:
            return
        if norm < _COLLAPSED * self._first_norm:
            self._warned = True
            warnings.warn(
                f"The mean length of the pooled features fell from {self._first_norm:.3g} to "
                f"{norm:.3g}: the contrastive loss sees directions alone and lets them shrink, "
                'which a classifier of the features themselves may not survive. "layer" as '
                "`feature_normalization`, a lower `contrastive_weight` or learning rate help.",
                stacklevel=2,
            )

    def _error(self, batch):
        return FloatingPointError(
            f"The loss became NaN by step {batch + 1} of epoch {self._epoch + 1}. Usual causes: "
            f"{'; '.join(self._causes())}."
        )

    def _causes(self):
        if getattr(self._trained, "multi_label", False):
            yield "labels other than rows of 0 and 1, which multi_label=True takes"
        else:
            yield from self._label_causes()
        if getattr(self._trained, "memory", None) is not None:
            yield "soft labels, which do not go with `memory_size`"
        contrastive = getattr(getattr(self._trained, "loss", None), "contrastive", None)
        if getattr(contrastive, "negatives", "all") == "class_mean":
            yield "soft labels, which do not go with negatives='class_mean'"
        yield "pixels that are not finite"
        yield "a learning rate that is too high for the encoder"

    def _label_causes(self):
        expected = f"the model has classes 0 to {self.num_classes - 1} (num_classes)"
        names = class_names_of(self.data)
        if names is not None and len(names) != self.num_classes:
            yield f"the data set names {len(names)} classes, where {expected}"
        labels = [
            _classes(batch[1])
            for batch in backend.read_first_batches(self.data, _READ_AGAIN)
            if isinstance(batch, (tuple, list)) and len(batch) > 1
        ]
        labels = [part for part in labels if part is not None]
        found = np.concatenate(labels) if labels else np.zeros(0)
        if getattr(self._trained.loss, "ignore_unlabelled", False):
            found = found[found != -1]
        if not found.size:
            yield (
                f"labels out of range, where {expected}, or rows of labels that are below 0 or do "
                "not sum to 1"
            )
        elif not (0 <= found.min() and found.max() < self.num_classes):
            yield (
                f"labels out of range: there are classes {found.min():g} to {found.max():g} in "
                f"the first {len(labels)} batches, where {expected}. "
                + how_to_number(found[(found < 0) | (found >= self.num_classes)]).rstrip(".")
            )
        elif not np.array_equal(found, np.floor(found)):
            yield f"labels that are no whole numbers, such as {found[found % 1 != 0][0]:g}"


def _classes(labels):
    """Labels as numbers `(examples,)`; `None` for rows that sum to no 1, which have none."""
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        return labels.argmax(1) if labels_are_valid(labels) else None
    return labels.reshape(-1)

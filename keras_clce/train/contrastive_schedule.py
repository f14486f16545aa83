"""A weight of the contrastive part that moves over training."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_clce.losses import CLCELoss

# Share of the loss's own weight, where training has come from 0 to 1. A straight line, because its
# mean is half the weight: a constant half is what it has to be compared with.
SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "falling": lambda progress: 1.0 - progress,
    "rising": lambda progress: progress,
}


class CurrentWeight(keras.metrics.Metric):
    """The weight of the contrastive part as a variable that compiled training steps read.

    A metric, because JAX's step takes no other state that is not saved with the model.

    Args:
        name: Its name. Defaults to `"contrastive_weight"`.

    Example:
    ```python
    weight = CurrentWeight()
    weight.update_state(0.5)
    weight.result()  # 0.5
    ```
    """

    def __init__(self, name: str = "contrastive_weight") -> None:
        super().__init__(name=name, dtype="float32")
        # Not `add_variable`, whose replicas would be summed.
        self.value = keras.Variable(
            0.0,
            trainable=False,
            dtype="float32",
            autocast=False,
            aggregation="only_first_replica",
            name="value",
        )

    def update_state(self, weight: Any) -> None:
        """Set the weight."""
        self.value.assign(weight)

    def reset_state(self) -> None:
        """Keep the weight, which is no sum over steps."""

    def result(self) -> Any:
        """The weight."""
        return keras.ops.convert_to_tensor(self.value)


class ContrastiveWeightSchedule(keras.callbacks.Callback):
    """Moves the weight of the contrastive part from epoch to epoch, and logs it.

    The weight follows from the number of the epoch alone, so that training goes on with
    `initial_epoch` as if it had never stopped. `val_loss` and `evaluate` keep the loss's own
    weight: losses of moving weights would not compare epochs. To pick an epoch for its classifier
    take `val_cross_entropy` or `val_accuracy`.

    Args:
        schedule: `"falling"`, on a straight line from the loss's own weight in the first epoch to
            0 in the last, so that cross-entropy has the last word; `"rising"`, from 0 to the
            loss's own weight; or `"constant"`. A single epoch has the loss's own weight.

    Raises:
        ValueError: If there is no such schedule; in training, if the model's loss has not both
            parts.

    Example:
    ```python
    model.compile("adam", loss=CLCELoss(contrastive_weight=0.8))
    history = model.fit(
        images, labels, epochs=3, callbacks=[ContrastiveWeightSchedule("falling")], verbose=0
    )
    history.history["contrastive_weight"]  # [0.8, 0.4, 0.0]
    ```
    """

    def __init__(self, schedule: str) -> None:
        super().__init__()
        if schedule not in SCHEDULES:
            raise ValueError(
                f"`schedule` must be one of {tuple(SCHEDULES)}. Received: schedule={schedule!r}"
            )
        self.schedule = schedule

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuse a loss of one part."""
        loss = getattr(self.model, "loss", None)
        if not isinstance(loss, CLCELoss) or not 0 < loss.contrastive_weight < 1:
            weight = getattr(loss, "contrastive_weight", None)
            raise ValueError(
                "`model` must be a CLCEModel whose loss has both parts, a `contrastive_weight` "
                "above 0 and below 1, for its weight to move. Received: "
                f"loss={type(loss).__name__}, contrastive_weight={weight}"
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the weight of the epoch."""
        self.model.current_weight.update_state(self._weight(epoch))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Log the weight that the epoch had."""
        if logs is not None:
            logs["contrastive_weight"] = self._weight(epoch)

    def _weight(self, epoch):
        last = self.params["epochs"] - 1
        share = SCHEDULES[self.schedule](epoch / last) if last else 1.0
        return self.model.loss.contrastive_weight * share

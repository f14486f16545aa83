"""What a model of several labels an image can be compiled with."""

from typing import Any

import keras

from keras_clce.losses import CLCELoss

_WORDS = ("accuracy", "acc", "crossentropy", "ce")


def check_loss_of_labels(
    multi_label: bool, loss: CLCELoss, memory_size: int | None, mixing: Any = None
) -> None:
    """Refuse a loss that reads labels otherwise than the model.

    Args:
        multi_label: The model's.
        loss: The loss.
        memory_size: Rows of a memory of embeddings, or `None`.
        mixing: What mixes images and their labels. Defaults to `None`.

    Raises:
        ValueError: If the loss has another `multi_label`, or a memory or mixing comes with it.

    Example:
    ```python
    check_loss_of_labels(True, CLCELoss(multi_label=True), None)
    ```
    """
    if loss.multi_label != multi_label:
        raise ValueError(
            f"`loss` must have multi_label={multi_label}, as the model has: "
            f"keras_clce.losses.get('clce', multi_label={multi_label}). "
            f"Received: loss.multi_label={loss.multi_label}"
        )
    if multi_label and memory_size is not None:
        raise ValueError(
            "`memory_size` must be None with multi_label=True: the memory keeps one class of each "
            f"row. Received: memory_size={memory_size}"
        )
    if multi_label and mixing is not None:
        raise ValueError(
            "`mixing` must be None with multi_label=True: mixed labels are no longer 0 and 1. "
            f"Received: mixing={mixing!r}"
        )


def check_metrics_of_labels(multi_label: bool, *metrics: Any) -> None:
    """Refuse words that Keras takes for metrics of one class an image.

    Args:
        multi_label: The model's.
        *metrics: Arguments of `compile`.

    Raises:
        ValueError: If it is `True` and one of these words is among them.

    Example:
    ```python
    check_metrics_of_labels(True, [keras.metrics.F1Score(average="macro", threshold=0.5)])
    ```
    """
    words = {one for one in keras.tree.flatten(metrics) if isinstance(one, str)} & {*_WORDS}
    if multi_label and words:
        raise ValueError(
            "`metrics` must be of several labels with multi_label=True, such as "
            "keras_clce.evaluate.MeanAveragePrecision(num_classes), "
            "keras.metrics.F1Score('macro', threshold=0.5) or keras.metrics.BinaryAccuracy(): "
            f"{min(words)!r} compares the highest one. Received: metrics={sorted(words)}"
        )

"""Optimizers for fine-tuning: warm-up, cosine decay, and weight decay on matrices only."""

from collections.abc import Sequence
from typing import Any

import keras

OPTIMIZERS = ("adamw", "sgd")


def build_optimizer(
    name: str,
    learning_rate: float,
    weight_decay: float,
    total_steps: int,
    warmup_steps: int,
    variables: Sequence[Any],
) -> keras.optimizers.Optimizer:
    """Build an optimizer whose learning rate warms up linearly and falls to 0 on a cosine.

    Args:
        name: `"adamw"`, or `"sgd"` for Nesterov momentum 0.9 with decoupled weight decay.
        learning_rate: The highest learning rate, above 0.
        weight_decay: Decoupled weight decay, at least 0, kept off biases and norms, that is, off
            variables of fewer than two dimensions.
        total_steps: Steps of the whole training, above 0.
        warmup_steps: Steps of linear warm-up from 0, at least 0 and below `total_steps`.
        variables: The model's trainable variables.

    Returns:
        A `keras.optimizers.Optimizer`. Keras does not save which variables are free of decay: to
        train a model on that was loaded from a file, compile it with a newly built optimizer.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
    ```python
    optimizer = build_optimizer("adamw", 1e-3, 0.01, 300, 30, model.trainable_variables)
    ```
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"`name` must be one of {OPTIMIZERS}. Received: name={name}")
    if not learning_rate > 0:
        raise ValueError(
            f"`learning_rate` must be above 0. Received: learning_rate={learning_rate}"
        )
    if not weight_decay >= 0:
        raise ValueError(
            f"`weight_decay` must be at least 0. Received: weight_decay={weight_decay}"
        )
    if not 0 <= warmup_steps < total_steps:
        raise ValueError(
            f"`warmup_steps` must be within [0, total_steps={total_steps}). "
            f"Received: warmup_steps={warmup_steps}"
        )
    if warmup_steps:
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0,
            decay_steps=total_steps - warmup_steps,
            warmup_target=learning_rate,
            warmup_steps=warmup_steps,
        )
    else:
        schedule = keras.optimizers.schedules.CosineDecay(learning_rate, decay_steps=total_steps)
    if name == "adamw":
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay)
    else:
        optimizer = keras.optimizers.SGD(
            schedule, momentum=0.9, nesterov=True, weight_decay=weight_decay
        )
    optimizer.exclude_from_weight_decay([v for v in variables if len(v.shape) < 2])
    return optimizer

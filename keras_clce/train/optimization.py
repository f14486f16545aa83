"""Optimizers for fine-tuning: warm-up, cosine decay, and weight decay on matrices only."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_clce import backend
from keras_clce.train.layerwise import LayerwiseAdamW, LayerwiseSGD, layer_multipliers

OPTIMIZERS = {  # name: (one learning rate, learning rates by depth)
    "adamw": (keras.optimizers.AdamW, LayerwiseAdamW),
    "sgd": (keras.optimizers.SGD, LayerwiseSGD),
}


def build_optimizer(
    name: str,
    learning_rate: float,
    weight_decay: float,
    total_steps: int,
    warmup_steps: int,
    variables: Sequence[Any],
    layer_decay: float = 1.0,
    global_clipnorm: float | None = None,
    ema_momentum: float | None = None,
) -> keras.optimizers.Optimizer:
    """Build an optimizer whose learning rate warms up linearly and falls to 0 on a cosine.

    Args:
        name: `"adamw"`, or `"sgd"` for Nesterov momentum 0.9 with decoupled weight decay.
        learning_rate: The highest learning rate, above 0.
        weight_decay: Decoupled weight decay, at least 0, kept off biases and norms, that is, off
            variables of fewer than two dimensions, and off class tokens and positions.
        total_steps: Steps of the whole training, above 0.
        warmup_steps: Steps of linear warm-up from 0, at least 0 and below `total_steps`.
        variables: The model's trainable variables.
        layer_decay: Factor of the learning rate from one block of a Vision Transformer to the one
            before, in (0, 1]. Defaults to 1, one rate for all.
        global_clipnorm: Largest norm of all gradients together. Defaults to `None`, no limit.
        ema_momentum: Momentum of a moving average of the weights, which
            `keras.callbacks.SwapEMAWeights` evaluates. Defaults to `None`, no average.

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
        raise ValueError(f"`name` must be one of {tuple(OPTIMIZERS)}. Received: name={name}")
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
    options = {"weight_decay": weight_decay, "global_clipnorm": global_clipnorm}
    if ema_momentum is not None:
        options |= {"use_ema": True, "ema_momentum": ema_momentum}
    if name == "sgd":
        options |= {"momentum": 0.9, "nesterov": True}
    plain, layerwise = OPTIMIZERS[name]
    if layer_decay == 1:
        optimizer = plain(schedule, **options)
    else:
        multipliers = layer_multipliers(variables, layer_decay)
        optimizer = layerwise(schedule, multipliers=multipliers, **options)
    free = [v for v in variables if len(v.shape) < 2 or v.name in ("class_token", "positions")]
    optimizer.exclude_from_weight_decay(free)
    return optimizer


def learning_rate_at(optimizer: keras.optimizers.Optimizer) -> Callable[[int], float]:
    """The learning rate by the number of the step, for use while training runs.

    On JAX the variables of an optimizer are with the compiled step then, and cannot be read.

    Args:
        optimizer: The optimizer, between two epochs.

    Returns:
        A function from the number of a step, from 0, to the learning rate.

    Example:
    ```python
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, decay_steps=100)
    learning_rate_at(keras.optimizers.SGD(schedule))(100)  # 0.0
    ```
    """
    # One that scales the loss has another within.
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    schedule = optimizer._learning_rate
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        return lambda step: rate

    def rate_at(step):
        with backend.without_compiling():
            return float(schedule(step))

    return rate_at


def by_public_names(config: Any) -> Any:
    """Serialized optimizers under names that every backend knows.

    On torch Keras saves optimizers as classes of its own, which no other backend can train with.

    Args:
        config: A nest as `keras.saving.serialize_keras_object` gives it.

    Returns:
        The nest with `keras.optimizers` as their module.

    Example:
    ```python
    saved = {"module": "keras.src.backend.torch.optimizers.torch_adam", "class_name": "Adam"}
    by_public_names(saved)["module"]  # "keras.optimizers"
    ```
    """
    if not isinstance(config, dict):
        return config
    config = {key: by_public_names(value) for key, value in config.items()}
    if str(config.get("module")).startswith("keras.src.backend.torch.optimizers."):
        config |= {"module": "keras.optimizers", "registered_name": None}
    return config

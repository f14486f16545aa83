"""Rebuild encoders as plain functional graphs, and check what they give."""

from typing import Any

import keras

# Marks a model that is not quite what its name says: a file brought other settings along.
AS_PUBLISHED = "_as_published"


def plain_model(
    inputs: keras.KerasTensor, outputs: keras.KerasTensor, name: str, momentum: float | None = 0.9
) -> keras.Model:
    """Rebuild a graph from stock layers' configurations, with its weights.

    Args:
        inputs: The graph's symbolic input.
        outputs: Its symbolic output.
        name: Name of the model.
        momentum: Momentum of every BatchNormalization; None leaves them alone.

    Returns:
        A `keras.Model` in which each layer is called once, free of the objects it was made from.

    Example:
    ```python
    from keras_clce.models.pixels import pixel_input
    pixels = pixel_input(32)
    plain_model(pixels, keras.layers.Flatten()(pixels), "flat").output_shape  # (None, 3072)
    ```
    """
    traced = keras.Model(inputs, outputs, name=name)
    if momentum is not None:
        for layer in traced.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                # Fine-tuning takes a few hundred steps. With the 0.99 of from-scratch training
                # the moving statistics, which evaluation uses, would still be the old task's.
                layer.momentum = momentum
    # A layer traced twice remembers the first graph, so `layer.output` would lead out of this one.
    model = keras.Model.from_config(traced.get_config())
    model.set_weights(traced.get_weights())
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with a copy of its weights, made here
    return model


def check_features(outputs: Any, received: str) -> None:
    """Refuse a model that gives neither one feature map nor one vector.

    Args:
        outputs: What it gives, symbolically.
        received: What it was made from, for the message.

    Raises:
        ValueError: If it gives anything else.

    Example:
    ```python
    check_features(encoder.output, "name='encoder.keras'")
    ```
    """
    if not isinstance(outputs, keras.KerasTensor) or len(outputs.shape) not in (2, 4):
        raise ValueError(
            "The model must return one feature map (batch, height, width, channels) or one "
            f"vector (batch, channels). Received: {received} with output={outputs}"
        )

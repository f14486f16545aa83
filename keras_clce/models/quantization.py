"""What a saved layer tells of the quantisation of the layers inside it.

Keras stores that with a layer of a graph, and knows nothing of layers inside layers.
"""

from typing import Any

import keras


def quantized_layers(layer: keras.Layer) -> dict[str, dict[str, Any]]:
    """Tell which layers inside a layer are quantised, and how.

    Args:
        layer: A built layer, whose inner layers have names of their own.

    Returns:
        Of each quantised inner layer, by its name, what `quantize_layers` needs; for JSON.

    Example:
    ```python
    from keras_clce.models.architectures.vit import MLPBranch
    branch = MLPBranch(hidden_dim=16)
    features = branch(np.zeros((2, 5, 8)))
    branch.fc1.quantize("int8")
    list(quantized_layers(branch))  # ['fc1']
    ```
    """
    return {
        inner.name: {
            "mode": inner.quantization_mode,
            "config": keras.saving.serialize_keras_object(inner.quantization_config),
        }
        for inner in layer._flatten_layers(include_self=False)
        if inner.quantization_mode is not None
    }


def quantize_layers(layer: keras.Layer, quantized: dict[str, dict[str, Any]]) -> None:
    """Quantise layers inside a layer, so that it takes the weights of one that was saved so.

    Args:
        layer: A built layer, as it was before it was quantised.
        quantized: What `quantized_layers` told of the saved one.

    Raises:
        ValueError: If a layer of that name is not there.

    Example:
    ```python
    from keras_clce.models.architectures.vit import MLPBranch
    branch, copy = MLPBranch(hidden_dim=16), MLPBranch(hidden_dim=16)
    features = branch(np.zeros((2, 5, 8))), copy(np.zeros((2, 5, 8)))
    branch.fc1.quantize("int8")
    quantize_layers(copy, quantized_layers(branch))
    copy.fc1.quantization_mode  # "int8"
    ```
    """
    inner = {each.name: each for each in layer._flatten_layers(include_self=False)}
    for name, kind in quantized.items():
        if name not in inner:
            raise ValueError(
                f"The quantised layers must be among {', '.join(inner)}. Received: {name!r}"
            )
        config = keras.saving.deserialize_keras_object(kind["config"])
        inner[name].quantize(kind["mode"], config=config)

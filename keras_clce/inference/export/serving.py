"""A model as it is exported: uint8 images in, named outputs out, all in float32."""

import math
from typing import Any

import keras

from keras_clce.checks import as_array
from keras_clce.train import CLCEModel

INPUT = "images"
OUTPUTS = ("embedding", "logits", "probabilities")


def served(model: CLCEModel, image_size: int, names: bool = True) -> keras.Model:
    """Wrap a model so that it takes uint8 images of one size.

    Args:
        model: The model.
        image_size: Pixels per side.
        names: Whether outputs are a dict, else a list in the order of `OUTPUTS`. Defaults to
            `True`.

    Returns:
        A Keras model.

    Example:
    ```python
    served(model, 32).input.dtype  # "uint8"
    ```
    """
    images = keras.Input((image_size, image_size, 3), dtype="uint8", name=INPUT)
    outputs = model(keras.ops.cast(images, "float32"), training=False)
    named = {name: outputs[name] for name in OUTPUTS}
    return keras.Model(images, named if names else [*named.values()], name="served")


def in_float32(model: CLCEModel) -> CLCEModel:
    """A model that computes in float32, which exporters need.

    Args:
        model: The model.

    Returns:
        The model itself where it does so already, else a copy with the same weights.

    Example:
    ```python
    in_float32(model) is model  # True
    ```
    """
    # Private, as in `models.quantization`: Keras has no public list of layers within layers.
    layers = model._flatten_layers()
    if all(layer.dtype_policy.compute_dtype == "float32" for layer in layers):
        return model
    return copied(model, float32=True)


def copied(model: CLCEModel, float32: bool = False) -> CLCEModel:
    """Copy a model for inference.

    Args:
        model: The model.
        float32: Whether the copy computes in float32 throughout. Defaults to `False`.

    Returns:
        A model with the same weights and without an augmenter.

    Example:
    ```python
    copied(model).augmenter is None  # True
    ```
    """
    config = {**model.get_config(), "augmenter": None}
    copy = CLCEModel.from_config(_in_float32(config) if float32 else config)
    for own, other in ((copy.backbone, model.backbone), (copy.heads, model.heads)):
        own.set_weights([as_array(weight) for weight in other.weights])
    return copy


def _in_float32(config: Any) -> Any:
    """A config whose dtype policies are float32."""
    if isinstance(config, (list, tuple)):
        return type(config)(_in_float32(each) for each in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return {**config, "config": {"name": "float32"}}
    return {key: _in_float32(value) for key, value in config.items()}


def is_convolutional(model: CLCEModel) -> bool:
    """Whether most of a model's weights are those of convolutions.

    Args:
        model: The model.

    Returns:
        `True` of convolutional encoders, `False` of transformers, whose weights are matrices.

    Example:
    ```python
    is_convolutional(model)  # True
    ```
    """
    kernels = [w for w in [*model.backbone.weights, *model.heads.weights] if len(w.shape) >= 2]
    sizes = [(math.prod(weight.shape), len(weight.shape) > 3) for weight in kernels]
    return 2 * sum(size for size, convolves in sizes if convolves) > sum(s for s, _ in sizes)

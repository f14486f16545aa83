"""Fine-tuning that differs by depth: learning rates that fall towards the input, frozen layers."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import keras
from keras import ops

from keras_clce.models.registry import find_depth_groups


def layer_multipliers(variables: Iterable[keras.Variable], decay: float) -> dict[str, float]:
    """Give every variable of a Vision Transformer its share of the learning rate.

    The heads and the last norms have 1, the last block `decay`, the one before `decay²`, and so
    on; patches, class token and positions have one factor more than the first block.

    Args:
        variables: Trainable variables of a model on an encoder of `vision_transformer`.
        decay: Factor from one block to the one before, in (0, 1].

    Returns:
        Path of each variable to its multiplier.

    Raises:
        ValueError: If `decay` is out of range, or no variable lies in a transformer's block.

    Reference:
        - [BEiT](https://arxiv.org/abs/2106.08254), whose rule this is.

    Example:
    ```python
    from keras_clce import CLCEModel
    model = CLCEModel.from_backbone("vit_tiny", num_classes=10, image_size=32)
    multipliers = layer_multipliers(model.trainable_variables, decay=0.75)
    ```
    """
    if not 0 < decay <= 1:
        raise ValueError(f"`decay` must be within (0, 1]. Received: decay={decay}")
    paths = [variable.path for variable in variables]
    groups = find_depth_groups(paths)
    if groups is None:
        raise ValueError(
            "`variables` must belong to a Vision Transformer with blocks. "
            f"Received: variables={paths[:3]}…"
        )
    blocks = {path: groups.block_of(path) for path in paths}
    depth = max(block for block in blocks.values() if block is not None) + 1

    def place(path):
        if blocks[path] is not None:
            return blocks[path] + 1
        return 0 if groups.in_stem(path) else depth + 1

    return {path: decay ** (depth + 1 - place(path)) for path in paths}


def unfreeze_last(backbone: keras.Model, count: int) -> None:
    """Freeze all of an encoder but its last blocks and what follows them.

    Args:
        backbone: The encoder; changed in place.
        count: Number of blocks of a Vision Transformer, or of layers with weights of another
            encoder, at least 1. A BatchNormalization counts as a layer.

    Raises:
        ValueError: If the encoder has fewer of them.

    Example:
    ```python
    from keras_clce import CLCEModel
    model = CLCEModel.from_backbone("vit_tiny", num_classes=10, image_size=32)
    unfreeze_last(model.backbone, 4)
    ```
    """
    groups = find_depth_groups([weight.path for weight in backbone.weights])
    if groups is None:
        layers = [layer for layer in _layers(backbone) if layer.weights]
        _check_count(count, len(layers), backbone)
        for layer in layers[:-count]:
            layer.trainable = False
        return
    found = (groups.block_of(weight.path) for weight in backbone.weights)
    numbers = sorted({number for number in found if number is not None})
    _check_count(count, len(numbers), backbone)
    first = numbers[-count]

    def lies_before(path):
        block = groups.block_of(path)
        return groups.in_stem(path) if block is None else block < first

    _freeze(backbone, lies_before)


def frozen_layers(layer: keras.layers.Layer) -> list[str]:
    """Names of a layer, and of the layers in it, that are not trained.

    Args:
        layer: The layer.

    Returns:
        The names.

    Example:
    ```python
    frozen_layers(keras.layers.Dense(2, trainable=False, name="dense"))  # ["dense"]
    ```
    """
    return [each.name for each in layer._flatten_layers() if not each.trainable]


def freeze_layers(layer: keras.layers.Layer, names: Collection[str]) -> None:
    """Freeze a layer, or layers in it, by their names.

    Args:
        layer: The layer; changed in place.
        names: What `frozen_layers` gave.

    Example:
    ```python
    freeze_layers(keras.layers.Dense(2, name="dense"), ["dense"])
    ```
    """
    for each in layer._flatten_layers():
        if each.name in names:
            each.trainable = False


def _check_count(count: int, most: int, backbone: keras.Model) -> None:
    if not 1 <= count <= most:
        raise ValueError(
            f"`count` must be within [1, {most}], the blocks or layers of {backbone.name}. "
            f"Received: count={count}"
        )


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model and of the models in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _freeze(layer: keras.layers.Layer, is_frozen: Callable[[str], bool]) -> None:
    """Freeze the largest layers whose variables all have such paths, which a saved model keeps."""
    frozen = [is_frozen(weight.path) for weight in layer.weights]
    if all(frozen):
        layer.trainable = False
    elif any(frozen):
        for child in layer._flatten_layers(include_self=False, recursive=False):
            _freeze(child, is_frozen)


class _Layerwise:
    """Scales the learning rate and the weight decay of each variable by a multiplier."""

    # Of the optimizer, a later base of every class that has this one.
    learning_rate: Any
    weight_decay: float | None
    _use_weight_decay: Callable[[keras.Variable], bool]

    def __init__(self, *args: Any, multipliers: dict[str, float], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.multipliers = dict(multipliers)

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Update a variable at its own rate."""
        rate = learning_rate * self._multiplier(variable)
        super().update_step(gradient, variable, rate)  # type: ignore[misc]  # the optimizer's

    def _apply_weight_decay(self, variables: Iterable[keras.Variable]) -> None:
        # Decoupled decay is in proportion to the learning rate, and so to the variable's own.
        if self.weight_decay is None:
            return
        for variable in variables:
            if self._use_weight_decay(variable):
                rate = ops.cast(self.learning_rate, variable.dtype) * self._multiplier(variable)
                variable.assign(variable * (1.0 - self.weight_decay * rate))

    def _multiplier(self, variable):
        # TensorFlow hands over its own variable, which has no path.
        known = self._trainable_variables[self._get_variable_index(variable)]
        # Adapters that came later go with their kernel.
        kernel = re.sub(r"lora_kernel_[ab]$", "kernel", known.path)
        return self.multipliers.get(known.path, self.multipliers.get(kernel, 1.0))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the optimizer."""
        config = super().get_config()  # type: ignore[misc]  # the optimizer's
        return {**config, "multipliers": self.multipliers}


@keras.saving.register_keras_serializable(package="keras_clce")
class LayerwiseAdamW(_Layerwise, keras.optimizers.AdamW):
    """AdamW whose learning rate and weight decay are scaled variable by variable.

    Args:
        *args: As in `keras.optimizers.AdamW`.
        multipliers: Path of a variable to its factor; 1 where a variable is not named.
        **kwargs: As in `keras.optimizers.AdamW`.

    Example:
    ```python
    from keras_clce import CLCEModel
    model = CLCEModel.from_backbone("vit_tiny", num_classes=10, image_size=32)
    multipliers = layer_multipliers(model.trainable_variables, decay=0.75)
    model.compile(LayerwiseAdamW(1e-3, weight_decay=0.05, multipliers=multipliers))
    ```
    """


@keras.saving.register_keras_serializable(package="keras_clce")
class LayerwiseSGD(_Layerwise, keras.optimizers.SGD):
    """SGD whose learning rate and weight decay are scaled variable by variable.

    Args:
        *args: As in `keras.optimizers.SGD`.
        multipliers: Path of a variable to its factor; 1 where a variable is not named.
        **kwargs: As in `keras.optimizers.SGD`.

    Example:
    ```python
    from keras_clce import CLCEModel
    model = CLCEModel.from_backbone("vit_tiny", num_classes=10, image_size=32)
    multipliers = layer_multipliers(model.trainable_variables, decay=0.75)
    model.compile(LayerwiseSGD(1e-2, momentum=0.9, multipliers=multipliers))
    ```
    """

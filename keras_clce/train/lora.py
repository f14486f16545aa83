"""LoRA: train small adapters inside a frozen encoder, keep them when saving, merge them in the end.

Keras's layers have the adapters themselves, but save them merged into their kernels and load them
as zeros, from which nothing learns. What stands here saves kernels and adapters apart as well.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import keras
from keras import ops

from keras_clce.checks import check_whole_number
from keras_clce.models.quantization import quantized_layers

_KINDS = (keras.layers.Dense, keras.layers.EinsumDense)
_ADAPTERS = ("lora_kernel_a", "lora_kernel_b")
_INITIALIZER = "he_uniform"  # Keras's own


@dataclasses.dataclass(frozen=True)
class LoRA:
    """The adapters of a model.

    Args:
        rank: Rows of an adapter.
        alpha: Adapters count `alpha / rank` times.
        layers: Names of the layers that have adapters, or `None`: all that can.

    Example:
    ```python
    LoRA(rank=8, alpha=16.0).layers is None  # True
    ```
    """

    rank: int
    alpha: float
    layers: tuple[str, ...] | None = None


class LoRAModel:
    """What makes a model one whose encoder can learn by adapters; a base of `CLCEModel`."""

    # Keras loads attributes in the order of their names: this one has to come after `backbone`.
    lora_adapters: "_SavedAdapters | None" = None
    lora: LoRA | None = None
    backbone: keras.Model

    def enable_lora(
        self, rank: int, alpha: float | None = None, layers: str | Sequence[str] | None = None
    ) -> None:
        """Freeze the encoder, and give its dense layers adapters that learn in its place.

        A kernel `W` counts as `W + alpha / rank · A B` from now on, with `A` random and `B` zero,
        so that nothing changes before training. The heads train as before; a compiled model has an
        optimizer without history afterwards. What is saved has kernels and adapters apart, and
        goes on where it stood; Keras alone, as in `model.backbone.save`, saves their sum.

        Args:
            rank: Rows of an adapter, at least 1; 4 to 16 are usual.
            alpha: Adapters count `alpha / rank` times. Defaults to `None`: `rank`, so once.
            layers: Name or names of the layers inside the encoder that get adapters, such as
                `("qkv", "projection")`. Defaults to `None`: all its `Dense` and `EinsumDense`
                layers.

        Raises:
            ValueError: If the encoder has no such layers, a layer is quantised, or there are
                adapters already.

        Reference:
            - [LoRA](https://arxiv.org/abs/2106.09685)

        Example:
        ```python
        model = CLCEModel.from_backbone("vit_tiny", num_classes=10, image_size=32)
        model.enable_lora(rank=4)
        model.lora.alpha  # 4.0
        ```
        """
        check_whole_number("rank", rank)
        if self.lora is not None:
            raise ValueError(
                "`enable_lora` must be called once; `merge_lora` makes room for new adapters. "
                f"Received: rank={rank}, of a model with adapters of rank {self.lora.rank}"
            )
        alpha = float(rank) if alpha is None else alpha
        if not isinstance(alpha, Real) or not 0 < alpha < float("inf"):
            raise ValueError(f"`alpha` must be a number above 0. Received: alpha={alpha!r}")
        adapted = _adaptable(self.backbone, layers)
        quantized = list(quantized_layers(self.backbone))
        if quantized:
            raise ValueError(
                "`enable_lora` is for an encoder that is not quantised. Received: an encoder with "
                f"{len(quantized)} quantised layers, such as {quantized[0]!r}"
            )
        # Before the first gets adapters, which would stay where a later one is refused.
        for layer in adapted:
            if layer.lora_enabled and layer.lora_rank != rank:
                raise ValueError(
                    f"`rank` must be that of the adapters that {layer.name} has already, "
                    f"{layer.lora_rank}. Received: rank={rank}"
                )
            if layer.kernel_constraint:
                raise ValueError(
                    "`enable_lora` is for layers without a constraint on their kernels; `layers` "
                    f"can leave some out. Received: {layer.name} with {layer.kernel_constraint!r}"
                )
        for layer in adapted:
            if layer.lora_enabled:
                layer.lora_alpha = alpha
            else:
                layer.enable_lora(rank, lora_alpha=alpha)
        _freeze_but(self.backbone, adapted)
        names = (layers,) if isinstance(layers, str) else layers
        self.lora = LoRA(rank, float(alpha), None if names is None else tuple(names))
        # Not by setattr: it is no layer of the model, but Keras saves and loads what it finds.
        vars(self)["lora_adapters"] = _SavedAdapters(adapted)
        _renew_training(self)

    def merge_lora(self) -> None:
        """Add the adapters to their kernels and take them away, for export and for others.

        Outputs stay the same. The encoder stays frozen: `model.backbone.trainable = True` trains
        all of it on. A compiled model has an optimizer without history afterwards.

        Raises:
            ValueError: If there are no adapters.

        Example:
        ```python
        model = CLCEModel.from_backbone("vit_tiny", num_classes=10, image_size=32)
        model.enable_lora(rank=4)
        model.merge_lora()
        model.lora is None  # True
        ```
        """
        adapters = self.lora_adapters
        if self.lora is None or adapters is None:
            raise ValueError("`merge_lora` is for a model with adapters, of `enable_lora`.")
        for layer in adapters.layers_with_adapters():
            kernel = layer._kernel
            kernel.assign(ops.cast(_merged(layer), kernel.dtype))
            _take_adapters_from(layer)
        self.backbone.trainable = False
        self.lora = None
        del vars(self)["lora_adapters"]
        _renew_training(self)

    def _lora_config(self) -> dict[str, Any]:
        """What a saved model knows of its adapters, and of what is trained beside them."""
        if self.lora is None:
            return {}
        trained = [
            variable.path
            for variable in self.backbone.trainable_variables
            if variable.name not in _ADAPTERS
        ]
        return {"lora": {**dataclasses.asdict(self.lora), "trained": trained}}

    def _enable_saved_lora(self, config: dict[str, Any]) -> None:
        """Enable adapters as a saved model had them, by the entry `"lora"` of `_lora_config`."""
        if not config:
            return
        trained = {*config.get("trained", ())}
        self.enable_lora(**{name: value for name, value in config.items() if name != "trained"})
        for layer in self.backbone._flatten_layers():
            if any(variable.path in trained for variable in layer._trainable_variables):
                layer.trainable = True

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Quantise dense layers, as `keras.Model.quantize` does; adapters have to be merged.

        A compiled model has an optimizer without history afterwards: the one before is of kernels
        that are no more.
        """
        if self.lora is not None:
            raise ValueError(
                "`quantize` is for a model without adapters: call `merge_lora` before. "
                f"Received: a model with adapters of rank {self.lora.rank}"
            )
        super().quantize(*args, **kwargs)  # type: ignore[misc]  # `keras.Model`'s, a later base
        _renew_training(self)


class _SavedAdapters(keras.layers.Layer):
    """Saves kernels and adapters of layers apart from each other; it has no weights of its own."""

    def __init__(self, layers: Sequence[keras.Layer]) -> None:
        super().__init__(name="lora_adapters")
        # Not as an attribute, in which Keras would look for further layers.
        self.layers_with_adapters = lambda: layers
        self.built = True

    def save_own_variables(self, store: Any) -> None:
        """Write kernels and adapters, by the numbers of the layers."""
        for number, layer in enumerate(self.layers_with_adapters()):
            for name, variable in _parts(layer):
                store[f"{name}_{number}"] = variable

    def load_own_variables(self, store: Any) -> None:
        """Read them back; new ones begin at kernels of a file that has none."""
        saved = {*store.keys()}
        for number, layer in enumerate(self.layers_with_adapters()):
            for name, variable in _parts(layer):
                if f"{name}_{number}" in saved:
                    variable.assign(store[f"{name}_{number}"])
                elif name == "lora_kernel_a":
                    # Keras has loaded the sum as the kernel, and zeros here.
                    initializer = keras.initializers.get(_INITIALIZER)
                    variable.assign(initializer(variable.shape, variable.dtype))


def _parts(layer):
    yield "kernel", layer._kernel
    yield "lora_kernel_a", layer.lora_kernel_a
    yield "lora_kernel_b", layer.lora_kernel_b


def _adaptable(backbone: keras.Model, layers: Any) -> list[keras.Layer]:
    """The layers that get adapters."""
    dense = [layer for layer in backbone._flatten_layers() if isinstance(layer, _KINDS)]
    if not dense:
        raise ValueError(
            "`enable_lora` is for encoders with Dense or EinsumDense layers, such as Vision "
            f"Transformers. Received: {backbone.name}, which has none"
        )
    if layers is None:
        return dense
    names = (layers,) if isinstance(layers, str) else layers
    known = sorted({layer.name for layer in dense})
    if not isinstance(names, Iterable) or not [*names] or not {*names} <= {*known}:
        raise ValueError(
            f"`layers` must be None, or names of layers of the encoder: {', '.join(known)}. "
            f"Received: layers={layers!r}"
        )
    return [layer for layer in dense if layer.name in names]


def _freeze_but(backbone: keras.Model, adapted: Sequence[keras.Layer]) -> None:
    """Freeze all of an encoder but the adapters of some layers."""
    wanted = {id(layer) for layer in adapted}
    # From outside in, since a layer hands what is set on to those inside it.
    for layer in backbone._flatten_layers():
        layer.trainable = any(id(each) in wanted for each in layer._flatten_layers())
        for variable in layer._trainable_variables:
            variable.trainable = False
    for layer in adapted:
        layer.lora_kernel_a.trainable = layer.lora_kernel_b.trainable = True


def _merged(layer: keras.Layer) -> Any:
    scale = layer.lora_alpha / layer.lora_rank
    adapter = ops.matmul(layer.lora_kernel_a, layer.lora_kernel_b)
    return ops.cast(layer._kernel, "float32") + scale * adapter


def _take_adapters_from(layer: keras.Layer) -> None:
    # Private, for want of a public way; Keras's own quantisation does the same.
    layer._tracker.unlock()
    layer._untrack_variable(layer.lora_kernel_a)
    layer._untrack_variable(layer.lora_kernel_b)
    layer._tracker.lock()
    layer.lora_enabled, layer.lora_rank, layer.lora_alpha = False, None, None
    layer.lora_kernel_a = layer.lora_kernel_b = None


def _renew_training(model: keras.Model) -> None:
    """Drop what was made for other trainable variables."""
    model.train_function = model.test_function = model.predict_function = None
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return
    model.optimizer = type(optimizer).from_config(optimizer.get_config())
    for old, new in zip(_nested(optimizer), _nested(model.optimizer), strict=True):
        # What is left out of weight decay is in no configuration.
        for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
            if hasattr(old, name):
                setattr(new, name, getattr(old, name))
    model.optimizer.build(model.trainable_variables)


def _nested(optimizer: Any) -> list[Any]:
    """An optimizer, and the one that it scales the loss for."""
    inner = getattr(optimizer, "inner_optimizer", None)
    return [optimizer, *([] if inner is None else _nested(inner))]

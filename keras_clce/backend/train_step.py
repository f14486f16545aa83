"""Keras's own training step on a batch that is prepared inside it, and what runs beside it."""

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import keras


def train_on_prepared(
    model: keras.Model, step: Callable, prepare: Callable[[Any], Any], args: tuple
) -> Any:
    """Run Keras's own training step on a batch that was prepared inside the compiled step.

    Keras hands a batch alone to TensorFlow's and torch's `train_step`, but the state as well to
    JAX's, which must not touch variables: there the preparation, which may advance random seeds,
    runs in a `StatelessScope` and its new values join the state. Delete when Keras has a hook for
    batches inside the compiled step that is the same on all backends.

    Args:
        model: The model in training.
        step: The `train_step` of Keras's base class, bound to `model`.
        prepare: Function from a batch as the data set gives it to the batch to train on. It may
            assign non-trainable variables of `model`.
        args: What Keras passed to `train_step`: `(data,)`, or `(state, data)` on JAX.

    Returns:
        What `step` returns.

    Example:
    ```python
    class Brighter(keras.Sequential):
        def train_step(self, *args):
            return train_on_prepared(
                self, super().train_step, lambda data: (1.1 * data[0], data[1]), args
            )
    ```
    """
    if keras.backend.backend() != "jax":
        return step(prepare(*args))
    (trainable, non_trainable, *others), data = args
    variables = model.non_trainable_variables
    mapping = list(zip(variables, non_trainable, strict=True))
    with keras.StatelessScope(state_mapping=mapping) as scope:
        data = prepare(data)
    non_trainable = [scope.get_current_value(variable) for variable in variables]
    return step((trainable, non_trainable, *others), data)


def without_compiling() -> contextlib.AbstractContextManager:
    """Compute a few numbers as they come, where JAX would compile at every call.

    There `keras.ops.cond` compiles its branches anew each time that it is called: a learning rate
    of `CosineDecay` takes 60 ms and 1.7 MiB that stay, and 2 ms in here. Delete when Keras's `cond`
    chooses by Python where the predicate is known, as it does on torch.

    Example:
    ```python
    with without_compiling():
        rate = keras.optimizers.schedules.CosineDecay(1e-3, 90, warmup_target=1e-2)(5)
    ```
    """
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.disable_jit()


def let_jax_compile(model: keras.Model) -> None:
    """Let JAX compile a model with Keras's layers of random geometry.

    One layer with `supports_jit = False` turns compilation off for the whole model, and JAX then
    runs a training step operation by operation. Keras sets it on all backends for layers whose
    operation XLA lacks on TensorFlow. Delete when Keras sets it on TensorFlow alone.

    Args:
        model: The model, whose layers' `supports_jit` are set.

    Warns:
        UserWarning: If JAX cannot compile the model, naming the layers.

    Example:
    ```python
    views = keras.Sequential([keras.layers.RandomFlip(), keras.layers.RandomTranslation(0.1, 0.1)])
    let_jax_compile(views)
    ```
    """
    if keras.backend.backend() != "jax":
        return
    layers = keras.layers
    geometry = (
        layers.RandomPerspective,
        layers.RandomRotation,
        layers.RandomShear,
        layers.RandomTranslation,
        layers.RandomZoom,
    )
    found = model._flatten_layers()  # private, as what Keras itself asks
    # It chooses its layers by Python's random numbers: compiled, it would choose once for all.
    mixes = [each for each in found if isinstance(each, layers.AugMix)]
    kept = {id(inner) for mix in mixes for inner in mix._flatten_layers()}
    for layer in found:
        if type(layer) in geometry and id(layer) not in kept:
            layer.supports_jit = True
    left = [layer.name for layer in found if not layer.supports_jit]
    if left:
        warnings.warn(
            f"JAX runs this model operation by operation, many times slower than compiled, because "
            f"these layers do not compile: {', '.join(left)}. Views of "
            "keras_clce.views.two_view_augmenter do; jit_compile=False hides this warning",
            stacklevel=3,
        )


def build_augmenter(augmenter: keras.layers.Layer | None, data: Any) -> None:
    """Create the variables of an augmenter before JAX takes the state of its model.

    TensorFlow and torch create them in the first step. Streams that do not tell the shape of their
    images are passed over.

    Args:
        augmenter: A layer, or `None`.
        data: Images as an array, or a `tf.data.Dataset`.

    Example:
    ```python
    build_augmenter(keras.layers.RandomFlip(), np.zeros((2, 8, 8, 3)))
    ```
    """
    if keras.backend.backend() != "jax" or augmenter is None or augmenter.built:
        return
    spec = getattr(data, "element_spec", data)
    spec = spec[0] if isinstance(spec, (tuple, list)) else spec
    shape = getattr(spec, "shape", None)
    shape = tuple(shape) if shape is not None and getattr(shape, "rank", 4) is not None else ()
    if len(shape) == 4:
        images = keras.KerasTensor((None, *shape[1:]), keras.backend.standardize_dtype(spec.dtype))
        augmenter(images, training=True)


def build_before_tracing(model: keras.Model, y: Any = None, data: Any = None) -> None:
    """Create the variables of metrics and optimizer before a step is traced.

    TensorFlow traces a step twice where the first time creates variables, and half of the time that
    a training takes to start is tracing. Keras creates them before on JAX and torch. Delete when it
    does so on TensorFlow.

    Args:
        model: A compiled `CLCEModel`.
        y: Labels as an array, if they are one. Defaults to `None`.
        data: What else holds labels; of use if it is a `tf.data.Dataset`. Defaults to `None`.

    Example:
    ```python
    build_before_tracing(model, labels)
    ```
    """
    if keras.backend.backend() != "tensorflow" or not (model.built and model.compiled):
        return
    specs = getattr(data, "element_spec", None)
    if y is None and isinstance(specs, tuple) and len(specs) > 1:
        y = specs[1]
    shape = getattr(y, "shape", ())
    known = getattr(shape, "rank", len(shape) if isinstance(shape, tuple) else None)
    metrics = model._compile_metrics  # private, for want of a public way to build them
    with model.distribute_strategy.scope():
        if known and metrics is not None and not metrics.built:
            labels = keras.KerasTensor((None, *shape[1:]))
            metrics.build(labels, keras.KerasTensor((None, model.num_classes)))
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)

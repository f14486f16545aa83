"""What `fit`, `evaluate` and `predict` do with their data before Keras takes it."""

import functools
import hashlib
import math
import warnings
from typing import Any

import keras
import numpy as np

from keras_clce import backend
from keras_clce.models.pixels import takes_pixels
from keras_clce.train.array_checks import check_arrays, check_image_shape, refuse_named_parts
from keras_clce.train.batch_warnings import look_at_batch
from keras_clce.train.class_numbers import refuse_text, refuse_text_of
from keras_clce.train.model_description import different_class_names
from keras_clce.train.watch import TrainingWatch

_ARRAYS = ("x", "y", "sample_weight")
_HASHED = 1024  # pixels of an image
_KERAS_BATCH = 32  # where no batch size is given


def for_fit(model: keras.Model, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `fit` after a look at the data.

    Arrays are checked, and so are those of validation, which are put into an order of no classes.
    Streams are looked at when their first batch comes.

    Args:
        model: A `CLCEModel`.
        arguments: Arguments of `keras.Model.fit` by name.

    Returns:
        The arguments for Keras.

    Raises:
        ValueError: As in `CLCEModel.fit`.
    """
    x, y = arguments.get("x"), arguments.get("y")
    _check(model, x, y, image_shape(model))
    _check_class_weight(model, arguments.get("class_weight"))
    _warn_of_other_classes(model, x)
    arguments = _split(arguments)
    validation = arguments.get("validation_data")
    size = arguments.get("validation_batch_size") or arguments.get("batch_size")
    if isinstance(validation, (tuple, list)):
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(validation)
        _check(model, images, labels, model.backbone.input_shape[1:])
        if arguments.get("validation_steps") is None:
            images, labels, weights = in_fixed_order(images, labels, weights, size)
        arguments["validation_data"] = (
            (images, labels) if weights is None else (images, labels, weights)
        )
    elif validation is not None:
        _warn_of_other_classes(model, validation)
        arguments["validation_data"] = _looked_at(model, validation, evaluates=True)
    callbacks = arguments.get("callbacks")
    if not isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = [] if callbacks is None else keras.tree.flatten(callbacks)
        arguments["callbacks"] = [*callbacks, TrainingWatch(x, model.num_classes)]
    backend.build_augmenter(model.augmenter, x)
    backend.build_before_tracing(model, arguments.get("y"), x)
    arguments["x"] = _looked_at(model, arguments.get("x"))
    return arguments


def for_evaluate(model: keras.Model, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `evaluate` after a look at the data, as `for_fit`.

    Args:
        model: A `CLCEModel`.
        arguments: Arguments of `keras.Model.evaluate` by name.

    Returns:
        The arguments for Keras.

    Raises:
        ValueError: As in `CLCEModel.evaluate`.
    """
    # Keras's own call within `fit`, whose data was seen there.
    if arguments.get("_use_cached_eval_dataset"):
        return arguments
    _check(model, arguments.get("x"), arguments.get("y"), model.backbone.input_shape[1:])
    _warn_of_other_classes(model, arguments.get("x"))
    arguments["x"] = _looked_at(model, arguments.get("x"), evaluates=True)
    if arguments.get("steps") is None:
        x, y, sample_weight = (arguments.get(name) for name in _ARRAYS)
        ordered = in_fixed_order(x, y, sample_weight, arguments.get("batch_size"))
        arguments.update(zip(_ARRAYS, ordered, strict=True))
    return arguments


def for_predict(model: keras.Model, x: Any) -> Any:
    """Images of `predict` after a look at them.

    Args:
        model: A `CLCEModel`.
        x: What `predict` takes.

    Returns:
        The images for Keras.

    Raises:
        ValueError: If an array has another shape than the encoder's images.
    """
    if isinstance(x, np.ndarray):
        check_image_shape(x.shape, model.backbone.input_shape[1:])
    return _looked_at(model, x, has_labels=False)


def image_shape(model: keras.Model) -> tuple[int | None, ...]:
    """Shape of an image that a model trains on, `None` where any number fits.

    Args:
        model: A `CLCEModel`.

    Returns:
        The shape without the batch: an augmenter may crop images of any size to the encoder's.
    """
    shape = tuple(model.backbone.input_shape[1:])
    return shape if model.augmenter is None else (*(None for _ in shape[1:]), shape[-1])


def in_fixed_order(x: Any, y: Any, sample_weight: Any, batch_size: int | None) -> tuple:
    """Arrays in an order that depends on the images and not on the order in which they came.

    A contrastive loss compares the images of a batch. Where arrays stand in the order of their
    classes, batches of one class would hide what it is there to tell.

    Args:
        x: Images `(examples, …)`, or a pair of such arrays.
        y: Labels `(examples, …)`.
        sample_weight: Weights `(examples, …)`, or `None`.
        batch_size: Images a batch; `None` stands for Keras's 32.

    Returns:
        `x`, `y` and `sample_weight` in their new order; as they were if any of them is no array
        in memory, or all fit into one batch.

    Example:
    ```python
    images, labels, _ = in_fixed_order(images, labels, None, batch_size=64)
    ```
    """
    if not _are_arrays(x, y, sample_weight) or len(y) <= (batch_size or _KERAS_BATCH):
        return x, y, sample_weight
    first = x[0] if isinstance(x, (tuple, list)) else x
    step = max(1, first[0].size // _HASHED)
    some = (image.reshape(-1)[::step].tobytes() for image in first)
    digests = [hashlib.blake2b(pixels, digest_size=16).hexdigest() for pixels in some]
    classes = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
    # Equal images, by their labels.
    order = np.lexsort((classes, digests))[np.random.default_rng(0).permutation(len(y))]
    return _rows((x, y, sample_weight), order)


def _are_arrays(*parts):
    flat = [part for part in keras.tree.flatten(parts) if part is not None]
    # What is mapped from a file may not fit in memory.
    plain = (isinstance(part, np.ndarray) and not isinstance(part, np.memmap) for part in flat)
    return bool(flat) and all(plain)


def _rows(parts, rows):
    return keras.tree.map_structure(lambda part: None if part is None else part[rows], parts)


def _check(model, x, y, shape):
    check_arrays(
        x,
        y,
        shape,
        model.num_classes,
        model.multi_label,
        model.class_names,
        _ignores_unlabelled(model),
    )


def _ignores_unlabelled(model):
    # None before `compile`, which Keras then asks for.
    return getattr(getattr(model, "loss", None), "ignore_unlabelled", False)


def _check_class_weight(model, class_weight):
    if class_weight is None:
        return
    for excludes, why in (
        (model.multi_label, "`multi_label`, where an image is of several classes"),
        (_ignores_unlabelled(model), "`ignore_unlabelled`, where an image may be of none"),
    ):
        if excludes:
            raise ValueError(
                f"`class_weight` must be None with {why}; `sample_weight` weights images. "
                f"Received: class_weight={class_weight}"
            )


def _warn_of_other_classes(model, data):
    difference = different_class_names(data, model.class_names)
    if difference:
        warnings.warn(
            f"{difference} Labels mean other classes than `class_names`, unless these are other "
            "words for the same.",
            stacklevel=2,
        )


def _split(arguments):
    """Take `validation_split` of arrays as Keras does, so that it can be put into order."""
    fraction = arguments.get("validation_split")
    parts = [arguments.get(name) for name in _ARRAYS]
    if not fraction or arguments.get("validation_data") is not None or not _are_arrays(*parts):
        return arguments
    cut = math.floor(len(parts[1]) * (1.0 - fraction))
    if not 0 < cut < len(parts[1]):
        return arguments  # Keras says what is wrong.
    kept, held_out = (_rows(parts, rows) for rows in (slice(None, cut), slice(cut, None)))
    validation = tuple(part for part in held_out if part is not None)
    kept = dict(zip(_ARRAYS, kept, strict=True))
    return {**arguments, **kept, "validation_data": validation, "validation_split": 0.0}


def _looked_at(model, data, evaluates=False, has_labels=True):
    loss = getattr(model, "loss", None)  # none before `compile`, which Keras then asks for
    compares = evaluates and loss is not None and loss.trains_embedding
    # Without an augmenter the encoder's own graph refuses images that do not fit.
    shape = None
    if model.augmenter is not None:
        shape = model.backbone.input_shape[1:] if evaluates else image_shape(model)
    look = functools.partial(look_at_batch, shape, takes_pixels(model.backbone), compares)
    views = data if isinstance(data, (tuple, list)) else (data,)
    if isinstance(views[0], np.ndarray):
        look(views[0])
        return data
    data = backend.batches_as_tuples(data)
    # tf.data knows it before the first batch.
    spec = getattr(data, "element_spec", None)
    refuse_named_parts(spec)
    if has_labels:
        refuse_text_of(spec)
    if not any(look.args) and (spec is not None or not has_labels):
        return data
    if has_labels and spec is None:
        look = functools.partial(_look_at_both, look, model.class_names)
    images = keras.tree.flatten(() if spec is None else spec)[:1]
    if shape is not None and images and images[0].shape.rank is not None:
        check_image_shape(images[0].shape, shape)
    return backend.inspect_first_batch(data, look)


def _look_at_both(look, class_names, batch):
    if isinstance(batch, (tuple, list)) and len(batch) > 1:
        refuse_text(batch[1], class_names)
    look(batch)

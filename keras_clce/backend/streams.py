"""What streams into `fit`, `evaluate` and `predict`, whatever kind of stream it is."""

import copy
import functools
import itertools
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

_EXAMPLES = 32


def inspect_first_batch(data: Any, look: Callable[[Any], None]) -> Any:
    """Have the first batch of a stream looked at, without taking it away.

    A `tf.data` pipeline is not begun for this: that would take the time of filling its buffers, and
    another order of the examples afterwards. A `PyDataset`, data of Grain, and a torch `DataLoader`
    with workers make some examples of their first batch once more.

    Args:
        data: What Keras takes as a data set. Arrays and tensors pass.
        look: Function of a batch, as a nest of NumPy arrays.

    Returns:
        What is to be iterated in place of `data`; it yields the same.

    Example:
    ```python
    data = inspect_first_batch(data, lambda batch: print(batch[0].shape))
    model.evaluate(data)
    ```
    """
    if isinstance(data, keras.utils.PyDataset):
        look(_to_numpy(data[0]))
        return data
    if isinstance(data, types.GeneratorType):
        first = list(itertools.islice(data, 1))
        if first:
            look(_to_numpy(first[0]))
        return _joined(first, data)
    if _is_grain(data):
        for batch in _first_of_grain(data, 1):
            look(_to_numpy(batch))
        return data
    if _is_loader(data):
        return _look_at_loader(data, look)
    if _is_tf_dataset(data):
        return _look_in_graph(data, _Once(look))
    return data


def read_first_batches(data: Any, count: int) -> Iterator[Any]:
    """Read a stream anew, as nests of NumPy arrays.

    Args:
        data: As in `inspect_first_batch`.
        count: Batches at most.

    Yields:
        Batches; none of arrays, and of generators, which cannot be read twice.

    Example:
    ```python
    [labels.shape for images, labels in read_first_batches(data, 1)]  # [(16,)]
    ```
    """
    if isinstance(data, keras.utils.PyDataset):
        for number in range(min(count, data.num_batches or count)):
            yield _to_numpy(data[number])
    elif _is_grain(data):
        yield from map(_to_numpy, _first_of_grain(data, count))
    elif _is_loader(data) or _is_tf_dataset(data):
        yield from map(_to_numpy, itertools.islice(data, count))


def batches_as_tuples(data: Any) -> Any:
    """Let a torch `DataLoader` yield tuples where torch collates tuples into lists.

    For TensorFlow alone, where Keras takes a list of two views for the numbers of one tensor.
    Delete when a release has [keras#23096](https://github.com/keras-team/keras/pull/23096), which
    3.15.1 has not.

    Args:
        data: What was given to `fit` or `evaluate`.

    Returns:
        A copy of a `DataLoader` that yields tuples; anything else as it is.

    Example:
    ```python
    model.evaluate(batches_as_tuples(data))
    ```
    """
    if keras.backend.backend() != "tensorflow" or not _is_loader(data):
        return data
    data = copy.copy(data)
    data.collate_fn = functools.partial(_collate_to_tuples, data.collate_fn)
    return data


def _collate_to_tuples(collate, examples):
    return _lists_to_tuples(collate(examples))


def _lists_to_tuples(batch):
    return tuple(map(_lists_to_tuples, batch)) if isinstance(batch, (list, tuple)) else batch


class _Once:
    def __init__(self, look: Callable[[Any], None]) -> None:
        self.look = look
        self.done = False

    def __call__(self, batch: Any) -> None:
        if not self.done:
            self.done = True
            self.look(batch)


def _look_at_loader(loader, look):
    if not loader.num_workers:
        loader = copy.copy(loader)
        loader.collate_fn = functools.partial(_collate, loader.collate_fn, _Once(look))
    elif loader.batch_sampler is not None and hasattr(loader.dataset, "__getitem__"):
        # Here, for every worker of every epoch would look, and warn where nobody hears it.
        examples = [loader.dataset[row] for row in _first_rows(loader)[:_EXAMPLES]]
        if examples:
            look(_to_numpy(loader.collate_fn(examples)))
    return loader


def _first_rows(loader):
    """Rows of the first batch; the draw leaves no trace in the order of those that follow."""
    import torch

    own = loader.generator
    states = torch.get_rng_state(), None if own is None else own.get_state()
    rows = next(iter(loader.batch_sampler), [])
    torch.set_rng_state(states[0])
    if own is not None:
        own.set_state(states[1])
    return rows


def _collate(collate, look, examples):
    batch = collate(examples)
    if not look.done:
        look(_to_numpy(batch))
    return batch


def _joined(first, others):
    yield from first
    yield from others


def _is_loader(data):
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(data, torch.utils.data.DataLoader)


def _is_tf_dataset(data):
    tf = sys.modules.get("tensorflow")
    return tf is not None and isinstance(data, tf.data.Dataset)


def _is_grain(data):
    grain = sys.modules.get("grain")
    kinds = ("MapDataset", "IterDataset", "DataLoader")
    return grain is not None and isinstance(data, tuple(getattr(grain, kind) for kind in kinds))


def _first_of_grain(data, count):
    """The first batches; each iterator of Grain's begins anew with the same ones."""
    if not isinstance(data, sys.modules["grain"].MapDataset):
        return itertools.islice(data, count)
    # An iterator would begin to make hundreds of batches ahead. What a filter left out is None.
    found = (data[number] for number in range(min(count, len(data))))
    return (batch for batch in found if batch is not None)


def _look_in_graph(data, look):
    import tensorflow as tf

    def shown(structure, *tensors):
        look(tf.nest.pack_sequence_as(structure, tensors))
        return np.bool_(True)

    def pass_on(number, batch):
        tensors = tf.nest.flatten(batch)
        if not all(isinstance(tensor, tf.Tensor) for tensor in tensors):
            return batch  # sparse or ragged
        # Its values do not matter, its nesting does.
        structure = tf.nest.map_structure(lambda _: 0, batch)
        show = functools.partial(shown, structure)
        seen = tf.cond(
            number == 0,
            lambda: tf.ensure_shape(tf.numpy_function(show, tensors, tf.bool), ()),
            lambda: tf.constant(True),
        )
        with tf.control_dependencies([seen]):
            return tf.nest.pack_sequence_as(batch, [tf.identity(tensor) for tensor in tensors])

    return data.enumerate().map(pass_on)


def _to_numpy(batch):
    return keras.tree.map_structure(
        lambda x: keras.ops.convert_to_numpy(x) if hasattr(x, "__array__") else x, batch
    )

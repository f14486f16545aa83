"""Batches of a split, epoch after epoch without end, each epoch in a random order of its own."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from keras_clce.data.examples import Records

_ORDER_STREAM, VIEW_STREAM = 0, 1


def epoch_key(root: tf.Tensor, epoch: tf.Tensor, stream: int) -> tf.Tensor:
    """Random key of an epoch, a different one for each stream of random numbers."""
    return tf.random.fold_in(tf.random.fold_in(root, stream), epoch)


def epochs_in_memory(
    stored: Sequence[np.ndarray],
    batch_size: int,
    share: tuple[int, int],
    root: tf.Tensor,
    initial_epoch: int,
    draw_views: Callable,
    balanced: Callable[[int], np.ndarray] | None,
) -> tf.data.Dataset:
    """Batches of images that are kept in memory.

    Args:
        stored: Arrays `(examples, ...)`.
        batch_size: Examples per batch; what does not fill an epoch's last one is left out.
        share: (index, count): every count-th example of a batch, from that index on.
        root: Random key of the run.
        initial_epoch: Epoch to begin with.
        draw_views: Function of an epoch, a step, and a function that gives the step's share of
            `stored`; what it returns is the batch.
        balanced: Function from an epoch to its examples `(steps, batch_size)`, or None to shuffle.

    Returns:
        A dataset of what `draw_views` returns.
    """
    examples = len(stored[0])
    steps = examples // batch_size
    index, count = share
    with tf.device("CPU:0"):
        stored = [tf.constant(part) for part in stored]

    def shuffled(epoch):
        if balanced is None:
            order = tf.random.experimental.stateless_shuffle(
                tf.range(examples), epoch_key(root, epoch, _ORDER_STREAM)
            )
            chosen = tf.reshape(order[: steps * batch_size], (steps, batch_size))
        else:
            chosen = tf.numpy_function(balanced, [epoch], tf.int64)
            chosen = tf.ensure_shape(chosen, (steps, batch_size))
        numbers = tf.range(steps, dtype=tf.int64)
        own = chosen[:, index::count]
        return tf.data.Dataset.from_tensor_slices((tf.fill((steps,), epoch), numbers, own))

    def draw(epoch, step, chosen):
        return draw_views(epoch, step, lambda: tuple(tf.gather(part, chosen) for part in stored))

    return _epoch_after_epoch(initial_epoch, shuffled, draw)


def epochs_from_stream(
    stream: Records,
    batch_size: int,
    share: tuple[int, int],
    root: tf.Tensor,
    initial_epoch: int,
    draw_views: Callable,
) -> tf.data.Dataset:
    """Batches of images that are decoded anew in every epoch.

    Args:
        stream: The records.
        batch_size: As in `epochs_in_memory`, and so are the others.
        share: (index, count).
        root: Random key of the run.
        initial_epoch: Epoch to begin with.
        draw_views: Function of an epoch, a step, and a function that gives the step's share.

    Returns:
        A dataset of what `draw_views` returns.
    """
    index, count = share
    whole_batches = stream.num_examples // batch_size * batch_size

    def shuffled(epoch):
        # A folded key holds the epoch itself in one half, hence the draw.
        shuffle_seed = tf.random.stateless_uniform(
            (), epoch_key(root, epoch, _ORDER_STREAM), 0, 2**31 - 1, tf.int64
        )
        # tf.data mixes the program's global seed in, which this epoch must not depend on.
        tf.compat.v1.get_default_graph().seed = 1
        batched = (
            stream.dataset.shuffle(
                stream.shuffle_buffer, seed=shuffle_seed, reshuffle_each_iteration=False
            )
            .take(whole_batches)
            .shard(count, index)
            .map(stream.decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .batch(batch_size // count, drop_remainder=True)
        )
        return batched.enumerate().map(lambda step, batch: (epoch, step, *batch))

    def draw(epoch, step, *stored):
        return draw_views(epoch, step, lambda: stored)

    return _epoch_after_epoch(initial_epoch, shuffled, draw)


def _epoch_after_epoch(initial_epoch, shuffled, draw):
    """The steps that `shuffled` gives of each epoch, and of each step the batch that is drawn."""
    steps = tf.data.Dataset.range(initial_epoch, 2**31).flat_map(shuffled)
    return steps.map(draw, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

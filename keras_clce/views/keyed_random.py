"""Random numbers inside `tf.data` that depend on a key and on nothing else."""

import tensorflow as tf


class KeyedRandom:
    """A stand-in for `tf.random.Generator` whose draws depend on a key alone.

    keras-cv's layers call `layer._random_generator.uniform(...)`. Here the n-th call of a traced
    function folds n into the key, so no state is kept and parallel calls cannot disturb each other.

    Example:
        >>> draws = KeyedRandom()
        >>> draws.start(tf.constant([1, 2]))
        >>> first = draws.uniform((2,))
        >>> draws.start(tf.constant([1, 2]))
        >>> bool(tf.reduce_all(first == draws.uniform((2,))))
        True
    """

    def __init__(self) -> None:
        self._key = None
        self._draws = 0
        self._share = (0, 1)

    def start(self, key: tf.Tensor, share: tuple[int, int] = (0, 1)) -> None:
        """Begin a new sequence of draws.

        Args:
            key: integer tensor of shape (2,).
            share: (index, count) where the rows to draw for are every count-th of more rows, from
                that index on: each draw then holds what they get in the draw for all.
        """
        self._key = key
        self._draws = 0
        self._share = share

    def _next_key(self) -> tf.Tensor:
        self._draws += 1
        return tf.random.fold_in(self._key, self._draws)

    def uniform(self, shape, minval=0, maxval=1, dtype=tf.float32) -> tf.Tensor:
        """Draw uniformly from [minval, maxval)."""
        return self._own_rows(
            tf.random.stateless_uniform, shape, minval=minval, maxval=maxval, dtype=dtype
        )

    def normal(self, shape, mean=0.0, stddev=1.0, dtype=tf.float32) -> tf.Tensor:
        """Draw from a normal distribution."""
        return self._own_rows(
            tf.random.stateless_normal, shape, mean=mean, stddev=stddev, dtype=dtype
        )

    def _own_rows(self, draw, shape, **options):
        index, count = self._share
        if count == 1:
            return draw(shape, self._next_key(), **options)
        shape = tf.convert_to_tensor(shape)
        whole = tf.concat([count * shape[:1], shape[1:]], axis=0)
        return draw(whole, self._next_key(), **options)[index::count]

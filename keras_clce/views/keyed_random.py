"""Random numbers inside `tf.data` that depend on a key and on nothing else."""

import tensorflow as tf


class KeyedRandom:
    """Draws that depend on a key alone.

    The n-th call of a traced function folds n into the key, so no state is kept and parallel calls
    cannot disturb each other.

    Example:
    ```python
    draws = KeyedRandom()
    draws.start(tf.constant([1, 2]))
    first = draws.uniform((2,))
    draws.start(tf.constant([1, 2]))
    bool(tf.reduce_all(first == draws.uniform((2,))))  # True
    ```
    """

    def __init__(self) -> None:
        self._key = None
        self._draws = 0
        self._share = (0, 1)

    def start(self, key: tf.Tensor, share: tuple[int, int] = (0, 1)) -> None:
        """Begin a new sequence of draws.

        Args:
            key: Integer tensor of shape (2,).
            share: (index, count) where the rows to draw for are every count-th of more rows, from
                that index on: each draw then holds what they get in the draw for all.
        """
        self._key = key
        self._draws = 0
        self._share = share

    def _next_key(self) -> tf.Tensor:
        self._draws += 1
        return tf.random.fold_in(self._key, self._draws)

    def uniform(self, shape: tuple, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        """Draw uniformly from [low, high)."""
        return self._own_rows(tf.random.stateless_uniform, shape, minval=low, maxval=high)

    def integers(self, shape: tuple, count: int) -> tf.Tensor:
        """Draw from 0, 1, …, count - 1."""
        return self._own_rows(
            tf.random.stateless_uniform, shape, minval=0, maxval=count, dtype=tf.int32
        )

    def sign(self, shape: tuple) -> tf.Tensor:
        """Draw -1 or 1."""
        return tf.where(self.uniform(shape) > 0.5, -1.0, 1.0)

    def clipped_normal(
        self, shape: tuple, mean: float, stddev: float, low: float, high: float
    ) -> tf.Tensor:
        """Draw from a normal distribution, with values outside [low, high] moved to its ends."""
        drawn = self._own_rows(tf.random.stateless_normal, shape, mean=mean, stddev=stddev)
        return tf.clip_by_value(drawn, low, high)

    def _own_rows(self, draw, shape, **options):
        index, count = self._share
        if count == 1:
            return draw(shape, self._next_key(), **options)
        shape = tf.convert_to_tensor(shape)
        whole = tf.concat([count * shape[:1], shape[1:]], axis=0)
        return draw(whole, self._next_key(), **options)[index::count]

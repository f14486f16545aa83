"""Embeddings and classes of the last batches, for the contrastive loss of the next."""

from typing import Any

import keras
from keras import ops

from keras_clce import backend
from keras_clce.checks import check_whole_number
from keras_clce.losses import CLCELoss
from keras_clce.losses.labels import one_class_each
from keras_clce.losses.pairs import Memory


class EmbeddingMemory(keras.layers.Layer):
    """The last embeddings that a model was trained on, with their classes, as saved variables.

    Args:
        size: How many, above 0.
        dim: Size of an embedding.
        start: Steps that fill the memory before it is used. Defaults to 0.

    Reference:
        - [Cross-batch memory](https://arxiv.org/abs/1912.06798)

    Example:
    ```python
    memory = EmbeddingMemory(size=4, dim=8)
    memory.remember(np.array([0, 1]), np.eye(2, 8, dtype="float32"))
    memory.contents().filled  # [1, 1, 0, 0]
    ```
    """

    def __init__(self, size: int, dim: int, start: int = 0) -> None:
        super().__init__(name="memory", dtype="float32", trainable=False)
        self.size, self.start = size, start
        # Every replica remembers the rows of all.
        shared = {"trainable": False, "aggregation": "only_first_replica"}
        self.embeddings = self.add_weight((size, dim), "zeros", name="embeddings", **shared)
        self.classes = self.add_weight(
            (size,), keras.initializers.Constant(-1), "int32", name="classes", **shared
        )
        self.steps = self.add_weight((), "zeros", "int32", name="steps", **shared)
        self.built = True

    def contents(self) -> Memory:
        """What the loss compares a batch with: nothing in the first `start` steps."""
        used = ops.logical_and(self.classes >= 0, self.steps >= self.start)
        return Memory(
            ops.convert_to_tensor(self.classes),
            ops.convert_to_tensor(self.embeddings),
            ops.cast(used, "float32"),
        )

    def remember(self, labels: Any, embeddings: Any) -> None:
        """Keep the embeddings of a batch, and drop the oldest ones.

        Args:
            labels: Classes `(batch,)` or `(batch, 1)`, or one-hot `(batch, classes)`.
            embeddings: Unit rows `(batch, dim)`.
        """
        labels, embeddings = backend.replicate_rows(backend.gather_rows((labels, embeddings)))
        classes, _ = one_class_each(labels)
        classes = ops.concatenate([ops.cast(classes, "int32"), self.classes])
        embeddings = ops.stop_gradient(ops.convert_to_tensor(embeddings, "float32"))
        embeddings = ops.concatenate([embeddings, self.embeddings])
        self.classes.assign(classes[: self.size])
        self.embeddings.assign(embeddings[: self.size])
        self.steps.assign_add(1)


def check_memory(
    memory_size: int | None, memory_start: int, loss: CLCELoss
) -> tuple[int | None, int]:
    """The arguments of `compile`, or an error where they or the loss do not fit.

    Args:
        memory_size: Rows of the memory, or `None`.
        memory_start: Steps before it is used.
        loss: The loss.

    Returns:
        Both arguments as numbers of Python.

    Raises:
        ValueError: If a number is out of its range, `memory_start` comes alone, or the loss
            compares no embeddings or none with those of a memory.

    Example:
    ```python
    check_memory(1024, 100, CLCELoss())  # (1024, 100)
    ```
    """
    memory_size = check_whole_number("memory_size", memory_size, optional=True)
    if isinstance(memory_start, bool) or int(memory_start) != memory_start or memory_start < 0:
        raise ValueError(
            "`memory_start` must be a whole number of at least 0. "
            f"Received: memory_start={memory_start!r}"
        )
    if memory_size is None:
        if memory_start:
            raise ValueError(
                "`memory_start` is for a memory, whose size is `memory_size`. "
                f"Received: memory_start={memory_start}, memory_size=None"
            )
        return None, 0
    if not loss.trains_embedding:
        raise ValueError(
            "`memory_size` must be None for a loss that compares no embeddings: its "
            f"contrastive_weight is 0. Received: memory_size={memory_size}"
        )
    if not loss.contrastive.takes_memory:
        raise ValueError(
            "`memory_size` must be None for a contrastive loss whose `anchor_values` takes no "
            f"`memory`. Received: memory_size={memory_size}, contrastive={loss.contrastive!r}"
        )
    return memory_size, int(memory_start)

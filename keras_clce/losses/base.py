"""Base of the contrastive losses, for any model whose output is an embedding."""

import inspect
from typing import Any

import keras
from keras import ops

from keras_clce import backend
from keras_clce.losses.arguments import share_descriptions
from keras_clce.losses.pairs import Memory
from keras_clce.losses.reduction import reduce_anchors


@share_descriptions
class ContrastiveLoss(keras.losses.Loss):
    """Base of the contrastive losses: validation, precision and the mean over counted anchors.

    A subclass gives `anchor_values`. The loss is computed in float32 whatever the dtype of the
    embeddings. An anchor without a positive does not enter the mean; one without a class does, as
    NaN.

    Args:
        name: Name of the loss. Defaults to `None`.
        reduction: {shared}
        dtype: {shared}

    Example:
    ```python
    class MeanSimilarity(ContrastiveLoss):
        def anchor_values(self, y_true, y_pred, memory=None):
            similarities = ops.matmul(y_pred, ops.transpose(y_pred))
            return ops.mean(similarities, axis=1), ops.ones(ops.shape(y_pred)[:1])


    MeanSimilarity()(np.array([0, 0]), np.eye(2, dtype="float32"))  # 0.5
    ```
    """

    takes_soft_labels = True
    # Whether labels are rows of 0 and 1; a loss that takes them has an argument of that name.
    multi_label = False

    def anchor_values(
        self, y_true: Any, y_pred: Any, memory: Memory | None = None, present: Any = None
    ) -> tuple[Any, Any]:
        """Value of each anchor and whether it has a positive, both float32 `[batch]`."""
        raise NotImplementedError

    @property
    def takes_memory(self) -> bool:
        """Whether rows of earlier batches can be further positives and negatives."""
        return "memory" in inspect.signature(self.anchor_values).parameters

    @property
    def takes_unlabelled(self) -> bool:
        """Whether rows without a class can be left out, by `present` of `anchor_values`."""
        return "present" in inspect.signature(self.anchor_values).parameters

    @property
    def needs_views(self) -> bool:
        """Whether an anchor's positive is the other view of its image."""
        return False

    def of_single_views(self) -> "ContrastiveLoss":
        """The loss to evaluate with, where an image has one view: this one, unless it needs two."""
        return self

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Value of each anchor, `[batch]`, 0 where it has no positive, NaN where no class."""
        return self.anchor_values(y_true, y_pred)[0]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Reduced loss; not Keras's own, which would cast class numbers to the loss's dtype."""
        y_true, y_pred, sample_weight = backend.gather_rows((y_true, y_pred, sample_weight))
        values, counted = self.anchor_values(y_true, y_pred)
        loss = reduce_anchors(values, counted, sample_weight, self.reduction)
        # Every replica has the whole loss, and Keras sums their gradients.
        return ops.cast(loss / backend.num_replicas(), self.dtype)

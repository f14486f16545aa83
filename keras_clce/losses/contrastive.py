"""The contrastive losses as `keras.losses.Loss`, for any model whose output is an embedding."""

from typing import Any

import keras
from keras import ops

from keras_clce import backend
from keras_clce.checks import check_whole_number
from keras_clce.losses import functional


def reduce_anchors(values: Any, counted: Any, sample_weight: Any, reduction: str | None) -> Any:
    """Reduce the values of the anchors that count, by Keras's rules for reduction and weights.

    Args:
        values: Float tensor `[batch]`, one value an anchor.
        counted: Float tensor `[batch]`, 1 for an anchor that counts and 0 for one that does not;
            NaN hides behind neither a 0 nor a weight of 0.
        sample_weight: Float tensor `[batch]` or `[batch, 1]`, a number, or `None` for 1 each.
        reduction: `"sum_over_batch_size"` or `"mean"` (weighted sum over the number of anchors
            that count), `"mean_with_sample_weight"` (weighted sum over the sum of weights),
            `"sum"`, or `"none"`.

    Returns:
        A scalar, or a tensor `[batch]` with `reduction="none"`. It is 0 where no anchor counts.

    Raises:
        ValueError: If `sample_weight` has another shape.

    Example:
    ```python
    reduce_anchors(np.array([1.0, 3.0, 0.0]), np.array([1.0, 1.0, 0.0]), None, "mean")  # 2.0
    ```
    """
    weights = counted
    if sample_weight is not None:
        sample_weight = ops.cast(sample_weight, "float32")
        batch_size, shape = counted.shape[0], tuple(sample_weight.shape)
        known = None not in (batch_size, *shape)
        if (
            len(shape) > 2
            or shape[1:] not in ((), (1,))
            or (known and shape and shape[0] != batch_size)
        ):
            raise ValueError(
                f"`sample_weight` must be a number or have shape (batch,), batch={batch_size}. "
                f"Received: sample_weight of shape {shape}"
            )
        weights = counted * (ops.reshape(sample_weight, (-1,)) if shape else sample_weight)
    weighted = values * weights
    if reduction in (None, "none"):
        return weighted
    total = ops.sum(weighted)
    if reduction == "sum":
        return total
    divisor = ops.sum(weights if reduction == "mean_with_sample_weight" else counted)
    return total / ops.where(divisor > 0, divisor, 1.0)


class ContrastiveLoss(keras.losses.Loss):
    """Base of the contrastive losses: validation, precision and the mean over counted anchors.

    A subclass gives `anchor_values`. The loss is computed in float32 whatever the dtype of the
    embeddings. An anchor without a positive does not enter the mean; one without a class does, as
    NaN.

    Args:
        reduction: As in `keras.losses.Loss`. Defaults to `"sum_over_batch_size"`, the mean over
            the anchors that have a positive.
        name: Name of the loss. Defaults to `None`.
        dtype: Dtype of the result. Defaults to `None`, Keras's `floatx`.
    """

    def anchor_values(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Value of each anchor and whether it has a positive, both float32 `[batch]`."""
        raise NotImplementedError

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


@keras.saving.register_keras_serializable(package="keras_clce")
class LACLNLoss(ContrastiveLoss):
    """Label-aware contrastive loss with hard negatives (LACLN), the contrastive part of CLCE.

    Args:
        temperature: Softmax temperature τ, above 0. Defaults to 0.5.
        hardness: Concentration β of the weights on similar negatives, at least 0; 0 is SupCon.
            Defaults to 1.0.
        positive_sum: Where the mean over positives stands, `"outside"` the logarithm (L_out) or
            `"inside"` it (L_in). Defaults to `"outside"`.
        chunk_size: Anchors that are compared with the batch at a time, in memory that grows with
            the batch and not with its square. Defaults to `None`: all pairs at once up to 1,024
            rows; beyond that, or where the batch size is not known while tracing, 128, or fewer if
            the batch has more than 8,192 rows.
        reduction: As in `keras.losses.Loss`. Defaults to `"sum_over_batch_size"`, the mean over
            the anchors that have a positive.
        name: Name of the loss. Defaults to `"lacln_loss"`.
        dtype: Dtype of the result. Defaults to `None`, Keras's `floatx`.

    Call arguments:
        y_true: Integer classes `(batch,)` or `(batch, 1)`, from 0, or one-hot rows
            `(batch, classes)`. What turns out to be no class (a negative number or a fraction, a
            row that is not one-hot) makes the loss NaN, on every backend.
        y_pred: Embeddings `(batch, dim)`; rows are normalised by the loss.
        sample_weight: Optional weights `(batch,)` of the anchors.

    Returns:
        The reduced loss: a scalar, or `(batch,)` with `reduction="none"`.

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Reference:
        - [CLCE](https://arxiv.org/abs/2402.14551)

    Example:
    ```python
    model.compile("adam", loss=LACLNLoss(temperature=0.1))  # the model's output is an embedding
    ```
    """

    def __init__(
        self,
        temperature: float = 0.5,
        hardness: float = 1.0,
        positive_sum: str = "outside",
        chunk_size: int | None = None,
        reduction: str = "sum_over_batch_size",
        name: str = "lacln_loss",
        dtype: Any = None,
    ) -> None:
        functional.check_temperature(temperature)
        functional.check_hardness(hardness)
        functional.check_positive_sum(positive_sum)
        chunk_size = check_whole_number("chunk_size", chunk_size)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = temperature
        self.hardness = hardness
        self.positive_sum = positive_sum
        self.chunk_size = chunk_size

    def anchor_values(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Value of each anchor and whether it has a positive, both float32 `[batch]`."""
        return functional.lacln(
            y_true,
            y_pred,
            self.temperature,
            self.hardness,
            self.positive_sum,
            self.chunk_size,
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the loss."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "hardness": self.hardness,
            "positive_sum": self.positive_sum,
            "chunk_size": self.chunk_size,
        }


@keras.saving.register_keras_serializable(package="keras_clce")
class SupConLoss(ContrastiveLoss):
    """Supervised contrastive loss of Khosla et al., without their rescaling by the temperature.

    Args:
        temperature: Softmax temperature τ, above 0. Defaults to 0.5.
        positive_sum: Where the mean over positives stands, `"outside"` the logarithm (L_out) or
            `"inside"` it (L_in). Defaults to `"outside"`.
        chunk_size: Anchors that are compared with the batch at a time, in memory that grows with
            the batch and not with its square. Defaults to `None`: all pairs at once up to 1,024
            rows; beyond that, or where the batch size is not known while tracing, 128, or fewer if
            the batch has more than 8,192 rows.
        reduction: As in `keras.losses.Loss`. Defaults to `"sum_over_batch_size"`, the mean over
            the anchors that have a positive.
        name: Name of the loss. Defaults to `"supcon_loss"`.
        dtype: Dtype of the result. Defaults to `None`, Keras's `floatx`.

    Call arguments:
        y_true: Integer classes `(batch,)` or `(batch, 1)`, from 0, or one-hot rows
            `(batch, classes)`. What turns out to be no class (a negative number or a fraction, a
            row that is not one-hot) makes the loss NaN, on every backend.
        y_pred: Embeddings `(batch, dim)`; rows are normalised by the loss.
        sample_weight: Optional weights `(batch,)` of the anchors.

    Returns:
        The reduced loss: a scalar, or `(batch,)` with `reduction="none"`.

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Reference:
        - [Supervised contrastive learning](https://arxiv.org/abs/2004.11362)

    Example:
    ```python
    loss = SupConLoss(temperature=0.1)
    loss(np.array([0, 0, 1, 1]), np.random.default_rng(0).normal(size=(4, 8)))
    ```
    """

    def __init__(
        self,
        temperature: float = 0.5,
        positive_sum: str = "outside",
        chunk_size: int | None = None,
        reduction: str = "sum_over_batch_size",
        name: str = "supcon_loss",
        dtype: Any = None,
    ) -> None:
        functional.check_temperature(temperature)
        functional.check_positive_sum(positive_sum)
        chunk_size = check_whole_number("chunk_size", chunk_size)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = temperature
        self.positive_sum = positive_sum
        self.chunk_size = chunk_size

    def anchor_values(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Value of each anchor and whether it has a positive, both float32 `[batch]`."""
        return functional.lacln(
            y_true, y_pred, self.temperature, 0.0, self.positive_sum, self.chunk_size
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the loss."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "positive_sum": self.positive_sum,
            "chunk_size": self.chunk_size,
        }


@keras.saving.register_keras_serializable(package="keras_clce")
class HSCLLoss(ContrastiveLoss):
    """Hard-negative supervised contrastive loss (H-SCL) of Jiang et al.

    Args:
        temperature: Softmax temperature τ, above 0. Defaults to 0.5.
        hardness: Concentration β of the exponential weights on similar negatives, at least 0.
            Not used with `threshold`. Defaults to 1.0.
        threshold: If given, negatives whose cosine similarity reaches it weigh alike and the
            rest nothing (all alike where none reaches it). Within [-1, 1]. Defaults to `None`.
        chunk_size: Anchors that are compared with the batch at a time, in memory that grows with
            the batch and not with its square. Defaults to `None`: all pairs at once up to 1,024
            rows; beyond that, or where the batch size is not known while tracing, 128, or fewer if
            the batch has more than 8,192 rows.
        reduction: As in `keras.losses.Loss`. Defaults to `"sum_over_batch_size"`, the mean over
            the anchors that have a positive.
        name: Name of the loss. Defaults to `"hscl_loss"`.
        dtype: Dtype of the result. Defaults to `None`, Keras's `floatx`.

    Call arguments:
        y_true: Integer classes `(batch,)` or `(batch, 1)`, from 0, or one-hot rows
            `(batch, classes)`. What turns out to be no class (a negative number or a fraction, a
            row that is not one-hot) makes the loss NaN, on every backend.
        y_pred: Embeddings `(batch, dim)`; rows are normalised by the loss.
        sample_weight: Optional weights `(batch,)` of the anchors.

    Returns:
        The reduced loss: a scalar, or `(batch,)` with `reduction="none"`.

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Reference:
        - [Hard negative sampling for supervised contrastive learning](https://arxiv.org/abs/2209.00078)

    Example:
    ```python
    loss = HSCLLoss(threshold=0.3)
    loss(np.array([0, 0, 1, 1]), np.random.default_rng(0).normal(size=(4, 8)))
    ```
    """

    def __init__(
        self,
        temperature: float = 0.5,
        hardness: float = 1.0,
        threshold: float | None = None,
        chunk_size: int | None = None,
        reduction: str = "sum_over_batch_size",
        name: str = "hscl_loss",
        dtype: Any = None,
    ) -> None:
        functional.check_temperature(temperature)
        functional.check_hardness(hardness)
        functional.check_threshold(threshold)
        chunk_size = check_whole_number("chunk_size", chunk_size)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = temperature
        self.hardness = hardness
        self.threshold = threshold
        self.chunk_size = chunk_size

    def anchor_values(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Value of each anchor and whether it has a positive, both float32 `[batch]`."""
        return functional.hscl(
            y_true, y_pred, self.temperature, self.hardness, self.threshold, self.chunk_size
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the loss."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "hardness": self.hardness,
            "threshold": self.threshold,
            "chunk_size": self.chunk_size,
        }

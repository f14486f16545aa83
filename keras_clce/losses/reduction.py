"""The mean over the anchors that count, by Keras's rules for reduction and weights."""

from typing import Any

from keras import ops


def reduce_anchors(values: Any, counted: Any, sample_weight: Any, reduction: str | None) -> Any:
    """Reduce the values of the anchors that count, by Keras's rules for reduction and weights.

    Args:
        values: Float tensor `[batch]`, one value per anchor.
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

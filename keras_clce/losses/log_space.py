"""Sums of exponentials by their logarithms, over the entries that a mask leaves."""

from typing import Any

from keras import ops

# Stands for log(0). Finite, because -inf turns gradients into NaN.
LOG_ZERO = -1e30


def log_add_exp(a: Any, b: Any) -> Any:
    """Log of the sum of two exponentials.

    Args:
        a: A float tensor.
        b: Another of the same shape.

    Returns:
        A tensor of that shape; where `a` and `b` are equal, each has half of the gradient, which
        `keras.ops.logaddexp` gives to one.

    Example:
    ```python
    log_add_exp(ops.zeros(1), ops.zeros(1))  # [0.693]
    ```
    """
    largest = ops.stop_gradient(ops.maximum(a, b))
    return largest + ops.log(ops.exp(a - largest) + ops.exp(b - largest))


def masked_log_sum_exp(x: Any, mask: Any, weighted: bool = False) -> Any:
    """Log of the sum of exponentials over a row's entries whose mask is above 0.

    Args:
        x: A float tensor `[rows, entries]`.
        mask: A float tensor of that shape, of 0 and 1, or of weights.
        weighted: Whether the mask's numbers multiply the exponentials. Defaults to `False`.

    Returns:
        A tensor `[rows]`; `LOG_ZERO` where a row's mask is 0 everywhere.

    Example:
    ```python
    masked_log_sum_exp(ops.zeros((1, 3)), ops.array([[1.0, 1.0, 0.0]]))  # [0.693]
    ```
    """
    inside = mask > 0
    filled = ops.any(inside, axis=1)
    largest = ops.amax(ops.where(inside, x, LOG_ZERO), axis=1, keepdims=True)
    largest = ops.stop_gradient(ops.where(ops.expand_dims(filled, 1), largest, 0.0))
    exponentials = ops.exp(ops.where(inside, x - largest, LOG_ZERO))
    total = ops.sum(exponentials * mask if weighted else exponentials, axis=1)
    value = ops.squeeze(largest, axis=1) + ops.log(ops.where(filled, total, 1.0))
    return ops.where(filled, value, LOG_ZERO)


def log_hard_negatives(
    similarities: Any,
    negatives: Any,
    hardness: float,
    weighted: bool = False,
    detach_weights: bool = False,
) -> Any:
    """Log of the mean of e^s over a row's negatives, weighted by e^(hardness · s).

    Args:
        similarities: A float tensor `[anchors, batch]`.
        negatives: A float tensor of that shape, 1 for a negative and 0 for others, or weights.
        hardness: Concentration β of the weights on similar negatives.
        weighted: Whether `negatives` has weights, by which each negative counts as well. Defaults
            to `False`.
        detach_weights: Whether the weights e^(hardness · s) pass no gradient. Defaults to
            `False`.

    Returns:
        A tensor `[anchors]`; `LOG_ZERO` for an anchor without a negative.

    Example:
    ```python
    negatives = ops.array([[0.0, 1.0, 1.0]])
    log_hard_negatives(similarities=negatives, negatives=negatives, hardness=1.0)  # [1.0]
    ```
    """
    # The weights themselves are never formed: their normaliser is subtracted in log space.
    if detach_weights:
        tilts = ops.stop_gradient(hardness * similarities)
        exponents = similarities + tilts
    else:
        tilts = hardness * similarities
        exponents = (1.0 + hardness) * similarities
    total = masked_log_sum_exp(exponents, negatives, weighted)
    normaliser = masked_log_sum_exp(tilts, negatives, weighted)
    return ops.where(total <= LOG_ZERO, LOG_ZERO, total - normaliser)

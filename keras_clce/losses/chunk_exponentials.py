"""Exponentials of a chunk's similarities within float32's range, for the losses in chunks."""

from typing import Any

from keras import ops

from keras_clce.losses.chunks import Chunk
from keras_clce.losses.log_space import LOG_ZERO

# float32 holds e^-87.
_WIDEST_EXPONENT = 80.0
_TINY = 1e-37


def common_shifts(temperature: float, hardness: float) -> list[float] | None:
    """1/τ, which no similarity exceeds, as all exponents' shift; `None` where float32 is narrow."""
    widest = 2.0 * (1.0 + hardness) / temperature
    return [1.0 / temperature] * 2 if widest <= _WIDEST_EXPONENT else None


def highest_similarities(chunk: Chunk) -> list[Any]:
    """Highest similarity of each anchor's positives, and of its negatives; 0 without any."""
    shifts = []
    for mask in (chunk.positives, chunk.negatives):
        highest = ops.amax(ops.where(mask > 0, chunk.similarities, LOG_ZERO), axis=1)
        shifts.append(ops.where(highest > LOG_ZERO, highest, 0.0))
    return shifts


def shifted_exponentials(chunk: Chunk, shifts: list[Any]) -> tuple[Any, Any]:
    """e^(s - shift) of all pairs, by the shift of positives and by that of negatives.

    Args:
        chunk: Some anchors against the batch.
        shifts: The shift of positives and of negatives: two numbers, or two tensors, `[anchors]`
            or ready to broadcast.

    Returns:
        Two tensors `[anchors, batch]`, right for the positives and for the negatives; one tensor
        twice where it is right for both.
    """
    of_positives, of_negatives = shifts
    if isinstance(of_positives, float):
        e = ops.exp(chunk.similarities - of_positives)
        return e, e
    if len(of_positives.shape) == 1:
        of_positives = ops.expand_dims(of_positives, 1)
        of_negatives = ops.expand_dims(of_negatives, 1)
    # An anchor is more similar to itself than to any other.
    if not chunk.plain:
        return tuple(
            ops.exp(ops.minimum(chunk.similarities - shift, 0.0))
            for shift in (of_positives, of_negatives)
        )
    shift = ops.where(chunk.negatives > 0, of_negatives, of_positives)
    e = ops.exp(ops.minimum(chunk.similarities - shift, 0.0))
    return e, e


def mean_of_hard_negatives(
    e: Any, negatives: Any, hardness: float, plain: bool = True, detach_weights: bool = False
) -> tuple[Any, Any, Any]:
    """Log of the mean of e over the negatives, weighted by e^hardness, and what changes it.

    Args:
        e: Exponentials `[anchors, batch]`.
        negatives: Mask of that shape, or weights.
        hardness: Concentration β of the weights.
        plain: Whether the mask is of 0 and 1. Defaults to `True`.
        detach_weights: Whether the weights pass no gradient. Defaults to `False`.

    Returns:
        Three tensors `[anchors]`: the logarithm, and the two factors `tilted` and `tilt` of its
        derivative by the similarities, `power(e, hardness) * (tilted * e - tilt)`.
    """
    if plain:
        e = e * negatives
        weights = power(e, hardness)
        of_weights = ops.sum(negatives if hardness == 0.0 else weights, axis=1)
    else:
        weights = power(e, hardness) * negatives
        of_weights = ops.sum(weights, axis=1)
    of_weighted = ops.sum(weights * e, axis=1)
    log_mean = ops.where(
        of_weighted <= 0, LOG_ZERO, log_or_zero(of_weighted) - log_or_zero(of_weights)
    )
    if detach_weights:
        return log_mean, 1.0 / at_least_tiny(of_weighted), ops.zeros_like(of_weights)
    tilted = (1.0 + hardness) / at_least_tiny(of_weighted)
    return log_mean, tilted, hardness / at_least_tiny(of_weights)


def power(e: Any, hardness: float) -> Any:
    """`e ** hardness`, without work for the usual exponents."""
    if hardness == 0.0:
        return 1.0
    return e if hardness == 1.0 else ops.power(e, hardness)


def at_least_tiny(x: Any) -> Any:
    """What may be divided by: numbers of at least the smallest that float32 holds in full."""
    return ops.maximum(x, _TINY)


def log_or_zero(x: Any) -> Any:
    """Log of numbers of at least 0, `LOG_ZERO` of 0."""
    # In this order NaN stays NaN.
    return ops.where(x <= 0, LOG_ZERO, ops.log(at_least_tiny(x)))

"""Logit adjustment: cross-entropy that knows how frequent the classes are.

Reference:
    - [Long-tail learning via logit adjustment](https://arxiv.org/abs/2007.07314)
"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from keras import ops


def checked_adjustment(
    logit_adjustment: float, class_prior: Sequence[float] | None
) -> tuple[float, ...] | None:
    """The class priors as shares, or an error where they or the adjustment cannot serve.

    Args:
        logit_adjustment: Factor τ of the logarithm of the priors, 0 for no adjustment.
        class_prior: Number or share of training images of each class `(classes,)`, or `None`.

    Returns:
        Shares that sum to 1, or `None` where none were given.

    Raises:
        ValueError: If a number is out of its range, or an adjustment has no priors.

    Example:
    ```python
    checked_adjustment(1.0, [30, 10])  # (0.75, 0.25)
    ```
    """
    if not isinstance(logit_adjustment, Real) or not 0 <= logit_adjustment < math.inf:
        raise ValueError(
            "`logit_adjustment` must be a finite number of at least 0. "
            f"Received: logit_adjustment={logit_adjustment}"
        )
    if class_prior is None:
        if logit_adjustment:
            raise ValueError(
                "`class_prior` must be the number or share of training images of each class, with "
                "`logit_adjustment` above 0. Received: class_prior=None, "
                f"logit_adjustment={logit_adjustment}"
            )
        return None
    numbers = np.asarray(class_prior)
    if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iuf":
        raise ValueError(
            "`class_prior` must be a number for each class, (classes,). "
            f"Received: class_prior of shape {numbers.shape} and dtype {numbers.dtype}"
        )
    wrong = ~(np.isfinite(numbers) & (numbers > 0))
    if wrong.any():
        raise ValueError(
            "`class_prior` must be finite numbers above 0; a class without training images can "
            f"have a small one. Received: {numbers[wrong][0]} for class {int(wrong.argmax())}"
        )
    return tuple((numbers / numbers.sum(dtype="float64")).tolist())


def adjusted_logits(logits: Any, logit_adjustment: float, class_prior: Sequence[float]) -> Any:
    """Logits to which the logarithm of the priors is added.

    Args:
        logits: Float32 `[batch, classes]`.
        logit_adjustment: Factor τ of the logarithm.
        class_prior: What `checked_adjustment` gave.

    Returns:
        A tensor of the same shape.

    Raises:
        ValueError: If there are more or fewer priors than classes.

    Example:
    ```python
    adjusted_logits(np.zeros((1, 2), "float32"), 1.0, (0.75, 0.25))  # [[-0.288, -1.386]]
    ```
    """
    if logits.shape[1] != len(class_prior):
        raise ValueError(
            f"`class_prior` must have as many numbers as the logits have columns, "
            f"{logits.shape[1]}. Received: class_prior of {len(class_prior)} numbers"
        )
    shift = logit_adjustment * np.log(np.asarray(class_prior, dtype="float64"))
    return ops.convert_to_tensor(logits) + ops.convert_to_tensor(shift.astype("float32"))

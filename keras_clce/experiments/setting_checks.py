"""Tests of settings, some with what the value must be."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

ABOVE_0 = (lambda value: value > 0, "must be above 0")
BELOW_1 = (lambda value: value < 1, "must be below 1")
DIFFERENT = (lambda value: len(set(value)) == len(value), "must be different ones")
WITHOUT_SPACES = (
    lambda name: re.fullmatch(r"[\w.+=-]+", name),
    "must be of letters, digits and _ . + = -, without spaces",
)


def each_once(values: Sequence[Any]) -> bool:
    """Whether there is a value, and none twice.

    Args:
        values: The values of a setting.

    Returns:
        A bool.

    Example:
    ```python
    each_once(("pooled", "pooled"))  # False
    ```
    """
    return len(values) > 0 and len(set(values)) == len(values)


def rates_are_valid(rates: float | Mapping[str, float]) -> bool:
    """Whether learning rates are above 0 and no mistaken number.

    Args:
        rates: One rate, or one for each loss.

    Returns:
        A bool.

    Example:
    ```python
    rates_are_valid({"ce": 1e-3, "clce": 0.0})  # False
    ```
    """
    each = rates.values() if isinstance(rates, Mapping) else [rates]
    return all(0 < rate < 1e3 for rate in each)


RATES = (
    rates_are_valid,
    "must be a number above 0, or one for each loss, such as ce=1e-3,clce=2e-3",
)

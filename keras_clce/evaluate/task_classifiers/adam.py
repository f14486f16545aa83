"""Adam, for the classifiers that take steps: many tasks at once, one array of weights."""

from collections.abc import Callable

import numpy as np


def minimize(
    start: np.ndarray,
    gradient: Callable[[np.ndarray], np.ndarray],
    steps: int,
    learning_rate: float,
) -> np.ndarray:
    """Minimise a function by Adam, with the moments and the epsilon of its paper.

    Args:
        start: Where to begin.
        gradient: Function from such an array to the gradient there.
        steps: Number of steps.
        learning_rate: Size of a step.

    Returns:
        Where it ends.

    Reference:
        - [Adam](https://arxiv.org/abs/1412.6980)

    Example:
    ```python
    minimize(np.array([1.0]), lambda x: 2 * x, steps=1, learning_rate=0.25)  # [0.75]
    ```
    """
    point = start.copy()
    first, second = np.zeros_like(point), np.zeros_like(point)
    for step in range(1, steps + 1):
        slope = gradient(point)
        first += 0.1 * (slope - first)
        slope *= slope
        second += 0.001 * (slope - second)
        change = np.sqrt(second, out=slope)
        change /= np.sqrt(1 - 0.999**step)
        change += 1e-8
        np.divide(first, change, out=change)
        change *= learning_rate / (1 - 0.9**step)
        point -= change
    return point

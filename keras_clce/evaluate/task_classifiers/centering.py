"""Features minus the mean of the base classes, at unit length, as several systems take them."""

import numpy as np

from keras_clce.evaluate.task_classifiers.algebra import unit_rows


def base_mean(base_features: np.ndarray) -> np.ndarray:
    """Mean of features, summed in float64.

    Args:
        base_features: Features of the base classes `(examples, dim)`.

    Returns:
        Their mean `(dim,)`, in the dtype of the features.

    Example:
    ```python
    base_mean(np.array([[0.0, 2.0], [2.0, 4.0]]))  # [1.0, 3.0]
    ```
    """
    return base_features.mean(axis=0, dtype="float64").astype(base_features.dtype)


def centered_unit_rows(features: np.ndarray, center: np.ndarray | None) -> np.ndarray:
    """Subtract a centre and divide rows by their length.

    Args:
        features: Features `(..., dim)`.
        center: Centre `(dim,)`, or `None` for none.

    Returns:
        Rows of unit length; a zero row stays one.

    Example:
    ```python
    centered_unit_rows(np.array([[4.0, 5.0]]), np.array([1.0, 1.0]))  # [[0.6, 0.8]]
    ```
    """
    return unit_rows(features if center is None else features - center)

"""Transforms of features, as few-shot learning knows them."""

from typing import Any

import numpy as np

from keras_clce.checks import finite_array

TRANSFORMS = ("l2", "cl2", None)
# Beyond that, squares of float32 overflow, and below its inverse they vanish.
_LONGEST = 1e15


def transform_features(
    features: Any, transform: str | None, center: Any = None, name: str = "features"
) -> np.ndarray:
    """Check features, and transform them for the classifiers of few-shot tasks.

    Args:
        features: Finite features `(examples, dim)`.
        transform: `"l2"`, `"cl2"` or `None`, as in `few_shot_accuracy`.
        center: Finite `(dim,)`, for `"cl2"` alone. Defaults to `None`.
        name: Name of the argument, for the message. Defaults to `"features"`.

    Returns:
        Features in float32; a zero row stays one.

    Raises:
        ValueError: If an argument is out of its range, or does not fit another.

    Reference:
        - [SimpleShot](https://arxiv.org/abs/1911.04623)

    Example:
    ```python
    transform_features(np.array([[3.0, 4.0]]), "l2")  # [[0.6, 0.8]]
    ```
    """
    features = _at_least_float32(finite_array(name, features, ndim=2))
    if transform not in TRANSFORMS:
        raise ValueError(f"`transform` must be one of {TRANSFORMS}. Received: {transform!r}")
    if (center is not None) != (transform == "cl2"):
        raise ValueError(
            "`center` must be given for transform='cl2' and for no other. "
            f"Received: transform={transform!r}, center={'given' if center is not None else None}"
        )
    if center is not None:
        center = _at_least_float32(finite_array("center", center, ndim=1))
        if center.shape != features.shape[1:]:
            raise ValueError(
                f"`center` must have shape {features.shape[1:]}. "
                f"Received: center of shape {center.shape}"
            )
        features = features - center
    if transform is not None:
        return _unit_rows(features)
    largest = max(features.max(), -features.min())
    if largest > _LONGEST:
        raise ValueError(
            f"`{name}` must lie within ±{_LONGEST:.0e} for transform=None. "
            f"Received: {name} up to {largest:.1e}"
        )
    return features.astype("float32", copy=False)


def _at_least_float32(values):
    small = values.dtype.kind in "iu" or values.dtype.itemsize < 4
    return values.astype("float32") if small else values


def _unit_rows(rows):
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    extreme = ~((lengths > 1 / _LONGEST) & (lengths < _LONGEST))
    if extreme.any():
        rows, largest = rows.copy(), np.abs(rows[extreme]).max(axis=1, keepdims=True)
        rows[extreme] = rows[extreme] / np.where(largest > 0, largest, 1)
        lengths[extreme] = np.linalg.norm(rows[extreme], axis=1)
    return (rows / np.where(lengths > 0, lengths, 1)[:, None]).astype("float32", copy=False)

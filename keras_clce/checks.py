"""Checks of arguments, and of optional packages, that all packages share."""

import importlib
from numbers import Integral
from types import ModuleType
from typing import Any, Literal, overload

import numpy as np


def as_array(values: Any) -> np.ndarray:
    """Bring an array or tensor of any framework to NumPy.

    Args:
        values: Array, list, or tensor of TensorFlow, JAX or torch, also one on a GPU, in bfloat16
            or with a gradient.

    Returns:
        An array, of bfloat16 in float32.

    Example:
    ```python
    as_array([[1.0, 2.0]]).shape  # (1, 2)
    ```
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        # NumPy has no bfloat16, and torch does not bring another library's.
        values = values.float() if "bfloat16" in str(values.dtype) else values
    values = np.asarray(values)
    return values.astype("float32") if values.dtype.name == "bfloat16" else values


def finite_array(name: str, values: Any, ndim: int) -> np.ndarray:
    """Bring finite numbers of any framework to NumPy.

    Args:
        name: Name of the argument, for the message.
        values: Numbers `(examples, dim)` or `(dim,)`, at least one.
        ndim: Number of axes, 2 or 1.

    Returns:
        An array.

    Raises:
        ValueError: If they have another shape, or are no finite numbers.

    Example:
    ```python
    finite_array("center", [0.5, 1.0], ndim=1).shape  # (2,)
    ```
    """
    values = number_array(name, values, ndim)
    # Two numbers tell of all, in less time than a table of booleans.
    if not np.isfinite([values.min(), values.max()]).all():
        places = np.argwhere(~np.isfinite(values))
        raise ValueError(
            f"`{name}` must be finite. Received: {len(np.unique(places[:, 0]))} rows that are "
            f"not, such as row {places[0, 0]}"
        )
    return values


def number_array(name: str, values: Any, ndim: int) -> np.ndarray:
    """Bring numbers of any framework to NumPy, without a look at each.

    Args:
        name: As in `finite_array`, and so are the others.
        values: Numbers.
        ndim: Number of axes.

    Returns:
        An array.

    Raises:
        ValueError: If they have another shape, or are no numbers.

    Example:
    ```python
    number_array("features", [[0.5, 1.0]], ndim=2).shape  # (1, 2)
    ```
    """
    values = as_array(values)
    if values.ndim != ndim or not values.size or values.dtype.kind not in "fiu":
        shape = "(examples, dim)" if ndim == 2 else "(dim,)"
        raise ValueError(
            f"`{name}` must be numbers of shape {shape}. "
            f"Received: {name} of shape {values.shape} and dtype {values.dtype}"
        )
    return values


def class_labels(name: str, values: Any, rows: int, of: str) -> np.ndarray:
    """Bring integer classes of any framework to NumPy.

    Args:
        name: Name of the argument, for the message.
        values: Integer classes `(rows,)`.
        rows: How many there must be.
        of: Name of the argument that has these rows.

    Returns:
        An array.

    Raises:
        ValueError: If they have another shape, or are no integers.

    Example:
    ```python
    class_labels("labels", [0, 1], 2, "embeddings").shape  # (2,)
    ```
    """
    values = as_array(values)
    if values.shape != (rows,) or values.dtype.kind not in "iu":
        raise ValueError(
            f"`{name}` must be {rows} integer classes, one per row of `{of}`. "
            f"Received: {name} of shape {values.shape} and dtype {values.dtype}"
        )
    return values


def check_labels_within(labels: np.ndarray, num_classes: int) -> None:
    """Refuse labels that are no classes of a classifier.

    Args:
        labels: An array, not empty.
        num_classes: Number of classes.

    Raises:
        ValueError: If they are no integers within [0, num_classes).

    Example:
    ```python
    check_labels_within(np.array([0, 1]), 2)
    ```
    """
    if labels.dtype.kind not in "iu" or not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"`labels` must be integers within [0, {num_classes}). "
            f"Received: labels of dtype {labels.dtype}, such as {labels[:3].tolist()}"
        )


def is_whole_number(value: Any, least: int) -> bool:
    """Tell whether a value is a whole number, of Python or NumPy, and large enough.

    Args:
        value: Anything; a boolean is no number.
        least: The smallest number that counts.

    Returns:
        Whether it is.

    Example:
    ```python
    is_whole_number(np.int64(3), least=1)  # True
    ```
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def check_at_least(name: str, value: Any, least: int) -> None:
    """Refuse what is no whole number or is too small.

    Args:
        name: Name of the argument, for the message.
        value: The argument.
        least: The smallest number that is allowed.

    Raises:
        ValueError: If it is.

    Example:
    ```python
    check_at_least("shots", 5, 1)
    ```
    """
    if not is_whole_number(value, least):
        raise ValueError(
            f"`{name}` must be a whole number of at least {least}. Received: {name}={value!r}"
        )


@overload
def check_whole_number(name: str, value: Any, optional: Literal[False] = False) -> int: ...


@overload
def check_whole_number(name: str, value: Any, optional: bool) -> int | None: ...


def check_whole_number(name: str, value: Any, optional: bool = False) -> int | None:
    """Return a whole number above 0 as Python's own; refuse anything else.

    Args:
        name: Name of the argument, for the message.
        value: The argument.
        optional: Whether it may be `None`. Defaults to `False`.

    Returns:
        A Python integer, or `None`.

    Raises:
        ValueError: If it is another value.

    Example:
    ```python
    check_whole_number("chunk_size", np.int64(128))  # 128
    ```
    """
    if optional and value is None:
        return None
    if not is_whole_number(value, 1):
        expected = "None or a whole number" if optional else "a whole number"
        raise ValueError(f"`{name}` must be {expected} above 0. Received: {name}={value!r}")
    return int(value)


def import_module(name: str, purpose: str, requirement: str) -> ModuleType:
    """Import an optional package, or say which command installs it.

    Args:
        name: Name of the module, such as `"sklearn.neighbors"`.
        purpose: What needs it, as the subject of a sentence: `"The linear probe"`.
        requirement: What `pip install` takes, such as `"scikit-learn"`, in quotes where a shell
            needs them.

    Returns:
        The module.

    Raises:
        ImportError: If it is not installed. An installed package that lacks a package of its own
            raises its own error.

    Example:
    ```python
    plt = import_module("matplotlib.pyplot", "Drawing curves", "matplotlib")
    ```
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if (error.name or package).partition(".")[0] != package:
            raise
        raise ImportError(
            f"{purpose} needs {package}, which is not installed. "
            f"Install it with: pip install {requirement}",
            name=package,
        ) from error

"""Labels that are no numbers from 0: what is said of them, and what numbers them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

_NUMBERS = "`class_names, y = np.unique(y, return_inverse=True)`"
_BY_MODEL = "[model.class_names.index(name) for name in y]"
_UNLABELLED = (
    "An image without a class (-1) is left out by CLCELoss(ignore_unlabelled=True), on the command "
    "line --ignore_unlabelled."
)


def are_text(labels: Any) -> bool:
    """Whether labels are words.

    Args:
        labels: Labels of any form.

    Returns:
        A bool.

    Example:
    ```python
    are_text(np.array(["cat", "dog"]))  # True
    ```
    """
    kind = np.asarray(labels).dtype.kind
    return kind in "US" or (kind == "O" and all(isinstance(x, (str, bytes)) for x in labels))


def how_to_number_text(labels: Any, class_names: Sequence[str] | None) -> str:
    """How words become classes.

    Args:
        labels: The words.
        class_names: Those of the model, or `None`.

    Returns:
        A sentence.

    Example:
    ```python
    how_to_number_text(np.array(["dog", "cat"]), ["cat", "dog"])
    # "The model's class_names number them: [model.class_names.index(name) for name in y]."
    ```
    """
    found = {word.decode() if isinstance(word, bytes) else str(word) for word in np.ravel(labels)}
    if class_names is not None and found <= {*class_names}:
        return f"The model's class_names number them: {_BY_MODEL}."
    return (
        f"Classes are numbers from 0, which {_NUMBERS} makes of words; give the model "
        "num_classes=len(class_names) and class_names=list(class_names)."
    )


def how_to_number(outside: np.ndarray) -> str:
    """How other numbers become classes.

    Args:
        outside: Those that are not within the model's classes, at least one.

    Returns:
        A sentence.

    Example:
    ```python
    how_to_number(np.array([-1]))[:40]  # "An image without a class (-1) is left ou"
    ```
    """
    if (outside == -1).all():
        return _UNLABELLED
    return (
        f"Classes from 1 on, or with gaps, are numbered from 0 by {_NUMBERS}; give the model "
        "num_classes=len(class_names) and class_names=[str(name) for name in class_names]."
    )


def refuse_text(labels: Any, class_names: Sequence[str] | None) -> None:
    """Refuse a batch of a stream whose labels are words.

    Args:
        labels: Labels of the batch.
        class_names: Those of the model, or `None`.

    Raises:
        ValueError: If they are.

    Example:
    ```python
    refuse_text(np.array([0, 1]), None)
    ```
    """
    if isinstance(labels, dict) or not np.size(labels) or not are_text(labels):
        return
    raise ValueError(
        f"Labels must be numbers. Received: labels such as {str(np.ravel(labels)[0])!r}. "
        f"{how_to_number_text(labels, class_names)}"
    )


def refuse_text_of(spec: Any) -> None:
    """Refuse a `tf.data` pipeline whose labels are words, before its first batch.

    Args:
        spec: Its `element_spec`.

    Raises:
        ValueError: If they are.

    Example:
    ```python
    refuse_text_of(data.element_spec)
    ```
    """
    labels = spec[1] if isinstance(spec, tuple) and len(spec) > 1 else None
    if getattr(getattr(labels, "dtype", None), "name", "") == "string":
        raise ValueError(
            "Labels must be numbers. Received: a data set whose labels are strings. "
            "keras.layers.StringLookup(vocabulary=class_names, num_oov_indices=0) numbers them in "
            "its `map`, from 0 in the order of class_names."
        )

"""Labels in the form that metrics were built for: Keras fixes it with the first batch."""

from typing import Any

from keras import ops


def are_rows(labels: Any) -> bool:
    """Whether labels are rows of shares, one-hot or soft, and no numbers of classes.

    Args:
        labels: Labels `(batch,)`, `(batch, 1)` or `(batch, classes)`.

    Returns:
        `True` for rows.

    Example:
    ```python
    are_rows(np.eye(3))  # True
    ```
    """
    return len(labels.shape) == 2 and labels.shape[1] != 1


def in_form(labels: Any, as_rows: bool, num_classes: int) -> Any:
    """Labels as rows of shares, or as numbers of the classes with the largest shares.

    Args:
        labels: As in `are_rows`.
        as_rows: Which of both.
        num_classes: Number of classes.

    Returns:
        Labels `(batch, num_classes)` or `(batch,)`; as they came where they have that form.

    Example:
    ```python
    in_form(np.array([2, 0]), as_rows=True, num_classes=3)  # [[0, 0, 1], [1, 0, 0]]
    ```
    """
    if are_rows(labels) == as_rows:
        return labels
    if as_rows:
        return ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), num_classes)
    return ops.argmax(labels, axis=1)

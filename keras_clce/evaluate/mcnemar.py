"""Whether two models that saw one test set differ by more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass

from keras_clce.checks import as_array, import_module


@dataclass(frozen=True)
class McNemarTest:
    """Result of McNemar's exact test.

    Attributes:
        p_value: Two-sided p-value; 1 where both models are right on the same examples.
        only_a_right: Number of examples that `a` alone classifies rightly.
        only_b_right: Number of examples that `b` alone classifies rightly.
        both_right: Number of examples that both classify rightly.
        both_wrong: Number of examples that none classifies rightly.
        accuracy_difference: Accuracy of `a` minus that of `b`.

    Example:
    ```python
    mcnemar_test([0, 1, 2, 2], [0, 1, 2, 0], [0, 1, 0, 0]).only_a_right  # 1
    ```
    """

    p_value: float
    only_a_right: int
    only_b_right: int
    both_right: int
    both_wrong: int
    accuracy_difference: float


def mcnemar_test(
    labels: Sequence[int], predictions_a: Sequence[int], predictions_b: Sequence[int]
) -> McNemarTest:
    """McNemar's exact test of two models by the examples that one of them alone gets right.

    It says whether these two models differ on examples like these. Whether training with another
    seed gives the same, only a test over seeds tells.

    Args:
        labels: Integer classes `(examples,)`.
        predictions_a: Integer classes that one model predicts `(examples,)`.
        predictions_b: Integer classes that the other model predicts `(examples,)`.

    Returns:
        A `McNemarTest`.

    Raises:
        ValueError: If the arrays are empty, differ in length or are no integers.

    Reference:
        McNemar, Note on the sampling error of the difference between correlated proportions or
        percentages (1947).

    Example:
    ```python
    labels = np.zeros(100, int)
    first = np.where(np.arange(100) < 80, 0, 1)  # right on 80 examples
    second = np.where(np.arange(100) < 72, 0, 1)  # and on 72 of these
    mcnemar_test(labels, first, second).p_value  # 0.0078
    ```
    """
    labels = _classes("labels", labels)
    right_a = _predictions("predictions_a", predictions_a, labels) == labels
    right_b = _predictions("predictions_b", predictions_b, labels) == labels
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    p_value = 1.0
    if only_a + only_b:
        stats = import_module("scipy.stats", "McNemar's test", "scipy")
        p_value = float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)
    return McNemarTest(
        p_value,
        only_a,
        only_b,
        int((right_a & right_b).sum()),
        int((~right_a & ~right_b).sum()),
        (only_a - only_b) / len(labels),
    )


def _classes(name, values):
    values = as_array(values)
    if values.ndim != 1 or not len(values) or values.dtype.kind not in "iu":
        raise ValueError(
            f"`{name}` must be integer classes of shape (examples,), at least one. "
            f"Received: {name} of shape {values.shape} and dtype {values.dtype}"
        )
    return values


def _predictions(name, values, labels):
    values = _classes(name, values)
    if len(values) != len(labels):
        raise ValueError(
            f"`{name}` must hold one class per label. "
            f"Received: {len(values)} predictions and {len(labels)} labels"
        )
    return values

"""What classifiers of few-shot tasks share: their options are fields, their method is `scores`."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from keras_clce.checks import check_at_least

# What `base_features` of a classifier may say.
OPTIONAL, REQUIRED = "optional", "required"


@dataclass(frozen=True)
class TaskClassifier:
    """A classifier of few-shot tasks that solves many at once.

    A subclass is a frozen dataclass whose fields are its options, and has one method, `scores`.
    One that learns from the base classes has `learn`, and one that changes rows of features before
    tasks are made of them has `represent`.

    Attributes:
        transductive: Whether it sees all queries of a task together; an inductive one would say the
            same of each query alone.
        base_features: `"required"` where it cannot do without features of the base classes,
            `"optional"` where it takes them if there are any, else `None`.
        tokens: Whether an example is patch tokens `(tokens, dim)` and not one vector `(dim,)`.
        together: Most tasks that are solved together: what was gathered for them should still be in
            the processor's cache when it is used, the more so the more often it is passed over.

    Example:
    ```python
    @dataclasses.dataclass(frozen=True)
    class FirstShot(TaskClassifier):
        def scores(self, support, queries, learned=None):
            return queries @ support[:, :, 0].swapaxes(1, 2)


    FirstShot().scores(np.eye(2)[None, :, None], np.eye(2)[None])  # [[[1.0, 0.0], [0.0, 1.0]]]
    ```
    """

    transductive: ClassVar[bool] = False
    base_features: ClassVar[str | None] = None
    tokens: ClassVar[bool] = False
    together: ClassVar[int] = 32

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of features."""
        return ("examples", "tokens", "dim") if self.tokens else ("examples", "dim")

    def learn(self, base_features: np.ndarray | None, base_labels: np.ndarray | None) -> Any:
        """Learn from the base classes, once for all tasks.

        Args:
            base_features: Features of the base classes `(examples, dim)` in float32, or `None`.
            base_labels: Their classes, from 0 on `(examples,)`, or `None`.

        Returns:
            What `represent` and `scores` get as `learned`. Here `None`.

        Example:
        ```python
        get_task_classifier("simple_shot").learn(features, labels).shape  # (8,)
        ```
        """
        return None

    def represent(self, features: np.ndarray, learned: Any = None) -> np.ndarray:
        """Change features row by row, before tasks are made of them.

        Args:
            features: Features `(..., dim)` in float32.
            learned: What `learn` gave. Defaults to `None`.

        Returns:
            Features `(..., dim)`. Here they are as they were.

        Example:
        ```python
        get_task_classifier("soft_kmeans").represent(np.array([[3.0, 4.0]]))  # [[0.6, 0.8]]
        ```
        """
        return features

    def scores(self, support: np.ndarray, queries: np.ndarray, learned: Any = None) -> np.ndarray:
        """Score the classes of every query.

        Args:
            support: Represented features `(tasks, ways, shots, dim)`.
            queries: Represented features `(tasks, examples, dim)`.
            learned: What `learn` gave. Defaults to `None`.

        Returns:
            Finite scores `(tasks, examples, ways)`; the class of a query has the highest.

        Example:
        ```python
        support, queries = np.eye(2)[None, :, None], np.eye(2)[None]
        get_task_classifier("cosine").scores(support, queries)  # [[[1.0, 0.0], [0.0, 1.0]]]
        ```
        """
        raise NotImplementedError


def option_names(classifier: type[TaskClassifier]) -> tuple[str, ...]:
    """Names of a classifier's options.

    Args:
        classifier: Its class.

    Returns:
        The names.

    Example:
    ```python
    from keras_clce.evaluate import TASK_CLASSIFIERS

    option_names(TASK_CLASSIFIERS["soft_kmeans"])  # ("temperature", "steps")
    ```
    """
    return tuple(field.name for field in fields(classifier))


def check_positive(**numbers: float) -> None:
    """Refuse options that are no finite numbers above 0.

    Args:
        **numbers: The options by name.

    Raises:
        ValueError: If there is one.

    Example:
    ```python
    check_positive(temperature=10.0)
    ```
    """
    _check_numbers(numbers, lambda value: value > 0, "above 0")


def check_not_negative(**numbers: float) -> None:
    """Refuse options that are no finite numbers of at least 0.

    Args:
        **numbers: The options by name.

    Raises:
        ValueError: If there is one.

    Example:
    ```python
    check_not_negative(entropy_weight=0.0)
    ```
    """
    _check_numbers(numbers, lambda value: value >= 0, "of at least 0")


def check_share(name: str, value: float) -> None:
    """Refuse an option that is no number in 0..1.

    Args:
        name: Name of the option.
        value: Its value.

    Raises:
        ValueError: If it is another value.

    Example:
    ```python
    check_share("regularization", 0.3)
    ```
    """
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be a number in 0..1. Received: {name}={value!r}")


def check_steps(**numbers: int) -> None:
    """Refuse options that are no whole numbers of at least 1.

    Args:
        **numbers: The options by name.

    Raises:
        ValueError: If there is one.

    Example:
    ```python
    check_steps(steps=5)
    ```
    """
    for name, value in numbers.items():
        check_at_least(name, value, 1)


def check_one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse an option that is none of its choices.

    Args:
        name: Name of the option.
        value: Its value.
        choices: What it may be.

    Raises:
        ValueError: If it is another value.

    Example:
    ```python
    check_one_of("variant", "fb", ("fb", "map"))
    ```
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(
            f"`{name}` must be one of {', '.join(choices)}. Received: {name}={value!r}"
        )


def _check_numbers(numbers, holds, what):
    for name, value in numbers.items():
        if not _is_number(value) or not holds(value):
            raise ValueError(f"`{name}` must be a finite number {what}. Received: {name}={value!r}")


def _is_number(value):
    number = isinstance(value, int | float | np.integer | np.floating)
    return number and not isinstance(value, bool) and bool(np.isfinite(value))

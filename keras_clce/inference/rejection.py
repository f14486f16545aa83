"""The threshold of "none of these", and how often it is right."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_clce.checks import finite_array, import_module
from keras_clce.evaluate import wilson_interval
from keras_clce.inference.enroll_classifiers import EnrollClassifier

HELD_OUT, LEFT_OUT, GIVEN = "unknown photographs", "left-out classes", "given"
# Above the rounding of embeddings that are computed in another batch.
_ABOVE = 1e-6
_FOLDS = 10


@dataclasses.dataclass(frozen=True)
class Rejection:
    """From which score on a photograph is one of the enrolled classes, and how that was found.

    Args:
        threshold: The score.
        source: `"unknown photographs"` that were held out; `"left-out classes"`, photographs of
            each tenth of the enrolled classes scored by the others; or `"given"`.
        false_accept_rate: The share of unknown photographs that may be accepted.
        unknown: How many unknown photographs it was chosen, or measured, on.
        accepted: How many of these it accepts.

    Example:
    ```python
    Rejection(0.7, "unknown photographs", 0.05, unknown=200, accepted=9).share  # 0.045
    ```
    """

    threshold: float
    source: str
    false_accept_rate: float
    unknown: int = 0
    accepted: int = 0

    @property
    def share(self) -> float | None:
        """Share of the unknown photographs that it accepts, `None` where there are none."""
        return self.accepted / self.unknown if self.unknown else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of that share."""
        return wilson_interval(self.accepted, self.unknown) if self.unknown else None

    @property
    def is_strict_enough(self) -> bool:
        """Whether there were enough photographs to promise the false-accept rate."""
        return _allowed(self.unknown, self.false_accept_rate) >= 0


@dataclasses.dataclass(frozen=True)
class Recognition:
    """What becomes of photographs of enrolled classes.

    Args:
        right: How many get their class.
        confused: How many get another class.
        rejected: How many get "none of these".

    Example:
    ```python
    Recognition(right=8, confused=1, rejected=1).of(8)[0]  # 0.8
    ```
    """

    right: int
    confused: int
    rejected: int

    @property
    def photographs(self) -> int:
        """How many there are."""
        return self.right + self.confused + self.rejected

    def of(self, count: int) -> tuple[float, float, float]:
        """The share of a count among all, with Wilson's 95 % interval.

        Args:
            count: A number of these photographs.

        Returns:
            Share, lower and upper end.

        Example:
        ```python
        Recognition(9, 1, 0).of(9)  # (0.9, 0.596, 0.982)
        ```
        """
        return (count / self.photographs, *wilson_interval(count, self.photographs))


def rejection_threshold(
    unknown_scores: Sequence[float], false_accept_rate: float = 0.05
) -> Rejection:
    """Choose the lowest threshold that accepts no more than a share of unknown photographs.

    A new photograph that is drawn as these were is accepted with that probability at most,
    whatever the distribution of the scores: the threshold is that of split conformal prediction,
    and with n photographs one of rank k from above promises k / (n + 1). Where there are too few of
    them to promise the rate (below 19 for 5 %), none is accepted.

    Args:
        unknown_scores: The highest score of each unknown photograph `(photographs,)`.
        false_accept_rate: The share, within (0, 1). Defaults to 0.05.

    Returns:
        A `Rejection`.

    Raises:
        ValueError: If an argument is wrong.

    Reference:
        - [Testing for Outliers with Conformal p-values](https://arxiv.org/abs/2104.08279)

    Example:
    ```python
    found = rejection_threshold(np.arange(100), false_accept_rate=0.1)
    round(found.threshold), found.accepted  # (90, 9)
    ```
    """
    scores = np.sort(finite_array("unknown_scores", unknown_scores, 1).astype("float64"))[::-1]
    check_false_accept_rate(false_accept_rate)
    allowed = max(0, _allowed(len(scores), false_accept_rate))
    threshold = float(scores[allowed] + _ABOVE)
    accepted = int(np.sum(scores >= threshold))
    return Rejection(threshold, HELD_OUT, float(false_accept_rate), len(scores), accepted)


def given_rejection(
    threshold: float, false_accept_rate: float, unknown_scores: np.ndarray | None = None
) -> Rejection:
    """Take a threshold that somebody gives, and measure it where there are unknown photographs.

    Args:
        threshold: The score.
        false_accept_rate: The share that was asked for otherwise.
        unknown_scores: The highest score of each unknown photograph. Defaults to `None`.

    Returns:
        A `Rejection`.

    Raises:
        ValueError: If the threshold is no finite number.

    Example:
    ```python
    given_rejection(0.5, 0.05, np.array([0.2, 0.6])).share  # 0.5
    ```
    """
    number = isinstance(threshold, int | float | np.floating) and not isinstance(threshold, bool)
    if not number or not math.isfinite(threshold):
        raise ValueError(f"`threshold` must be a finite number. Received: threshold={threshold!r}")
    scores = np.zeros(0) if unknown_scores is None else unknown_scores
    accepted = int(np.sum(scores >= threshold))
    return Rejection(float(threshold), GIVEN, float(false_accept_rate), len(scores), accepted)


def check_false_accept_rate(value: Any) -> None:
    """Refuse what is no share within (0, 1).

    Args:
        value: The argument.

    Raises:
        ValueError: If it is none.

    Example:
    ```python
    check_false_accept_rate(0.05)
    ```
    """
    number = isinstance(value, int | float | np.floating) and not isinstance(value, bool)
    if not number or not 0 < value < 1:
        raise ValueError(
            "`false_accept_rate` must be a number within (0, 1). Received: "
            f"false_accept_rate={value!r}"
        )


def scores_of_left_out_classes(
    classifier: EnrollClassifier, embeddings: np.ndarray, labels: np.ndarray
) -> np.ndarray | None:
    """Highest scores of photographs whose class is left out, which then are unknown.

    A tenth of the classes is left out at a time, or one where there are fewer than ten.

    Args:
        classifier: How classes are told apart.
        embeddings: Unit rows `(examples, dim)`.
        labels: Their classes `(examples,)`.

    Returns:
        Scores `(examples,)`; `None` where too few classes would be left.

    Example:
    ```python
    scores = scores_of_left_out_classes(ENROLL_CLASSIFIERS["cosine"], embeddings, labels)
    scores.shape  # (240,)
    ```
    """
    classes = len(np.unique(labels))
    folds = min(_FOLDS, classes)
    if classes - math.ceil(classes / folds) < classifier.least_classes:
        return None
    selection = import_module("sklearn.model_selection", "A threshold", "scikit-learn")
    found = np.empty(len(labels))
    for known, unknown in selection.GroupKFold(folds).split(embeddings, groups=labels):
        # So that they count from 0 on.
        _, kept = np.unique(labels[known], return_inverse=True)
        found[unknown] = classifier.fit(embeddings[known], kept)(embeddings[unknown]).max(axis=1)
    return found


def recognition_of(
    scores: np.ndarray, labels: np.ndarray, threshold: float | None = None
) -> Recognition:
    """Count what becomes of photographs of enrolled classes.

    Args:
        scores: Scores `(photographs, classes)`.
        labels: Their classes `(photographs,)`.
        threshold: Score below which a photograph is rejected. Defaults to `None`, none is.

    Returns:
        The counts.

    Example:
    ```python
    recognition_of(np.array([[0.9, 0.1], [0.8, 0.7]]), np.array([0, 1]), 0.5).right  # 1
    ```
    """
    best = scores.argmax(axis=1)
    is_known = scores.max(axis=1) >= (-np.inf if threshold is None else threshold)
    right = int(np.sum(is_known & (best == labels)))
    return Recognition(right, int(is_known.sum()) - right, int(np.sum(~is_known)))


def cross_validated_recognition(
    classifier: EnrollClassifier,
    embeddings: np.ndarray,
    labels: np.ndarray,
    threshold: float | None = None,
) -> Recognition | None:
    """What becomes of the enrolled photographs themselves, each scored without itself.

    Up to five folds of each class are left out in turn, so that a class has fewer photographs here
    than it has in the end. Classes of one photograph are passed over.

    Args:
        classifier: How classes are told apart.
        embeddings: Unit rows `(examples, dim)`.
        labels: Their classes `(examples,)`.
        threshold: As in `recognition_of`. Defaults to `None`.

    Returns:
        The counts; `None` where no class has two photographs.

    Example:
    ```python
    found = cross_validated_recognition(ENROLL_CLASSIFIERS["cosine"], embeddings, labels)
    found.photographs  # 240
    ```
    """
    counts = np.bincount(labels)
    several = counts[labels] > 1
    if not several.any():
        return None
    folds = int(min(5, counts[counts > 1].min()))
    selection = import_module("sklearn.model_selection", "Cross-validation", "scikit-learn")
    rows = np.flatnonzero(several)
    found = Recognition(0, 0, 0)
    splits = selection.StratifiedKFold(folds, shuffle=True, random_state=0)
    for _, tested in splits.split(rows, labels[rows]):
        kept = np.setdiff1d(np.arange(len(labels)), rows[tested])
        scores = classifier.fit(embeddings[kept], labels[kept])(embeddings[rows[tested]])
        one = recognition_of(scores, labels[rows[tested]], threshold)
        found = Recognition(
            found.right + one.right, found.confused + one.confused, found.rejected + one.rejected
        )
    return found


def _allowed(photographs: int, rate: float) -> int:
    """How many of so many unknown photographs may be accepted; below 0 where none is promised."""
    # A product such as 0.29 * 100 is a little below the whole number.
    return math.floor(rate * (photographs + 1) + 1e-9) - 1

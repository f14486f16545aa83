"""Whether probabilities can be trusted, and temperature scaling, which mends them."""

import dataclasses

import numpy as np

from keras_clce.checks import (
    as_array,
    check_at_least,
    check_labels_within,
    finite_array,
    import_module,
)

# Sums of the probabilities of a row may differ from 1 by rounding in half precision.
_TOLERANCE = 1e-2


@dataclasses.dataclass(frozen=True, eq=False)
class Reliability:
    """How often predictions of each confidence are right, and one number over all.

    Confidence is the probability of the predicted class. Bins hold their upper edge.

    Args:
        edges: Edges of the bins `(bins + 1,)`, from 0 to 1.
        counts: Examples in each bin `(bins,)`.
        confidences: Mean confidence in each bin `(bins,)`, NaN in an empty one.
        accuracies: Share of right predictions in each bin `(bins,)`, NaN in an empty one.
        ece: Expected calibration error: the mean distance of the two over all examples, in [0, 1].
        brier: Brier score: the squared distance of all probabilities from the one-hot label, summed
            over the classes, in [0, 2].
        nll: Negative log-likelihood: the mean cross-entropy in nats.

    Example:
    ```python
    reliability([0, 1], [[0.9, 0.1], [0.7, 0.3]], bins=5).counts  # [0, 0, 0, 1, 1]
    ```
    """

    edges: np.ndarray
    counts: np.ndarray
    confidences: np.ndarray
    accuracies: np.ndarray
    ece: float
    brier: float
    nll: float


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> Reliability:
    """Compare the confidence of predictions with how often they are right.

    Args:
        labels: Integer classes `(examples,)` within [0, classes).
        probabilities: Probabilities `(examples, classes)`, of two classes or more.
        bins: Number of bins of equal width. Defaults to 15.

    Returns:
        A `Reliability`.

    Raises:
        ValueError: If the arrays do not fit, rows do not sum to 1, or `bins` is no whole number
            above 0.

    Reference:
        - [On Calibration of Modern Neural Networks](https://arxiv.org/abs/1706.04599)
        - Brier, Verification of forecasts expressed in terms of probability (1950)

    Example:
    ```python
    found = reliability([0, 1, 1, 1], [[0.8, 0.2], [0.2, 0.8], [0.2, 0.8], [0.8, 0.2]])
    found.ece  # 0.05
    ```
    """
    check_at_least("bins", bins, 1)
    labels, probabilities = _checked("probabilities", probabilities, labels)
    sums = probabilities.sum(axis=1)
    if probabilities.min() < 0 or np.abs(sums - 1).max() > _TOLERANCE:
        raise ValueError(
            "`probabilities` must be at least 0, and rows must sum to 1. Received: numbers from "
            f"{probabilities.min():.4g}, sums from {sums.min():.4g} to {sums.max():.4g}"
        )
    probabilities = probabilities / sums[:, None]
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    places = np.digitize(confidence, edges[1:-1], right=True)
    counts = np.bincount(places, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidences = np.bincount(places, confidence, bins) / counts
        accuracies = np.bincount(places, right, bins) / counts
    metrics = import_module("sklearn.metrics", "Calibration", "scikit-learn")
    classes = np.arange(probabilities.shape[1])
    return Reliability(
        edges,
        counts,
        confidences,
        accuracies,
        float(np.nansum(counts * np.abs(confidences - accuracies)) / len(labels)),
        # Summed over the classes, for two of them too.
        float(metrics.brier_score_loss(labels, probabilities, labels=classes, scale_by_half=False)),
        float(metrics.log_loss(labels, probabilities, labels=classes)),
    )


def fit_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """Find the temperature whose softmax gives examples the highest likelihood.

    Dividing logits by one number leaves predictions as they are, and makes probabilities more
    cautious above 1, surer below.

    Args:
        labels: Integer classes `(examples,)` within [0, classes), of examples that the model was
            not trained on.
        logits: Logits `(examples, classes)`, of two classes or more.

    Returns:
        The temperature, above 0.

    Raises:
        ValueError: If the arrays do not fit; if every example is classified rightly, so that a
            lower temperature is always better; or if the logits do not point to the labels, so
            that a higher one is.

    Reference:
        - [On Calibration of Modern Neural Networks](https://arxiv.org/abs/1706.04599)

    Example:
    ```python
    labels = np.array([0, 0, 0, 1])
    fit_temperature(labels, np.tile([2.0, 0.0], (4, 1)))  # 1.82
    ```
    """
    labels, logits = _checked("logits", logits, labels)
    logits = logits - logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(labels)), labels]
    if (own == 0).all():
        raise ValueError(
            "`logits` must have the highest one at another class than the label's for an example "
            f"or more. Received: {len(labels)} examples, all of them classified rightly"
        )
    if logits.mean() >= own.mean():
        raise ValueError(
            "`logits` must be higher at the labels than at other classes on the mean. Received: "
            f"logits that are {logits.mean() - own.mean():.3g} lower there"
        )
    special = import_module("scipy.special", "Temperature scaling", "scipy")
    optimize = import_module("scipy.optimize", "Temperature scaling", "scipy")

    def slope(inverse):
        """Of the mean negative log-likelihood, which is convex in the inverse temperature."""
        return np.sum(special.softmax(inverse * logits, axis=1) * logits) / len(labels) - own.mean()

    upper = 1.0
    while slope(upper) < 0:
        upper *= 2
    return float(1 / optimize.brentq(slope, 0, upper, xtol=1e-12 * upper))


def _checked(name, scores, labels):
    scores = finite_array(name, scores, ndim=2).astype("float64")
    labels = as_array(labels)
    if labels.shape != scores.shape[:1] or scores.shape[1] < 2:
        raise ValueError(
            f"`{name}` must have shape (examples, classes) with one row per label and two classes "
            f"or more. Received: {name} of shape {scores.shape}, labels of shape {labels.shape}"
        )
    check_labels_within(labels, scores.shape[1])
    return labels, scores

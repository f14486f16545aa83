"""The contrastive losses as pure functions: one value an anchor, before any reduction."""

import math
from numbers import Real
from typing import Any

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

from keras_clce.checks import check_whole_number
from keras_clce.losses import blockwise
from keras_clce.losses.blockwise import LOG_ZERO, log_add_exp

POSITIVE_SUMS = ("outside", "inside")
# Up to that many rows the table of all pairs is small, and a single block is as fast.
_LARGEST_TABLE = 1024


def lacln(
    labels: Any,
    embeddings: Any,
    temperature: float = 0.5,
    hardness: float = 1.0,
    positive_sum: str = "outside",
    chunk_size: int | None = None,
) -> tuple[Any, Any]:
    """Label-aware contrastive loss with hard negatives (LACLN) of each anchor.

    Args:
        labels: Integer classes `[batch]` or `[batch, 1]`, or one-hot rows `[batch, classes]`.
        embeddings: Embeddings `[batch, dim]`; rows are normalised here.
        temperature: Softmax temperature τ, above 0. Defaults to 0.5.
        hardness: Concentration β of the weights on similar negatives, at least 0; 0 weights all
            negatives alike, which is SupCon. Defaults to 1.0.
        positive_sum: `"outside"` averages log-probabilities over the positives (L_out),
            `"inside"` averages probabilities within the logarithm (L_in). Defaults to `"outside"`.
        chunk_size: Anchors that are compared with the batch at a time, in memory that grows with
            the batch and not with its square. Defaults to `None`: all pairs at once up to 1,024
            rows; beyond that, or where the batch size is not known while tracing, 128, or fewer if
            the batch has more than 8,192 rows.

    Returns:
        Two float32 tensors `[batch]`: the loss of each anchor, 0 where it has no positive, and 1
        for each anchor that has a positive, else 0. An anchor whose label turns out to be no class
        has NaN and 1.

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Reference:
        - [CLCE](https://arxiv.org/abs/2402.14551)
        - [Supervised contrastive learning](https://arxiv.org/abs/2004.11362)

    Example:
    ```python
    embeddings = np.random.default_rng(0).normal(size=(4, 8))
    values, has_positive = lacln(np.array([0, 0, 1, 1]), embeddings)
    ```
    """
    check_temperature(temperature)
    check_hardness(hardness)
    check_positive_sum(positive_sum)
    chunk_size = check_whole_number("chunk_size", chunk_size)
    classes, known, embeddings = _checked(labels, embeddings)
    if not _fits_in_table(embeddings, chunk_size):
        values, has_positive = blockwise.lacln(
            classes, embeddings, temperature, hardness, positive_sum, chunk_size
        )
        return _nan_without_class(values, has_positive, known)
    cosines, positives, negatives = _pairs(classes, embeddings)
    similarities = cosines / temperature
    positive_lse = _masked_logsumexp(similarities, positives)
    denominator = log_add_exp(
        positive_lse,
        _hard_negatives(similarities, negatives, hardness) + _log_count(negatives),
    )
    count = ops.sum(positives, axis=1)
    has_positive = ops.cast(count > 0, "float32")
    divisor = ops.maximum(count, 1.0)
    if positive_sum == "outside":
        numerator = ops.sum(similarities * positives, axis=1) / divisor
    else:
        numerator = positive_lse - ops.log(divisor)
    # Kept for an anchor without a class too, whose gradient is NaN as its value is.
    kept = ops.logical_or(count > 0, ops.logical_not(known))
    values = ops.where(kept, denominator - numerator, 0.0)
    return _nan_without_class(values, has_positive, known)


def hscl(
    labels: Any,
    embeddings: Any,
    temperature: float = 0.5,
    hardness: float = 1.0,
    threshold: float | None = None,
    chunk_size: int | None = None,
) -> tuple[Any, Any]:
    """Hard-negative supervised contrastive loss (H-SCL) of each anchor.

    Args:
        labels: Integer classes `[batch]` or `[batch, 1]`, or one-hot rows `[batch, classes]`.
        embeddings: Embeddings `[batch, dim]`; rows are normalised here.
        temperature: Softmax temperature τ, above 0. Defaults to 0.5.
        hardness: Concentration β of the exponential weights on similar negatives, at least 0.
            Not used with `threshold`. Defaults to 1.0.
        threshold: If given, the other hardening function: negatives whose cosine similarity
            reaches it weigh alike and the rest nothing (all alike where none reaches it).
            Within [-1, 1]. Defaults to `None`.
        chunk_size: As in `lacln`. Defaults to `None`.

    Returns:
        Two float32 tensors `[batch]`: the loss of each anchor, 0 where it has no positive, and 1
        for each anchor that has a positive, else 0. An anchor whose label turns out to be no class
        has NaN and 1.

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Reference:
        - [Hard negative sampling for supervised contrastive learning](https://arxiv.org/abs/2209.00078)

    Example:
    ```python
    embeddings = np.random.default_rng(0).normal(size=(4, 8))
    values, has_positive = hscl(np.array([0, 0, 1, 1]), embeddings, threshold=0.2)
    ```
    """
    check_temperature(temperature)
    check_hardness(hardness)
    check_threshold(threshold)
    chunk_size = check_whole_number("chunk_size", chunk_size)
    classes, known, embeddings = _checked(labels, embeddings)
    if not _fits_in_table(embeddings, chunk_size):
        values, has_positive = blockwise.hscl(
            classes, embeddings, temperature, hardness, threshold, chunk_size
        )
        return _nan_without_class(values, has_positive, known)
    cosines, positives, negatives = _pairs(classes, embeddings)
    similarities = cosines / temperature
    if threshold is None:
        hard = _hard_negatives(similarities, negatives, hardness)
    else:
        # A cosine of NaN must not fall out.
        reaching = negatives * ops.cast(ops.logical_not(cosines < threshold), "float32")
        none_reaches = ops.sum(reaching, axis=1, keepdims=True) == 0
        hard = _hard_negatives(similarities, ops.where(none_reaches, negatives, reaching), 0.0)
    others = ops.maximum(ops.cast(ops.shape(cosines)[0], "float32") - 2.0, 1.0)
    denominators = log_add_exp(similarities, ops.expand_dims(hard + ops.log(others), 1))
    count = ops.sum(positives, axis=1)
    total = ops.sum((denominators - similarities) * positives, axis=1)
    has_positive = ops.cast(count > 0, "float32")
    return _nan_without_class(total / ops.maximum(count, 1.0), has_positive, known)


def class_ids(labels: Any, batch_size: int | None = None) -> Any:
    """Integer classes of any accepted form of labels.

    Args:
        labels: Integer classes `[batch]` or `[batch, 1]`, from 0 (floats that hold whole numbers
            count, as Keras may cast them), or one-hot rows `[batch, classes]`.
        batch_size: The number of rows expected, where it is known. Defaults to `None`.

    Returns:
        An integer tensor `[batch]`, below 0 where a value is negative, where it turns out to be no
        whole number, or a row not to be one-hot, only when the graph runs, and where an array or
        floats hold classes beyond 32 bits.

    Raises:
        ValueError: If the shape is another one, or values that can be seen are not as described.

    Example:
    ```python
    class_ids(np.array([[0, 1], [1, 0]]))  # [1, 0]
    ```
    """
    return _classes(labels, batch_size)[0]


def labels_are_valid(labels: np.ndarray) -> bool:
    """Tell whether an array holds whole numbers, or one-hot rows where it has several columns.

    Args:
        labels: An array of numbers, of any shape.

    Returns:
        Whether `class_ids` takes its values.

    Example:
    ```python
    labels_are_valid(np.array([[0.5, 0.5]]))  # False
    ```
    """
    if labels.ndim == 2 and labels.shape[1] > 1:
        return bool(((labels == 1).sum(1) == 1).all() and ((labels != 0).sum(1) == 1).all())
    return bool(np.isfinite(labels).all()) and np.array_equal(labels, np.floor(labels))


def unit_rows(x: Any) -> Any:
    """Rows divided by their Euclidean norm, in float32, safe for any size of row.

    Args:
        x: A tensor `[batch, dim]`.

    Returns:
        A float32 tensor `[batch, dim]` of unit rows; a zero row stays zero and passes no gradient.

    Example:
    ```python
    unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))  # [[0.6, 0.8], [0, 0]]
    ```
    """
    x = ops.cast(x, "float32")
    # A row's direction does not depend on its size, so a constant factor keeps both the value and
    # the gradient, while the squares of very long and very short rows stay within range.
    largest = ops.stop_gradient(ops.amax(ops.abs(x), axis=1, keepdims=True))
    nonzero = largest > 0
    x = x / ops.where(nonzero, largest, 1.0)
    squares = ops.where(nonzero, ops.sum(ops.square(x), axis=1, keepdims=True), 1.0)
    return x * ops.where(nonzero, ops.rsqrt(squares), 0.0)


def check_temperature(temperature: float) -> None:
    """Refuse a temperature that is not a finite number above 0."""
    if not isinstance(temperature, Real) or not 0 < temperature < math.inf:
        raise ValueError(
            f"`temperature` must be a finite number above 0. Received: temperature={temperature}"
        )


def check_hardness(hardness: float) -> None:
    """Refuse a hardness that is not a finite number of at least 0."""
    if not isinstance(hardness, Real) or not 0 <= hardness < math.inf:
        raise ValueError(
            f"`hardness` must be a finite number of at least 0. Received: hardness={hardness}"
        )


def check_positive_sum(positive_sum: str) -> None:
    """Refuse an unknown place of the mean over positives."""
    if positive_sum not in POSITIVE_SUMS:
        raise ValueError(
            f"`positive_sum` must be one of {POSITIVE_SUMS}. Received: positive_sum={positive_sum}"
        )


def check_threshold(threshold: float | None) -> None:
    """Refuse a threshold that no cosine similarity can have."""
    if threshold is not None and not (isinstance(threshold, Real) and -1 <= threshold <= 1):
        raise ValueError(
            f"`threshold` must be None or within [-1, 1]. Received: threshold={threshold}"
        )


def _classes(labels, batch_size):
    """Classes as `class_ids` gives them, and whether each is one, both `[batch]`."""
    expected = (
        "`labels` must hold integers of shape (batch,) or (batch, 1), or one-hot rows "
        "(batch, classes)"
    )
    if isinstance(labels, (list, tuple, np.ndarray)):
        labels = np.asarray(labels)
        if labels.dtype.kind not in "biuf":
            raise ValueError(f"{expected}. Received: labels of dtype {labels.dtype}")
        if not labels_are_valid(labels):
            some = np.atleast_1d(labels)[:3].tolist()
            raise ValueError(f"{expected}. Received: labels with other values, labels[:3]={some}")
        if labels.dtype.kind in "iu":
            # 32 bits, which is all that JAX has, would wrap a large class around into a small one.
            inside = (labels >= 0) & (labels < 2**31)
            labels = np.where(inside, labels.astype("int64"), -1)
    labels = ops.convert_to_tensor(labels)
    shape = tuple(labels.shape)
    if len(shape) not in (1, 2):
        raise ValueError(f"{expected}. Received: labels of shape {shape}")
    if batch_size is not None and shape[0] is not None and shape[0] != batch_size:
        raise ValueError(
            f"{expected}, one row an embedding ({batch_size}). Received: labels of shape {shape}"
        )
    if len(shape) == 2 and shape[1] == 1:
        labels = ops.squeeze(labels, axis=1)
    elif len(shape) == 2:
        rows = ops.cast(labels, "float32")
        one_hot = ops.logical_and(ops.amax(rows, axis=1) == 1, ops.sum(ops.abs(rows), axis=1) == 1)
        return ops.where(one_hot, ops.cast(ops.argmax(rows, axis=1), "int32"), -1), one_hot
    dtype = standardize_dtype(labels.dtype)
    if "float" in dtype:
        labels = labels if dtype == "float64" else ops.cast(labels, "float32")
        inside = ops.logical_and(labels >= 0, labels < 2.0**31)
        whole = ops.logical_and(inside, labels == ops.floor(labels))
        return ops.where(whole, ops.cast(labels, "int32"), -1), whole
    # Classes of 64 bits, such as hashes, would run into each other in 32.
    if dtype in ("uint32", "uint64"):
        classes = ops.cast(labels, "int64")
        # The highest ones wrap around below 0, and stay apart there.
        return classes, ops.ones_like(classes, dtype="bool")
    classes = labels if dtype in ("int32", "int64") else ops.cast(labels, "int32")
    return classes, classes >= 0


def _checked(labels, embeddings):
    """Integer classes `[batch]`, whether each is one, and unit rows `[batch, dim]`."""
    embeddings = ops.convert_to_tensor(embeddings)
    shape = tuple(embeddings.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            "`embeddings` must have shape (batch, dim), with at least one row. "
            f"Received: embeddings of shape {shape}"
        )
    classes, known = _classes(labels, shape[0])
    if isinstance(labels, (list, tuple, np.ndarray)) and np.size(labels) == classes.shape[0]:
        # JAX has no integers of 64 bits unless told to, and only equality counts.
        classes = ops.convert_to_tensor(np.unique(labels, return_inverse=True)[1].reshape(-1))
        known = ops.convert_to_tensor(np.reshape(labels, -1) >= 0)
    return classes, known, unit_rows(embeddings)


def _nan_without_class(values, has_positive, known):
    """NaN for an anchor whose label is no class; it counts, lest a mean leave it out."""
    # A product hands NaN on to the gradient too.
    values = values * ops.cast(ops.where(known, 1.0, float("nan")), "float32")
    return values, ops.where(known, has_positive, 1.0)


def _fits_in_table(embeddings, chunk_size):
    rows = embeddings.shape[0]
    return chunk_size is None and rows is not None and rows <= _LARGEST_TABLE


def _pairs(classes, embeddings):
    """Cosine similarities and the masks of positives and of negatives, each `[batch, batch]`."""
    cosines = ops.matmul(embeddings, ops.transpose(embeddings))
    same = ops.cast(ops.expand_dims(classes, 1) == ops.expand_dims(classes, 0), "float32")
    rows = ops.arange(ops.shape(classes)[0])
    itself = ops.cast(ops.expand_dims(rows, 1) == ops.expand_dims(rows, 0), "float32")
    return cosines, same - itself, 1.0 - same


def _masked_logsumexp(x, mask):
    """Log of the sum of exponentials over a row's entries whose mask is 1, `LOG_ZERO` if none."""
    inside = mask > 0
    filled = ops.any(inside, axis=1)
    largest = ops.amax(ops.where(inside, x, LOG_ZERO), axis=1, keepdims=True)
    largest = ops.stop_gradient(ops.where(ops.expand_dims(filled, 1), largest, 0.0))
    total = ops.sum(ops.exp(ops.where(inside, x - largest, LOG_ZERO)), axis=1)
    value = ops.squeeze(largest, axis=1) + ops.log(ops.where(filled, total, 1.0))
    return ops.where(filled, value, LOG_ZERO)


def _hard_negatives(similarities, negatives, hardness):
    """Log of the mean of e^s over a row's negatives, weighted by e^(hardness · s)."""
    # The weights themselves are never formed: their normaliser is subtracted in log space.
    weighted = _masked_logsumexp((1.0 + hardness) * similarities, negatives)
    normaliser = _masked_logsumexp(hardness * similarities, negatives)
    return ops.where(weighted <= LOG_ZERO, LOG_ZERO, weighted - normaliser)


def _log_count(mask):
    return ops.log(ops.maximum(ops.sum(mask, axis=1), 1.0))

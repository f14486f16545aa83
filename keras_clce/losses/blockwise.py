"""The contrastive losses in blocks of anchors: memory grows with the batch, not with its square.

A block has some anchors and the whole batch. Forward keeps a few numbers an anchor, backward
computes the blocks again. Similarities are symmetric: an anchor's numbers tell how its loss changes
with a row, the row's numbers how the row's loss changes with the anchor. So one product with the
embeddings gives the whole gradient of a block's anchors, and no block adds to another's.

Masks are numbers to multiply with: selecting takes torch twice the time.
"""

from typing import Any, NamedTuple

from keras import ops

from keras_clce import backend

# Stands for log(0). Finite, because -inf turns gradients into NaN.
LOG_ZERO = -1e30

# Fewer read the embeddings too often, more gain nothing.
_ANCHORS = 128
# The C library gives a block's tables back to the system, and gets them anew for the next, where
# together they are above some 60 MB: those of 4 MB are not.
_LARGEST_BLOCK = 2**20
# float32 holds e^-87.
_WIDEST_EXPONENT = 80.0
_TINY = 1e-37


class _Block(NamedTuple):
    """Some anchors against the whole batch, each float32 `[anchors, batch]`."""

    similarities: Any  # cosines over the temperature
    positives: Any
    negatives: Any


class _Summary(NamedTuple):
    """What is kept of each anchor, each `[anchors]`."""

    value: Any
    positives: Any  # how many
    slopes: list  # what its pairs' derivatives are made of, in proportion to its weight
    levels: list  # the same, whatever its weight


def lacln(
    classes: Any,
    embeddings: Any,
    temperature: float,
    hardness: float,
    positive_sum: str,
    chunk_size: int | None,
) -> tuple[Any, Any]:
    """LACLN of each anchor, as `functional.lacln` defines it.

    Args:
        classes: Integer classes `[batch]`.
        embeddings: Unit rows `[batch, dim]`, float32.
        temperature: Softmax temperature τ.
        hardness: Concentration β of the weights on similar negatives.
        positive_sum: `"outside"` or `"inside"`.
        chunk_size: Anchors a block; `None` takes 128, or fewer of a batch above 8,192 rows.

    Returns:
        Two float32 tensors `[batch]`: the loss of each anchor, and 1 for each that has a positive.

    Reference:
        - [CLCE](https://arxiv.org/abs/2402.14551)
        - [Inf-CL](https://arxiv.org/abs/2410.17243), a loss in tiles

    Example:
    ```python
    lacln(np.array([0, 0, 1, 1]), unit_rows(x), 0.5, 1.0, "outside", chunk_size=2)
    ```
    """
    common = _common_shifts(temperature, hardness)

    def summarise(block):
        shifts = common or _highest(block)
        of_positives, of_negatives = shifts
        e = _exponentials(block, shifts)
        log_mean, tilted, tilt = _hard_negatives(e, block.negatives, hardness)
        sum_of_positives = ops.sum(e * block.positives, axis=1)
        others = ops.sum(block.negatives, axis=1)
        count = ops.cast(ops.shape(block.negatives)[1], "float32") - 1.0 - others
        log_positives = of_positives + _log(sum_of_positives)
        log_negatives = of_negatives + log_mean + _log(others)
        log_denominator = log_add_exp(log_positives, log_negatives)
        share = ops.exp(log_negatives - log_denominator)
        divisor = ops.maximum(count, 1.0)
        if positive_sum == "outside":
            numerator = ops.sum(block.similarities * block.positives, axis=1) / divisor
            attraction, constant = ops.exp(of_positives - log_denominator), 1.0 / divisor
        else:
            numerator = log_positives - ops.log(divisor)
            # Not as the difference of two shares, which rounding would leave nothing of.
            attraction, constant = -share / _positive(sum_of_positives), ops.zeros_like(divisor)
        slopes = [share * tilted, share * tilt, attraction, constant]
        return _Summary(log_denominator - numerator, count, slopes, [] if common else shifts)

    def slope(block, slopes, levels):
        e = _exponentials(block, common or levels)
        tilted, tilt, attraction, constant = slopes
        of_negatives = _tilt(e, hardness) * (tilted * e - tilt) * block.negatives
        return of_negatives + (attraction * e - constant) * block.positives

    return _in_blocks(classes, embeddings, temperature, chunk_size, summarise, slope, num_slopes=4)


def hscl(
    classes: Any,
    embeddings: Any,
    temperature: float,
    hardness: float,
    threshold: float | None,
    chunk_size: int | None,
) -> tuple[Any, Any]:
    """H-SCL of each anchor, as `functional.hscl` defines it.

    Args:
        classes: Integer classes `[batch]`.
        embeddings: Unit rows `[batch, dim]`, float32.
        temperature: Softmax temperature τ.
        hardness: Concentration β of the exponential weights on similar negatives.
        threshold: Cosine similarity of the negatives that count, or `None`.
        chunk_size: Anchors a block; `None` takes 128, or fewer of a batch above 8,192 rows.

    Returns:
        Two float32 tensors `[batch]`: the loss of each anchor, and 1 for each that has a positive.

    Reference:
        - [Hard negative sampling for supervised contrastive learning](https://arxiv.org/abs/2209.00078)

    Example:
    ```python
    hscl(np.array([0, 0, 1, 1]), unit_rows(x), 0.5, 1.0, None, chunk_size=2)
    ```
    """
    hardness = hardness if threshold is None else 0.0
    common = _common_shifts(temperature, hardness)
    others = ops.maximum(ops.cast(ops.shape(embeddings)[0], "float32") - 2.0, 1.0)

    def reaching(block, least):
        # A similarity of NaN must not fall out.
        reached = ops.logical_not(block.similarities < least)
        return block.negatives * ops.cast(reached, "float32")

    def summarise(block):
        shifts = common or _highest(block)
        e = _exponentials(block, shifts)
        count = ops.sum(block.positives, axis=1)
        least = ops.full_like(count, LOG_ZERO)
        if threshold is not None:
            wanted = threshold / temperature
            least = ops.where(ops.any(reaching(block, wanted) > 0, axis=1), wanted, least)
        log_mean, tilted, tilt = _hard_negatives(e, reaching(block, _column(least)), hardness)
        hard = shifts[1] + log_mean + ops.log(others)
        beyond = _column(hard) - block.similarities
        divisor = ops.maximum(count, 1.0)
        value = ops.sum(ops.softplus(beyond) * block.positives, axis=1) / divisor
        share = ops.sum(ops.sigmoid(beyond) * block.positives, axis=1) / divisor
        slopes = [share * tilted, share * tilt, 1.0 / divisor]
        levels = [hard, least, *([] if common else shifts)]
        return _Summary(value, count, slopes, levels)

    def slope(block, slopes, levels):
        tilted, tilt, attraction = slopes
        hard, least, *shifts = levels
        e = _exponentials(block, common or shifts)
        of_negatives = _tilt(e, hardness) * (tilted * e - tilt) * reaching(block, least)
        of_positives = attraction * ops.sigmoid(hard - block.similarities) * block.positives
        return of_negatives - of_positives

    return _in_blocks(classes, embeddings, temperature, chunk_size, summarise, slope, num_slopes=3)


def log_add_exp(a: Any, b: Any) -> Any:
    """Log of the sum of two exponentials.

    Args:
        a: A float tensor.
        b: Another of the same shape.

    Returns:
        A tensor of that shape; where `a` and `b` are equal, each has half of the gradient, which
        `keras.ops.logaddexp` gives to one.

    Example:
    ```python
    log_add_exp(np.zeros(1), np.zeros(1))  # log(2)
    ```
    """
    largest = ops.stop_gradient(ops.maximum(a, b))
    return largest + ops.log(ops.exp(a - largest) + ops.exp(b - largest))


def _in_blocks(classes, embeddings, temperature, chunk_size, summarise, slope, num_slopes):
    """Values and mask of all anchors, block by block, with a gradient that goes over them again.

    `summarise(block)` gives a `_Summary`; `slope(block, slopes, levels)` the derivatives by the
    similarities, linear in `slopes`. It gets the numbers of the anchors as columns, or of the
    batch as rows.
    """
    batch = ops.shape(embeddings)[0]
    rows = embeddings.shape[0]
    if chunk_size is None:
        chunk_size = max(1, min(_ANCHORS, _LARGEST_BLOCK // rows)) if rows else _ANCHORS
    chunk_size = min(chunk_size, rows) if rows else chunk_size
    blocks = (batch + chunk_size - 1) // chunk_size
    # The last block is filled up with copies of the last anchor, which are dropped again.
    anchors = ops.minimum(ops.arange(blocks * chunk_size, dtype="int32"), batch - 1)
    anchors = ops.reshape(anchors, (blocks, chunk_size))
    classes = _ranks(classes)

    def of_all(of_anchors):
        table = backend.map_blocks(of_anchors, anchors)
        return ops.reshape(table, (-1, table.shape[-1]))[:batch]

    def block_of(mine, z):
        negatives = _differ(ops.take(classes, mine), classes)
        itself = ops.stack([ops.arange(ops.shape(mine)[0], dtype="int32"), mine], axis=1)
        positives = ops.scatter_update(1.0 - negatives, itself, ops.zeros_like(mine, "float32"))
        similarities = ops.matmul(ops.take(z, mine, axis=0) / temperature, ops.transpose(z))
        return _Block(similarities, positives, negatives)

    @ops.custom_gradient
    def summaries(z):
        def summary(mine):
            value, count, slopes, levels = summarise(block_of(mine, z))
            has_positive = ops.cast(count > 0, "float32")
            return ops.stack([value * has_positive, has_positive, *slopes, *levels], axis=1)

        table = of_all(summary)

        def gradient(*args, upstream=None):
            upstream = args[-1] if upstream is None else upstream
            weights = upstream[:, 0] * table[:, 1]
            numbers = ops.transpose(table[:, 2:])
            slopes, levels = numbers[:num_slopes] * weights, numbers[num_slopes:]

            def change(mine):
                block = block_of(mine, z)
                of_batch = [_rows(slopes), _rows(levels)]
                of_anchors = [
                    _rows(ops.take(x, mine, axis=1), column=True) for x in (slopes, levels)
                ]
                if levels.shape[0]:
                    total = slope(block, *of_anchors) + slope(block, *of_batch)
                else:
                    both = [a + b for a, b in zip(of_anchors[0], of_batch[0], strict=True)]
                    total = slope(block, both, [])
                return ops.matmul(total, z) / temperature

            return of_all(change)

        # A copy, for torch: what autograd keeps for backward must not be a view of the result.
        return ops.copy(table[:, :2]), gradient

    table = summaries(embeddings)
    return table[:, 0], ops.stop_gradient(table[:, 1])


def _common_shifts(temperature, hardness):
    """1/τ, which no similarity exceeds, as all exponents' shift; `None` where float32 is narrow."""
    widest = 2.0 * (1.0 + hardness) / temperature
    return [1.0 / temperature] * 2 if widest <= _WIDEST_EXPONENT else None


def _highest(block):
    """Highest similarity of an anchor's positives, and of its negatives; 0 without any."""
    shifts = []
    for mask in (block.positives, block.negatives):
        highest = ops.amax(ops.where(mask > 0, block.similarities, LOG_ZERO), axis=1)
        shifts.append(ops.where(highest > LOG_ZERO, highest, 0.0))
    return shifts


def _exponentials(block, shifts):
    """e^(s - shift) of all pairs, the shifts of positives and of negatives apart."""
    of_positives, of_negatives = shifts
    if isinstance(of_positives, float):
        return ops.exp(block.similarities - of_positives)
    if len(of_positives.shape) == 1:
        of_positives, of_negatives = _column(of_positives), _column(of_negatives)
    shift = ops.where(block.negatives > 0, of_negatives, of_positives)
    # An anchor is more similar to itself than to any other.
    return ops.exp(ops.minimum(block.similarities - shift, 0.0))


def _hard_negatives(e, negatives, hardness):
    """Log of the mean of e, weighted by e^hardness, and the two factors of its derivative."""
    e = e * negatives
    tilt = _tilt(e, hardness)
    of_tilt = ops.sum(negatives if hardness == 0.0 else tilt, axis=1)
    of_tilted = ops.sum(tilt * e, axis=1)
    log_mean = ops.where(of_tilted <= 0, LOG_ZERO, _log(of_tilted) - _log(of_tilt))
    return log_mean, (1.0 + hardness) / _positive(of_tilted), hardness / _positive(of_tilt)


def _tilt(e, hardness):
    if hardness == 0.0:
        return 1.0
    return e if hardness == 1.0 else ops.power(e, hardness)


def _ranks(classes):
    """Numbers from 0 in the order of the classes, as float32, which holds all that a batch has."""
    order = ops.argsort(classes)
    ordered = ops.take(classes, order)
    rises = ops.cast(ordered != ops.concatenate([ordered[:1], ordered[:-1]]), "float32")
    return ops.take(ops.cumsum(rises), ops.argsort(order))


def _differ(mine, everyone):
    """1 where whole numbers differ, else 0; comparing them takes torch three times as long."""
    return ops.minimum(ops.abs(_column(mine) - ops.expand_dims(everyone, 0)), 1.0)


def _column(x):
    return ops.expand_dims(x, 1)


def _rows(x, column=False):
    return [ops.expand_dims(x[i], 1 if column else 0) for i in range(x.shape[0])]


def _positive(x):
    return ops.maximum(x, _TINY)


def _log(x):
    # In this order NaN stays NaN.
    return ops.where(x <= 0, LOG_ZERO, ops.log(_positive(x)))

"""A loss in chunks of anchors: memory grows with the batch, not with its square.

A chunk has some anchors and the whole batch. Forward keeps a few numbers per anchor, backward
computes the chunks again. Similarities are symmetric: an anchor's numbers tell how its loss changes
with a row, the row's numbers how the row's loss changes with the anchor. So one product with the
embeddings gives the whole gradient of a chunk's anchors, and no chunk adds to another's.

Masks are numbers to multiply with: selecting takes torch twice the time.

Reference:
    - [Inf-CL](https://arxiv.org/abs/2410.17243), a loss in tiles
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from keras_clce import backend
from keras_clce.losses.class_mean import average_classes, seen_from_rows
from keras_clce.losses.pairs import (
    Memory,
    classes_with_memory,
    filled_rows,
    is_plain,
    number_of_rows,
    overlaps,
    rows_of_each_class,
    rows_with_memory,
)

# Fewer read the embeddings too often, more gain nothing.
_ANCHORS = 128
# The C library gives a chunk's tables back to the system, and gets them anew for the next, where
# together they are above some 60 MB: those of 4 MB are not.
_LARGEST_CHUNK = 2**20


class Chunk(NamedTuple):
    """Some anchors against the whole batch, each float32 `[anchors, batch]`, as `Pairs`."""

    similarities: Any  # cosines over the temperature
    positives: Any
    negatives: Any
    num_rows: Any
    plain: bool = True


class Summary(NamedTuple):
    """What is kept of each anchor, each `[anchors]`."""

    values: Any
    num_positives: Any
    coefficients: list  # what its pairs' derivatives are made of, in proportion to its weight
    levels: list  # the same, whatever its weight


class ChunkForm(NamedTuple):
    """A loss as its value and its derivative per chunk.

    Attributes:
        summarize: From a `Chunk` to its `Summary`.
        derivative: From `(chunk, coefficients, levels)` to the derivatives `[anchors, batch]` by
            the similarities, linear in the coefficients. It gets the numbers of the anchors as
            columns, or of the batch as rows.
        num_coefficients: How many coefficients a summary has.
    """

    summarize: Callable[[Chunk], Summary]
    derivative: Callable[[Chunk, list, list], Any]
    num_coefficients: int


def values_in_chunks(
    classes: Any,
    embeddings: Any,
    temperature: float,
    chunk_size: int | None,
    form: ChunkForm,
    views: bool = False,
    memory: Memory | None = None,
    class_mean: bool = False,
    present: Any = None,
    overlap_of: Callable[[Any, Any], Any] = overlaps,
) -> tuple[Any, Any]:
    """Value and mask of all anchors, chunk by chunk, with a gradient that goes over them again.

    Args:
        classes: Integer classes `[batch]`, or soft labels or sets of labels `[batch, classes]`,
            float32.
        embeddings: Unit rows `[batch, dim]`, float32.
        temperature: Softmax temperature τ.
        chunk_size: Anchors per chunk; `None` takes 128, or fewer of a batch above 8,192 rows.
        form: The loss.
        views: As in `keras_clce.losses.pairs.all_pairs`. Defaults to `False`.
        memory: As there. Defaults to `None`.
        class_mean: As there. Defaults to `False`.
        present: As there. Defaults to `None`.
        overlap_of: As there. Defaults to that of soft labels.

    Returns:
        Two float32 tensors `[batch]`: the loss of each anchor, 0 where it has no positive, and 1
        for each that has a positive, which passes no gradient.

    Example:
    ```python
    from keras_clce.losses.lacln import lacln_in_chunks
    from keras_clce.losses.pairs import unit_rows
    form = lacln_in_chunks(0.5, 1.0, "outside")
    values, has_positive = values_in_chunks(labels, unit_rows(embeddings), 0.5, 128, form)
    ```
    """
    batch = ops.shape(embeddings)[0]
    size_of_memory = 0 if memory is None else memory.classes.shape[0]
    chunk_size = _anchors_per_chunk(embeddings.shape[0], chunk_size, size_of_memory)
    num_chunks = (batch + chunk_size - 1) // chunk_size
    # The last chunk is filled up with copies of the last anchor, which are dropped again.
    anchors = ops.minimum(ops.arange(num_chunks * chunk_size, dtype="int32"), batch - 1)
    anchors = ops.reshape(anchors, (num_chunks, chunk_size))
    filled = filled_rows(embeddings, memory, present)
    masks_of = _masks(classes, embeddings, views, memory, present, filled, overlap_of)
    counts = rows_of_each_class(classes, memory, filled) if class_mean else None
    plain = is_plain(classes, views, filled, class_mean)

    def for_all(of_anchors):
        table = backend.map_blocks(of_anchors, anchors)
        return ops.reshape(table, (-1, table.shape[-1]))[:batch]

    def chunk_of(mine, z):
        positives, negatives = masks_of(mine)
        if counts is not None:
            positives, negatives = average_classes(positives, negatives, counts)
        similarities = ops.matmul(ops.take(z, mine, axis=0) / temperature, ops.transpose(z))
        return Chunk(similarities, positives, negatives, number_of_rows(negatives, filled), plain)

    def seen_from_batch(chunk, mine):
        if counts is None:
            return chunk
        turned = seen_from_rows(chunk.negatives, counts, ops.take(counts, mine))
        return chunk._replace(negatives=turned)

    @ops.custom_gradient
    def values_and_mask(z):
        if memory is not None:
            z = rows_with_memory(z, memory)

        def row_of_each(mine):
            values, num_positives, coefficients, levels = form.summarize(chunk_of(mine, z))
            has_positive = ops.cast(num_positives > 0, "float32")
            return ops.stack([values * has_positive, has_positive, *coefficients, *levels], axis=1)

        table = for_all(row_of_each)
        if present is not None:
            # A row with neither positives nor negatives may have numbers beyond float32.
            table = ops.where(ops.expand_dims(present, 1) > 0, table, 0.0)

        def gradient(*args, upstream=None):
            upstream = args[-1] if upstream is None else upstream
            weights = upstream[:, 0] * table[:, 1]
            numbers = ops.transpose(table[:, 2:])
            coefficients = numbers[: form.num_coefficients] * weights
            levels = numbers[form.num_coefficients :]
            # A row of the memory is no anchor.
            of_all = [
                ops.pad(each, [[0, 0], [0, size_of_memory]]) if size_of_memory else each
                for each in (coefficients, levels)
            ]

            def gradient_of(mine):
                chunk = chunk_of(mine, z)
                of_batch = [_as_rows(each) for each in of_all]
                of_anchors = [
                    _as_columns(ops.take(x, mine, axis=1)) for x in (coefficients, levels)
                ]
                if levels.shape[0] or counts is not None:
                    total = form.derivative(chunk, *of_anchors)
                    total = total + form.derivative(seen_from_batch(chunk, mine), *of_batch)
                else:
                    both = [a + b for a, b in zip(of_anchors[0], of_batch[0], strict=True)]
                    total = form.derivative(chunk, both, [])
                return ops.matmul(total, z) / temperature

            return for_all(gradient_of)

        # A copy, for torch: what autograd keeps for backward must not be a view of the result.
        return ops.copy(table[:, :2]), gradient

    result = values_and_mask(embeddings)
    return result[:, 0], ops.stop_gradient(result[:, 1])


def _anchors_per_chunk(rows, chunk_size, size_of_memory):
    if chunk_size is None:
        columns = rows + size_of_memory if rows else None
        chunk_size = max(1, min(_ANCHORS, _LARGEST_CHUNK // columns)) if columns else _ANCHORS
    return min(chunk_size, rows) if rows else chunk_size


def _masks(classes, embeddings, views, memory, present, filled, overlap_of):
    """From the numbers of some anchors to their positives and negatives."""
    if len(classes.shape) == 2:

        def masks_of(mine):
            overlap = overlap_of(ops.take(classes, mine, axis=0), classes)
            return _without_itself(overlap, mine), _without_itself(1.0 - overlap, mine)
    else:
        ranks = _ranks(classes if memory is None else classes_with_memory(classes, memory))

        def masks_of(mine):
            negatives = _differ(ops.take(ranks, mine), ranks)
            return _without_itself(1.0 - negatives, mine), negatives

    if is_plain(classes, views, filled):
        return masks_of
    pairs_of_views = _pairs_of_views(embeddings, memory) if views else None

    def fewer_of(mine):
        positives, negatives = masks_of(mine)
        if filled is not None:
            of_columns = ops.expand_dims(filled, 0)
            positives, negatives = positives * of_columns, negatives * of_columns
        if present is not None:
            # Of both, for a chunk's table is read as the other rows' as well.
            of_rows = ops.expand_dims(ops.take(present, mine), 1)
            positives, negatives = positives * of_rows, negatives * of_rows
        if pairs_of_views is not None:
            of_mine = ops.take(pairs_of_views, mine)
            positives = positives * (1.0 - _differ(of_mine, pairs_of_views))
        return positives, negatives

    return fewer_of


def _without_itself(table, mine):
    itself = ops.stack([ops.arange(ops.shape(mine)[0], dtype="int32"), mine], axis=1)
    return ops.scatter_update(table, itself, ops.zeros_like(mine, "float32"))


def _pairs_of_views(embeddings, memory):
    """The same number for both views of an image, -1 in the memory."""
    rows = ops.shape(embeddings)[0]
    pairs = ops.cast(ops.arange(rows, dtype="int32") // 2, "float32")
    if memory is None:
        return pairs
    return ops.concatenate([pairs, -ops.ones_like(memory.filled)])


def _ranks(classes):
    """Numbers from 0 in the order of the classes, as float32, which holds all that a batch has."""
    order = ops.argsort(classes)
    ordered = ops.take(classes, order)
    rises = ops.cast(ordered != ops.concatenate([ordered[:1], ordered[:-1]]), "float32")
    return ops.take(ops.cumsum(rises), ops.argsort(order))


def _differ(mine, everyone):
    """1 where whole numbers differ, else 0; comparing them takes torch three times as long."""
    return ops.minimum(ops.abs(ops.expand_dims(mine, 1) - ops.expand_dims(everyone, 0)), 1.0)


def _as_rows(numbers):
    return [ops.expand_dims(numbers[i], 0) for i in range(numbers.shape[0])]


def _as_columns(numbers):
    return [ops.expand_dims(numbers[i], 1) for i in range(numbers.shape[0])]

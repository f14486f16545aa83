"""Core-tuning's contrastive part: the focal contrastive loss, with hard pairs made by mixing."""

import functools
from typing import Any

import keras
from keras import ops

from keras_clce.checks import check_whole_number
from keras_clce.losses.anchors import anchor_values, checked_batch, nan_where_unknown
from keras_clce.losses.arguments import check_temperature, share_descriptions
from keras_clce.losses.base import ContrastiveLoss
from keras_clce.losses.chunks import ChunkForm, Summary
from keras_clce.losses.labels import classes_of_one_hot_rows
from keras_clce.losses.log_space import masked_log_sum_exp
from keras_clce.losses.pairs import Pairs, divisor_of, unit_rows

# A semi-hard negative is the other class's row for at least that part.
_LEAST_OF_NEGATIVE = 0.8
# Multiples of these, modulo the third, are spread evenly: by the golden ratio, and by √2 - 1.
_GOLDEN, _SILVER, _MODULUS = 20251, 13573, 2**15

# === Formula per anchor ===


def focal_of_pairs(pairs: Pairs, temperature: float) -> Any:
    """The focal contrastive loss of each anchor.

    Args:
        pairs: Anchors against the batch.
        temperature: Softmax temperature τ.

    Returns:
        A float32 tensor `[anchors]`, of any value where an anchor has no positive.

    Reference:
        - [Core-tuning](https://arxiv.org/abs/2102.06605)

    Example:
    ```python
    from keras_clce.losses.pairs import all_pairs, unit_rows
    pairs = all_pairs(labels, unit_rows(embeddings))
    focal_of_pairs(pairs, 0.07).shape  # (240,)
    ```
    """
    similarities = pairs.cosines / temperature
    log_total = masked_log_sum_exp(similarities, pairs.positives + pairs.negatives)
    terms = _focal(similarities - ops.expand_dims(log_total, 1)) * pairs.positives
    return ops.sum(terms, axis=1) / divisor_of(pairs.num_positives, pairs.plain)


def _focal(log_shares):
    """-(1 - p) log p."""
    # That of an anchor with itself is dropped, and must stay finite.
    log_shares = ops.minimum(log_shares, 0.0)
    return ops.expm1(log_shares) * log_shares


# === In chunks ===


def focal_in_chunks() -> ChunkForm:
    """The same loss in chunks of anchors.

    Returns:
        A `ChunkForm`.

    Example:
    ```python
    from keras_clce.losses.chunks import values_in_chunks
    from keras_clce.losses.pairs import unit_rows
    rows = unit_rows(embeddings)
    values, has_positive = values_in_chunks(labels, rows, 0.07, 128, focal_in_chunks())
    ```
    """

    def slope(log_shares):
        return ops.exp(log_shares) * (1.0 + log_shares) - 1.0

    def summarize(chunk):
        log_total = masked_log_sum_exp(chunk.similarities, chunk.positives + chunk.negatives)
        log_shares = ops.minimum(chunk.similarities - ops.expand_dims(log_total, 1), 0.0)
        num_positives = ops.sum(chunk.positives, axis=1)
        divisor = divisor_of(num_positives, chunk.plain)
        values = ops.sum(_focal(log_shares) * chunk.positives, axis=1) / divisor
        of_total = ops.sum(slope(log_shares) * chunk.positives, axis=1) / divisor
        return Summary(values, num_positives, [1.0 / divisor, of_total], [log_total])

    def derivative(chunk, coefficients, levels):
        attraction, of_total = coefficients
        log_shares = ops.minimum(chunk.similarities - levels[0], 0.0)
        of_positives = attraction * slope(log_shares) * chunk.positives
        return of_positives - of_total * ops.exp(log_shares) * (chunk.positives + chunk.negatives)

    return ChunkForm(summarize, derivative, num_coefficients=2)


# === Hard pairs ===


def with_hard_pairs(classes: Any, embeddings: Any) -> tuple[Any, Any]:
    """A batch with a semi-hard negative and a hard pair of each row, as further rows.

    Args:
        classes: Integer classes `[batch]`.
        embeddings: Unit rows `[batch, dim]`, float32.

    Returns:
        Numbers of the classes `[3 * batch]` and unit rows `[3 * batch, dim]`: the batch, the
        semi-hard negatives and the hard pairs. What is mixed of two classes has a class of its own;
        in a batch of one class all have that.

    Example:
    ```python
    with_hard_pairs(np.array([0, 1]), np.eye(2, dtype="float32"))[0]  # [0, 1, 2, 3, 4, 5]
    ```
    """
    classes, embeddings = ops.convert_to_tensor(classes), ops.convert_to_tensor(embeddings)
    rows = ops.arange(ops.shape(embeddings)[0], dtype="int32")
    same = ops.expand_dims(classes, 1) == ops.expand_dims(classes, 0)
    itself = ops.expand_dims(rows, 1) == ops.expand_dims(rows, 0)
    # Which rows are mixed passes no gradient.
    z = ops.stop_gradient(embeddings)
    cosines = ops.matmul(z, ops.transpose(z))
    # Cosines lie between: an anchor without a positive, or without a negative, takes itself.
    hardest_positive = _index_of_highest(ops.where(same, ops.where(itself, -2.0, -cosines), -3.0))
    hardest_negative = _index_of_highest(ops.where(same, ops.where(itself, -2.0, -3.0), cosines))
    order = _spread(17 * ops.expand_dims(rows, 1) + ops.expand_dims(rows, 0), _GOLDEN)
    some_negative = _index_of_highest(ops.where(same, ops.where(itself, -1.0, -2.0), order))

    share = ops.expand_dims(ops.maximum(_spread(rows, _SILVER), _LEAST_OF_NEGATIVE), 1)
    negatives = (1.0 - share) * embeddings + share * ops.take(embeddings, some_negative, axis=0)
    share = ops.expand_dims(_spread(rows, _GOLDEN), 1)
    pairs = share * ops.take(embeddings, hardest_positive, axis=0)
    pairs = pairs + (1.0 - share) * ops.take(embeddings, hardest_negative, axis=0)

    # The first row of a class gives it a number, which leaves others for what is mixed.
    numbers = ops.cast(ops.argmax(ops.cast(same, "int32"), axis=1), "int32")
    alone = ops.all(same, axis=1)
    batch = ops.shape(embeddings)[0]
    of_mixed = [ops.where(alone, numbers, rows + times * batch) for times in (1, 2)]
    mixed = unit_rows(ops.concatenate([negatives, pairs]))
    return ops.concatenate([numbers, *of_mixed]), ops.concatenate([embeddings, mixed])


def _index_of_highest(table):
    return ops.cast(ops.argmax(table, axis=1), "int32")


def _spread(numbers, step):
    """Whole numbers to numbers within (0, 1), spread evenly and exactly alike on every backend."""
    multiples = ops.mod((ops.mod(numbers, _MODULUS) + 1) * step, _MODULUS)
    return (ops.cast(multiples, "float32") + 0.5) / _MODULUS


# === The loss of Keras ===


@keras.saving.register_keras_serializable(package="keras_clce")
@share_descriptions
class CoreTuningLoss(ContrastiveLoss):
    """Focal contrastive loss with mixed hard pairs, the contrastive part of Core-tuning.

    With unit embeddings z, s_ij = z_i · z_j / τ, P_i the other rows of the anchor's class and A_i
    all rows but the anchor, those that are mixed among them,

        L_i  = -1/|P_i| Σ_{p∈P_i} (1 - p_ip) log p_ip,   p_ij = e^s_ij / Σ_{k∈A_i} e^s_ik

    is the loss of the anchor i, and the loss their mean. Each row adds two, scaled to unit length:

        semi-hard negative  (1 - μ) z_i + μ z_n     n any row of another class, μ ≥ 0.8
        hard pair           λ z_hp + (1 - λ) z_hn   the class's least similar row and the most
                                                    similar one of others, λ in (0, 1)

    What is mixed of two classes is of neither, and so a negative of all, as in the authors' code.
    λ, μ and n are spread evenly over the rows of a batch instead of being drawn (λ uniform,
    μ = max(0.8, uniform), α = 1 of the paper), so that a batch has one loss and training needs no
    further state.

    Core-tuning is cross-entropy + 0.1 of this loss: `keras_clce.losses.get("core_tuning")`, whose
    weight is 1 / 11. Not here: the classifier trained on mixed features with mixed labels, and a
    projection after the mixing rather than before it (`embedding_dim=256, embedding_layers=2` is
    theirs). Theirs passes no gradient through rows that are not mixed and divides by the number of
    all rows instead of |P_i|; here it is as in the paper.

    Args:
        temperature: Softmax temperature τ, above 0. Defaults to 0.07, the paper's.
        chunk_size: {shared}
        reduction: {shared}
        name: Name of the loss. Defaults to `"core_tuning_loss"`.
        dtype: {shared}

    Call arguments:
        y_true: Integer classes `(batch,)` or `(batch, 1)`, from 0, or one-hot rows
            `(batch, classes)`. Soft labels, and what is no class, make the loss NaN.
        y_pred: {shared}
        sample_weight: {shared}

    Returns:
        The reduced loss: a scalar, or `(batch,)` with `reduction="none"`.

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Reference:
        - [Core-tuning](https://arxiv.org/abs/2102.06605)

    Example:
    ```python
    loss = CoreTuningLoss()
    loss(np.array([0, 0, 1, 1]), np.random.default_rng(0).normal(size=(4, 8)))
    ```
    """

    takes_soft_labels = False

    def __init__(
        self,
        temperature: float = 0.07,
        chunk_size: int | None = None,
        reduction: str = "sum_over_batch_size",
        name: str = "core_tuning_loss",
        dtype: Any = None,
    ) -> None:
        check_temperature(temperature)
        chunk_size = check_whole_number("chunk_size", chunk_size, optional=True)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = temperature
        self.chunk_size = chunk_size

    # Without `memory` and `present`, by which the base knows that it takes neither.
    def anchor_values(  # type: ignore[override]
        self, y_true: Any, y_pred: Any
    ) -> tuple[Any, Any]:
        """Value of each anchor and whether it has a positive, both float32 `[batch]`."""
        classes, known, embeddings = checked_batch(y_true, y_pred)
        if len(classes.shape) == 2:
            classes, one_hot = classes_of_one_hot_rows(classes)
            known = ops.logical_and(known, one_hot)
        values, has_positive = anchor_values(
            *with_hard_pairs(classes, embeddings),
            self.temperature,
            self.chunk_size,
            functools.partial(focal_of_pairs, temperature=self.temperature),
            focal_in_chunks(),
        )
        batch = ops.shape(embeddings)[0]
        return nan_where_unknown(values[:batch], has_positive[:batch], known)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the loss."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "chunk_size": self.chunk_size,
        }

"""H-SCL, the supervised contrastive loss with hard negatives per positive."""

import copy
import functools
from typing import Any

import keras
from keras import ops

from keras_clce.checks import check_whole_number
from keras_clce.losses import chunk_exponentials as exponentials
from keras_clce.losses.anchors import anchor_values
from keras_clce.losses.arguments import (
    check_detach_weights,
    check_hardness,
    check_multi_label,
    check_positives,
    check_temperature,
    check_threshold,
    share_descriptions,
)
from keras_clce.losses.base import ContrastiveLoss
from keras_clce.losses.chunks import ChunkForm, Summary
from keras_clce.losses.log_space import LOG_ZERO, log_add_exp, log_hard_negatives
from keras_clce.losses.pairs import Memory, Pairs, divisor_of

# === Formula per anchor ===


def hscl_of_pairs(
    pairs: Pairs,
    temperature: float,
    hardness: float,
    threshold: float | None,
    detach_weights: bool = False,
    counts_negatives: bool = False,
) -> Any:
    """H-SCL of each anchor, as its paper defines it.

    Args:
        pairs: Anchors against the batch.
        temperature: Softmax temperature τ.
        hardness: Concentration β of the exponential weights on similar negatives.
        threshold: Cosine similarity of the negatives that count, or `None`.
        detach_weights: Whether the weights pass no gradient. Defaults to `False`.
        counts_negatives: Whether the mean over negatives counts as many times as there are
            negatives, as in SINCERE, and not for the batch less two. Defaults to `False`.

    Returns:
        A float32 tensor `[anchors]`, of any value where an anchor has no positive.

    Reference:
        - [Hard negative sampling for supervised contrastive learning](https://arxiv.org/abs/2209.00078)

    Example:
    ```python
    from keras_clce.losses.pairs import all_pairs, unit_rows
    pairs = all_pairs(labels, unit_rows(embeddings))
    hscl_of_pairs(pairs, 0.5, 1.0, None).shape  # (240,)
    ```
    """
    similarities = pairs.cosines / temperature
    weighted = not pairs.plain
    if threshold is None:
        log_mean = log_hard_negatives(
            similarities, pairs.negatives, hardness, weighted, detach_weights
        )
    else:
        # A cosine of NaN must not fall out.
        reached = ops.logical_not(pairs.cosines < threshold)
        reaching = pairs.negatives * ops.cast(reached, "float32")
        none_reaches = ops.sum(reaching, axis=1, keepdims=True) == 0
        chosen = ops.where(none_reaches, pairs.negatives, reaching)
        log_mean = log_hard_negatives(similarities, chosen, 0.0, weighted)
    times = _num_others(pairs.num_rows)
    if counts_negatives:
        times = divisor_of(ops.sum(pairs.negatives, axis=1), pairs.plain)
    log_negatives = log_mean + ops.log(times)
    denominators = log_add_exp(similarities, ops.expand_dims(log_negatives, 1))
    total = ops.sum((denominators - similarities) * pairs.positives, axis=1)
    return total / divisor_of(pairs.num_positives, pairs.plain)


# === In chunks ===


def hscl_in_chunks(
    temperature: float,
    hardness: float,
    threshold: float | None,
    detach_weights: bool = False,
    counts_negatives: bool = False,
) -> ChunkForm:
    """The same loss in chunks of anchors.

    Args:
        temperature: Softmax temperature τ.
        hardness: Concentration β of the exponential weights on similar negatives.
        threshold: Cosine similarity of the negatives that count, or `None`.
        detach_weights: As in `hscl_of_pairs`. Defaults to `False`.
        counts_negatives: As there. Defaults to `False`.

    Returns:
        A `ChunkForm`.

    Example:
    ```python
    from keras_clce.losses.chunks import values_in_chunks
    from keras_clce.losses.pairs import unit_rows
    form = hscl_in_chunks(0.5, 1.0, None)
    values, has_positive = values_in_chunks(labels, unit_rows(embeddings), 0.5, 128, form)
    ```
    """
    hardness = hardness if threshold is None else 0.0
    common = exponentials.common_shifts(temperature, hardness)

    def reaching(chunk, least):
        # A similarity of NaN must not fall out.
        reached = ops.logical_not(chunk.similarities < least)
        return chunk.negatives * ops.cast(reached, "float32")

    def summarize(chunk):
        shifts = common or exponentials.highest_similarities(chunk)
        _, e = exponentials.shifted_exponentials(chunk, shifts)
        num_positives = ops.sum(chunk.positives, axis=1)
        least = ops.full_like(num_positives, LOG_ZERO)
        if threshold is not None:
            wanted = threshold / temperature
            least = ops.where(ops.any(reaching(chunk, wanted) > 0, axis=1), wanted, least)
        log_mean, tilted, tilt = exponentials.mean_of_hard_negatives(
            e,
            reaching(chunk, ops.expand_dims(least, 1)),
            hardness,
            chunk.plain,
            detach_weights,
        )
        times = _num_others(chunk.num_rows)
        if counts_negatives:
            times = divisor_of(ops.sum(chunk.negatives, axis=1), chunk.plain)
        hard = shifts[1] + log_mean + ops.log(times)
        beyond = ops.expand_dims(hard, 1) - chunk.similarities
        divisor = divisor_of(num_positives, chunk.plain)
        values = ops.sum(ops.softplus(beyond) * chunk.positives, axis=1) / divisor
        share = ops.sum(ops.sigmoid(beyond) * chunk.positives, axis=1) / divisor
        coefficients = [share * tilted, share * tilt, 1.0 / divisor]
        levels = [hard, least, *([] if common else shifts)]
        return Summary(values, num_positives, coefficients, levels)

    def derivative(chunk, coefficients, levels):
        tilted, tilt, attraction = coefficients
        hard, least, *shifts = levels
        _, e = exponentials.shifted_exponentials(chunk, common or shifts)
        weights = exponentials.power(e, hardness)
        of_negatives = weights * (tilted * e - tilt) * reaching(chunk, least)
        of_positives = attraction * ops.sigmoid(hard - chunk.similarities) * chunk.positives
        return of_negatives - of_positives

    return ChunkForm(summarize, derivative, num_coefficients=3)


def _num_others(num_rows):
    """Rows beside the two of a pair, at least 1."""
    return ops.maximum(num_rows - 2.0, 1.0)


# === Of labels and embeddings ===


@share_descriptions
def hscl(
    labels: Any,
    embeddings: Any,
    temperature: float = 0.5,
    hardness: float = 1.0,
    threshold: float | None = None,
    chunk_size: int | None = None,
    positives: str = "class",
    detach_weights: bool = False,
    memory: Memory | None = None,
    present: Any = None,
    multi_label: bool = False,
) -> tuple[Any, Any]:
    """Hard-negative supervised contrastive loss (H-SCL) of each anchor.

    Args:
        labels: {shared}
        embeddings: {shared}
        temperature: {shared}
        hardness: Concentration β of the exponential weights on similar negatives, at least 0.
            Not used with `threshold`. Defaults to 1.0.
        threshold: If given, the other hardening function: negatives whose cosine similarity
            reaches it weigh alike and the rest nothing (all alike where none reaches it).
            Within [-1, 1]. Defaults to `None`.
        chunk_size: {shared}
        positives: {shared}
        detach_weights: {shared}
        memory: {shared}
        present: {shared}
        multi_label: {shared}

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
    check_positives(positives)
    check_detach_weights(detach_weights)
    check_multi_label(multi_label)
    return anchor_values(
        labels,
        embeddings,
        temperature,
        check_whole_number("chunk_size", chunk_size, optional=True),
        functools.partial(
            hscl_of_pairs,
            temperature=temperature,
            hardness=hardness,
            threshold=threshold,
            detach_weights=detach_weights,
        ),
        hscl_in_chunks(temperature, hardness, threshold, detach_weights),
        views=positives == "view",
        memory=memory,
        present=present,
        multi_label=multi_label,
    )


# === The loss of Keras ===


@keras.saving.register_keras_serializable(package="keras_clce")
@share_descriptions
class HSCLLoss(ContrastiveLoss):
    """Hard-negative supervised contrastive loss (H-SCL) of Jiang et al.

    With unit embeddings z of N rows, s_ij = z_i · z_j / τ, and for rows j other than i a_ij, 1
    where j is a positive of i and else 0 (with soft labels times the overlap y_i · y_j), and b_ij,
    1 where j has another class (with soft labels 1 - y_i · y_j),

        L_i  = -1/Σ_j a_ij · Σ_p a_ip [s_ip - log(e^s_ip + (N - 2) Σ_k w_ik e^s_ik)]
        w_ik = b_ik e^(β s_ik) / Σ_m b_im e^(β s_im)

    is the loss of the anchor i, and the loss their mean. The published code has both readings of
    `detach_weights`.

    Args:
        temperature: {shared}
        hardness: Concentration β of the exponential weights on similar negatives, at least 0.
            Not used with `threshold`. Defaults to 1.0.
        threshold: If given, negatives whose cosine similarity reaches it weigh alike and the
            rest nothing (all alike where none reaches it). Within [-1, 1]. Defaults to `None`.
        chunk_size: {shared}
        reduction: {shared}
        name: Name of the loss. Defaults to `"hscl_loss"`.
        dtype: {shared}
        positives: {shared}
        detach_weights: {shared}
        multi_label: {shared}

    Call arguments:
        y_true: {shared}
        y_pred: {shared}
        sample_weight: {shared}

    Returns:
        The reduced loss: a scalar, or `(batch,)` with `reduction="none"`.

    Raises:
        ValueError: If an argument is out of its range or shapes do not fit.

    Reference:
        - [Hard negative sampling for supervised contrastive learning](https://arxiv.org/abs/2209.00078)

    Example:
    ```python
    loss = HSCLLoss(threshold=0.3)
    loss(np.array([0, 0, 1, 1]), np.random.default_rng(0).normal(size=(4, 8)))
    ```
    """

    def __init__(
        self,
        temperature: float = 0.5,
        hardness: float = 1.0,
        threshold: float | None = None,
        chunk_size: int | None = None,
        reduction: str = "sum_over_batch_size",
        name: str = "hscl_loss",
        dtype: Any = None,
        positives: str = "class",
        detach_weights: bool = False,
        multi_label: bool = False,
    ) -> None:
        check_temperature(temperature)
        check_hardness(hardness)
        check_threshold(threshold)
        check_positives(positives)
        check_detach_weights(detach_weights)
        check_multi_label(multi_label)
        chunk_size = check_whole_number("chunk_size", chunk_size, optional=True)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = temperature
        self.hardness = hardness
        self.threshold = threshold
        self.chunk_size = chunk_size
        self.positives = positives
        self.detach_weights = detach_weights
        self.takes_soft_labels = not multi_label
        self.multi_label = multi_label

    def anchor_values(
        self, y_true: Any, y_pred: Any, memory: Memory | None = None, present: Any = None
    ) -> tuple[Any, Any]:
        """Value of each anchor and whether it has a positive, both float32 `[batch]`."""
        return hscl(
            y_true,
            y_pred,
            self.temperature,
            self.hardness,
            self.threshold,
            self.chunk_size,
            self.positives,
            self.detach_weights,
            memory,
            present,
            self.multi_label,
        )

    @property
    def needs_views(self) -> bool:
        """Whether an anchor's positive is the other view of its image."""
        return self.positives == "view"

    def of_single_views(self) -> "HSCLLoss":
        """The same loss with all rows of an anchor's class as its positives."""
        loss = copy.copy(self)
        loss.positives = "class"
        return loss

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the loss."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "hardness": self.hardness,
            "threshold": self.threshold,
            "chunk_size": self.chunk_size,
            "positives": self.positives,
            "detach_weights": self.detach_weights,
            "multi_label": self.multi_label,
        }

"""LACLN, the label-aware contrastive loss with hard negatives."""

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
    check_negatives,
    check_positive_sum,
    check_temperature,
    share_descriptions,
)
from keras_clce.losses.base import ContrastiveLoss
from keras_clce.losses.chunks import ChunkForm, Summary
from keras_clce.losses.log_space import log_add_exp, log_hard_negatives, masked_log_sum_exp
from keras_clce.losses.pairs import Memory, Pairs, divisor_of

# === Formula per anchor ===


def lacln_of_pairs(
    pairs: Pairs,
    temperature: float,
    hardness: float,
    positive_sum: str,
    detach_weights: bool = False,
) -> Any:
    """LACLN of each anchor, as the paper defines it.

    Args:
        pairs: Anchors against the batch.
        temperature: Softmax temperature τ.
        hardness: Concentration β of the weights on similar negatives.
        positive_sum: `"outside"` or `"inside"`.
        detach_weights: Whether the weights pass no gradient. Defaults to `False`.

    Returns:
        A float32 tensor `[anchors]`, of any value where an anchor has no positive.

    Reference:
        - [CLCE](https://arxiv.org/abs/2402.14551)

    Example:
    ```python
    from keras_clce.losses.pairs import all_pairs, unit_rows
    pairs = all_pairs(labels, unit_rows(embeddings))
    lacln_of_pairs(pairs, 0.5, 1.0, "outside").shape  # (240,)
    ```
    """
    similarities = pairs.cosines / temperature
    weighted = not pairs.plain
    log_positives = masked_log_sum_exp(similarities, pairs.positives, weighted)
    log_num_negatives = ops.log(divisor_of(ops.sum(pairs.negatives, axis=1), pairs.plain))
    log_mean = log_hard_negatives(similarities, pairs.negatives, hardness, weighted, detach_weights)
    log_negatives = log_mean + log_num_negatives
    divisor = divisor_of(pairs.num_positives, pairs.plain)
    if positive_sum == "outside":
        numerator = ops.sum(similarities * pairs.positives, axis=1) / divisor
    else:
        numerator = log_positives - ops.log(divisor)
    return log_add_exp(log_positives, log_negatives) - numerator


# === In chunks ===


def lacln_in_chunks(
    temperature: float, hardness: float, positive_sum: str, detach_weights: bool = False
) -> ChunkForm:
    """The same loss in chunks of anchors.

    Args:
        temperature: Softmax temperature τ.
        hardness: Concentration β of the weights on similar negatives.
        positive_sum: `"outside"` or `"inside"`.
        detach_weights: Whether the weights pass no gradient. Defaults to `False`.

    Returns:
        A `ChunkForm`.

    Example:
    ```python
    from keras_clce.losses.chunks import values_in_chunks
    from keras_clce.losses.pairs import unit_rows
    form = lacln_in_chunks(0.5, 1.0, "outside")
    values, has_positive = values_in_chunks(labels, unit_rows(embeddings), 0.5, 128, form)
    ```
    """
    common = exponentials.common_shifts(temperature, hardness)

    def summarize(chunk):
        shifts = common or exponentials.highest_similarities(chunk)
        of_positives, of_negatives = shifts
        e, e_of_negatives = exponentials.shifted_exponentials(chunk, shifts)
        log_mean, tilted, tilt = exponentials.mean_of_hard_negatives(
            e_of_negatives, chunk.negatives, hardness, chunk.plain, detach_weights
        )
        sum_of_positives = ops.sum(e * chunk.positives, axis=1)
        num_negatives = ops.sum(chunk.negatives, axis=1)
        if chunk.plain:
            num_positives = chunk.num_rows - 1.0 - num_negatives
        else:
            num_positives = ops.sum(chunk.positives, axis=1)
        log_positives = of_positives + exponentials.log_or_zero(sum_of_positives)
        log_negatives = of_negatives + log_mean + exponentials.log_or_zero(num_negatives)
        log_denominator = log_add_exp(log_positives, log_negatives)
        share = ops.exp(log_negatives - log_denominator)
        divisor = divisor_of(num_positives, chunk.plain)
        if positive_sum == "outside":
            numerator = ops.sum(chunk.similarities * chunk.positives, axis=1) / divisor
            attraction, constant = ops.exp(of_positives - log_denominator), 1.0 / divisor
        else:
            numerator = log_positives - ops.log(divisor)
            # Not as the difference of two shares, which rounding would leave nothing of.
            attraction = -share / exponentials.at_least_tiny(sum_of_positives)
            constant = ops.zeros_like(divisor)
        coefficients = [share * tilted, share * tilt, attraction, constant]
        levels = [] if common else shifts
        return Summary(log_denominator - numerator, num_positives, coefficients, levels)

    def derivative(chunk, coefficients, levels):
        e, e_of_negatives = exponentials.shifted_exponentials(chunk, common or levels)
        tilted, tilt, attraction, constant = coefficients
        weights = exponentials.power(e_of_negatives, hardness)
        of_negatives = weights * (tilted * e_of_negatives - tilt) * chunk.negatives
        return of_negatives + (attraction * e - constant) * chunk.positives

    return ChunkForm(summarize, derivative, num_coefficients=4)


# === Of labels and embeddings ===


@share_descriptions
def lacln(
    labels: Any,
    embeddings: Any,
    temperature: float = 0.5,
    hardness: float = 1.0,
    positive_sum: str = "outside",
    chunk_size: int | None = None,
    detach_weights: bool = False,
    memory: Memory | None = None,
    negatives: str = "all",
    present: Any = None,
    multi_label: bool = False,
) -> tuple[Any, Any]:
    """Label-aware contrastive loss with hard negatives (LACLN) of each anchor.

    Args:
        labels: {shared}
        embeddings: {shared}
        temperature: {shared}
        hardness: Concentration β of the weights on similar negatives, at least 0; 0 weights all
            negatives alike, which is SupCon. Defaults to 1.0.
        positive_sum: {shared}
        chunk_size: {shared}
        detach_weights: {shared}
        memory: {shared}
        negatives: {shared}
        present: {shared}
        multi_label: {shared}

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
    check_detach_weights(detach_weights)
    check_negatives(negatives)
    check_multi_label(multi_label, negatives)
    return anchor_values(
        labels,
        embeddings,
        temperature,
        check_whole_number("chunk_size", chunk_size, optional=True),
        functools.partial(
            lacln_of_pairs,
            temperature=temperature,
            hardness=hardness,
            positive_sum=positive_sum,
            detach_weights=detach_weights,
        ),
        lacln_in_chunks(temperature, hardness, positive_sum, detach_weights),
        memory=memory,
        class_mean=negatives == "class_mean",
        present=present,
        multi_label=multi_label,
    )


# === The loss of Keras ===


@keras.saving.register_keras_serializable(package="keras_clce")
@share_descriptions
class LACLNLoss(ContrastiveLoss):
    """Label-aware contrastive loss with hard negatives (LACLN), the contrastive part of CLCE.

    With unit embeddings z, s_ij = z_i · z_j / τ, and for rows j other than i a_ij, 1 where j has
    the class of i and else 0 (with soft labels the overlap y_i · y_j), and b_ij = 1 - a_ij,

        L_i  = -1/Σ_j a_ij · Σ_p a_ip [s_ip - log(Σ_q a_iq e^s_iq + Σ_k b_ik w_ik e^s_ik)]
        w_ik = e^(β s_ik) Σ_m b_im / Σ_m b_im e^(β s_im)

    is the loss of the anchor i, and the loss their mean. At β = 0 all w_ik are 1, the sums in the
    logarithm are one over all rows but i, and this is SupCon, also with soft labels. With
    `negatives="class_mean"` a_ij and b_ij are divided by how many rows of the class of j there are,
    without i.

    Args:
        temperature: {shared}
        hardness: Concentration β of the weights on similar negatives, at least 0; 0 is SupCon.
            Defaults to 1.0.
        positive_sum: {shared}
        chunk_size: {shared}
        reduction: {shared}
        name: Name of the loss. Defaults to `"lacln_loss"`.
        dtype: {shared}
        detach_weights: {shared}
        negatives: {shared}
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
        - [CLCE](https://arxiv.org/abs/2402.14551)
        - [Hard negatives](https://arxiv.org/abs/2010.04592) whose weights pass gradients
        - [Class averaging](https://arxiv.org/abs/2207.09052)

    Example:
    ```python
    encoder.compile("adam", loss=LACLNLoss(temperature=0.1))
    encoder.fit(images, labels, batch_size=32)
    ```
    """

    def __init__(
        self,
        temperature: float = 0.5,
        hardness: float = 1.0,
        positive_sum: str = "outside",
        chunk_size: int | None = None,
        reduction: str = "sum_over_batch_size",
        name: str = "lacln_loss",
        dtype: Any = None,
        detach_weights: bool = False,
        negatives: str = "all",
        multi_label: bool = False,
    ) -> None:
        check_temperature(temperature)
        check_hardness(hardness)
        check_positive_sum(positive_sum)
        check_detach_weights(detach_weights)
        check_negatives(negatives)
        check_multi_label(multi_label, negatives)
        chunk_size = check_whole_number("chunk_size", chunk_size, optional=True)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = temperature
        self.hardness = hardness
        self.positive_sum = positive_sum
        self.chunk_size = chunk_size
        self.detach_weights = detach_weights
        self.negatives = negatives
        self.takes_soft_labels = negatives != "class_mean" and not multi_label
        self.multi_label = multi_label

    def anchor_values(
        self, y_true: Any, y_pred: Any, memory: Memory | None = None, present: Any = None
    ) -> tuple[Any, Any]:
        """Value of each anchor and whether it has a positive, both float32 `[batch]`."""
        return lacln(
            y_true,
            y_pred,
            self.temperature,
            self.hardness,
            self.positive_sum,
            self.chunk_size,
            self.detach_weights,
            memory,
            self.negatives,
            present,
            self.multi_label,
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the loss."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "hardness": self.hardness,
            "positive_sum": self.positive_sum,
            "chunk_size": self.chunk_size,
            "detach_weights": self.detach_weights,
            "negatives": self.negatives,
            "multi_label": self.multi_label,
        }

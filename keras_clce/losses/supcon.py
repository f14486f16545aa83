"""SupCon, the supervised contrastive loss: LACLN with all negatives weighted alike; SINCERE."""

import functools
from typing import Any, TypedDict

import keras

from keras_clce.checks import check_whole_number
from keras_clce.losses.anchors import anchor_values
from keras_clce.losses.arguments import (
    check_denominator,
    check_multi_label,
    check_negatives,
    check_positive_sum,
    check_temperature,
    share_descriptions,
)
from keras_clce.losses.base import ContrastiveLoss
from keras_clce.losses.hscl import hscl_in_chunks, hscl_of_pairs
from keras_clce.losses.lacln import lacln
from keras_clce.losses.pairs import Memory


class _Options(TypedDict):
    """Options of H-SCL's formula."""

    hardness: float
    threshold: float | None
    counts_negatives: bool


# What makes H-SCL's formula, a denominator for each positive, SINCERE's.
_SINCERE: _Options = {"hardness": 0.0, "threshold": None, "counts_negatives": True}


@keras.saving.register_keras_serializable(package="keras_clce")
@share_descriptions
class SupConLoss(ContrastiveLoss):
    """Supervised contrastive loss of Khosla et al., without their rescaling by the temperature.

    Args:
        temperature: {shared}
        positive_sum: {shared}
        chunk_size: {shared}
        reduction: {shared}
        name: Name of the loss. Defaults to `"supcon_loss"`.
        dtype: {shared}
        denominator: What an anchor's positive is compared with: `"all"` other rows, or itself and
            the `"negatives"`, without the anchor's other positives, as SINCERE has it:
            L_i = -1/|P_i| Σ_p [s_ip - log(e^s_ip + Σ_k e^s_ik)]. Defaults to `"all"`.
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
        - [Supervised contrastive learning](https://arxiv.org/abs/2004.11362)
        - [SINCERE](https://arxiv.org/abs/2309.14277)
        - [Balanced contrastive learning](https://arxiv.org/abs/2207.09052), of which
          `negatives="class_mean"` is the class averaging

    Example:
    ```python
    loss = SupConLoss(temperature=0.1)
    loss(np.array([0, 0, 1, 1]), np.random.default_rng(0).normal(size=(4, 8)))
    ```
    """

    def __init__(
        self,
        temperature: float = 0.5,
        positive_sum: str = "outside",
        chunk_size: int | None = None,
        reduction: str = "sum_over_batch_size",
        name: str = "supcon_loss",
        dtype: Any = None,
        denominator: str = "all",
        negatives: str = "all",
        multi_label: bool = False,
    ) -> None:
        check_temperature(temperature)
        check_positive_sum(positive_sum)
        check_denominator(denominator, positive_sum)
        check_negatives(negatives)
        check_multi_label(multi_label, negatives)
        chunk_size = check_whole_number("chunk_size", chunk_size, optional=True)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature = temperature
        self.positive_sum = positive_sum
        self.chunk_size = chunk_size
        self.denominator = denominator
        self.negatives = negatives
        self.takes_soft_labels = negatives != "class_mean" and not multi_label
        self.multi_label = multi_label

    def anchor_values(
        self, y_true: Any, y_pred: Any, memory: Memory | None = None, present: Any = None
    ) -> tuple[Any, Any]:
        """Value of each anchor and whether it has a positive, both float32 `[batch]`."""
        if self.denominator == "negatives":
            return anchor_values(
                y_true,
                y_pred,
                self.temperature,
                self.chunk_size,
                functools.partial(hscl_of_pairs, temperature=self.temperature, **_SINCERE),
                hscl_in_chunks(self.temperature, **_SINCERE),
                memory=memory,
                class_mean=self.negatives == "class_mean",
                present=present,
                multi_label=self.multi_label,
            )
        return lacln(
            y_true,
            y_pred,
            self.temperature,
            0.0,
            self.positive_sum,
            self.chunk_size,
            memory=memory,
            negatives=self.negatives,
            present=present,
            multi_label=self.multi_label,
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the loss."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "positive_sum": self.positive_sum,
            "chunk_size": self.chunk_size,
            "denominator": self.denominator,
            "negatives": self.negatives,
            "multi_label": self.multi_label,
        }

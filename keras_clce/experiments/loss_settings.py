"""The settings of the loss."""

import dataclasses
import functools

from keras_clce.experiments import setting_checks as checks
from keras_clce.experiments.setting import Range, setting

LOSS = "The loss"

_of_loss = functools.partial(setting, part="training", group=LOSS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossSettings:
    """The part of `Settings` that says what is minimized.

    Example:
    ```python
    isinstance(Settings(), LossSettings)  # True
    ```
    """

    loss: str = _of_loss("clce", "Loss of the run.", choices="keras_clce.losses:LOSSES")
    contrastive_weight: float = _of_loss(
        0.2,
        "Weight of the contrastive part (λ).",
        least=0,
        most=1,
        search=Range(0.05, 0.95),
    )
    contrastive_schedule: str = _of_loss(
        "constant",
        "How that weight moves over training, on a straight line: falling to 0 or rising from 0.",
        choices="keras_clce.train.contrastive_schedule:SCHEDULES",
    )
    temperature: float = _of_loss(
        0.1,
        "Temperature of the contrastive part (τ).",
        checks=(checks.ABOVE_0,),
        search=Range(0.05, 1.0, "log"),
    )
    hardness: float = _of_loss(
        1.0,
        "Concentration on hard negatives (β).",
        least=0,
        search=Range(0.0, 2.0),
    )
    positive_sum: str = _of_loss(
        "outside",
        "Where the mean over positives stands, outside the logarithm or inside it; not for hscl.",
        choices="keras_clce.losses:POSITIVE_SUMS",
    )
    denominator: str = _of_loss(
        "all",
        "What supcon and ce_supcon compare a positive with: all other rows or the negatives.",
        choices="keras_clce.losses:DENOMINATORS",
    )
    detach_weights: bool = _of_loss(
        False, "Pass no gradient through the weights of hard negatives."
    )
    memory_size: int | None = _of_loss(
        None, "Earlier embeddings, two an image, to compare with.", least=1
    )
    label_smoothing: float = _of_loss(
        0.0,
        "Share of a label spread over all classes.",
        least=0,
        most=1,
        checks=(checks.BELOW_1,),
        search=Range(0.0, 0.2),
    )
    negatives: str = _of_loss(
        "all",
        "Whether each negative counts or each class once, for unbalanced classes; not for hscl.",
        choices="keras_clce.losses:NEGATIVES",
    )
    class_weight: str | None = _of_loss(
        None,
        "Weight of a training image by its class: {names} (rare classes weigh more), or none.",
        choices=("balanced",),
    )
    logit_adjustment: float = _of_loss(
        0.0,
        "Factor of the log of class priors in the cross-entropy, as 1, for unbalanced classes.",
        least=0,
        search=(0.0, 0.5, 1.0),
    )

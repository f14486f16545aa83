r"""Find out which weight of the contrastive part is best, or which temperature, or hardness.

    python recipes/contrastive_weight.py --dataset oxford_flowers102 --backbone efficientnet_lite0 \
        --weights imagenet --image_size 96 --seeds 0,1,2
    python recipes/contrastive_weight.py --over temperature --contrastive_weight 0.2
    python recipes/contrastive_weight.py --over contrastive_weight,temperature

`--over` one of `contrastive_weight` (λ), `temperature` (τ) and `hardness` (β, where 0 is SupCon)
draws a curve, over two of them a map. The validation split picks the best value, and the test split
is shown beside. Cross-entropy, which is λ = 0, is trained once; at λ = 1 nothing trains the
classifier, so that a linear probe reads the embedding.

In the paper accuracy rises with λ to a peak at 0.9 and falls after it. Time: one run for each
value, loss and seed, and one for cross-entropy; the plan forecasts it.

Reference: CLCE (https://arxiv.org/abs/2402.14551), Figure 2.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_clce.experiments import Layout, StudyFlags, study_command, study_flag

if TYPE_CHECKING:
    from keras_clce.experiments import Study

TENTHS = tuple(tenth / 10 for tenth in range(11))
AXES = ("contrastive_weight", "temperature", "hardness")


@dataclasses.dataclass(frozen=True)
class Flags:
    """Flags of this study."""

    over: tuple[str, ...] = study_flag(
        ("contrastive_weight",), "What varies, one setting or two.", choices=AXES
    )
    contrastive_weights: tuple[float, ...] = study_flag(
        TENTHS, "Weights λ to try.", least=0, most=1
    )
    temperatures: tuple[float, ...] = study_flag(
        (0.05, 0.1, 0.2, 0.5, 1.0), "Temperatures τ to try.", least=1e-3
    )
    hardnesses: tuple[float, ...] = study_flag(
        (0.0, 0.5, 1.0, 2.0, 4.0), "Concentrations β on hard negatives to try.", least=0
    )


def study(asked: StudyFlags) -> "Study":
    """A curve over one setting, or a map over two, for each contrastive loss."""
    own = asked.own
    if len(own.over) > 2:
        raise ValueError(f"--over must be one setting or two. Received: over={','.join(own.over)}")
    asked.refuse(*own.over)
    # A weight of 0 is cross-entropy, which stands beside as it is.
    weights = tuple(weight for weight in own.contrastive_weights if weight)
    values = dict(zip(AXES, (weights, own.temperatures, own.hardnesses), strict=True))
    if "contrastive_weight" in own.over and not weights:
        raise ValueError("--contrastive_weights must have one above 0. Received: 0 alone")
    losses = [loss for loss in asked.losses or ("clce",) if loss != "ce"]
    varied = {axis: values[axis] for axis in own.over}
    grids = [{"loss": ["ce"]}, *({"loss": [loss], **varied} for loss in losses)]
    notes = {"Weight 0": "is cross-entropy, ce"} if "contrastive_weight" in own.over else {}
    return asked.study("-".join(own.over), grids, layout=Layout(axes=own.over), notes=notes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every loss at every value with every seed, then compare them."""
    study_command("contrastive_weight", __doc__, arguments, None, own=Flags, declare=study)


if __name__ == "__main__":
    main()

r"""Find out with how many images a class CLCE is better than cross-entropy, and with how many not.

    python recipes/images_per_class.py --dataset cifar100 --backbone efficientnet_lite0 \
        --weights imagenet --image_size 64 --seeds 0,1,2
    python recipes/images_per_class.py --budget steps --limits_per_class 5,20,all

Trains on 5, 10, 20, 50, 100 and all images of each class; fewer are always some of more, and the
test is the same. What is printed at the end says where the curves cross and how sure that is.
`--budget epochs` gives each size as many epochs, so that few images make few steps;
`--budget steps` as many steps as all images make in `--epochs`. Batches follow the images, at most
a fourth of them, unless `--batch_size` is given.

The paper has no such table. Time: with as many epochs, little more than twice a comparison on all
images where a class has some hundreds; the plan forecasts it.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_clce.experiments import Layout, StudyFlags, study_command, study_flag

if TYPE_CHECKING:
    from keras_clce.experiments import Study


def _is_limit(limit: str) -> bool:
    return limit == "all" or (limit.isdecimal() and int(limit) > 0)


@dataclasses.dataclass(frozen=True)
class Flags:
    """Flags of this study."""

    limits_per_class: tuple[str, ...] = study_flag(
        ("5", "10", "20", "50", "100", "all"),
        "Training images of a class.",
        checks=(
            (
                lambda limits: all(map(_is_limit, limits)),
                "must be whole numbers above 0, or all",
            ),
        ),
    )
    budget: str = study_flag("epochs", "What sizes share.", choices=("epochs", "steps", "both"))


def study(asked: StudyFlags) -> "Study":
    """A curve over the images of a class for each loss."""
    # Here, so that --help needs no Keras.
    from keras_clce.experiments import epochs_of_steps, training_images, training_steps

    settings, own = asked.settings, asked.own
    asked.refuse("limit_per_class", "limit_examples")
    images = training_images(settings)
    most = int(images.max())
    limits = [most if limit == "all" else int(limit) for limit in own.limits_per_class]
    left_out = [str(limit) for limit in limits if limit > most]
    steps = training_steps(settings, images)
    panels = {
        "equal-epochs": f"{settings.epochs} epochs each",
        "equal-steps": f"{steps:,} steps each",
    }
    grids = []
    for label in panels if own.budget == "both" else [f"equal-{own.budget}"]:
        for limit in sorted({limit for limit in limits if limit <= most}):
            point = {"limit_per_class": limit, "label": label}
            if label == "equal-steps":
                point |= epochs_of_steps(settings, images.clip(max=limit), steps)
            grids.append({"loss": asked.compared_losses(), **{n: [v] for n, v in point.items()}})
    if not grids:
        raise ValueError(
            f"--limits_per_class must have one of at most {most}, the images of the largest class. "
            f"Received: limits_per_class={','.join(own.limits_per_class)}"
        )
    least = images[images > 0].min()
    notes = {"Images": f"all are {most if least == most else f'{least} to {most}'} of a class"}
    if left_out:
        notes["Images"] += f"; {', '.join(left_out)} left out, which no class has"
    layout = Layout(axes=("limit_per_class",), panels=panels)
    return asked.study("images_per_class", grids, layout=layout, notes=notes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every loss on every number of images with every seed, then compare them."""
    study_command("images_per_class", __doc__, arguments, None, own=Flags, declare=study)


if __name__ == "__main__":
    main()

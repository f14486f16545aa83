r"""Compare losses at batch sizes from 32 to 512, with as many epochs each and with as many steps.

    python recipes/batch_size.py --dataset oxford_flowers102 --backbone efficientnet_lite0 \
        --weights imagenet --image_size 96 --seeds 0,1,2
    python recipes/batch_size.py --dataset cifar_fs --budget steps --batch_sizes 32,64,128

A contrastive loss compares the images of a batch, so that it may gain from larger ones; but larger
batches also make fewer steps of as many epochs. `--budget epochs` gives each size as many epochs,
`--budget steps` as many steps as `--batch_size` (64) makes in `--epochs`, with as large a share of
warm-up. The picture has a panel for each.

Each size has the same learning rate; `--rate_scaling` multiplies it by the size over
`--batch_size`, or by the root of that. Sizes above a fourth of the training images are left out.
Where memory is short: `--gradient_cache_size 64`.

In the paper CLCE's lead grows from 64 to 128 images. Time: one run for each size, loss, seed and
budget; the plan forecasts it.

Reference: CLCE (https://arxiv.org/abs/2402.14551), Table 3.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_clce.experiments import Layout, StudyFlags, study_command, study_flag

if TYPE_CHECKING:
    from keras_clce.experiments import Study

FACTORS = {"none": lambda share: 1.0, "sqrt": lambda share: share**0.5, "linear": float}


@dataclasses.dataclass(frozen=True)
class Flags:
    """Flags of this study."""

    batch_sizes: tuple[int, ...] = study_flag(
        (32, 64, 128, 256, 512), "Images in a batch, each in two views.", least=2
    )
    budget: str = study_flag("both", "What sizes share.", choices=("epochs", "steps", "both"))
    rate_scaling: str = study_flag(
        "none", "How the learning rate grows with the size.", choices=tuple(FACTORS)
    )


def study(asked: StudyFlags) -> "Study":
    """A curve over the batch size for each loss, a panel for each budget."""
    # Here, so that --help needs no Keras.
    from keras_clce.experiments import (
        epochs_of_steps,
        learning_rate,
        training_images,
        training_steps,
    )
    from keras_clce.report import paper_rows

    settings, own = asked.settings, asked.own
    images = training_images(settings)
    sizes = [size for size in own.batch_sizes if size <= images.sum() // 4]
    if not sizes:
        raise ValueError(
            f"--batch_sizes must have one of at most a fourth of the {images.sum():,} training "
            f"images. Received: batch_sizes={','.join(map(str, own.batch_sizes))}"
        )
    usual = settings.batch_size or 64
    steps = training_steps(dataclasses.replace(settings, batch_size=usual), images)
    panels = {
        "equal-epochs": f"{settings.epochs} epochs each",
        "equal-steps": f"{steps:,} steps each",
    }
    grids = []
    for label in panels if own.budget == "both" else [f"equal-{own.budget}"]:
        for size in sizes:
            point = {"batch_size": size, "label": label}
            at_size = dataclasses.replace(settings, batch_size=size)
            if label == "equal-steps":
                point |= epochs_of_steps(at_size, images, steps)
            for loss in asked.compared_losses():
                rate = learning_rate(dataclasses.replace(at_size, loss=loss))
                factor = FACTORS[own.rate_scaling](size / usual)
                scaled = {} if factor == 1 else {"learning_rate": rate * factor}
                grids.append({n: [v] for n, v in ({"loss": loss} | point | scaled).items()})
    rates = {"none": "the same at each size", "sqrt": f"times √(size / {usual})"}
    notes = {"Rates": rates.get(own.rate_scaling, f"times size / {usual}")}
    left_out = [str(size) for size in own.batch_sizes if size not in sizes]
    if left_out:
        limit = f"above a fourth of the {images.sum():,} training images"
        notes["Sizes"] = f"{', '.join(left_out)} left out, {limit}"
    paper = {
        f"{row['method']}-equal-epochs-batch_size={row['batch_size']}": row["accuracy"]
        for row in paper_rows(table=3, dataset=settings.dataset, encoder=settings.backbone)
    }
    layout = Layout(axes=("batch_size",), panels=panels, paper=paper)
    return asked.study("batch_size", grids, layout=layout, notes=notes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every loss at every size with every seed, then compare them."""
    study_command("batch_size", __doc__, arguments, None, own=Flags, declare=study)


if __name__ == "__main__":
    main()

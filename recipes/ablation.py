r"""Take CLCE apart: what each of its parts adds to cross-entropy.

    python recipes/ablation.py --dataset oxford_flowers102 --backbone efficientnet_lite0 \
        --weights imagenet --image_size 96 --seeds 0,1,2
    python recipes/ablation.py --dataset cifar_fs --seeds 0,1,2

Arms: cross-entropy; with the contrastive part, without hard negatives (SupCon) and with them
(LACLN), each in both readings of the paper's Equation 3, the mean over positives outside the
logarithm or inside; and the embedding behind a projection of one layer or two, of `--embedding_dim`
(128). Everything else is the same for all.

In the paper the contrastive part adds 1.2 points to cross-entropy and hard negatives 2.2 more; its
figures stand beside where data set and encoder have them. Time: seven runs a seed; the plan
forecasts it.

Reference: CLCE (https://arxiv.org/abs/2402.14551), Table 4.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_clce.experiments import Layout, StudyFlags, study_command

if TYPE_CHECKING:
    from keras_clce.experiments import Study

ARMS = {
    "ce": "cross-entropy",
    "ce_supcon": "without hard negatives",
    "ce_supcon-inside": "without, mean inside",
    "clce": "with hard negatives",
    "clce-inside": "with, mean inside",
    "clce-projection-1": "with, projection of 1 layer",
    "clce-projection-2": "with, projection of 2 layers",
}


def study(asked: StudyFlags) -> "Study":
    """The arms side by side."""
    # Here, so that --help needs no Keras.
    from keras_clce.report import paper_rows

    settings = asked.settings
    asked.refuse("loss", "positive_sum", "embedding_layers")
    grids = [{"loss": ["ce"]}]
    for loss in ("ce_supcon", "clce"):
        grids.append({"loss": [loss]})
        grids.append({"loss": [loss], "positive_sum": ["inside"], "label": ["inside"]})
    for layers in (1, 2):
        projection = {"embedding_dim": [settings.embedding_dim or 128]}
        projection |= {"embedding_layers": [layers], "label": [f"projection-{layers}"]}
        grids.append({"loss": ["clce"], **projection})
    asked = dataclasses.replace(asked, settings=dataclasses.replace(settings, embedding_dim=None))
    paper = {
        row["method"]: row["accuracy"]
        for row in paper_rows(table=4, dataset=settings.dataset, encoder=settings.backbone)
    }
    return asked.study("ablation", grids, layout=Layout(axes=(), arms=ARMS, paper=paper))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every arm with every seed, then compare them."""
    study_command("ablation", __doc__, arguments, None, declare=study)


if __name__ == "__main__":
    main()

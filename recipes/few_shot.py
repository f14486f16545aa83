r"""Train on base classes with CLCE and others, and test on few-shot tasks of novel classes.

    python recipes/few_shot.py --dataset cifar_fs --backbone efficientnet_lite0 --weights imagenet \
        --losses ce,clce --seeds 0,1,2

Training classes, validation classes and novel classes are different ones. Few-shot accuracy on the
validation classes picks the epoch; the novel classes are read once, at the end. All losses meet
the same tasks. `--frozen` adds the encoder as it was before training. `--classifier` takes several
classifiers of tasks, of which each gets a column and the first picks the epoch; those that learn
from base classes get features of the training images, at most 20,000 of them. `fewture` compares
patch tokens (`--features tokens`), and `--finetune_encoder 10` fine-tunes the whole encoder on each
of the first ten tasks, for `finetuning` and `transductive_finetuning`. Everything that a run leaves
behind stands in `runs/few_shot/<dataset>/<backbone>/<loss>-seed<seed>/`.

Reference: CLCE (https://arxiv.org/abs/2402.14551), Table 1; RFS (https://arxiv.org/abs/2003.11539).
"""

from collections.abc import Sequence

from keras_clce.experiments import study_command


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every loss with every seed, then compare them on the same tasks."""
    study_command("few_shot", __doc__, arguments, "few_shot", {"dataset": "cifar_fs"})


if __name__ == "__main__":
    main()

r"""Fine-tune an encoder with CLCE and compare it with cross-entropy.

    python recipes/transfer.py
    python recipes/transfer.py --dataset oxford_flowers102 --backbone resnet101 --weights imagenet

Without flags: scikit-learn's digits, a small ResNet, `ce` and `clce`, two to seven minutes on two
CPU cores and no download. Each loss sees the same images in the same views. The validation split
picks the epoch; the test split is read once, at the end. Everything that a run leaves behind
stands in `runs/transfer/<dataset>/<backbone>/<loss>-seed<seed>/`.

Reference: CLCE (https://arxiv.org/abs/2402.14551), Table 2.
"""

from collections.abc import Sequence

from keras_clce.experiments import study_command


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every loss with every seed, then compare them."""
    study_command("transfer", __doc__, arguments)


if __name__ == "__main__":
    main()

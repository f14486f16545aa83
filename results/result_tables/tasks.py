"""Tables of few-shot tasks and of embeddings."""

from collections.abc import Callable

from result_tables.embedding_makers import (
    ALIGNMENT,
    ISOTROPY,
    NEIGHBORS,
    PROBE,
    SEPARATION,
    UNIFORMITY,
    embeddings,
    of_cosines,
)
from result_tables.makers import few_shot

ALL = "all classes"


TABLES: dict[str, Callable[[], str]] = {
    "cifar-fs": lambda: few_shot("cifar_fs"),
    "cifar-fs-1000-steps": lambda: few_shot(
        "cifar_fs_1000_steps", ["5w1s", "5w5s", "5w1s embedding l2", "5w5s embedding l2"]
    ),
    "cifar-fs-20": lambda: few_shot("cifar_fs_20_a_class"),
    "fc100": lambda: few_shot("fc100"),
    "fc100-20": lambda: few_shot("fc100_20_a_class"),
    "cifar-fs-small-resnet": lambda: few_shot("cifar_fs_small_resnet"),
    "tiny-imagenet": lambda: few_shot("tiny_imagenet_small_resnet"),
    "embeddings-flowers": lambda: embeddings(
        [f"embeddings_flowers64/seed{seed}" for seed in range(3)],
        [
            ISOTROPY,
            of_cosines("overlap", "overlap of the cosines of positive and negative pairs", ALL),
            of_cosines("auroc", "AUROC of those cosines", ALL),
            UNIFORMITY,
            ALIGNMENT,
            SEPARATION,
        ],
    ),
    "embeddings-cifar100": lambda: embeddings(
        ["embeddings_cifar100"],
        [
            *(ISOTROPY, UNIFORMITY, ALIGNMENT, SEPARATION),
            of_cosines("overlap", "overlap: all classes, tulip, cloud", ALL, "tulip", "cloud"),
            of_cosines("auroc", "AUROC: all classes, tulip, cloud", ALL, "tulip", "cloud"),
            *(NEIGHBORS, PROBE),
        ],
    ),
}

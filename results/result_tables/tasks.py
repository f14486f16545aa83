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
from result_tables.makers import few_shot, grid, of_tasks

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
    "few-shot-default": lambda: grid(
        ["CIFAR-FS", "FC100"],
        {
            "`ce`": [
                "feature_normalization/cifar_fs/ce-layer16-2e-3",
                "few_shot_default/fc100/ce-default",
            ],
            "**`clce`, λ 0.2, τ 0.1, behind a projection to 128 numbers**": [
                "few_shot_default/cifar_fs/clce-projection",
                "few_shot_default/fc100/clce-projection",
            ],
            "the same without a projection": [
                "few_shot_default/cifar_fs/clce-default",
                "few_shot_default/fc100/clce-default",
            ],
            "the paper's, λ 0.9, τ 0.5": ["feature_normalization/cifar_fs/clce-layer16-2e-3", ""],
        },
        "20 images per base class: 1-shot, 5-shot",
        (of_tasks("5w1s", "1-shot"), of_tasks("5w5s", "5-shot")),
        most_seeds=1,
    ),
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

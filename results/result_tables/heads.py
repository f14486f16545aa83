"""Tables of what the heads read, and of the classifier."""

from collections.abc import Callable

from result_tables.makers import (
    NEAREST,
    TOP_1,
    TOP_5,
    VALIDATION,
    Row,
    by_seed,
    crossed,
    grid,
    of_tasks,
    paired,
)


def _heads(where, data, runs, heads):
    """Settings in words and folder of each "loss heads rate"; `heads` are the folders' words."""
    for loss, kind, rate in map(str.split, runs):
        folder = f"feature_normalization/{where}/{loss}-{heads.get(kind, kind)}-{rate}"
        yield [data, f"`{loss}`", kind.replace("-36", ", 36 long"), rate], folder


def _of_heads(where):
    """Two losses by two kinds of heads."""
    return {
        f"`{loss}`": tuple(
            f"feature_normalization/{where}/{loss}-{heads}-2e-3" for heads in ("none", "layer16")
        )
        for loss in ("ce", "clce")
    }


# At most 16 long, which the flowers' folders say, or as long as they come out.
_OF_FLOWERS = {"layer": "layer16", "layer-36": "layer", "unit": "unit16"}
_OF_FLOWERS |= {"batch": "batch16", "batch-36": "batch"}


TABLES: dict[str, Callable[[], str]] = {
    "flowers": lambda: paired(
        [Row(f"`{loss}`", f"oxford_flowers102/final/{loss}") for loss in ("ce", "clce")],
        [TOP_1, TOP_5, NEAREST],
        "loss",
    ),
    "flowers-rates": lambda: by_seed(
        ["loss", "learning rate"],
        [
            ([f"`{loss}`", rate], f"oxford_flowers102/selection-lr{rate}/{loss}")
            for loss in ("ce", "clce")
            for rate in ("1e-3", "2e-3")
        ],
        [VALIDATION, TOP_1, NEAREST],
    ),
    "heads": lambda: by_seed(
        ["data", "loss", "heads", "rate"],
        [
            *_heads(
                "flowers8",
                "flowers",
                [
                    *("ce none 1e-3", "ce none 2e-3", "ce layer-36 1e-3", "ce layer-36 2e-3"),
                    *("ce layer 1e-3", "ce layer 2e-3", "ce unit 2e-3", "ce batch 2e-3"),
                    *("ce_supcon none 2e-3", "ce_supcon layer 2e-3"),
                    *("clce none 1e-3", "clce none 2e-3", "clce layer-36 1e-3"),
                    *("clce layer-36 2e-3", "clce layer 2e-3", "clce unit 2e-3"),
                    *("clce batch 2e-3", "clce batch-36 2e-3"),
                ],
                _OF_FLOWERS,
            ),
            *_heads(
                "flowers30",
                "flowers, 30 epochs",
                ["ce layer 1e-3", "clce layer 2e-3"],
                _OF_FLOWERS,
            ),
            *_heads(
                "cifar100",
                "CIFAR-100",
                [
                    *("ce none 1e-2", "ce none 3e-3", "ce unit 1e-2", "ce layer 1e-2"),
                    *("ce layer 3e-3", "ce batch 1e-2"),
                    *(f"ce_supcon {heads} 1e-2" for heads in ("none", "unit", "layer", "batch")),
                    *("clce none 1e-2", "clce none 3e-3", "clce unit 1e-2", "clce layer 1e-2"),
                    *("clce layer 3e-3", "clce batch 1e-2", "clce batch 3e-3"),
                ],
                {},
            ),
        ],
        [VALIDATION, TOP_1, NEAREST],
    ),
    "heads-flowers": lambda: crossed(
        _of_heads("flowers8"),
        ("none", "layer"),
        TOP_1,
    ),
    "heads-cifar-fs": lambda: "\n\n".join(
        crossed(
            _of_heads("cifar_fs"),
            ("none", "layer"),
            of_tasks(f"5w{shots}s", f"{shots}-shot"),
        )
        for shots in (1, 5)
    ),
    "classifier-flowers": lambda: paired(
        [
            Row("`ce`", "stronger_baselines/ce-cosine-4e-3"),
            Row("`clce`", "stronger_baselines/clce-cosine-4e-3"),
        ],
        [TOP_1, NEAREST],
        "both with the cosine classifier",
    ),
    "classifier-other-data": lambda: grid(
        ["`ce`", "`clce`"],
        {
            "EfficientNet-Lite0, 20 images per class: linear": [
                "small_weight/unseen_cifar100/ce-ce",
                "small_weight/unseen_cifar100/clce-smallnp",
            ],
            "by cosines": [
                f"classifier_head/unseen_cifar100/{loss}-cosine" for loss in ("ce", "clce")
            ],
            "EfficientNet-Lite0 on Tiny-ImageNet, 10 images per class: linear": [
                "small_weight/unseen_tiny_imagenet_subset/ce-ce",
                "small_weight/unseen_tiny_imagenet_subset/clce-smallnp",
            ],
            "by cosines, on Tiny-ImageNet": [
                f"classifier_head/unseen_tiny_imagenet_subset/{loss}-cosine"
                for loss in ("ce", "clce")
            ],
            "small ResNet from random weights, 100 images per class: linear": [
                "feature_normalization/cifar100/ce-layer-1e-2",
                "small_weight/cifar100/clce-smallnp",
            ],
            "by cosines, from random weights": [
                f"classifier_head/cifar100/{loss}-cosine" for loss in ("ce", "clce")
            ],
        },
        "classifier",
        most_seeds=1,
    ),
}

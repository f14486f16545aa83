"""Tables of how a net is trained: losses, weights, batches, labels, adapters."""

from collections.abc import Callable

from result_tables.makers import (
    BALANCED,
    NEAREST,
    TOP_1,
    VALIDATION,
    Row,
    epoch_by_epoch,
    grid,
    in_parts,
    of_group,
    paired,
    searches,
)


def _folders(beginning, *ends):
    return [end and beginning + end for end in ends]


def _batches(name, *sizes):
    return [f"small_batches/{name}-{size}" if size in sizes else "" for size in SIZES]


def _small_weight(base, *others):
    """`ce` and others at one setting, paired."""
    rows = [Row("`ce`", base), *(Row(title, folder) for title, folder in others)]
    return paired(rows, [TOP_1, NEAREST], "setting")


_SMALL, _PROJECTED = "**`clce`, λ 0.2, τ 0.1**", "the same behind a projection"
_PAPERS = "the paper's, λ 0.9, τ 0.5"
_RATES = ("1e-3", "3e-3", "1e-2", "3e-2")
SIZES = (8, 16, 32, 64, 128)


TABLES: dict[str, Callable[[], str]] = {
    "small-weight": lambda: in_parts(
        {
            "Flowers, 8 epochs": _small_weight(
                "feature_normalization/flowers8/ce-layer16-2e-3",
                (_SMALL, "small_weight/flowers8/clce-smallnp16-2e-3"),
                (_PROJECTED, "small_weight/flowers8/clce-small16-2e-3"),
                (_PAPERS, "feature_normalization/flowers8/clce-layer16-2e-3"),
            ),
            "Flowers, 30 epochs; `ce` at 1e-3, the rate that validation chose": _small_weight(
                "feature_normalization/flowers30/ce-layer16-1e-3",
                (_SMALL, "small_weight/flowers30/clce-smallnp16-2e-3"),
                (_PROJECTED, "small_weight/flowers30/clce-small16-2e-3"),
                (_PAPERS, "feature_normalization/flowers30/clce-layer16-2e-3"),
            ),
            "CIFAR-100 from scratch": _small_weight(
                "feature_normalization/cifar100/ce-layer-1e-2 small_weight/cifar100/ce-ce",
                ("`ce`, label smoothing 0.1", "small_weight/cifar100/ce-ls0.1"),
                (_SMALL, "small_weight/cifar100/clce-smallnp"),
                (_PROJECTED, "small_weight/cifar100/clce-small"),
                ("λ falling from 0.9 to 0", "small_weight/cifar100/clce-falling"),
                (_PAPERS, "feature_normalization/cifar100/clce-layer-1e-2"),
                (
                    "`ce_supcon`, the paper's λ and τ",
                    "feature_normalization/cifar100/ce_supcon-layer-1e-2",
                ),
            ),
        }
    ),
    "stronger-baselines-settings": lambda: grid(
        ["`ce`: validation, test, 1-NN", "`clce`: validation, test, 1-NN"],
        {
            "2e-3": _folders("stronger_baselines/", "ce-base", "clce-base"),
            "4e-3": _folders("stronger_baselines/", "ce-lr4e-3", "clce-lr4e-3"),
            "8e-3": _folders("stronger_baselines/", "ce-lr8e-3", "clce-lr8e-3"),
            "4e-3, one-cycle: 30 % of the steps warm up": _folders(
                "stronger_baselines/", "ce-onecycle", ""
            ),
            "4e-3, label smoothing 0.1": _folders(
                "stronger_baselines/", "ce-smoothing", "clce-smoothing"
            ),
            "4e-3, average of the weights, momentum 0.99": _folders(
                "stronger_baselines/", "ce-average", ""
            ),
            "4e-3, weight decay 0.1": _folders("stronger_baselines/", "ce-decay-4e-3", ""),
            "4e-3, RandAugment": _folders(
                "stronger_baselines/", "ce-randaugment-4e-3", "clce-randaugment-4e-3"
            ),
            "4e-3, cosine classifier": _folders(
                "stronger_baselines/", "ce-cosine-4e-3", "clce-cosine-4e-3"
            ),
            "8e-3, cosine classifier": _folders("stronger_baselines/", "ce-cosine-8e-3", ""),
            "4e-3, cosine classifier, the paper's weight": _folders(
                "stronger_baselines/", "", "clce-cosine-weight-0.9"
            ),
            "4e-3, cosine classifier, 128 images a step": _folders(
                "stronger_baselines/", "ce-cosine-batch128", "clce-cosine-batch128"
            ),
            "4e-3, cosine classifier, 128 images a step in as many steps": _folders(
                "stronger_baselines/", "ce-cosine-batch128-steps", "clce-cosine-batch128-steps"
            ),
            "4e-3, cosine classifier, 32 images a step in as many steps": _folders(
                "stronger_baselines/", "ce-cosine-batch32-steps", "clce-cosine-batch32-steps"
            ),
            "4e-3, the paper's weight": _folders("stronger_baselines/", "", "clce-paper-4e-3"),
            "8e-3, the paper's weight": _folders("stronger_baselines/", "", "clce-paper-8e-3"),
            "4e-3, memory of 512 embeddings": _folders("stronger_baselines/", "", "clce-memory"),
        },
        figures=(VALIDATION, TOP_1, NEAREST),
        most_seeds=1,
    ),
    "stronger-baselines": lambda: paired(
        [
            Row("`ce`", "stronger_baselines/ce-lr4e-3"),
            Row("`clce`", "stronger_baselines/clce-lr4e-3"),
            Row("`ce_supcon`: without hard negatives", "stronger_baselines/ce_supcon-lr4e-3"),
            Row("`hscl`", "stronger_baselines/hscl-lr4e-3"),
            Row("`clce` with a memory of 512 embeddings", "stronger_baselines/clce-memory"),
            Row("`ce`, cosine classifier", "stronger_baselines/ce-cosine-4e-3"),
            Row("`clce`, cosine classifier", "stronger_baselines/clce-cosine-4e-3"),
        ],
        [TOP_1, NEAREST],
    ),
    "left-open-flowers": lambda: paired(
        [
            Row(
                "as by default",
                "stronger_baselines/clce-paper-4e-3 left_open/flowers/clce-outside",
            ),
            Row("mean inside the logarithm", "left_open/flowers/clce-inside"),
            Row("no gradient through the weights", "left_open/flowers/clce-detached"),
        ],
        [TOP_1, NEAREST],
        "reading",
    ),
    "tuning": lambda: searches(
        {
            "digits": [
                f"tuning/digits/{method}" for method in ("grid", "random", "bayesian", "hyperband")
            ],
            "flowers, 32 px": [
                f"tuning/oxford_flowers102/{method}" for method in ("grid", "bayesian")
            ],
        },
        "clce",
    ),
    "unbalanced": lambda: paired(
        [
            Row("`ce`", "unbalanced/ce"),
            Row("`ce`, logit adjustment", "unbalanced/ce-adjusted"),
            Row("`clce`", "unbalanced/clce"),
            Row("`clce`, logit adjustment", "unbalanced/clce-adjusted"),
            Row("`clce`, class averaging", "unbalanced/clce-class_mean"),
        ],
        [BALANCED, of_group("many"), of_group("medium"), of_group("few"), NEAREST],
        "loss",
    ),
    "images-per-class": lambda: grid(
        ["`ce`", "`clce`"],
        {
            "the flowers, 5 images per class": _folders(
                "images_per_class/flowers/", "ce-cosine-5-per-class", "clce-cosine-5-per-class"
            ),
            "the flowers, 10": _folders(
                "stronger_baselines/", "ce-cosine-4e-3", "clce-cosine-4e-3"
            ),
            "Tiny-ImageNet, 10": _folders(
                "classifier_head/unseen_tiny_imagenet_subset/", "ce-cosine", "clce-cosine"
            ),
            "CIFAR-100, 20": _folders(
                "classifier_head/unseen_cifar100/", "ce-cosine", "clce-cosine"
            ),
        },
        "data",
        most_seeds=1,
    ),
    "left-open-cifar100": lambda: paired(
        [
            Row("as by default", "left_open/cifar100/clce-outside"),
            Row("mean inside the logarithm", "left_open/cifar100/clce-inside"),
            Row("no gradient through the weights", "left_open/cifar100/clce-detached"),
            Row("32 images a step", "left_open/cifar100/clce-views"),
        ],
        [TOP_1, NEAREST],
        "reading",
    ),
    "lora-rates": lambda: grid(
        _RATES,
        {
            name: _folders(
                "lora/flowers/",
                *(f"{run}-{at}" if at in rates else "" for at in _RATES),
            )
            for name, run, rates in (
                ("all weights", "clce-full", ("1e-3", "3e-3", "1e-2")),
                ("adapters of rank 8", "clce-lora", ("1e-3", "3e-3", "1e-2")),
                ("heads alone, `ce`", "ce-frozen", ("3e-3", "1e-2", "3e-2")),
            )
        },
        "trained",
        figures=(VALIDATION, TOP_1),
        most_seeds=1,
    ),
    "lora": lambda: paired(
        [
            Row("all weights", "lora/flowers/clce-full-1e-3"),
            Row("adapters", "lora/flowers/clce-lora-1e-2"),
            Row("heads alone, `ce`", "lora/flowers/ce-frozen-1e-2"),
        ],
        [TOP_1, NEAREST],
        "trained",
    ),
    "mixing": lambda: grid(
        ["none", "mixup, 0.2", "cutmix, 1"],
        {
            "`ce`: all images": _folders(
                "mixing/ce-", "plain", "mixup-cross-entropy", "cutmix-cross-entropy"
            ),
            "`clce`: every second image, for the cross-entropy alone": _folders(
                "mixing/clce-", "plain", "mixup-cross-entropy", "cutmix-cross-entropy"
            ),
            "`clce`: all images, for both parts (`--mix contrastive`)": _folders(
                "mixing/clce-", "", "mixup-contrastive", "cutmix-contrastive"
            ),
        },
        "loss: what is mixed",
    ),
    "small-batches": lambda: grid(
        [*map(str, SIZES)],
        {
            "`ce`": _batches("ce-plain", 16, 32, 64, 128),
            "`clce`": _batches("clce-plain", 8, 16, 32, 64, 128),
            "`clce`, memory of 512 embeddings": _batches("clce-memory", 8, 16, 32, 64),
            "`clce`, 64 images through the encoder so many views at a time": _batches(
                "clce-cache", 8, 32
            ),
        },
        "images a step",
    ),
    "transformer": lambda: epoch_by_epoch(
        ["backend", "loss"],
        [
            ([words, f"`{loss}`"], f"cifar100_vit_tiny/{folder}/{loss}")
            for folder, words in (
                ("tensorflow", "TensorFlow"),
                ("torch", "torch"),
                ("jax", "JAX (`--epochs 3`)"),
            )
            for loss in ("ce", "clce")
        ],
        "cross_entropy",
        "epochs 1 to 5",
    ),
}

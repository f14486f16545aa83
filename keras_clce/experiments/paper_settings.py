"""Settings by name: the paper's encoders and data sets, in batches of 64 or 128 images.

What all share is the paper's: λ = 0.9, τ = 0.5, β = 1, cross-entropy against CLCE, three seeds;
`paper` is this alone, for encoders and data of one's own, and all others have 224 px.
Optimizers are those that the encoders' authors fine-tune with; the length of training is not tuned,
and the paper's is not known.

Reference: CLCE (https://arxiv.org/abs/2402.14551), Tables 1 to 3.
"""

from collections.abc import Mapping, Sequence
from typing import Any

PAPER = "paper"
_SHARED = {
    "losses": ["ce", "clce"],
    "seeds": ["0", "1", "2"],
    "contrastive_weight": 0.9,
    "temperature": 0.5,
    "hardness": 1.0,
    "augmentation": "randaugment",
    # Both heads read the features as they are.
    "feature_normalization": None,
    "classifier_head": "linear",
}

# Learning rates are those of batches of 64 images. Memory is that of 128 views of 224 px per step,
# extended from runs of 8 and 24 views on a CPU.
ENCODERS: Mapping[str, Mapping[str, Any]] = {
    # As BiT's authors fine-tune it: SGD with momentum, 3e-3 at batch 512.
    "resnet101": {
        "backbone": "resnet101_in21k",
        "optimizer": "sgd",
        "learning_rate": 3.75e-4,
        "weight_decay": 0.0,
        "note": "ResNet-101 pre-trained on ImageNet-21k, BiT-M R101x1; its authors' own file goes "
        "too: --weights=BiT-M-R101x1.npz. Memory: about 21 GiB in float32 on TensorFlow, 39 on "
        "torch.",
    },
    # As is usual for fine-tuning a ViT today.
    "vit_base": {
        "backbone": "vit_base",
        "optimizer": "adamw",
        "learning_rate": 1e-4,
        "layer_decay": 0.75,
        "weight_decay": 0.05,
        "stochastic_depth": 0.1,
        "clip_norm": 1.0,
        "note": "ViT-B/16 pre-trained on ImageNet-21k and fine-tuned on ImageNet-1k. Memory: about "
        "17 GiB in float32, 7 with --remat (torch).",
    },
    # As MAE's authors fine-tune it: 5e-4 at batch 256.
    "mae_base": {
        "backbone": "mae_base",
        "optimizer": "adamw",
        "learning_rate": 1.25e-4,
        "layer_decay": 0.65,
        "weight_decay": 0.05,
        "stochastic_depth": 0.1,
        "note": "MAE's ViT-B/16, self-supervised on ImageNet-1k; not for commercial use. MAE's own "
        "file goes too: --weights=mae_pretrain_vit_base.pth. Memory: about 17 GiB in float32, 7 "
        "with --remat (torch).",
    },
    # Near what BEiT-3's authors use for ImageNet: 7e-4 at batch 1024.
    "beit3_base": {
        "backbone": "beit3_base",
        "optimizer": "adamw",
        "learning_rate": 4.4e-5,
        "layer_decay": 0.65,
        "weight_decay": 0.05,
        "stochastic_depth": 0.15,
        "note": "BEiT-3's vision branch, base; its authors' own file goes too: "
        "--weights=beit3_base_patch16_224.pth. Memory: about 25 GiB in float32, 10 with --remat "
        "(torch).",
    },
}

_IMAGENET = "Its images: TFDS's imagenet2012, or --data_dir=DIR with folders of WordNet ids."
DATASETS: Mapping[str, Mapping[str, Any]] = {
    "caltech256": {
        "epochs": 30,
        "warmup_epochs": 3.0,
        "note": "Its folder: --data_dir=…/256_ObjectCategories.",
    },
    "cifar100": {"epochs": 30, "warmup_epochs": 3.0},
    "cub200": {"epochs": 50, "warmup_epochs": 5.0},
    "imagenet1k": {"epochs": 30, "warmup_epochs": 3.0},
    "inaturalist2017": {"epochs": 30, "warmup_epochs": 3.0},
    "oxford_flowers102": {"epochs": 100, "warmup_epochs": 10.0},
    "oxford_pets": {"epochs": 50, "warmup_epochs": 5.0},
    "places365": {"epochs": 10, "warmup_epochs": 1.0},
    "cifar_fs": {"epochs": 10, "warmup_epochs": 1.0},
    "fc100": {"epochs": 10, "warmup_epochs": 1.0},
    "mini_imagenet": {"epochs": 10, "warmup_epochs": 1.0, "note": _IMAGENET},
    "tiered_imagenet": {"epochs": 5, "warmup_epochs": 1.0, "note": _IMAGENET},
}
BATCH_SIZES = {"batch64": 64, "batch128": 128}


def named_settings(names: Sequence[str]) -> dict[str, Any]:
    """The settings that some names stand for, as values of flags.

    Args:
        names: `"paper"` alone, or an encoder, a data set, a batch size: any of them, each at most
            once.

    Returns:
        Values by the names of flags. With 128 images per batch the learning rate is twice that of
        64.

    Raises:
        ValueError: If a name is not known, or two are of the same kind.

    Example:
    ```python
    named_settings(["beit3_base", "cub200"])["learning_rate"]  # 4.4e-5
    ```
    """
    if list(names) == [PAPER]:
        return dict(_SHARED)
    encoder, dataset, batch = (
        _the_one(names, known) for known in (ENCODERS, DATASETS, BATCH_SIZES)
    )
    known = [*ENCODERS, *DATASETS, *BATCH_SIZES]
    unknown = [name for name in names if name not in known]
    if unknown or len(names) != sum(name is not None for name in (encoder, dataset, batch)):
        raise ValueError(
            f"must be of an encoder ({', '.join(ENCODERS)}), a data set ({', '.join(DATASETS)}) "
            f"and a batch size ({', '.join(BATCH_SIZES)}), each at most once, or {PAPER} alone"
        )
    size = BATCH_SIZES[batch or "batch64"]
    values: dict[str, Any] = {**_SHARED, "image_size": 224, "batch_size": size}
    if encoder:
        values |= {"weights": "imagenet", **ENCODERS[encoder]}
        values["learning_rate"] *= size / 64
    if dataset:
        values |= {"dataset": dataset, **DATASETS[dataset]}
    values.pop("note", None)
    return values


def paper_in_words(names: Sequence[str]) -> str:
    """What the paper reports for an encoder on a data set, and notes on both.

    Args:
        names: As in `named_settings`.

    Returns:
        Sentences; nothing where neither is named.

    Example:
    ```python
    paper_in_words(["beit3_base", "cub200"])
    # "The paper has ce 98.00, clce 98.93 (top-1 in %, its Table 2). …"
    ```
    """
    encoder, dataset = (_the_one(names, known) for known in (ENCODERS, DATASETS))
    parts = []
    if encoder and dataset:
        parts.append(_figures(encoder, dataset))
    for name, table in ((encoder, ENCODERS), (dataset, DATASETS)):
        if name and "note" in table[name]:
            parts.append(table[name]["note"])
    return " ".join(parts)


def _figures(encoder, dataset):
    # Here, since names are read before Keras is imported.
    from keras_clce.report import paper_rows

    def found(**wanted):
        rows = paper_rows(encoder=ENCODERS[encoder]["backbone"], dataset=dataset, **wanted)
        return [f"{row['accuracy']:.2f}" for row in rows]

    few_shot = bool(found(table=1))
    table = 1 if few_shot else 2
    figures = {loss: found(table=table, method=loss) for loss in ("ce", "clce")}
    if not all(figures.values()):
        return "The paper has no figure for this encoder on this data set."
    of = "novel classes, 1- and 5-shot in %, its Table 1" if few_shot else "top-1 in %, its Table 2"
    text = ", ".join(f"{loss} {' and '.join(values)}" for loss, values in figures.items())
    text = f"The paper has {text} ({of})."
    at = "; ".join(
        f"at {size} images ce {ce}, clce {clce}"
        for size in BATCH_SIZES.values()
        for ce in found(table=3, method="ce", batch_size=size)
        for clce in found(table=3, method="clce", batch_size=size)
    )
    return (
        f"{text} By batch size, its Table 3{' (1-shot)' if few_shot else ''}: {at}." if at else text
    )


def _the_one(names, known):
    found = [name for name in names if name in known]
    return found[0] if found else None

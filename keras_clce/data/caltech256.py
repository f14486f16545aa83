"""Caltech-256, split as the paper does."""

import numpy as np

from keras_clce.data.class_subset import without_small_classes
from keras_clce.data.folder_layout import check_classes
from keras_clce.data.image_folder import scan_class_folders
from keras_clce.data.spec import LoadRequest, Splits
from keras_clce.data.splitting import hold_out, named
from keras_clce.files import printable_text

_TRAIN_PER_CLASS = 60
_VALIDATION_SHARE = 0.2


def caltech256_splits(request: LoadRequest) -> Splits:
    """Take 60 images of each class to train on, and divide the others."""
    folder, seed, strict = request.class_folders(), request.seed, request.strict
    least = request.drop_small_classes
    check_classes(folder)
    scanned = scan_class_folders(folder, strict, allow_empty=least is not None)
    (images,), names, note = without_small_classes([scanned], scanned.class_names, least, [scanned])
    labels = images.read_labels()
    counts = np.bincount(labels, minlength=len(names))
    needed = _TRAIN_PER_CLASS + 2
    if counts.min() < needed:
        short = named(
            [f"{names[label]} ({counts[label]})" for label in np.flatnonzero(counts < needed)]
        )
        raise ValueError(
            f"Every class of caltech256 must have {needed} images: {_TRAIN_PER_CLASS} to "
            f"train on, the others for validation and test. Received: "
            f"data_dir={printable_text(folder)}, with fewer in {short}. "
            f"drop_small_classes={needed} (--drop_small_classes) leaves such classes out"
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(
        np.concatenate(
            [
                rng.permutation(np.flatnonzero(labels == label))[:_TRAIN_PER_CLASS]
                for label in range(len(counts))
            ]
        )
    )
    others = images.select(np.setdiff1d(np.arange(len(labels)), chosen))
    test, validation = hold_out(others, _VALIDATION_SHARE, seed)
    splits = {"train": images.select(chosen), "validation": validation, "test": test}
    how = (
        f"{_TRAIN_PER_CLASS} seeded images a class to train on, 20 % of the others for "
        f"validation, the rest for test (seed {seed})"
    )
    return Splits(names, splits, "caltech256", how + note)

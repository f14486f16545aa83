"""Splits of images in class folders: any image folder, and Caltech-256."""

import pathlib

import numpy as np

from keras_clce.data.class_subset import without_small_classes
from keras_clce.data.decoding import printable
from keras_clce.data.examples import SplitSources
from keras_clce.data.folder_layout import check_classes, split_folders
from keras_clce.data.image_folder import scan_class_folders
from keras_clce.data.splitting import hold_out, named, three_way

TEST_SHARE, VALIDATION_SHARE = 0.15, 0.15
_CALTECH_TRAIN_PER_CLASS = 60
_CALTECH_VALIDATION_SHARE = 0.2


def image_folder_splits(
    folder: pathlib.Path, seed: int, strict: bool, least: int | None
) -> SplitSources:
    """Split a folder of class folders, or take the splits that it has.

    Args:
        folder: has class folders, or a folder of these for each split.
        seed: seed of what is drawn.
        strict: whether a file that is no readable image is an error.
        least: number of images that a class must have to stay; None keeps all.

    Returns:
        What `load_dataset` builds the data set from.
    """
    origin = f"image_folder {printable(folder.absolute().name)}"
    found = split_folders(folder)
    check_classes(found.get("train", folder), split=bool(found))
    images = scan_class_folders(found.get("train", folder), strict, allow_empty=least is not None)
    what = "training images" if found else "images"
    (rest,), names, note = without_small_classes(
        [images], images.class_names, least, [images], what
    )
    if not found:
        how = f"seeded, stratified 70/15/15 % split (seed {seed})"
        splits = three_way(rest, names, VALIDATION_SHARE, TEST_SHARE, seed)
        return names, splits, origin, how + note
    dropped = set(images.class_names) - set(names)
    splits = {
        part: scan_class_folders(path, strict, names, without=dropped)
        for part, path in found.items()
        if part != "train"
    }
    given = [found[part].name for part in ("train", "validation", "test") if part in found]
    own = f"the folder's own {'/'.join(map(printable, given))} split"
    train = f"{printable(found['train'].name)}/"
    if len(found) == 3:
        how = own
    elif "test" in found:
        rest, splits["validation"] = hold_out(rest, 0.1, seed)
        how = f"10 % of {train} held out for validation, stratified (seed {seed})"
    elif "validation" in found:
        rest, splits["test"] = hold_out(rest, TEST_SHARE, seed)
        how = f"{own}; 15 % of {train} held out for test, stratified (seed {seed})"
    else:
        splits = three_way(rest, names, VALIDATION_SHARE, TEST_SHARE, seed)
        rest = splits["train"]
        how = f"15 % of {train} held out for validation and 15 % for test, stratified (seed {seed})"
    splits = {"train": rest, "validation": splits["validation"], "test": splits["test"]}
    return names, splits, origin, how + note


def caltech256_splits(
    folder: pathlib.Path, seed: int, strict: bool, least: int | None
) -> SplitSources:
    """Split Caltech-256 as the paper does; the arguments are those of `image_folder_splits`."""
    check_classes(folder)
    images = scan_class_folders(folder, strict, allow_empty=least is not None)
    (images,), names, note = without_small_classes([images], images.class_names, least, [images])
    labels = images.read_labels()
    counts = np.bincount(labels, minlength=len(names))
    needed = _CALTECH_TRAIN_PER_CLASS + 2
    if counts.min() < needed:
        short = named(
            [f"{names[label]} ({counts[label]})" for label in np.flatnonzero(counts < needed)]
        )
        raise ValueError(
            f"Every class of caltech256 must have {needed} images: {_CALTECH_TRAIN_PER_CLASS} to "
            f"train on, the others for validation and test. Received: "
            f"data_dir={printable(folder)}, with fewer in {short}. "
            f"drop_small_classes={needed} (--drop_small_classes) leaves such classes out"
        )
    rng = np.random.default_rng(seed)
    chosen = np.sort(
        np.concatenate(
            [
                rng.permutation(np.flatnonzero(labels == label))[:_CALTECH_TRAIN_PER_CLASS]
                for label in range(len(counts))
            ]
        )
    )
    others = images.select(np.setdiff1d(np.arange(len(labels)), chosen))
    test, validation = hold_out(others, _CALTECH_VALIDATION_SHARE, seed)
    splits = {"train": images.select(chosen), "validation": validation, "test": test}
    how = (
        f"{_CALTECH_TRAIN_PER_CLASS} seeded images a class to train on, 20 % of the others for "
        f"validation, the rest for test (seed {seed})"
    )
    return names, splits, "caltech256", how + note

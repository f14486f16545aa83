"""Any image folder as a few-shot benchmark: its classes in three parts."""

import pathlib
from collections.abc import Iterable

import numpy as np

from keras_clce.data.class_subset import without_small_classes
from keras_clce.data.folder_layout import check_classes, split_folders
from keras_clce.data.image_folder import FolderImages, scan_class_folders
from keras_clce.data.labels_csv import has_labels_csv
from keras_clce.data.labels_csv_splits import labels_csv_classes
from keras_clce.data.spec import PARTS, ClassSplits, LoadRequest
from keras_clce.data.splitting import named
from keras_clce.files import printable_text

# Shares of the classes, those of miniImageNet.
_SHARES = {"validation": 0.16, "test": 0.20}
_LEAST_CLASSES = 2


def image_folder_class_splits(request: LoadRequest) -> ClassSplits:
    """Split the classes of a folder, or take the splits that it has.

    Raises:
        ValueError: If it has too few classes, or a class in two parts.
    """
    folder, strict = request.class_folders(), request.strict
    least = request.drop_small_classes
    if has_labels_csv(folder):
        scanned = labels_csv_classes(request)
        found = {part: pathlib.Path(part) for part in scanned} if len(scanned) > 1 else {}
        return _split(request, scanned, found)
    found = split_folders(folder)
    drawn = [part for part in PARTS[1:] if part not in found]
    for part, path in (found or {"train": folder}).items():
        needed = _LEAST_CLASSES * (1 + len(drawn)) if part == "train" else _LEAST_CLASSES
        purpose = " to be split by class" if part == "train" and drawn else ""
        check_classes(path, needed, split=bool(found), purpose=purpose)
    scanned = {
        part: scan_class_folders(path, strict, allow_empty=least is not None)
        for part, path in (found or {"train": folder}).items()
    }
    return _split(request, scanned, found)


def _split(
    request: LoadRequest, scanned: dict[str, FolderImages], found: dict[str, pathlib.Path]
) -> ClassSplits:
    """The classes of what was found, in the splits that are there; the others are drawn."""
    folder, seed, least = request.class_folders(), request.seed, request.drop_small_classes
    drawn = [part for part in PARTS[1:] if part not in found]
    source = _together(folder, scanned)
    (images,), names, note = without_small_classes([source], source.class_names, least, [source])
    parts = {
        part: [name for name in of_part.class_names if name in names]
        for part, of_part in scanned.items()
    }
    how = f"image_folder {printable_text(folder.absolute().name)}, "
    if not drawn:
        how += f"classes of its own {_listed(found, PARTS)}"
    elif found:
        how += f"classes of its own {_listed(found, PARTS)}; classes for {' and '.join(drawn)} "
        how += f"taken from {_listed(found, ['train'])} by seed {seed}"
    else:
        how += f"classes split by seed {seed}"
    parts |= _draw(parts["train"], drawn, seed) if drawn else {}
    few = [f"{part} ({len(parts[part])})" for part in PARTS if len(parts[part]) < _LEAST_CLASSES]
    if few:
        raise ValueError(
            f"Every part of a few-shot data set must have {_LEAST_CLASSES} classes or more. "
            f"Received: data_dir={printable_text(folder)}, with fewer in {', '.join(few)}{note}"
        )
    return ClassSplits(images, list(names), parts, how + note)


def _together(folder: pathlib.Path, scanned: dict[str, FolderImages]) -> FolderImages:
    names = [name for images in scanned.values() for name in images.class_names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            "The splits of a few-shot data set must have different classes. Received: "
            f"data_dir={printable_text(folder)}, with {named(twice)} in more than one split. "
            "To split the classes of one of its folders by seed, pass that folder as data_dir"
        )
    starts = np.cumsum([0, *(len(images.class_names) for images in scanned.values())])
    return FolderImages(
        np.concatenate([images.paths for images in scanned.values()]),
        np.concatenate(
            [images.labels + start for images, start in zip(scanned.values(), starts, strict=False)]
        ),
        tuple(names),
    )


def _draw(names: list[str], drawn: list[str], seed: int) -> dict[str, list[str]]:
    """Divide classes into those to train on and those of the parts that are drawn."""
    shuffled = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    sizes = [max(_LEAST_CLASSES, round(_SHARES[part] * len(names))) for part in drawn]
    cuts = np.cumsum([len(names) - sum(sizes), *sizes])
    parts = {"train": sorted(shuffled[: max(0, cuts[0])])}
    for part, start, stop in zip(drawn, cuts, cuts[1:], strict=False):
        parts[part] = sorted(shuffled[max(0, start) : stop])
    return parts


def _listed(found: dict[str, pathlib.Path], parts: Iterable[str]) -> str:
    return "/".join(printable_text(found[part].name) for part in parts if part in found)

"""The images of a `labels.csv` in three splits that share their classes."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from keras_clce.data.class_subset import without_small_classes
from keras_clce.data.examples import ExampleSource
from keras_clce.data.image_folder import FolderImages
from keras_clce.data.labels_csv import LABELS_FILE, LabelledFile, images_of, read_labels_csv
from keras_clce.data.rare_classes import warn_of_rare_classes
from keras_clce.data.spec import PARTS, LoadRequest, Splits
from keras_clce.data.splitting import named, with_missing_splits
from keras_clce.files import printable_text


def labels_csv_splits(request: LoadRequest) -> Splits:
    """Split the images of a folder's `labels.csv`, or take the splits that it has.

    Args:
        request: What is asked for.

    Returns:
        The splits.

    Raises:
        ValueError: If a row is wrong, or a class has no training image.
    """
    folder = request.class_folders()
    by_split, has_splits = _by_split(request)
    names = _class_names(by_split)
    images: Mapping[str, FolderImages] = {
        part: images_of(by_split[part], names, request.strict, request.multi_label)
        for part in PARTS
        if part in by_split
    }
    for part, of_part in images.items():
        if not len(of_part.paths):
            raise ValueError(
                "Every split must have at least one readable image. Received: "
                f"{printable_text(folder / LABELS_FILE)}, split {part}, with none in "
                f"{len(by_split[part])} files"
            )
    least, what = request.drop_small_classes, "training images" if has_splits else "images"
    leave_out = _without_small_labels if request.multi_label else without_small_classes
    sources, names, note = leave_out([*images.values()], names, least, [images["train"]], what)
    found = dict(zip(images, sources, strict=True))
    _check_each_has_images(found["train"], names, folder / LABELS_FILE)
    train = found.pop("train")
    given = [part for part in PARTS if part in by_split] if has_splits else []
    splits, how = with_missing_splits(
        train,
        found,
        names,
        request.seed,
        f"the {'/'.join(given)} split of {LABELS_FILE}",
        "train" if has_splits else "",
        "stratified by the rarest label" if request.multi_label else "stratified",
    )
    _check_each_has_images(splits["train"], names, folder / LABELS_FILE)
    if not request.multi_label:
        warn_of_rare_classes(splits["train"].read_labels(), names)
    origin = f"image_folder {printable_text(folder.absolute().name)} by {LABELS_FILE}"
    return Splits(names, splits, origin, how + _without_labels(images) + note)


def labels_csv_classes(request: LoadRequest) -> dict[str, FolderImages]:
    """The images of each split of a folder's `labels.csv`, where splits have classes of their own.

    Args:
        request: What is asked for.

    Returns:
        The images of each split that is there, all under `"train"` where there are none.

    Raises:
        ValueError: If a row is wrong, or a class has no readable image.
    """
    by_split, _ = _by_split(request)
    found = {}
    for part, rows in by_split.items():
        names = sorted({label for row in rows for label in row.labels})
        found[part] = images_of(rows, names, request.strict, multi_label=False)
        if request.drop_small_classes is None:
            _check_each_has_images(found[part], names, request.class_folders() / LABELS_FILE, "")
    return found


def _by_split(request: LoadRequest) -> tuple[dict[str, list[LabelledFile]], bool]:
    """The rows of each split, all under `"train"` where the file has none, and whether it has."""
    folder = request.class_folders()
    by_split: dict[str, list[LabelledFile]] = {}
    rows = read_labels_csv(folder, request.multi_label)
    for row in rows:
        by_split.setdefault(row.split or "train", []).append(row)
    if "train" not in by_split:
        raise ValueError(
            f"{LABELS_FILE} must have rows of the split train. Received: "
            f"{printable_text(folder / LABELS_FILE)}, with {', '.join(by_split)}"
        )
    return by_split, rows[0].split is not None


def _class_names(by_split: Mapping[str, Sequence[LabelledFile]]) -> tuple[str, ...]:
    names = {label for row in by_split["train"] for label in row.labels}
    others = {
        f"{label} (line {row.line})": None
        for rows in by_split.values()
        for row in rows
        for label in row.labels
        if label not in names
    }
    if others:
        raise ValueError(
            f"Every label of {LABELS_FILE} must have a row of the split train. "
            f"Received: labels without one: {named([*others])}"
        )
    return tuple(sorted(names))


def _check_each_has_images(
    source: ExampleSource, names: Sequence[str], file: pathlib.Path, kind: str = "training "
) -> None:
    labels = source.read_labels()
    counts = labels.sum(axis=0) if labels.ndim == 2 else np.bincount(labels, minlength=len(names))
    empty = [names[place] for place in np.flatnonzero(np.asarray(counts) == 0)]
    if empty:
        raise ValueError(
            f"Every label must have at least one readable {kind}image. Received: "
            f"{printable_text(file)}, labels without any: {named(empty)}. drop_small_classes "
            "(--drop_small_classes) leaves rare ones out"
        )


def _without_small_labels(
    sources: Sequence[FolderImages],
    names: Sequence[str],
    least: int | None,
    counted: Sequence[FolderImages],
    what: str,
) -> tuple[list[FolderImages], tuple[str, ...], str]:
    """As `without_small_classes`, of images of several labels."""
    counts = sum(source.labels.sum(axis=0) for source in counted)
    small = [] if least is None else np.flatnonzero(counts < least)
    if not len(small):
        return list(sources), tuple(names), ""
    kept = np.flatnonzero(counts >= least)
    if len(kept) < 2:
        raise ValueError(
            "`drop_small_classes` must leave two classes or more. Received: drop_small_classes="
            f"{least}, which leaves {len(kept)} of {len(names)}"
        )
    names_kept = tuple(names[place] for place in kept)
    left, lost = [], 0
    for source in sources:
        # What had labels and keeps none would be taken for an image without any.
        stays = source.labels[:, kept].any(axis=1) | ~source.labels.any(axis=1)
        lost += int((~stays).sum())
        left.append(FolderImages(source.paths[stays], source.labels[stays][:, kept], names_kept))
    dropped = named([f"{names[place]} ({counts[place]})" for place in small])
    note = f"; {len(small)} label{'s' * (len(small) > 1)} with fewer than {least} {what} left out"
    note += f": {dropped}"
    return (
        left,
        names_kept,
        note + (f"; {lost} image{'s' * (lost > 1)} of these alone left out" if lost else ""),
    )


def _without_labels(images: Mapping[str, FolderImages]) -> str:
    if next(iter(images.values())).labels.ndim == 1:
        return ""
    count = sum(int((~each.labels.any(axis=1)).sum()) for each in images.values())
    return f"; {count} image{'s' * (count > 1)} without a label" if count else ""

"""Any image folder in three splits that share their classes."""

from keras_clce.data.class_subset import without_small_classes
from keras_clce.data.folder_layout import check_classes, split_folders
from keras_clce.data.image_folder import scan_class_folders
from keras_clce.data.labels_csv import has_labels_csv
from keras_clce.data.labels_csv_splits import labels_csv_splits
from keras_clce.data.rare_classes import warn_of_rare_classes
from keras_clce.data.spec import PARTS, LoadRequest, Splits
from keras_clce.data.splitting import with_missing_splits
from keras_clce.files import printable_text


def image_folder_splits(request: LoadRequest) -> Splits:
    """Split a folder of class folders or of a `labels.csv`, or take the splits that it has."""
    if has_labels_csv(request.class_folders()):
        return labels_csv_splits(request)
    folder, seed, strict = request.class_folders(), request.seed, request.strict
    least = request.drop_small_classes
    origin = f"image_folder {printable_text(folder.absolute().name)}"
    found = split_folders(folder)
    check_classes(found.get("train", folder), split=bool(found))
    images = scan_class_folders(found.get("train", folder), strict, allow_empty=least is not None)
    what = "training images" if found else "images"
    (rest,), names, note = without_small_classes(
        [images], images.class_names, least, [images], what
    )
    if not found:
        splits, how = with_missing_splits(rest, {}, names, seed, "", "")
        warn_of_rare_classes(splits["train"].read_labels(), names)
        return Splits(names, splits, origin, how + note)
    dropped = set(images.class_names) - set(names)
    splits = {
        part: scan_class_folders(path, strict, names, without=dropped)
        for part, path in found.items()
        if part != "train"
    }
    given = [found[part].name for part in PARTS if part in found]
    splits, how = with_missing_splits(
        rest,
        splits,
        names,
        seed,
        f"the folder's own {'/'.join(map(printable_text, given))} split",
        f"{printable_text(found['train'].name)}/",
    )
    warn_of_rare_classes(splits["train"].read_labels(), names)
    return Splits(names, splits, origin, how + note)

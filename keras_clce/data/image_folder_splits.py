"""Any image folder in three splits that share their classes."""

from keras_clce.data.class_subset import without_small_classes
from keras_clce.data.folder_layout import check_classes, split_folders
from keras_clce.data.image_folder import scan_class_folders
from keras_clce.data.rare_classes import warn_of_rare_classes
from keras_clce.data.spec import PARTS, LoadRequest, Splits
from keras_clce.data.splitting import TEST_SHARE, VALIDATION_SHARE, hold_out, three_way
from keras_clce.files import printable_text


def image_folder_splits(request: LoadRequest) -> Splits:
    """Split a folder of class folders, or take the splits that it has."""
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
        how = f"seeded, stratified 70/15/15 % split (seed {seed})"
        splits = three_way(rest, names, VALIDATION_SHARE, TEST_SHARE, seed)
        warn_of_rare_classes(splits["train"].read_labels(), names)
        return Splits(names, splits, origin, how + note)
    dropped = set(images.class_names) - set(names)
    splits = {
        part: scan_class_folders(path, strict, names, without=dropped)
        for part, path in found.items()
        if part != "train"
    }
    given = [found[part].name for part in PARTS if part in found]
    own = f"the folder's own {'/'.join(map(printable_text, given))} split"
    train = f"{printable_text(found['train'].name)}/"
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
    warn_of_rare_classes(rest.read_labels(), names)
    splits = {"train": rest, "validation": splits["validation"], "test": splits["test"]}
    return Splits(names, splits, origin, how + note)

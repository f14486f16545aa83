"""Which folders of a data folder are its classes, and which are its splits."""

import pathlib
import warnings

from keras_clce.data.image_folder import class_folders, has_images, warn_of_loose_images
from keras_clce.data.splitting import named
from keras_clce.files import printable_text

# In any case; of several folders for one split, the first of these names is taken.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing"),
}


def split_folders(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Find the folders of a data folder that are splits, and name those that are not used.

    A folder with the name of a split is one if it has folders itself, or if a folder for training
    and one for another split are there; a lone `train/` full of images is a class. So is a lone
    folder with the name of a split beside two or more folders of images, where it is not for
    training or has images of its own.

    Args:
        folder: The data folder.

    Returns:
        The folder of each split that is there: `"train"`, `"validation"`, `"test"`. Empty where all
        folders are classes.

    Raises:
        ValueError: If there are splits and none to train on.
    """
    folders = class_folders(folder)
    known = {
        split: [path for name in names for path in folders if path.name.casefold() == name]
        for split, names in SPLIT_NAMES.items()
    }
    found = {split: paths[0] for split, paths in known.items() if paths}
    if not found:
        return {}
    unused = [path for path in folders if path not in found.values()]
    nested = any(class_folders(path) for paths in known.values() for path in paths)
    why = None
    if not nested and not ("train" in found and len(found) > 1):
        why = "since there are images and no class folders in them"
    elif _is_class_among_classes(found, unused):
        why = "since they lie beside other folders of images"
    if why:
        warnings.warn(f"Taken for classes, {why}: {_listed(list(found.values()))}", stacklevel=2)
        return {}
    if "train" not in found:
        raise ValueError(
            "`data_dir` must have class folders only, or folders of class folders: train/ and, if "
            "you like, validation/ (or val/) and test/. Received: "
            f"data_dir={printable_text(folder)}, with {_listed(folders)}"
        )
    warn_of_loose_images(folder)
    if unused:
        warnings.warn(
            f"Not used, beside the splits {_listed(list(found.values()))} of "
            f"{printable_text(folder)}: {_listed(unused)}",
            stacklevel=2,
        )
    return found


def _is_class_among_classes(found: dict[str, pathlib.Path], others: list[pathlib.Path]) -> bool:
    """Whether the one folder with the name of a split is more likely a class with sub-folders."""
    if len(found) != 1 or sum(map(has_images, others)) < 2:
        return False
    ((split, path),) = found.items()
    return split != "train" or has_images(path, below=False)


def check_classes(
    folder: pathlib.Path, least: int = 2, split: bool = False, purpose: str = ""
) -> None:
    """Check that a folder has several class folders, before any image is read.

    Args:
        folder: The folder of class folders.
        least: Number of class folders that are needed.
        split: Whether the folder is a split of the data folder, which cannot be passed itself.
        purpose: What they are needed for, for people to read.

    Raises:
        ValueError: If it has fewer; the message names a folder further down that would serve.
    """
    folders = class_folders(folder)
    if not folders or len(folders) >= least:
        return
    one = len(folders) == 1
    message = (
        f"`data_dir` must have at least {least} class folders{purpose}. Received: "
        f"data_dir={printable_text(folder)}, with {len(folders)}, {_listed(folders)}"
    )
    deeper = folders[0]
    while one and len(class_folders(deeper)) == 1:
        (deeper,) = class_folders(deeper)
    if one and class_folders(deeper):
        below = _listed(class_folders(deeper))
        what = (
            f"move them to {printable_text(folder)}/ if they are the classes"
            if split
            else f"pass data_dir={printable_text(deeper)} if they are the classes or the splits"
        )
        message += f". In {printable_text(deeper)}/ there are {below}: {what}"
    raise ValueError(message)


def _listed(folders: list[pathlib.Path]) -> str:
    return named([f"{printable_text(path.name)}/" for path in folders])

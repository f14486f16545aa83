"""Photographs of TFDS as class folders, for measurements that leave out classes or flip labels."""

import collections
import json
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

Encoded = tuple[str, str, bytes]


def encoded_images(dataset: str, data_dir: str, split: str) -> list[Encoded]:
    """Name of the file, name of the class and the stored bytes of each image of a split."""
    builder = tfds.builder(dataset, data_dir=data_dir)
    names = builder.info.features["label"].int2str
    images = builder.as_dataset(split, decoders={"image": tfds.decode.SkipDecoding()})
    found = []
    for number, one in enumerate(images.as_numpy_iterator()):
        suffix = ".png" if one["image"][:4] == b"\x89PNG" else ".jpg"
        found.append((f"{split}-{number:05}{suffix}", names(one["label"]), one["image"]))
    return found


def a_class(images: list[Encoded], first: int, last: int | None = None) -> list[Encoded]:
    """The images of each class from a place on up to another, in the order of the split."""
    places, kept = collections.Counter(), []
    for image in images:
        place = places[image[1]]
        places[image[1]] += 1
        if first <= place and (last is None or place < last):
            kept.append(image)
    return kept


def write_class_folders(images: list[Encoded], folder: Path) -> None:
    """Write images into a folder for each class."""
    for name, class_name, data in images:
        home = folder / class_name
        home.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(data)


def write_flipped(images: list[Encoded], folder: Path, share: float, seed: int) -> None:
    """Write images into class folders, a share of them into that of another class, all alike.

    `flipped.json` beside the folder has the true class of each such file.
    """
    rng = np.random.default_rng(seed)
    classes = sorted({class_name for _, class_name, _ in images})
    chosen = {*rng.choice(len(images), round(share * len(images)), replace=False).tolist()}
    flipped, written = {}, []
    for place, (name, class_name, data) in enumerate(images):
        given = class_name
        if place in chosen:
            given = str(rng.choice([other for other in classes if other != class_name]))
            flipped[f"{given}/{name}"] = class_name
        written.append((name, given, data))
    write_class_folders(written, folder)
    (folder.parent / "flipped.json").write_text(json.dumps(flipped, indent=1) + "\n")

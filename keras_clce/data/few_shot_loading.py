"""Few-shot benchmarks: base classes to train on, others to choose by, and novel ones to test."""

import csv
import dataclasses
import gzip
import importlib.resources
import io
import json
import pathlib

import numpy as np

from keras_clce.data import building, catalog, few_shot_folder
from keras_clce.data.class_subset import of_classes
from keras_clce.data.decoding import printable
from keras_clce.data.few_shot_folder import PARTS
from keras_clce.data.image_folder import class_folders, scan_class_folders
from keras_clce.data.image_split import ImageSplit
from keras_clce.data.splitting import class_balanced_subset, named
from keras_clce.data.tfds_source import TfdsImages, open_builder

# Benchmarks that would be others with more or fewer images.
_IMAGES_PER_CLASS = {"cifar_fs": 600, "fc100": 600, "mini_imagenet": 600}
_LOCAL_SPLIT = "tiny_imagenet_fewshot_split.json"


@dataclasses.dataclass
class FewShotDataset:
    """A data set whose three splits have different classes.

    Args:
        name: its name in the catalog.
        class_names: names of the classes of each split, in the order of its own labels.
        train: examples of the base classes, to train on.
        validation: examples of classes that choose the checkpoint.
        test: examples of the novel classes.
        split_note: one sentence that says which classes and examples were really used.

    Example:
        >>> data = load_few_shot("cifar_fs", image_size=32, data_dir="data")  # doctest: +SKIP
        >>> data.num_classes  # doctest: +SKIP
        64
    """

    name: str
    class_names: dict[str, tuple[str, ...]]
    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    split_note: str

    @property
    def num_classes(self) -> int:
        """Number of base classes."""
        return len(self.class_names["train"])


def load_few_shot(
    name: str,
    *,
    image_size: int,
    data_dir: str | pathlib.Path | None = None,
    split_seed: int = 0,
    limit_examples: int | None = None,
    strict: bool = False,
    interpolation: str = "bilinear",
    drop_small_classes: int | None = None,
) -> FewShotDataset:
    """Load a few-shot benchmark with its published split of the classes.

    Args:
        name: `"cifar_fs"`, `"fc100"`, `"mini_imagenet"`, `"tiered_imagenet"`, `"tiny_imagenet"`, or
            `"image_folder"`, whose classes are those of its folders train/, val/ and test/ where it
            has them, and are split 64 / 16 / 20 % by `split_seed` where it has not.
        image_size: side of the images and views, in pixels.
        data_dir: TFDS's data folder (default: its own), or a folder of class folders; for
            miniImageNet and tieredImageNet these are named by WordNet ids.
        split_seed: seed of an image folder's split, and of `limit_examples`.
        limit_examples: number of base examples to keep, class-balanced; None keeps all.
        strict: whether a file in a folder that is no readable image is an error.
        interpolation: of the antialiased resize, `"bilinear"` or `"bicubic"`.
        drop_small_classes: number of images that a class of an image folder must have to be kept;
            None keeps all.

    Returns:
        The benchmark. Labels of each split count its own classes from 0.

    Raises:
        ValueError: if an argument is out of range, classes or images of the benchmark are missing
            (they are named), or there are training images of one class alone.
        FileNotFoundError: if the data are not there; the message says what to do.

    Reference:
        CIFAR-FS: Bertinetto et al. 2019; FC100: Oreshkin et al. 2018; miniImageNet: Ravi and
        Larochelle 2017; tieredImageNet: Ren et al. 2018.

    Example:
        >>> data = load_few_shot("fc100", image_size=32, data_dir="data")  # doctest: +SKIP
        >>> data.test.num_examples  # doctest: +SKIP
        12000
    """
    spec = catalog.get_spec(name)
    known = [*(source for source in _SOURCES if source != "wordnet_folders"), "image_folder"]
    if spec.name not in known:
        raise ValueError(f"`name` must be one of {', '.join(known)}. Received: name={name!r}")
    folder = building.check_request(
        image_size, limit_examples, interpolation, data_dir, drop_small_classes
    )
    if spec.name == "image_folder":
        made = few_shot_folder.image_folder(folder, split_seed, strict, drop_small_classes)
    elif drop_small_classes is not None:
        raise ValueError(
            f"`drop_small_classes` must be None for {spec.name}, whose classes are published. "
            f"Received: drop_small_classes={drop_small_classes}"
        )
    else:
        made = _SOURCES[_kind(spec, folder)](spec, folder, strict)
    source, names, parts, how = made
    _check_classes(spec, folder, parts, names)
    labels = source.read_labels()
    counts = dict(zip(names, np.bincount(labels, minlength=len(names)), strict=True))
    _check_images(spec, folder, {name: counts[name] for part in PARTS for name in parts[part]})
    built, class_names = {}, {}
    for part in PARTS:
        classes = np.array([names.index(name) for name in parts[part]])
        rows = np.flatnonzero(np.isin(labels, classes))
        if part == "train" and limit_examples is not None and limit_examples < len(rows):
            rows = rows[class_balanced_subset(labels[rows], limit_examples, split_seed)]
            how += f"; {limit_examples} base images kept, class-balanced (seed {split_seed})"
        class_names[part] = tuple(parts[part])
        chosen = of_classes(source.select(rows), classes, len(names))
        # Tasks are drawn by the order of the images, and are compared with those of older runs.
        chosen = chosen.mixed() if part == "train" else chosen
        built[part] = building.build_split(
            chosen.records(),
            image_size,
            part == "train",
            spec.flip,
            interpolation,
            spec.crop_fraction,
            class_names[part],
        )
    building.check_several_classes(spec.name, class_names["train"], built["train"].labels)
    counts = " / ".join(
        f"{split.num_examples} images of {len(class_names[part])} {kind} classes"
        for (part, split), kind in zip(built.items(), ("base", "validation", "novel"), strict=True)
    )
    return FewShotDataset(
        spec.name, class_names, **built, split_note=f"{spec.name}: {counts}; {how}"
    )


def _check_classes(spec, folder, parts, present):
    missing = sorted({name for part in PARTS for name in parts[part]} - set(present))
    if missing:
        raise ValueError(
            f"Every class of {spec.name} must be in the data. Received: data_dir={folder}, without "
            f"{named(missing)}"
        )


def _check_images(spec, folder, counts):
    published = _IMAGES_PER_CLASS.get(spec.name)
    wrong = [f"{name} ({n})" for name, n in counts.items() if n != (published or n) or not n]
    if wrong:
        raise ValueError(
            f"Every class of {spec.name} must have {published or 'some'} images. Received: "
            f"data_dir={folder}, with {named(wrong)}"
        )


# === Where examples and classes come from: (source, class names, parts, how they were made) ===


def _kind(spec, folder):
    if spec.tfds_name != "imagenet2012" or folder is None:
        return spec.name
    if any(folder.glob("n0*")):
        return "wordnet_folders"
    deeper = sorted({path.parent for path in folder.glob("*/n0*") if path.is_dir()})
    if deeper:
        raise ValueError(
            "`data_dir` must be the folder that the class folders, named by WordNet ids, lie in. "
            f"Received: data_dir={printable(folder)}; data_dir={printable(deeper[0])} would serve"
        )
    return spec.name


def _published(name):
    files = importlib.resources.files("keras_clce.data") / "few_shot_splits"
    return json.loads((files / f"{name}.json").read_text())


def _cifar_fs(spec, folder, strict):
    builder = open_builder(spec, folder)
    published = _published(spec.name)
    names = list(builder.info.features["label"].names)
    how = f"classes as published by {published['source']}; train and test images together"
    return TfdsImages(builder, "train+test"), names, published["classes"], how


def _fc100(spec, folder, strict):
    builder = open_builder(spec, folder)
    published = _published(spec.name)
    source = TfdsImages(builder, "train+test")
    names = list(builder.info.features["label"].names)
    superclasses = builder.info.features["coarse_label"].names
    pairs = zip(source.read_labels(), source.read("coarse_label"), strict=True)
    of = {names[label]: superclasses[coarse] for label, coarse in set(pairs)}
    # A class without images has no superclass, and would be in no part.
    _check_classes(spec, folder, dict.fromkeys(PARTS, names), of)
    parts = {
        part: [name for name in names if of[name] in published["superclasses"][part]]
        for part in PARTS
    }
    how = f"superclasses as published by {published['source']}; train and test images together"
    return source, names, parts, how


def _imagenet(spec, folder, strict):
    builder = open_builder(spec, folder)
    published = _published(spec.name)
    source = TfdsImages(builder, "train")
    how = f"classes as published by {published['source']}"
    if spec.name == "mini_imagenet":
        stems = [pathlib.Path(name.decode()).stem for name in source.read("file_name")]
        source = source.select(_published_images(folder, stems))
        how = f"classes and images as published by {published['source']}"
    return source, list(builder.info.features["label"].names), published["classes"], how


def _wordnet_folders(spec, folder, strict):
    published = _published(spec.name)
    parts = published["classes"]
    _check_classes(spec, folder, parts, [path.name for path in class_folders(folder)])
    source = scan_class_folders(
        folder, strict, only={name for part in PARTS for name in parts[part]}
    )
    how = f"classes as published by {published['source']}, images of the folders"
    if spec.name == "mini_imagenet":
        stems = [pathlib.Path(path).stem for path in source.paths]
        # Ready-made folders hold the 600 images alone, often under other names.
        if not _mini_imagenet_images().isdisjoint(stems):
            source = source.select(_published_images(folder, stems))
            how = f"classes and images as published by {published['source']}"
    return source, list(source.class_names), parts, how


def _tiny_imagenet(spec, folder, strict):
    builder = open_builder(spec, folder)
    path = (folder or pathlib.Path(builder.data_dir).parents[1]) / _LOCAL_SPLIT
    if not path.is_file():
        raise FileNotFoundError(
            f"The split of tiny_imagenet, {_LOCAL_SPLIT}, must lie beside the data. "
            f"Received: data_dir={folder}, without {path}"
        )
    split = json.loads(path.read_text())
    parts = dict(zip(PARTS, (split["base"], split["validation"], split["novel"]), strict=True))
    how = f"classes of {_LOCAL_SPLIT}; train and validation images together"
    names = list(builder.info.features["label"].names)
    return TfdsImages(builder, "train+validation"), names, parts, how


def _published_images(folder, stems):
    """Indices of miniImageNet's images among those with these names."""
    wanted = _mini_imagenet_images()
    missing = sorted(wanted.difference(stems))
    if missing:
        raise ValueError(
            "Every published image of mini_imagenet must be in the data. Received: "
            f"data_dir={folder}, without {named(missing)}"
        )
    return np.flatnonzero([stem in wanted for stem in stems])


def _mini_imagenet_images():
    """Names of the images, without suffix."""
    files = importlib.resources.files("keras_clce.data") / "few_shot_splits"
    text = gzip.decompress((files / "mini_imagenet_images.csv.gz").read_bytes()).decode()
    return {pathlib.Path(row["image"]).stem for row in csv.DictReader(io.StringIO(text))}


_SOURCES = {
    "cifar_fs": _cifar_fs,
    "fc100": _fc100,
    "mini_imagenet": _imagenet,
    "tiered_imagenet": _imagenet,
    "wordnet_folders": _wordnet_folders,
    "tiny_imagenet": _tiny_imagenet,
}

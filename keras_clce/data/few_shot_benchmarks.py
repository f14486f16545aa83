"""The published few-shot benchmarks: which classes of which source serve for what."""

import csv
import gzip
import importlib.resources
import io
import json
import pathlib
from collections.abc import Collection, Sequence
from typing import cast

import numpy as np

from keras_clce.data.image_folder import FolderImages, class_folders, scan_class_folders
from keras_clce.data.spec import PARTS, ClassSplits, LoadRequest
from keras_clce.data.splitting import named
from keras_clce.data.tfds_source import TfdsImages, open_builder
from keras_clce.files import printable_text

_LOCAL_SPLIT = "tiny_imagenet_fewshot_split.json"


def cifar_fs(request: LoadRequest) -> ClassSplits:
    """Take CIFAR-FS's classes of CIFAR-100."""
    return _classes_of_tfds(request, "; train and test images together")


def fc100(request: LoadRequest) -> ClassSplits:
    """Take FC100's superclasses of CIFAR-100."""
    builder = open_builder(request.spec, request.folder)
    published = _published(request.spec.name)
    source = TfdsImages(builder, request.spec.splits.train)
    names = list(builder.info.features["label"].names)
    superclasses = builder.info.features["coarse_label"].names
    pairs = zip(source.read_labels(), source.read("coarse_label"), strict=True)
    of = {names[label]: superclasses[coarse] for label, coarse in set(pairs)}
    # A class without images has no superclass, and would be in no part.
    check_present(request, names, of)
    parts = {
        part: [name for name in names if of[name] in published["superclasses"][part]]
        for part in PARTS
    }
    how = f"superclasses as published by {published['source']}; train and test images together"
    return ClassSplits(source, names, parts, how)


def mini_imagenet(request: LoadRequest) -> ClassSplits:
    """Take miniImageNet's classes and images, of TFDS or of folders of WordNet ids."""
    if _has_wordnet_folders(request):
        splits = _wordnet_folders(request)
        stems = [pathlib.Path(path).stem for path in cast(FolderImages, splits.source).paths]
        # Ready-made folders hold the 600 images alone, often under other names.
        if _mini_imagenet_images().isdisjoint(stems):
            return splits
    else:
        splits = _classes_of_tfds(request)
        file_names = cast(TfdsImages, splits.source).read("file_name")
        stems = [pathlib.Path(name.decode()).stem for name in file_names]
    how = f"classes and images as published by {_published(request.spec.name)['source']}"
    return splits._replace(source=splits.source.select(_published_images(request, stems)), how=how)


def tiered_imagenet(request: LoadRequest) -> ClassSplits:
    """Take tieredImageNet's classes, of TFDS or of folders of WordNet ids."""
    return _wordnet_folders(request) if _has_wordnet_folders(request) else _classes_of_tfds(request)


def tiny_imagenet(request: LoadRequest) -> ClassSplits:
    """Take the classes of Tiny ImageNet that the file beside the data names."""
    builder = open_builder(request.spec, request.folder)
    path = (request.folder or pathlib.Path(builder.data_dir).parents[1]) / _LOCAL_SPLIT
    if not path.is_file():
        raise FileNotFoundError(
            f"The split of tiny_imagenet, {_LOCAL_SPLIT}, must lie beside the data. "
            f"Received: data_dir={request.folder}, without {path}"
        )
    split = json.loads(path.read_text())
    parts = dict(zip(PARTS, (split["base"], split["validation"], split["novel"]), strict=True))
    how = f"classes of {_LOCAL_SPLIT}; train and validation images together"
    names = list(builder.info.features["label"].names)
    return ClassSplits(TfdsImages(builder, request.spec.splits.train), names, parts, how)


def check_present(request: LoadRequest, needed: Collection[str], present: Collection[str]) -> None:
    """Check that the data have the classes of a benchmark.

    Args:
        request: What was asked for.
        needed: Names of the classes of the benchmark.
        present: Names of those that are there.

    Raises:
        ValueError: If some are missing; they are named.
    """
    missing = sorted(set(needed) - set(present))
    if missing:
        raise ValueError(
            f"Every class of {request.spec.name} must be in the data. Received: "
            f"data_dir={request.folder}, without {named(missing)}"
        )


def _classes_of_tfds(request: LoadRequest, more: str = "") -> ClassSplits:
    """Take the published classes of a data set of TFDS; `more` is said of them."""
    builder = open_builder(request.spec, request.folder)
    published = _published(request.spec.name)
    names = list(builder.info.features["label"].names)
    how = f"classes as published by {published['source']}{more}"
    source = TfdsImages(builder, request.spec.splits.train)
    return ClassSplits(source, names, published["classes"], how)


# === ImageNet ===


def _has_wordnet_folders(request: LoadRequest) -> bool:
    folder = request.folder
    if folder is None:
        return False
    if any(folder.glob("n0*")):
        return True
    deeper = sorted({path.parent for path in folder.glob("*/n0*") if path.is_dir()})
    if deeper:
        raise ValueError(
            "`data_dir` must be the folder that the class folders, named by WordNet ids, lie in. "
            f"Received: data_dir={printable_text(folder)}; "
            f"data_dir={printable_text(deeper[0])} would serve"
        )
    return False


def _wordnet_folders(request: LoadRequest) -> ClassSplits:
    folder = request.class_folders()
    published = _published(request.spec.name)
    parts = published["classes"]
    needed = {name for part in PARTS for name in parts[part]}
    check_present(request, needed, [path.name for path in class_folders(folder)])
    source = scan_class_folders(folder, request.strict, only=needed)
    how = f"classes as published by {published['source']}, images of the folders"
    return ClassSplits(source, list(source.class_names), parts, how)


# === What was published ===


def _files():
    return importlib.resources.files("keras_clce.data") / "few_shot_splits"


def _published(name: str) -> dict:
    return json.loads((_files() / f"{name}.json").read_text())


def _published_images(request: LoadRequest, stems: Sequence[str]) -> np.ndarray:
    """Indices of miniImageNet's images among those with these names."""
    wanted = _mini_imagenet_images()
    missing = sorted(wanted.difference(stems))
    if missing:
        raise ValueError(
            "Every published image of mini_imagenet must be in the data. Received: "
            f"data_dir={request.folder}, without {named(missing)}"
        )
    return np.flatnonzero([stem in wanted for stem in stems])


def _mini_imagenet_images() -> set[str]:
    """Names of the images, without suffix."""
    text = gzip.decompress((_files() / "mini_imagenet_images.csv.gz").read_bytes()).decode()
    return {pathlib.Path(row["image"]).stem for row in csv.DictReader(io.StringIO(text))}

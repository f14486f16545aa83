"""`load_dataset`: any data set of the catalog, resized, split and ready for training."""

import pathlib

import numpy as np
import sklearn.datasets
import tensorflow as tf

from keras_clce.data import catalog, dataset, preparation
from keras_clce.data.dataset import ImageDataset
from keras_clce.data.image_folder import class_folders, scan_class_folders
from keras_clce.data.records import ExampleSource, Records
from keras_clce.data.splitting import class_balanced_subset, stratified_split
from keras_clce.data.tfds_source import TfdsImages, open_builder

_TEST_SHARE, _VALIDATION_SHARE = 0.15, 0.15
_CALTECH_TRAIN_PER_CLASS = 60
_CALTECH_VALIDATION_SHARE = 0.2

# (class names, the three splits, where they come from, how they were made)
_Sources = tuple[tuple[str, ...], dict[str, ExampleSource], str, str]


def load_dataset(
    name: str = "digits",
    *,
    image_size: int,
    data_dir: str | pathlib.Path | None = None,
    split_seed: int = 0,
    limit_examples: int | None = None,
    strict: bool = False,
    interpolation: str = "bilinear",
) -> ImageDataset:
    """Load a data set in three splits of square images.

    The geometry is ImageNet's: views are random crops of the whole photograph, in its own
    proportions; un-augmented images are the middle square, 87.5 % of the shorter side. Digits and
    CIFAR stay whole. A split of up to 2 GB is decoded once into memory, a larger one streams.

    Args:
        name: a name of `list_datasets()`.
        image_size: side of the images and views, in pixels.
        data_dir: TFDS's data folder (default: its own), or the folder of class folders.
        split_seed: seed of every split that is not official, and of `limit_examples`.
        limit_examples: number of training examples to keep, class-balanced; None keeps all.
        strict: whether a file in a folder that is no readable image is an error.
        interpolation: of the antialiased resize, `"bilinear"` or `"bicubic"`.

    Returns:
        The data set; its `split_note` says which examples were really used.

    Raises:
        ValueError: if an argument is out of range, or the folder's images cannot serve.
        FileNotFoundError: if `data_dir` does not exist, or the data are neither there nor can be
            downloaded; the message says what to do.

    Reference:
        Szegedy et al. 2015, Going Deeper with Convolutions (arXiv 1409.4842), for the crops.

    Example:
        >>> digits = load_dataset("digits", image_size=32)
        >>> images, labels = digits.train.arrays()
        >>> images.shape
        (1259, 32, 32, 3)
    """
    spec = catalog.get_spec(name)
    if spec.task == "few-shot":
        raise ValueError(
            f"`name` must be a data set whose splits share classes; {spec.name} is a few-shot "
            f"benchmark, for load_few_shot. Received: name={name!r}"
        )
    folder = preparation.check_request(image_size, limit_examples, interpolation, data_dir)
    if spec.source == "tfds":
        class_names, splits, origin, how = _tfds_splits(spec, folder, split_seed)
    elif spec.source == "digits":
        class_names, splits, origin, how = _digits_splits(split_seed)
    elif folder is None:
        raise ValueError(
            f"`data_dir` must be the folder of class folders for {spec.name} "
            f"({spec.note}; {spec.homepage or 'any images'}). Received: data_dir=None"
        )
    elif spec.source == "caltech256":
        class_names, splits, origin, how = _caltech256_splits(folder, split_seed, strict)
    else:
        class_names, splits, origin, how = _image_folder_splits(folder, split_seed, strict)

    if limit_examples is not None and limit_examples < splits["train"].num_examples:
        labels = splits["train"].read_labels()
        splits["train"] = splits["train"].select(
            class_balanced_subset(labels, limit_examples, split_seed)
        )
        how = f"{how}; {limit_examples} training images kept, class-balanced (seed {split_seed})"
    built = {
        part: preparation.build_split(
            source.records(),
            image_size,
            part == "train",
            spec.flip,
            interpolation,
            spec.crop_fraction,
        )
        for part, source in splits.items()
    }
    counts = " / ".join(f"{split.num_examples} {part}" for part, split in built.items())
    note = f"{origin}: {counts} images{_classes_present(built, len(class_names))}; {how}"
    return ImageDataset(spec.name, class_names, **built, split_note=note)


def _classes_present(built: dict[str, dataset.ImageSplit], num_classes: int) -> str:
    labels = [split.labels for split in built.values()]
    if any(part is None for part in labels):
        return ""
    present = len(np.unique(np.concatenate(labels)))
    return "" if present == num_classes else f", {present} of {num_classes} classes present"


def _announced(builder, plan: catalog.SplitPlan) -> str:
    splits = builder.info.splits
    parts = (plan.train, plan.validation, plan.test)
    return "/".join(f"{splits[part].num_examples:,}" if part in splits else "-" for part in parts)


class _Digits:
    """scikit-learn's digits as an `ExampleSource`: gray 8x8 images with values 0 to 16."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self._images = images
        self._labels = labels

    @property
    def num_examples(self) -> int:
        return len(self._labels)

    def read_labels(self) -> np.ndarray:
        return self._labels

    def select(self, indices: np.ndarray) -> "_Digits":
        return _Digits(self._images[indices], self._labels[indices])

    def records(self) -> Records:
        def decode(image, label):
            return tf.repeat(image[..., None], 3, axis=-1) * (255.0 / 16.0), label

        examples = tf.data.Dataset.from_tensor_slices((self._images, self._labels))
        return Records(examples, decode, self.num_examples, shuffle_buffer=self.num_examples)


def _digits_splits(seed: int) -> _Sources:
    bunch = sklearn.datasets.load_digits()
    digits = _Digits(bunch.images.astype(np.float32), bunch.target.astype(np.int64))
    splits = _three_way(digits, seed)
    how = f"seeded, stratified split (seed {seed}): there is no official one"
    return tuple(str(digit) for digit in bunch.target_names), splits, "scikit-learn digits", how


def _tfds_splits(spec: catalog.DatasetSpec, folder: pathlib.Path | None, seed: int) -> _Sources:
    builder = open_builder(spec, folder)
    plan = spec.splits
    test = TfdsImages(builder, plan.test)
    percent = round(100 * plan.holdout)
    if plan.validation is not None:
        train = TfdsImages(builder, plan.train)
        validation = TfdsImages(builder, plan.validation)
        how = f"TFDS's splits {plan.train}/{plan.validation}/{plan.test}"
    elif plan.stratified:
        train, validation = _hold_out(TfdsImages(builder, plan.train), plan.holdout, seed)
        how = (
            f"{percent} % of TFDS's split {plan.train} held out for validation, stratified "
            f"(seed {seed}); tested on TFDS's split {plan.test}"
        )
    else:
        train = TfdsImages(builder, f"{plan.train}[:{100 - percent}%]")
        validation = TfdsImages(builder, f"{plan.train}[{100 - percent}%:]")
        how = (
            f"the last {percent} % of TFDS's split {plan.train} held out for validation; tested on "
            f"TFDS's split {plan.test}"
        )
    if _announced(builder, plan) != plan.sizes:
        how += f"; not the official {plan.sizes} split"
    label = builder.info.features["label"]
    names = tuple(label.int2str(index) for index in range(label.num_classes))
    tfds_name = "" if spec.name == spec.tfds_name else f"{spec.tfds_name} "
    origin = f"{spec.name} (TFDS {tfds_name}{builder.version})"
    return names, {"train": train, "validation": validation, "test": test}, origin, how


def _image_folder_splits(folder: pathlib.Path, seed: int, strict: bool) -> _Sources:
    names = {path.name for path in class_folders(folder)}
    validation_name = "val" if "val" in names else "validation"
    parts = ("train", validation_name, "test")
    if not names & {"train", "validation", "val", "test"}:
        images = scan_class_folders(folder, strict)
        how = f"seeded, stratified 70/15/15 % split (seed {seed})"
        return images.class_names, _three_way(images, seed), f"image_folder {folder.name}", how
    if not {"train", "test"} <= names:
        raise ValueError(
            "`data_dir` must have class folders only, or folders of class folders: train/, test/ "
            "and, if you like, validation/ (or val/). Received: "
            f"data_dir={folder!s}, with {', '.join(sorted(names))}"
        )
    train = scan_class_folders(folder / "train", strict)
    test = scan_class_folders(folder / "test", strict, train.class_names)
    if validation_name in names:
        validation = scan_class_folders(folder / validation_name, strict, train.class_names)
        how = f"the folder's own {'/'.join(parts)} split"
    else:
        train, validation = _hold_out(train, 0.1, seed)
        how = f"10 % of train/ held out for validation, stratified (seed {seed})"
    splits = {"train": train, "validation": validation, "test": test}
    return test.class_names, splits, f"image_folder {folder.name}", how


def _caltech256_splits(folder: pathlib.Path, seed: int, strict: bool) -> _Sources:
    images = scan_class_folders(folder, strict)
    labels = images.read_labels()
    counts = np.bincount(labels)
    needed = _CALTECH_TRAIN_PER_CLASS + 2
    if counts.min() < needed:
        short = ", ".join(
            images.class_names[label] for label in np.flatnonzero(counts < needed)[:10]
        )
        raise ValueError(
            f"Every class of caltech256 must have {needed} images: {_CALTECH_TRAIN_PER_CLASS} to "
            f"train on, the others for validation and test. Received: data_dir={folder!s}, with "
            f"fewer in {short}"
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
    test, validation = _hold_out(others, _CALTECH_VALIDATION_SHARE, seed)
    splits = {"train": images.select(chosen), "validation": validation, "test": test}
    how = (
        f"{_CALTECH_TRAIN_PER_CLASS} seeded images a class to train on, 20 % of the others for "
        f"validation, the rest for test (seed {seed})"
    )
    return images.class_names, splits, "caltech256", how


def _hold_out(source: ExampleSource, fraction: float, seed: int) -> tuple:
    kept, held_out = stratified_split(source.read_labels(), fraction, seed)
    return source.select(kept), source.select(held_out)


def _three_way(source: ExampleSource, seed: int) -> dict[str, ExampleSource]:
    labels = source.read_labels()
    if np.bincount(labels).min() < 3:
        raise ValueError(
            "Every class must have 3 images or more to be split into train, validation and test. "
            f"Received: {np.bincount(labels).min()} in class number {np.bincount(labels).argmin()}"
        )
    rest, test = _hold_out(source, _TEST_SHARE, seed)
    train, validation = _hold_out(rest, _VALIDATION_SHARE / (1.0 - _TEST_SHARE), seed)
    return {"train": train, "validation": validation, "test": test}

"""`load_dataset`: any data set of the catalog, resized, split and ready for training."""

import pathlib

import numpy as np
import sklearn.datasets
import tensorflow as tf

from keras_clce.data import building, catalog, image_split
from keras_clce.data.class_subset import without_small_classes
from keras_clce.data.examples import Records, SplitSources
from keras_clce.data.image_folder_splits import (
    TEST_SHARE,
    VALIDATION_SHARE,
    caltech256_splits,
    image_folder_splits,
)
from keras_clce.data.image_split import ImageDataset
from keras_clce.data.splitting import class_balanced_subset, hold_out, three_way
from keras_clce.data.tfds_source import TfdsImages, open_builder


def load_dataset(
    name: str = "digits",
    *,
    image_size: int,
    data_dir: str | pathlib.Path | None = None,
    split_seed: int = 0,
    limit_examples: int | None = None,
    strict: bool = False,
    interpolation: str = "bilinear",
    drop_small_classes: int | None = None,
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
        drop_small_classes: number of images that a class must have to be kept, training images
            where the source has splits of its own; labels count the classes that are left from 0.
            None keeps all.

    Returns:
        The data set; its `split_note` says which examples were really used.

    Raises:
        ValueError: if an argument is out of range, the folder's images cannot serve, or there are
            training images of one class alone.
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
    folder = building.check_request(
        image_size, limit_examples, interpolation, data_dir, drop_small_classes
    )
    if spec.source == "tfds":
        made = _tfds_splits(spec, folder, split_seed, drop_small_classes)
    elif spec.source == "digits":
        made = _digits_splits(split_seed, drop_small_classes)
    elif folder is None:
        raise ValueError(
            f"`data_dir` must be the folder of class folders for {spec.name} "
            f"({spec.note}; {spec.homepage or 'any images'}). Received: data_dir=None"
        )
    elif spec.source == "caltech256":
        made = caltech256_splits(folder, split_seed, strict, drop_small_classes)
    else:
        made = image_folder_splits(folder, split_seed, strict, drop_small_classes)
    class_names, splits, origin, how = made
    building.check_several_classes(spec.name, class_names, None)

    if limit_examples is not None and limit_examples < splits["train"].num_examples:
        labels = splits["train"].read_labels()
        splits["train"] = splits["train"].select(
            class_balanced_subset(labels, limit_examples, split_seed)
        )
        how = f"{how}; {limit_examples} training images kept, class-balanced (seed {split_seed})"
    built = {
        part: building.build_split(
            source.mixed().records(),
            image_size,
            part == "train",
            spec.flip,
            interpolation,
            spec.crop_fraction,
            class_names,
        )
        for part, source in splits.items()
    }
    building.check_several_classes(spec.name, class_names, built["train"].labels)
    counts = " / ".join(f"{split.num_examples} {part}" for part, split in built.items())
    note = f"{origin}: {counts} images{_classes_present(built, len(class_names))}; {how}"
    return ImageDataset(spec.name, class_names, **built, split_note=note)


def _classes_present(built: dict[str, image_split.ImageSplit], num_classes: int) -> str:
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

    def mixed(self) -> "_Digits":
        return self  # They were written by turns.

    def records(self) -> Records:
        def decode(image, label):
            return tf.repeat(image[..., None], 3, axis=-1) * (255.0 / 16.0), label

        examples = tf.data.Dataset.from_tensor_slices((self._images, self._labels))
        return Records(examples, decode, self.num_examples, shuffle_buffer=self.num_examples)


def _digits_splits(seed: int, least: int | None) -> SplitSources:
    bunch = sklearn.datasets.load_digits()
    digits = _Digits(bunch.images.astype(np.float32), bunch.target.astype(np.int64))
    names = [str(digit) for digit in bunch.target_names]
    (digits,), names, note = without_small_classes([digits], names, least, [digits])
    splits = three_way(digits, names, VALIDATION_SHARE, TEST_SHARE, seed)
    how = f"seeded, stratified split (seed {seed}): there is no official one{note}"
    return names, splits, "scikit-learn digits", how


def _tfds_splits(
    spec: catalog.DatasetSpec, folder: pathlib.Path | None, seed: int, least: int | None
) -> SplitSources:
    builder = open_builder(spec, folder)
    plan = spec.splits
    label = builder.info.features["label"]
    names = [label.int2str(index) for index in range(label.num_classes)]
    percent = round(100 * plan.holdout)
    if plan.validation is None and not plan.stratified:
        train, validation = f"{plan.train}[:{100 - percent}%]", f"{plan.train}[{100 - percent}%:]"
    else:
        train, validation = plan.train, plan.validation
    sources = [TfdsImages(builder, part) for part in (train, validation, plan.test) if part]
    # A slice that is held out for validation is of the training images too.
    counted = sources[: 2 if plan.validation is None and not plan.stratified else 1]
    sources, names, note = without_small_classes(sources, names, least, counted, "training images")
    if plan.validation is not None:
        how = f"TFDS's splits {plan.train}/{plan.validation}/{plan.test}"
    elif plan.stratified:
        sources[:1] = hold_out(sources[0], plan.holdout, seed)
        how = (
            f"{percent} % of TFDS's split {plan.train} held out for validation, stratified "
            f"(seed {seed}); tested on TFDS's split {plan.test}"
        )
    else:
        how = (
            f"the last {percent} % of TFDS's split {plan.train} held out for validation; tested on "
            f"TFDS's split {plan.test}"
        )
    if _announced(builder, plan) != plan.sizes:
        how += f"; not the official {plan.sizes} split"
    tfds_name = "" if spec.name == spec.tfds_name else f"{spec.tfds_name} "
    origin = f"{spec.name} (TFDS {tfds_name}{builder.version})"
    splits = dict(zip(("train", "validation", "test"), sources, strict=True))
    return names, splits, origin, how + note

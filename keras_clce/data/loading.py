"""`load_dataset`: any data set of the catalog, resized, split and ready for training."""

import pathlib

import numpy as np

from keras_clce.data import catalog
from keras_clce.data.datasets import ImageDataset
from keras_clce.data.image_split import ImageSplit
from keras_clce.data.installed import tensorflow
from keras_clce.data.request_checks import (
    check_multi_label,
    check_request,
    check_several_classes,
    chosen_preprocessing,
)
from keras_clce.data.spec import LoadRequest
from keras_clce.data.splitting import limited, strata
from keras_clce.views import Preprocessing


def load_dataset(
    name: str = "digits",
    *,
    image_size: int | None = None,
    data_dir: str | pathlib.Path | None = None,
    split_seed: int = 0,
    limit_examples: int | None = None,
    strict: bool = False,
    interpolation: str | None = None,
    preprocessing: Preprocessing | None = None,
    drop_small_classes: int | None = None,
    limit_per_class: int | None = None,
    multi_label: bool = False,
) -> ImageDataset:
    """Load a data set in three splits of square images.

    The geometry is ImageNet's: views are random crops of the whole photograph, in its own
    proportions; un-augmented images are the middle square, 87.5 % of the shorter side. Digits and
    CIFAR stay whole. A split of up to 2 GB is decoded once into memory, a larger one streams.

    Args:
        name: A name of `list_datasets()`.
        image_size: Side of the images and views, in pixels; None where `preprocessing` has it.
        data_dir: TFDS's data folder (default: its own), or the folder of class folders.
        split_seed: Seed of every split that is not official, and of what the limits keep.
        limit_examples: Number of training examples to keep, class-balanced; None keeps all.
        strict: Whether a file in a folder that is no readable image is an error.
        interpolation: Of the antialiased resize, `"bilinear"` or `"bicubic"`. None, the default, is
            bilinear, or what `preprocessing` has.
        preprocessing: How un-augmented images are shown, instead of `image_size`, `interpolation`
            and the data set's own share of the middle. With `model.preprocessing`, a data set gives
            the images that the model was evaluated on.
        drop_small_classes: Number of images that a class must have to be kept, training images
            where the source has splits of its own; labels count the classes that are left from 0.
            None keeps all.
        limit_per_class: Most training examples of a class; a class that has fewer keeps them. With
            one seed, fewer are always some of more. None keeps all.
        multi_label: Whether images of an `image_folder` with a `labels.csv` have several labels, or
            none: labels are then rows of 0 and 1 (examples, classes). Defaults to False.

    Returns:
        The data set; its `split_note` says which examples were really used.

    Raises:
        ValueError: If an argument is out of range, the folder's images cannot serve, or there are
            training images of one class alone.
        FileNotFoundError: If `data_dir` does not exist, or the data are neither there nor can be
            downloaded; the message says what to do.

    Reference:
        Szegedy et al. 2015, Going Deeper with Convolutions (arXiv 1409.4842), for the crops.

    Example:
    ```python
    digits = load_dataset("digits", image_size=32)
    images, labels = digits.train.arrays()
    images.shape  # (1259, 32, 32, 3)
    pets = load_dataset("image_folder", data_dir="pets", preprocessing=Preprocessing(32))
    ```
    """
    spec = catalog.get_spec(name)
    if spec.loader is None:
        raise ValueError(
            f"`name` must be a data set whose splits share classes; {spec.name} is a few-shot "
            f"benchmark, for load_few_shot. Received: name={name!r}"
        )
    preprocessing = chosen_preprocessing(
        preprocessing, image_size, interpolation, spec.crop_fraction
    )
    folder = check_request(limit_examples, data_dir, drop_small_classes, limit_per_class)
    check_multi_label(spec, folder, multi_label, limit_per_class)
    tensorflow("Loading a data set")
    from keras_clce.data import building

    request = LoadRequest(spec, folder, split_seed, strict, drop_small_classes, multi_label)
    class_names, splits, origin, how = spec.loader(request)
    check_several_classes(spec.name, class_names, None)
    if (limit_examples, limit_per_class) != (None, None):
        labels = strata(splits["train"].read_labels())
        kept, note = limited(labels, limit_examples, limit_per_class, split_seed, "training")
        if note:
            splits["train"], how = splits["train"].select(kept), how + note
    built = {
        part: building.build_split(
            source.mixed().records(), preprocessing, part == "train", spec.flip, class_names
        )
        for part, source in splits.items()
    }
    check_several_classes(spec.name, class_names, built["train"].labels)
    counts = " / ".join(f"{split.num_examples} {part}" for part, split in built.items())
    note = f"{origin}: {counts} images{_classes_present(built, len(class_names))}; {how}"
    return ImageDataset(
        spec.name, class_names, **built, split_note=note, preprocessing=preprocessing
    )


def _classes_present(built: dict[str, ImageSplit], num_classes: int) -> str:
    labels = [split.labels for split in built.values()]
    if any(part is None for part in labels):
        return ""
    every = np.concatenate(labels)
    present = len(np.unique(every)) if every.ndim == 1 else int(every.any(axis=0).sum())
    return "" if present == num_classes else f", {present} of {num_classes} classes present"

"""`load_few_shot`: base classes to train on, others to choose by, and novel ones to test."""

import pathlib

import numpy as np

from keras_clce.data import catalog
from keras_clce.data.class_subset import of_classes
from keras_clce.data.datasets import FewShotDataset
from keras_clce.data.few_shot_benchmarks import check_present
from keras_clce.data.installed import tensorflow
from keras_clce.data.request_checks import (
    check_request,
    check_several_classes,
    chosen_preprocessing,
)
from keras_clce.data.spec import PARTS, LoadRequest
from keras_clce.data.splitting import limited, named
from keras_clce.views import Preprocessing


def load_few_shot(
    name: str,
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
) -> FewShotDataset:
    """Load a few-shot benchmark with its published split of the classes.

    Args:
        name: `"cifar_fs"`, `"fc100"`, `"mini_imagenet"`, `"tiered_imagenet"`, `"tiny_imagenet"`, or
            `"image_folder"`, whose classes are those of its folders train/, val/ and test/ where it
            has them, and are split 64 / 16 / 20 % by `split_seed` where it has not.
        image_size: Side of the images and views, in pixels; None where `preprocessing` has it.
        data_dir: TFDS's data folder (default: its own), or a folder of class folders; for
            miniImageNet and tieredImageNet these are named by WordNet ids.
        split_seed: Seed of an image folder's split, and of what the limits keep.
        limit_examples: Number of base examples to keep, class-balanced; None keeps all.
        strict: Whether a file in a folder that is no readable image is an error.
        interpolation: Of the antialiased resize, `"bilinear"` or `"bicubic"`. None, the default, is
            bilinear, or what `preprocessing` has.
        preprocessing: How un-augmented images are shown, as in `load_dataset`.
        drop_small_classes: Number of images that a class of an image folder must have to be kept;
            None keeps all.
        limit_per_class: Most examples of a base class, as in `load_dataset`.

    Returns:
        The benchmark. Labels of each split count its own classes from 0.

    Raises:
        ValueError: If an argument is out of range, classes or images of the benchmark are missing
            (they are named), or there are training images of one class alone.
        FileNotFoundError: If the data are not there; the message says what to do.

    Reference:
        CIFAR-FS: Bertinetto et al. 2019; FC100: Oreshkin et al. 2018; miniImageNet: Ravi and
        Larochelle 2017; tieredImageNet: Ren et al. 2018.

    Example:
    ```python
    pets = load_few_shot("image_folder", image_size=32, data_dir="pets")
    pets.class_names["test"]  # ('bee', 'owl')
    ```
    """
    spec = catalog.get_spec(name)
    if spec.few_shot_loader is None:
        known = ", ".join(row.name for row in catalog.list_datasets() if row.few_shot_loader)
        raise ValueError(f"`name` must be one of {known}. Received: name={name!r}")
    preprocessing = chosen_preprocessing(
        preprocessing, image_size, interpolation, spec.crop_fraction
    )
    folder = check_request(limit_examples, data_dir, drop_small_classes, limit_per_class)
    if spec.loader is None and drop_small_classes is not None:
        raise ValueError(
            f"`drop_small_classes` must be None for {spec.name}, whose classes are published. "
            f"Received: drop_small_classes={drop_small_classes}"
        )
    tensorflow("Loading a data set")
    from keras_clce.data import building

    request = LoadRequest(spec, folder, split_seed, strict, drop_small_classes)
    source, names, parts, how = spec.few_shot_loader(request)
    check_present(request, {name for part in PARTS for name in parts[part]}, names)
    labels = source.read_labels()
    counts = dict(zip(names, np.bincount(labels, minlength=len(names)), strict=True))
    _check_images(request, {name: counts[name] for part in PARTS for name in parts[part]})
    built, class_names = {}, {}
    for part in PARTS:
        classes = np.array([names.index(name) for name in parts[part]])
        rows = np.flatnonzero(np.isin(labels, classes))
        if part == "train" and (limit_examples, limit_per_class) != (None, None):
            limits = (limit_examples, limit_per_class, split_seed)
            kept, note = limited(labels[rows], *limits, "base")
            rows, how = rows[kept], how + note
        class_names[part] = tuple(parts[part])
        chosen = of_classes(source.select(rows), classes, len(names))
        # Tasks are drawn by the order of the images, and are compared with those of older runs.
        chosen = chosen.mixed() if part == "train" else chosen
        built[part] = building.build_split(
            chosen.records(), preprocessing, part == "train", spec.flip, class_names[part]
        )
    check_several_classes(spec.name, class_names["train"], built["train"].labels)
    sizes = " / ".join(
        f"{split.num_examples} images of {len(class_names[part])} {kind} classes"
        for (part, split), kind in zip(built.items(), ("base", "validation", "novel"), strict=True)
    )
    note = f"{spec.name}: {sizes}; {how}"
    return FewShotDataset(
        spec.name, class_names, **built, split_note=note, preprocessing=preprocessing
    )


def _check_images(request: LoadRequest, counts: dict[str, int]) -> None:
    spec = request.spec
    published = spec.images_per_class
    wrong = [f"{name} ({n})" for name, n in counts.items() if n != (published or n) or not n]
    if wrong:
        raise ValueError(
            f"Every class of {spec.name} must have {published or 'some'} images. Received: "
            f"data_dir={request.folder}, with {named(wrong)}"
        )

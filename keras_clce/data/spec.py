"""What the catalog says of a data set, what a loader is asked for, and what it gives."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from keras_clce.data.examples import ExampleSource

PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class SplitPlan:
    """Which parts of a source serve for training, validation and test.

    Args:
        train: The source's split that is trained on (a TFDS split name), `""` where the source is
            not split by name. Few-shot benchmarks take the images of all their classes from it.
        validation: The source's split for validation; None holds a part of `train` out.
        test: The source's split for the final test.
        sizes: The official numbers of examples, for people to read.
        holdout: Fraction of `train` held out where `validation` is None.
        stratified: Whether the part held out keeps the class proportions. It needs a pass over the
            labels; for sets of more than half a million images the last records of the (already
            shuffled) files are held out instead.
    """

    train: str
    validation: str | None
    test: str
    sizes: str
    holdout: float = 0.1
    stratified: bool = True


class Splits(NamedTuple):
    """What a loader gives for a data set whose three splits share their classes.

    Args:
        class_names: Names of the classes, in the order of the labels.
        sources: The examples of `"train"`, `"validation"` and `"test"`.
        origin: Where they come from, for the split note.
        how: How the splits were made, for the split note.
    """

    class_names: tuple[str, ...]
    sources: dict[str, ExampleSource]
    origin: str
    how: str


class ClassSplits(NamedTuple):
    """What a loader gives for a few-shot data set, whose three splits have different classes.

    Args:
        source: All examples.
        class_names: Names of their classes, in the order of the labels.
        parts: Names of the classes of `"train"`, `"validation"` and `"test"`.
        how: How the classes were divided, for the split note.
    """

    source: ExampleSource
    class_names: list[str]
    parts: dict[str, list[str]]
    how: str


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """One row of the catalog.

    Args:
        name: The name that `load_dataset` or `load_few_shot` takes.
        loader: Function that gives the `Splits`; None where the splits share no classes.
        splits: Which parts serve for what.
        num_classes: Number of classes, None where the folder says.
        licence: Terms of use, in a few words.
        download_size: Size of the download, for people to read.
        note: What a user should know beside.
        homepage: Where the data are described.
        few_shot_loader: Function that gives the `ClassSplits`; None where there is no split of the
            classes.
        tfds_name: The TensorFlow Datasets name, None where it is not in TFDS.
        paper_row: The paper's experiment that uses it, `""` where none does.
        flip: Whether a mirrored image keeps its class.
        crop_fraction: Share of the side that evaluation keeps, from the middle of the image.
        image_size: Side of the images in pixels, where the benchmark prescribes one.
        images_per_class: Number of images that each class of a few-shot benchmark has, where it
            would be another one with more or fewer.
        hub_name: Its name on Hugging Face's hub, where it is known.

    Example:
    ```python
    digits, *_ = list_datasets()
    digits.name, digits.num_classes, digits.task  # ("digits", 10, "transfer")
    ```
    """

    name: str
    loader: "Callable[[LoadRequest], Splits] | None"
    splits: SplitPlan
    num_classes: int | None
    licence: str
    download_size: str
    note: str
    homepage: str
    few_shot_loader: "Callable[[LoadRequest], ClassSplits] | None" = None
    tfds_name: str | None = None
    paper_row: str = ""
    flip: bool = True
    crop_fraction: float = 0.875
    image_size: int | None = None
    images_per_class: int | None = None
    hub_name: str | None = None

    @property
    def task(self) -> str:
        """What it is for: `"transfer"`, or `"few-shot"` where its splits share no classes."""
        return "few-shot" if self.loader is None else "transfer"


@dataclasses.dataclass(frozen=True)
class LoadRequest:
    """What a loader is asked for.

    Args:
        spec: The row of the catalog.
        folder: Folder of the data, or None.
        seed: Seed of every split that is not official.
        strict: Whether a file that is no readable image is an error.
        drop_small_classes: Number of images that a class must have to be kept, or None.
        multi_label: Whether an image has several labels: the sources' are rows (examples, classes).
    """

    spec: DatasetSpec
    folder: pathlib.Path | None
    seed: int = 0
    strict: bool = False
    drop_small_classes: int | None = None
    multi_label: bool = False

    def class_folders(self) -> pathlib.Path:
        """Give the folder, for a loader that cannot do without.

        Raises:
            ValueError: If there is none.
        """
        if self.folder is None:
            raise ValueError(
                f"`data_dir` must be the folder of class folders for {self.spec.name} "
                f"({self.spec.note}; {self.spec.homepage or 'any images'}). "
                "Received: data_dir=None"
            )
        return self.folder

"""Data sets in three splits, of the same classes or of different ones."""

import dataclasses

from keras_clce.data.image_split import ImageSplit
from keras_clce.views import Preprocessing


@dataclasses.dataclass
class ImageDataset:
    """A data set in three splits.

    Args:
        name: Its name in the catalog.
        class_names: Name of every class, in the order of the labels.
        train: The examples to train on.
        validation: The examples that choose the checkpoint.
        test: The examples that are read once, at the end.
        split_note: One sentence that says which examples were really used.
        preprocessing: How its un-augmented images were made, which a model needs to be shown others
            in the same way. Defaults to None, which is not known.

    Example:
    ```python
    load_dataset("digits", image_size=32).num_classes  # 10
    ```
    """

    name: str
    class_names: tuple[str, ...]
    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    split_note: str
    preprocessing: Preprocessing | None = None

    @property
    def num_classes(self) -> int:
        """Number of classes, those without an example included."""
        return len(self.class_names)


@dataclasses.dataclass
class FewShotDataset:
    """A data set whose three splits have different classes.

    Args:
        name: Its name in the catalog.
        class_names: Names of the classes of each split, in the order of its own labels.
        train: Examples of the base classes, to train on.
        validation: Examples of classes that choose the checkpoint.
        test: Examples of the novel classes.
        split_note: One sentence that says which classes and examples were really used.
        preprocessing: As in `ImageDataset`.

    Example:
    ```python
    load_few_shot("image_folder", image_size=32, data_dir="pets").num_classes  # 6
    ```
    """

    name: str
    class_names: dict[str, tuple[str, ...]]
    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    split_note: str
    preprocessing: Preprocessing | None = None

    @property
    def num_classes(self) -> int:
        """Number of base classes."""
        return len(self.class_names["train"])

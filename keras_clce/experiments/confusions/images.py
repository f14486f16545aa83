"""What a confusion study shows to models: a folder of class folders, or a split of their run."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from keras_clce.checks import as_array
from keras_clce.data.splitting import class_balanced_subset
from keras_clce.experiments.embeddings.models import image_batches
from keras_clce.experiments.embeddings.sources import Draw, ShownData, Source
from keras_clce.files import printable_text
from keras_clce.inference import (
    ModelOutputs,
    Photograph,
    find_photographs,
    model_outputs,
    preprocessing_of,
)

# Name of a model, and the numbers of the images that it was shown, `None` for all.
_Shown = tuple[str, np.ndarray | None]


class ImageSet(Protocol):
    """Images with their classes, as each of several models is shown them."""

    @property
    def note(self) -> str:
        """What they are, in words."""

    def outputs(self, source: Source, batch_size: int) -> tuple[ModelOutputs, np.ndarray]:
        """Outputs of a model, and the label of each row."""

    def names(self, rows: np.ndarray) -> list[str]:
        """Names of some of the images."""

    def thumbnails(self, rows: np.ndarray) -> list[np.ndarray | None]:
        """Small pictures of some of the images."""


@dataclasses.dataclass(frozen=True, eq=False)
class FolderSet:
    """Photographs with their classes.

    Args:
        photographs: The photographs.
        labels: Their integer classes; -1 for classes that no model knows.
        note: What they are, in words.
        image_size: Side of the images of a model that takes any. Defaults to `None`.

    Example:
    ```python
    photographs = find_photographs("pets")
    FolderSet(photographs, np.zeros(40, int), "40 photographs").names(np.array([0]))
    # ["ant/0.png"]
    ```
    """

    photographs: Sequence[Photograph]
    labels: np.ndarray
    note: str
    image_size: int | None = None

    def outputs(self, source: Source, batch_size: int) -> tuple[ModelOutputs, np.ndarray]:
        """Outputs of a model, and the label of each row."""
        view = preprocessing_of(source.model, self.image_size)
        found = model_outputs(source.model, self.photographs, view, batch_size, verbose="auto")
        return found, self.labels[found.rows]

    def names(self, rows: np.ndarray) -> list[str]:
        """Names of the files."""
        return [printable_text(self.photographs[row].name) for row in rows]

    def thumbnails(self, rows: np.ndarray) -> list[np.ndarray | None]:
        """Small pictures of the whole photographs."""
        return [self.photographs[row].thumbnail() for row in rows]


class SplitSet:
    """Images of a split of the data that models were trained on.

    Args:
        data: What the models are shown.
        split: `"test"`, `"validation"` or `"train"`.
        most: Most images, drawn as evenly over classes as they allow. Defaults to `None`, all.
        seed: Seed of the draw. Defaults to 0.

    Example:
    ```python
    mine = Source("mine", "in memory", model)
    data = ShownData([mine], dataset="digits")
    SplitSet(data, "test", most=50).outputs(mine, batch_size=32)[0].logits.shape  # (50, 10)
    ```
    """

    ALL = sys.maxsize

    def __init__(self, data: ShownData, split: str, most: int | None = None, seed: int = 0) -> None:
        self.data, self.split, self.seed = data, split, seed
        self.most = self.ALL if most is None else most
        self.note = f"the {split} split of {data.name}"
        self._shown: _Shown | None = None

    def outputs(self, source: Source, batch_size: int) -> tuple[ModelOutputs, np.ndarray]:
        """Outputs of a model, and the label of each row."""
        images, chosen = self._chosen(source.name)
        self._shown = source.name, chosen
        logits, embeddings, labels = [], [], []
        for batch, of_batch in image_batches(images, chosen, batch_size):
            outputs = source.model.predict_on_batch(batch)
            logits.append(as_array(outputs["logits"]))
            embeddings.append(as_array(outputs["embedding"]))
            labels.append(of_batch)
        found = ModelOutputs(
            np.arange(sum(map(len, labels))), np.concatenate(logits), np.concatenate(embeddings)
        )
        if not np.isfinite(found.logits).all() or not np.isfinite(found.embeddings).all():
            raise ValueError(
                f"`models` must give finite outputs. Received: {source.name}, which gives others"
            )
        return found, np.concatenate(labels)

    def names(self, rows: np.ndarray) -> list[str]:
        """Places of the images in the split, from 0."""
        _, chosen = cast(_Shown, self._shown)
        places = rows if chosen is None else chosen[rows]
        return [f"{self.split} image {place}" for place in places]

    def thumbnails(self, rows: np.ndarray) -> list[np.ndarray | None]:
        """The images as a model is shown them."""
        name, chosen = cast(_Shown, self._shown)
        images, _ = self._chosen(name)
        rows = np.asarray(rows, int)
        order = np.unique(rows)
        wanted = order if chosen is None else chosen[order]
        found = [pixels for batch, _ in image_batches(images, wanted, 64) for pixels in batch]
        pictures = {row: np.rint(p).astype("uint8") for row, p in zip(order, found, strict=True)}
        return [pictures[row] for row in rows]

    def _chosen(self, name):
        images = getattr(self.data.of(name), self.split)
        return images, Draw(self.split, seed=self.seed).of(images, self.most)


@dataclasses.dataclass(frozen=True, eq=False)
class ClassFolders:
    """The photographs of a folder of class folders, sorted by what a model knows.

    Args:
        known: Photographs of classes that it knows, with their labels.
        unknown: Photographs in folders of other names.
        unknown_classes: Names of these folders.
        loose: How many photographs lie in no class folder.

    Example:
    ```python
    found = class_folders("pets", ("ant", "bee"))
    len(found.known.photographs), len(found.unknown)  # (8, 32)
    ```
    """

    known: FolderSet
    unknown: list[Photograph]
    unknown_classes: tuple[str, ...]
    loose: int


def class_folders(
    images: str | Path,
    class_names: Sequence[str],
    argument: str = "images",
    image_size: int | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> ClassFolders:
    """Find the photographs of a folder of class folders.

    Args:
        images: The folder.
        class_names: Names of the classes that models know, in the order of the labels.
        argument: What the folder is called in messages. Defaults to `"images"`.
        image_size: As in `FolderSet`. Defaults to `None`.
        limit: Most photographs of known classes, drawn as evenly over classes as they allow.
            Defaults to `None`, all.
        seed: Seed of the draw. Defaults to 0.

    Returns:
        The photographs.

    Raises:
        FileNotFoundError: If there is no such folder, or no file in it.
        ValueError: If no folder in it bears the name of a class.

    Example:
    ```python
    class_folders("pets", ("ant", "bee")).unknown_classes[0]  # "cat"
    ```
    """
    path = Path(images).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(
            f"`{argument}` must be a folder of class folders. Received: "
            f"{argument}={printable_text(images)!r}, which is no folder"
        )
    numbers = {name: number for number, name in enumerate(class_names)}
    known, labels, unknown, others, loose = [], [], [], set(), 0
    for photograph in find_photographs(path):
        folder = photograph.class_folder
        if folder is None:
            loose += 1
        elif folder in numbers:
            known.append(photograph)
            labels.append(numbers[folder])
        else:
            unknown.append(photograph)
            others.add(folder)
    if not known:
        raise ValueError(
            f"`{argument}` must have folders that bear names of the model's classes, such as "
            f"{', '.join(class_names[:3])}. Received: {printable_text(images)} with "
            f"{', '.join(sorted(others)[:3]) or 'no folder'}"
        )
    labels = np.array(labels)
    if limit is not None and limit < len(known):
        chosen = class_balanced_subset(labels, limit, seed)
        known, labels = [known[place] for place in chosen], labels[chosen]
    note = f"photographs in {printable_text(images)}"
    return ClassFolders(
        FolderSet(known, labels, note, image_size), unknown, tuple(sorted(others)), loose
    )

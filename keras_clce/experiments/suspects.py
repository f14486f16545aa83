"""Images whose label a trained model contradicts, in a folder or in the data of its run."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.data.splitting import class_balanced_subset
from keras_clce.evaluate import LabelSuspects, label_suspects
from keras_clce.experiments.confusions.images import FolderSet, ImageSet, SplitSet
from keras_clce.experiments.embeddings.sources import ShownData, Source
from keras_clce.files import printable_text
from keras_clce.inference import find_photographs, preprocessing_of, probabilities_of
from keras_clce.inference.descriptions import check_one_label
from keras_clce.report.names import count_of
from keras_clce.runs import RunFolder, read_probe


@dataclasses.dataclass(frozen=True, eq=False)
class Suspects:
    """Images with their labels, and how much speaks against each.

    Args:
        images: The images.
        rows: Numbers of those that could be read `(examples,)`.
        labels: Their classes `(examples,)`.
        class_names: Names of the classes.
        found: What speaks against them.
        unreadable: Name and reason of each image that could not be read.
        note: What was looked at, in words.

    Example:
    ```python
    suspects = find_suspects(Source("mine", "in memory", model), dataset="digits", limit=50)
    len(suspects.names(suspects.found.ranked[:3]))  # 3
    ```
    """

    images: ImageSet
    rows: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    found: LabelSuspects
    unreadable: tuple[tuple[str, str], ...]
    note: str

    def names(self, places: np.ndarray) -> list[str]:
        """Names of some of the images."""
        return self.images.names(self.rows[places])

    def thumbnails(self, places: np.ndarray) -> list[np.ndarray | None]:
        """Small pictures of some of the images."""
        return self.images.thumbnails(self.rows[places])


def find_suspects(
    source: Source,
    images: str | Path | None = None,
    dataset: str | None = None,
    data_dir: str | Path | None = None,
    split: str = "train",
    k: int = 10,
    by: str | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    batch_size: int = 64,
    seed: int = 0,
) -> Suspects:
    """Find images whose label the embedding and the classifier of a model contradict.

    Args:
        source: The model.
        images: A folder of class folders. Where all of them bear names of the model's classes, its
            classifier is asked too. Defaults to `None`: a data set.
        dataset: Name of a data set. Defaults to `None`, that of the model's run.
        data_dir: Its folder. Defaults to `None`, that of the run.
        split: `"train"`, `"validation"` or `"test"` of it. Defaults to `"train"`.
        k: Neighbours of each image. Defaults to 10.
        by: What decides, as in `label_suspects`. Defaults to `None`.
        image_size: Side of the images of a model that takes any. Defaults to `None`.
        limit: Most images, drawn as evenly over classes as they allow. Defaults to `None`, all.
        batch_size: Images a step. Defaults to 64.
        seed: Seed of the draw. Defaults to 0.

    Returns:
        The suspects.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If an argument is wrong.

    Example:
    ```python
    suspects = find_suspects(Source("mine", "in memory", model), images="pets", k=3)
    suspects.class_names[:2], suspects.labels.shape  # (("ant", "bee"), (40,))
    ```
    """
    preprocessing_of(source.model, image_size)
    check_one_label(source.model, "finding labels that look wrong")
    if images is not None and dataset is not None:
        raise ValueError(
            "`dataset` takes the place of `images`. Received: "
            f"dataset={dataset!r}, images={str(images)!r}"
        )
    shown: ImageSet
    if images is not None:
        shown, names, is_known = _folder(images, source.class_names, image_size, limit, seed)
    else:
        if dataset is None and not source.run:
            raise ValueError(
                "`images` must be given for a model without a run folder that tells its data. "
                "Received: images=None"
            )
        data = ShownData([source], dataset, data_dir, image_size)
        if data.is_few_shot:
            raise ValueError(
                f"`images` must be given for a model that was trained on {data.name}, classes for "
                "few-shot tasks. Received: images=None"
            )
        shown, names = SplitSet(data, split, limit, seed), data.trained_classes(source.name)
        is_known = len(names) == source.model.num_classes and (
            source.class_names is None or source.class_names == names
        )
    if by not in (None, "neighbors") and not is_known:
        raise ValueError(
            "`by` must be neighbors for images of other classes than the model's. Received: "
            f"by={by}"
        )
    outputs, labels = shown.outputs(source, batch_size)
    if len(labels) < 2:
        raise ValueError(
            f"`images` must have two images or more that can be read. Received: {len(labels)}"
        )
    probabilities = _probabilities(source, outputs) if is_known else None
    found = label_suspects(outputs.embeddings, labels, probabilities, k, by=by)
    note = (
        shown.note
        if is_known
        else f"{shown.note}; not the model's classes, whose classifier is not asked"
    )
    return Suspects(shown, outputs.rows, labels, names, found, outputs.unreadable, note)


def _probabilities(source: Source, outputs: Any) -> np.ndarray:
    logits = outputs.logits
    # After a contrastive loss alone the model's own classifier has learned nothing.
    probe = read_probe(RunFolder(Path(source.path).parent).probe) if source.run else None
    if probe is not None:
        logits = probe.logits(outputs.embeddings, source.model.num_classes)
    return probabilities_of(logits, source.model.softmax_temperature)


def _folder(
    images: str | Path,
    class_names: Sequence[str] | None,
    image_size: int | None,
    limit: int | None,
    seed: int,
) -> tuple[FolderSet, tuple[str, ...], bool]:
    """Photographs in class folders, names of these, and whether they are the model's classes."""
    path = Path(images).expanduser()
    found = [one for one in find_photographs(path) if one.class_folder is not None]
    of_images = [str(one.class_folder) for one in found]
    folders = {*of_images}
    if not path.is_dir() or len(folders) < 2:
        raise ValueError(
            "`images` must be a folder with two class folders or more. Received: "
            f"{printable_text(images)} with {', '.join(sorted(folders)) or 'none'}"
        )
    is_known, names = False, tuple(sorted(folders))
    if class_names is not None and folders <= {*class_names}:
        is_known, names = True, tuple(class_names)
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.array([numbers[name] for name in of_images])
    if limit is not None and limit < len(found):
        chosen = class_balanced_subset(labels, limit, seed)
        found, labels = [found[place] for place in chosen], labels[chosen]
    note = f"{count_of(len(found), 'file')} of {count_of(len(folders), 'class', 'classes')}"
    note += f" in {printable_text(images)}"
    return FolderSet(found, labels, note, image_size), names, is_known

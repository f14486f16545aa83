"""Which images a confusion study shows to its models, and what each model gives for them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from keras_clce.data.splitting import named
from keras_clce.experiments.confusions.images import (
    ClassFolders,
    FolderSet,
    ImageSet,
    SplitSet,
    class_folders,
)
from keras_clce.experiments.confusions.numbers import Measured
from keras_clce.experiments.embeddings.sources import ShownData, Source
from keras_clce.experiments.photograph_flags import name_of
from keras_clce.files import printable_text
from keras_clce.inference import (
    EmbeddingIndex,
    ModelOutputs,
    Photograph,
    find_photographs,
    preprocessing_of,
)
from keras_clce.report.names import count_of
from keras_clce.runs import RunFolder, read_probe
from keras_clce.train.model_description import check_class_names


class ConfusionData:
    """The images of a study: those that are tested, calibrated on, unknown, and of training.

    Args:
        sources: The models.
        images: As in `confusion_study`, and so are all others.
        validation: Folder.
        unknown: Folder.
        index: Files of embeddings.
        dataset: Name of a data set.
        data_dir: Its folder.
        class_names: Names of the classes.
        image_size: Pixels per side.
        limit: Most images.
        train_examples: Most training images.
        seed: Seed of all draws.

    Raises:
        ValueError: If they do not fit the models.
        FileNotFoundError: If they are not there.

    Example:
    ```python
    mine = Source("mine", "in memory", model)
    ConfusionData([mine], dataset="digits").name  # "digits"
    ```
    """

    def __init__(
        self,
        sources: Sequence[Source],
        images: str | Path | None = None,
        validation: str | Path | None = None,
        unknown: str | Path | None = None,
        index: Sequence[str | Path] | None = None,
        dataset: str | None = None,
        data_dir: str | Path | None = None,
        class_names: Sequence[str] | None = None,
        image_size: int | None = None,
        limit: int | None = None,
        train_examples: int = 5_000,
        seed: int = 0,
    ) -> None:
        self.seed = seed
        self.notes: list[str] = []
        self.paths = {source.name: source.path for source in sources}
        self.probes = {source.name: read_probe(_folder(source).probe) for source in sources}
        for source in sources:
            preprocessing_of(source.model, image_size)
        if images is not None and dataset is not None:
            raise ValueError(
                "`dataset` takes the place of `images`. Received: "
                f"dataset={dataset!r}, images={str(images)!r}"
            )
        if images is None and dataset is None and not any(source.run for source in sources):
            raise ValueError(
                "`images` must be given for a model without a run folder that tells its data. "
                "Received: images=None"
            )
        self.indexes = _indexes(index, sources)
        needed = validation is None or (train_examples and not index)
        self.data = self._run_data(sources, images, dataset, data_dir, image_size, needed)
        self.class_names = _class_names(sources, class_names, self.data)
        folders = self._tested(images, image_size, limit)
        self.validation = self._validation(validation, image_size)
        self.unknown = self._unknown(unknown, folders, image_size, limit)
        self.train = None
        if self.data is not None and train_examples and not self.indexes:
            self.train = SplitSet(self.data, "train", train_examples, seed)
        self.name = self.data.name if images is None else name_of(str(images))
        # Name and reason of each file that could not be read.
        self.unreadable: list[tuple[str, str]] = []

    def plan(self) -> Iterator[tuple[str, str]]:
        """What is done with which images, as lines of a plan."""
        yield "Images", self._tested_in_words()
        yield "Fitted", "to " + self._fitted_in_words()
        if self.unknown is not None:
            yield "Unknown", self.unknown.note
        if self.train is not None:
            yield "Training", f"embeddings are compared with those of {self.train.note}"
        for note in self.notes:
            yield "Note", note

    def about(self) -> dict[str, Any]:
        """What is known of the images, as JSON values."""
        return {
            "data": self._tested_in_words(),
            "fitted_on": self._fitted_in_words(),
            "unknown": None if self.unknown is None else self.unknown.note,
            "notes": list(self.notes),
            "seed": self.seed,
        }

    def measure(self, source: Source, batch_size: int) -> Measured:
        """Show all images to a model.

        Args:
            source: The model.
            batch_size: Images a step.

        Returns:
            What it gives.

        Raises:
            ValueError: If no image can be read, or the model gives numbers that are not finite.

        Example:
        ```python
        mine = Source("mine", "in memory", model)
        ConfusionData([mine], dataset="digits", limit=50).measure(mine, 32).labels.shape  # (50,)
        ```
        """
        self.unreadable = []
        outputs, labels = self._shown(self.tested, source, batch_size)
        calibrated, fitted = None, (outputs.logits, labels)
        if self.validation is not None:
            shown, shown_labels = self._shown(self.validation, source, batch_size)
            fitted = shown.logits, shown_labels
        else:
            order = np.random.default_rng(self.seed).permutation(len(labels))
            half, calibrated = np.split(order, [len(labels) // 2])
            fitted = outputs.logits[half], labels[half]
        unknown = references = reference_labels = None
        if self.unknown is not None:
            unknown, _ = self._shown(self.unknown, source, batch_size)
        if source.name in self.indexes:
            references, reference_labels = self._references(self.indexes[source.name])
        elif self.train is not None:
            train, reference_labels = self._shown(self.train, source, batch_size)
            references = train.embeddings
        return Measured(
            outputs,
            labels,
            None if self.probes[source.name] else source.model.softmax_temperature,
            fitted,
            calibrated,
            unknown,
            references,
            reference_labels,
        )

    def _shown(
        self, images: ImageSet, source: Source, batch_size: int
    ) -> tuple[ModelOutputs, np.ndarray]:
        outputs, labels = images.outputs(source, batch_size)
        self.unreadable += outputs.unreadable
        probe = self.probes[source.name]
        if probe is not None:
            logits = probe.logits(outputs.embeddings, source.model.num_classes)
            outputs = ModelOutputs(outputs.rows, logits, outputs.embeddings, outputs.unreadable)
        return outputs, labels

    def _run_data(self, sources, images, dataset, data_dir, image_size, needed):
        """The data that models were trained on; where photographs are given, if it can be had."""
        if images is not None and not (needed and any(source.run for source in sources)):
            return None
        data = ShownData(sources, dataset, data_dir, image_size)
        if data.is_few_shot:
            if images is not None:
                return None
            raise ValueError(
                f"`images` must be given for a model that was trained on {data.name}: the classes "
                "of its test split are others. Received: images=None"
            )
        try:
            for source in sources:
                data.of(source.name)
        except (ValueError, OSError, ImportError) as error:
            if images is None:
                raise
            reason = " ".join(str(error).split())
            self.notes.append(f"the data of the run cannot be had ({reason})")
            return None
        if images is not None:
            _warn_of_training_images(images, data, self.notes)
        return data

    def _tested(
        self, images: str | Path | None, image_size: int | None, limit: int | None
    ) -> ClassFolders | None:
        if images is None:
            self.tested: ImageSet = SplitSet(self.data, "test", limit, self.seed)
            return None
        found = class_folders(images, self.class_names, "images", image_size, limit, self.seed)
        self.tested = found.known
        if found.loose:
            lie = "lies" if found.loose == 1 else "lie"
            self.notes.append(
                f"{count_of(found.loose, 'file')} that {lie} in no class folder left out"
            )
        return found

    def _validation(self, folder: str | Path | None, image_size: int | None) -> ImageSet | None:
        if folder is not None:
            return class_folders(folder, self.class_names, "validation", image_size).known
        return None if self.data is None else SplitSet(self.data, "validation")

    def _unknown(
        self,
        folder: str | Path | None,
        folders: ClassFolders | None,
        image_size: int | None,
        limit: int | None,
    ) -> FolderSet | None:
        photographs: list[Photograph] = []
        notes = []
        if folders is not None and folders.unknown:
            photographs += folders.unknown
            notes.append(f"in class folders of other names ({named(folders.unknown_classes)})")
        if folder is not None:
            photographs += find_photographs(folder)
            notes.append(f"in {printable_text(folder)}")
        if not photographs:
            return None
        if limit is not None and limit < len(photographs):
            chosen = np.random.default_rng(self.seed).choice(len(photographs), limit, False)
            photographs = [photographs[place] for place in np.sort(chosen)]
        note = f"{count_of(len(photographs), 'photograph')} {' and '.join(notes)}"
        return FolderSet(photographs, np.full(len(photographs), -1), note, image_size)

    def _references(self, index: EmbeddingIndex) -> tuple[np.ndarray, np.ndarray | None]:
        if index.labels is None:
            return index.embeddings, None
        numbers = {name: number for number, name in enumerate(self.class_names)}
        labels = np.array([numbers.get(name, -1) for name in index.class_names or ()])[index.labels]
        known = labels >= 0
        return index.embeddings[known], labels[known]

    def _tested_in_words(self) -> str:
        if isinstance(self.tested, FolderSet):
            count = count_of(len(self.tested.photographs), "file")
            classes = count_of(len(np.unique(self.tested.labels)), "class", "classes")
            return f"{self.tested.note}, {count} of {classes} that the models know"
        number = cast(SplitSet, self.tested).most
        most = "" if number == SplitSet.ALL else f", {number} of it"
        note = self.data.of(next(iter(self.paths))).split_note
        return f"{self.tested.note}{most} ({note})"

    def _fitted_in_words(self) -> str:
        if self.validation is None:
            return (
                f"a half of these images, drawn with seed {self.seed}; probabilities are measured "
                "on the other half"
            )
        return self.validation.note


def _folder(source: Source) -> RunFolder:
    return RunFolder(Path(source.path).parent if source.run else Path("."))


def _class_names(
    sources: Sequence[Source], given: Sequence[str] | None, data: ShownData | None
) -> tuple[str, ...]:
    count = sources[0].model.num_classes
    for source in sources[1:]:
        if source.model.num_classes != count:
            raise ValueError(
                "`models` must be of the same classes. Received: "
                f"{sources[0].name} of {count}, {source.name} of {source.model.num_classes}"
            )
    own = next((one.class_names for one in sources if one.class_names), None)
    known = check_class_names(given, count) or own
    if data is None:
        if known is None:
            raise ValueError(
                "`class_names` must be given for models that do not know the names of their "
                "classes. Received: class_names=None"
            )
        return known
    theirs = data.trained_classes(sources[0].name)
    if (known is not None and known != theirs) or len(theirs) != count:
        raise ValueError(
            f"`dataset` must have the classes of the models. Received: {data.name} of "
            f"{len(theirs)}: {', '.join(theirs[:3])}, …; models of {count}"
            f"{': ' + ', '.join(known[:3]) + ', …' if known else ''}"
        )
    return theirs


def _indexes(
    given: Sequence[str | Path] | None, sources: Sequence[Source]
) -> dict[str, EmbeddingIndex]:
    paths = list(given or ())
    if paths and len(paths) != len(sources):
        raise ValueError(
            f"`index` must be one file for each model, {len(sources)}. Received: {len(paths)}"
        )
    found = {}
    for source, path in zip(sources, paths, strict=False):
        found[source.name] = EmbeddingIndex.load(Path(path).expanduser())
        found[source.name].check_model(source.model, source.name)
    return found


def _warn_of_training_images(images: str | Path, data: ShownData, notes: list[str]) -> None:
    home = data.options.get("data_dir")
    if home and Path(home).expanduser().resolve() in (
        Path(images).expanduser().resolve(),
        *Path(images).expanduser().resolve().parents,
    ):
        notes.append(
            "the models were trained on images of this folder, so that they are better here than "
            "on new ones; without images the test split of their run is taken"
        )

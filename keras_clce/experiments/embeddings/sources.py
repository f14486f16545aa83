"""What an embedding study compares: models shown a split, and files of embeddings."""

import dataclasses
import difflib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_clce.data import FewShotDataset, ImageDataset, ImageSplit, load_dataset, load_few_shot
from keras_clce.data.catalog import get_spec
from keras_clce.data.splitting import class_balanced_subset
from keras_clce.experiments.embeddings.files import Embedded
from keras_clce.experiments.embeddings.models import embed, load_embedding_model, shown_images
from keras_clce.inference.descriptions import check_one_label
from keras_clce.runs import RunFolder
from keras_clce.views import Preprocessing

SPLITS = ("test", "validation", "train")
# What decides which images are tested on, and which are trained on.
_SAME, _LIMITS = (
    ("dataset", "split_seed", "drop_small_classes"),
    ("limit_examples", "limit_per_class"),
)
Dataset = ImageDataset | FewShotDataset


@dataclasses.dataclass(frozen=True)
class Source:
    """A model of a study, and what it was trained on where that is known.

    Args:
        name: Its name.
        path: Where it stands, or `"in memory"`.
        model: The model.
        run: What the `config.json` beside it says of its data. Defaults to nothing.

    Example:
    ```python
    Source("mine", "in memory", encoder).run  # {}
    ```
    """

    name: str
    path: str
    model: keras.Model
    run: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes that it was trained on, where it knows them."""
        return getattr(self.model, "class_names", None)


def load_sources(models: Mapping[str, Any]) -> list[Source]:
    """Load models, and refuse those of different data.

    Args:
        models: Name to model, or to the path of a `.keras` file. Of a path in a run folder, the run
            says what data it was trained on.

    Returns:
        The models.

    Raises:
        ValueError: If a file is damaged, or two models were trained on different data.
        FileNotFoundError: If there is no such file.

    Example:
    ```python
    load_sources({"mine": "model.keras"})[0].model.num_classes  # 10
    ```
    """
    sources = []
    for name, model in models.items():
        if isinstance(model, keras.Model):
            sources.append(Source(name, "in memory", model))
        else:
            loaded, run = load_embedding_model(model), _run_beside(Path(model))
            sources.append(Source(name, str(model), loaded, run))
    for source in sources[1:]:
        differing = _differing(sources[0], source)
        if differing:
            raise ValueError(f"`models` must be of the same data. Received: {differing}")
    return sources


class ShownData:
    """A data set as each of several models is shown it.

    Args:
        sources: The models.
        dataset: Name of a data set; `None` takes that of the models' runs, and so do the others.
        data_dir: Its folder.
        image_size: Side of the images of a model that takes any size.
        **options: Options of `load_dataset`: `split_seed`, `limit_examples`, `limit_per_class`,
            `drop_small_classes`. Where runs have different limits, the lowest is taken.

    Raises:
        ValueError: If no data set is named and no run tells one, or a model does not fit.

    Example:
    ```python
    ShownData([Source("mine", "in memory", encoder)], dataset="digits").name  # "digits"
    ```
    """

    def __init__(
        self,
        sources: Sequence[Source],
        dataset: str | None = None,
        data_dir: str | Path | None = None,
        image_size: int | None = None,
        **options: Any,
    ) -> None:
        for source in sources:
            # An encoder has no labels.
            if getattr(source.model, "multi_label", False):
                check_one_label(source.model, "measures of the data that it was trained on")
        runs = [source.run for source in sources if source.run]
        run = runs[0] if runs else {}
        name = dataset or run.get("dataset")
        if name is None:
            raise ValueError(
                "`dataset` must be named for models without a run folder that tells it. "
                "Received: dataset=None"
            )
        self.name: str = name
        same = self.name == run.get("dataset")
        known = {key: run.get(key) for key in _SAME[1:]} if same else {}
        for key in _LIMITS:
            limits = [one[key] for one in runs if same and one.get(key) is not None]
            known[key] = min(limits, default=None)
        given = {key: value for key, value in options.items() if value is not None}
        self.options = {key: value for key, value in (known | given).items() if value is not None}
        self._remembered = run.get("data_dir") if same and not data_dir else None
        self.options["data_dir"] = data_dir or self._remembered
        spec = get_spec(self.name)
        self.is_few_shot = spec.loader is None or (same and run["is_few_shot"])
        self._shown = {
            source.name: shown_images(source.name, source.model, image_size) for source in sources
        }
        self._loaded: dict[Preprocessing | int, Dataset] = {}

    def of(self, name: str) -> Dataset:
        """The data set as a model is shown it.

        Args:
            name: Name of the model.

        Returns:
            The data set; models that are shown the same images share it.

        Raises:
            ValueError: If it cannot serve.
            FileNotFoundError: If it is not there.

        Example:
        ```python
        digits = ShownData([Source("mine", "in memory", encoder)], dataset="digits")
        digits.of("mine").test.image_size  # 32
        ```
        """
        shown = self._shown[name]
        if shown not in self._loaded:
            if self._remembered and not Path(self._remembered).expanduser().is_dir():
                raise FileNotFoundError(
                    f"`data_dir` must be given: that of the run, {self._remembered}, is no folder "
                    "from here. Received: data_dir=None"
                )
            load: Callable[..., Dataset] = load_few_shot if self.is_few_shot else load_dataset
            key = "preprocessing" if isinstance(shown, Preprocessing) else "image_size"
            self._loaded[shown] = load(self.name, **{key: shown}, **self.options)
        return self._loaded[shown]

    def trained_classes(self, name: str) -> tuple[str, ...]:
        """Names of the classes of the training split, in the order of their labels.

        Args:
            name: Name of a model.

        Returns:
            The names.

        Example:
        ```python
        digits = ShownData([Source("mine", "in memory", encoder)], dataset="digits")
        digits.trained_classes("mine")[:2]  # ("0", "1")
        ```
        """
        return class_names_of(self.of(name), "train")


@dataclasses.dataclass(frozen=True)
class Draw:
    """Which images are embedded.

    Args:
        split: `"test"`, `"validation"` or `"train"`.
        max_examples: Most images of the split. Defaults to 10,000.
        train_examples: Most training images, and validation images, for neighbours and the linear
            probe; 0 is none. Defaults to 5,000.
        seed: Seed. Defaults to 0.
        classes: Numbers of the classes that are drawn from, where labels are known beforehand.
            Defaults to `None`, all.

    Example:
    ```python
    Draw("test", max_examples=50).of(load_dataset("digits", image_size=32).test, 50).shape  # (50,)
    ```
    """

    split: str
    max_examples: int = 10_000
    train_examples: int = 5_000
    seed: int = 0
    classes: Sequence[int] | None = None

    def of(self, images: ImageSplit, most: int) -> np.ndarray | None:
        """Sorted numbers of the images that are drawn, as evenly over classes as they allow.

        Args:
            images: A split.
            most: How many at most.

        Returns:
            The numbers; `None` where all are.

        Example:
        ```python
        Draw("test", classes=[3]).of(load_dataset("digits", image_size=32).test, 5).shape  # (5,)
        ```
        """
        labels = images.labels
        if images.num_examples <= most and (self.classes is None or labels is None):
            return None
        if labels is None:
            rng = np.random.default_rng(self.seed)
            return np.sort(rng.choice(images.num_examples, most, replace=False))
        rows = np.arange(len(labels))
        if self.classes is not None:
            rows = np.flatnonzero(np.isin(labels, self.classes))
        return rows[class_balanced_subset(labels[rows], min(most, len(rows)), self.seed)]


def embed_source(source: Source, data: ShownData, draw: Draw) -> Embedded:
    """Embed a split with a model, and the training images that its neighbours are searched in.

    What was done is printed, a line a split.

    Args:
        source: The model.
        data: What it is shown.
        draw: Which images.

    Returns:
        The embeddings.

    Raises:
        ValueError: If the model gives no embeddings.

    Example:
    ```python
    mine = Source("mine", "in memory", encoder)
    data = ShownData([mine], dataset="digits")
    embed_source(mine, data, Draw("test", 50, train_examples=0)).embeddings.shape  # (50, 8)
    ```
    """
    dataset, split = data.of(source.name), draw.split
    wanted = {split: draw.max_examples}
    # The classes of few-shot splits differ, and training images are no neighbours of themselves.
    if draw.train_examples and not data.is_few_shot and split != "train":
        wanted["train"] = draw.train_examples
        if split == "test":
            wanted["validation"] = draw.train_examples
    parts = {}
    for part, most in wanted.items():
        started, images = time.perf_counter(), getattr(dataset, part)
        parts[part] = embed(source.name, source.model, images, draw.of(images, most))
        count, seconds = len(parts[part][1]), time.perf_counter() - started
        print(f"{source.name}: {count:,} {part} images embedded in {seconds:.0f} s")
    return Embedded(
        source.name,
        source.path,
        *parts.pop(split),
        class_names_of(dataset, split),
        dataset=data.name,
        split=split,
        data=dataset.split_note,
        **parts,
    )


def class_names_of(dataset: Dataset, split: str) -> tuple[str, ...]:
    """Names of the classes of a split, in the order of its labels.

    Args:
        dataset: The data set.
        split: Name of the split.

    Returns:
        The names.

    Example:
    ```python
    class_names_of(load_dataset("digits", image_size=32), "test")[:2]  # ("0", "1")
    ```
    """
    names = dataset.class_names
    return tuple(names[split] if isinstance(names, dict) else names)


def numbers_of_classes(argument: str, wanted: Iterable[str], known: Sequence[str]) -> list[int]:
    """Numbers of classes by their names.

    Args:
        argument: Name of the argument, for messages.
        wanted: Names of classes.
        known: All names, in the order of the labels.

    Returns:
        Their numbers.

    Raises:
        ValueError: If a name is not known, with those that are near it, or stands twice.

    Example:
    ```python
    numbers_of_classes("classes", ["tulip"], ["cloud", "tulip"])  # [1]
    ```
    """
    wanted = list(wanted)
    for name in wanted:
        if name not in known:
            close = {each.lower(): each for each in known}
            near = difflib.get_close_matches(name.lower(), close, 3)
            meant = (
                f"near it are {', '.join(close[each] for each in near)}" if near else _few(known)
            )
            raise ValueError(f"`{argument}` must be names of classes. Received: {name!r}; {meant}")
    if len({*wanted}) != len(wanted):
        raise ValueError(f"`{argument}` must be different names. Received: {', '.join(wanted)}")
    return [list(known).index(name) for name in wanted]


def _run_beside(model: Path) -> dict[str, Any]:
    """What the run that a model stands in was trained on."""
    config = RunFolder(model.parent).begun() if model.name == "model.keras" else None
    if config is None:
        return {}
    settings, flags = config["settings"], config.get("flags") or {}
    found = {key: settings.get(key) for key in (*_SAME, *_LIMITS)}
    return {**found, "data_dir": flags.get("data_dir"), "is_few_shot": "ways" in settings}


def _differing(one: Source, other: Source) -> str | None:
    """In what two models differ that are not of the same data."""
    for key in _SAME if one.run and other.run else ():
        first, second = one.run.get(key), other.run.get(key)
        if first != second:
            return f"{one.name} with {key} {first}, {other.name} with {second}"
    first, second = one.class_names, other.class_names
    if None in (first, second) or first == second:
        return None
    return f"{one.name} of {_few(first)}; {other.name} of {_few(second)}"


def _few(names):
    return f"{len(names)} classes: {', '.join(names[:3])}{', …' if len(names) > 3 else ''}"

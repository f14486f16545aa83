"""Classes, probabilities and embeddings of photographs, one after another or all at once."""

import collections
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_clce.checks import check_at_least, check_whole_number
from keras_clce.files import printable_text
from keras_clce.inference.descriptions import check_classifier, names_of_classes, preprocessing_of
from keras_clce.inference.enrolled import Enrolled
from keras_clce.inference.enrolled_files import NONE_OF_THESE
from keras_clce.inference.photographs import Photograph, find_photographs
from keras_clce.inference.views import batches_of_views, predict_views, progress_bar
from keras_clce.train import CLCEModel


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one image.

    Args:
        photograph: The image.
        class_names: Names of the most probable classes, the first one first.
        probabilities: Their probabilities.
        embedding: Unit row `(dim,)`, where it was asked for. Defaults to `None`.
        label: The class whose name its folder bears, if it is one of the model's; `None` of a model
            of several labels. Defaults to `None`.
        error: Why the image cannot be read; then there are no classes. Defaults to `None`.
        scores: Of enrolled classes their scores, in place of probabilities. Defaults to none.
        is_rejected: Whether it is none of the enrolled classes. Defaults to `False`.
        labels: Of a model of several labels an image, all whose probability reaches the threshold,
            the most probable one first. Defaults to `None`.

    Example:
    ```python
    row = predict_images(model, images[:1])[0]
    row.name, len(row.class_names)  # ("image 0", 5)
    ```
    """

    photograph: Photograph
    class_names: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    embedding: np.ndarray | None = None
    label: str | None = None
    error: str | None = None
    scores: tuple[float, ...] = ()
    is_rejected: bool = False
    labels: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        photograph: Photograph,
        class_names: Sequence[str],
        probabilities: np.ndarray,
        top_k: int,
        embedding: np.ndarray | None = None,
        threshold: float | None = None,
    ) -> "Prediction":
        """Make one of the probabilities of all classes.

        Args:
            photograph: The image.
            class_names: Names of all classes.
            probabilities: Their probabilities `(classes,)`.
            top_k: How many of the most probable ones are kept.
            embedding: Unit row `(dim,)`. Defaults to `None`.
            threshold: Probability of a label, of a model of several labels. Defaults to `None`.

        Returns:
            A `Prediction`.

        Example:
        ```python
        black = Photograph("black", np.zeros((4, 6, 3), "uint8"))
        Prediction.of(black, ["ant", "bee"], np.array([0.2, 0.8]), 1).class_names  # ("bee",)
        ```
        """
        order = np.argsort(-probabilities, kind="stable")
        best = order[:top_k]
        labels = None
        if threshold is not None:
            above = order[probabilities[order] >= threshold]
            labels = tuple(class_names[number] for number in above)
        return cls(
            photograph,
            tuple(class_names[number] for number in best),
            tuple(map(float, probabilities[best])),
            embedding,
            _label_of(photograph, class_names) if labels is None else None,
            labels=labels,
        )

    @classmethod
    def of_enrolled(
        cls,
        photograph: Photograph,
        enrolled: Enrolled,
        scores: np.ndarray,
        top_k: int,
        embedding: np.ndarray | None = None,
    ) -> "Prediction":
        """Make one of the scores of enrolled classes.

        Args:
            photograph: The image.
            enrolled: The classes.
            scores: Their scores `(classes,)`.
            top_k: How many of the highest ones are kept.
            embedding: Unit row `(dim,)`. Defaults to `None`.

        Returns:
            A `Prediction`.

        Example:
        ```python
        mine = Enrolled(np.eye(2), np.array([0, 1]), ("ant", "bee")).with_threshold(0.9)
        black = Photograph("black", np.zeros((4, 6, 3), "uint8"))
        row = Prediction.of_enrolled(black, mine, np.array([0.6, 0.8]), top_k=1)
        row.class_name, row.class_names  # ("none of these", ("bee",))
        ```
        """
        row = cls.of(photograph, enrolled.class_names, scores, top_k, embedding)
        least, best = enrolled.threshold, row.probability
        is_rejected = least is not None and best is not None and best < least
        return dataclasses.replace(
            row, probabilities=(), scores=row.probabilities, is_rejected=is_rejected
        )

    @classmethod
    def unread(
        cls, photograph: Photograph, class_names: Sequence[str], reason: str
    ) -> "Prediction":
        """Make one of an image that cannot be read.

        Args:
            photograph: The image.
            class_names: Names of all classes.
            reason: Why it cannot.

        Returns:
            A `Prediction` with `error`.

        Example:
        ```python
        Prediction.unread(Photograph("1.png", "1.png"), ["ant"], "damaged").error  # "damaged"
        ```
        """
        return cls(photograph, label=_label_of(photograph, class_names), error=reason)

    @property
    def name(self) -> str:
        """Name of the image, for people to read."""
        return printable_text(self.photograph.name)

    @property
    def class_name(self) -> str | None:
        """The most probable class; `"none of these"` where enrolled classes are too unlike it."""
        if self.is_rejected:
            return NONE_OF_THESE
        return self.class_names[0] if self.class_names else None

    @property
    def probability(self) -> float | None:
        """The probability of that class."""
        return self.probabilities[0] if self.probabilities else None

    @property
    def score(self) -> float | None:
        """What it is ranked by: the highest score of an enrolled class, else the probability."""
        return self.scores[0] if self.scores else self.probability


class Predictions(collections.abc.Sequence):
    """The predictions of all images that could be read.

    Args:
        rows: Predictions, also those of images that cannot be read.

    Attributes:
        unreadable: The predictions of images that cannot be read; `error` has the reason.

    Example:
    ```python
    result = predict_images(model, "pets", top_k=2)
    len(result), len(result.unreadable)  # (40, 0)
    [result[0].name, *result[0].class_names]
    ```
    """

    def __init__(self, rows: Sequence[Prediction]) -> None:
        self._rows = [row for row in rows if row.error is None]
        self.unreadable = [row for row in rows if row.error is not None]

    def __getitem__(self, number):
        return self._rows[number]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def embeddings(self) -> np.ndarray | None:
        """Unit rows `(images, dim)`, where they were asked for."""
        rows = [row.embedding for row in self._rows]
        return None if not rows or rows[0] is None else np.stack(rows)

    @property
    def accuracy(self) -> float | None:
        """Share of right classes among images in folders that bear a class's name, if any do."""
        right = [row.label == row.class_name for row in self._rows if row.label is not None]
        return float(np.mean(right)) if right else None


def predict_images(
    model: CLCEModel,
    images: Any,
    top_k: int = 5,
    batch_size: int = 64,
    embeddings: bool = False,
    class_names: Sequence[str] | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    verbose: str | int = "auto",
    enrolled: Enrolled | None = None,
    threshold: float = 0.5,
) -> Predictions:
    """Classify images of any size: files, folders, PIL images, arrays.

    Images are decoded and cut as those of the test split are in training. An image that cannot be
    read is told of in the result, and the rest goes on. It is a function and no method, because
    reading files stands above the model in this library.

    Args:
        model: A `CLCEModel`.
        images: A folder, whose images may lie in folders below; a file; a pattern such as
            `"photos/*.jpg"`; a PIL image; an array `(height, width, channels)` or
            `(images, height, width, channels)` with 1, 3 or 4 channels; or a list of these. Images
            that have been prepared as the model takes them are for `model.predict`.
        top_k: Classes an image. With fewer classes than that all are given. Defaults to 5.
        batch_size: Images a step. Defaults to 64.
        embeddings: Whether embeddings are kept. Defaults to `False`, since of many images they take
            memory.
        class_names: Names of the classes, in the order of the labels. Defaults to `None`, the
            model's own; numbers where it has none.
        image_size: Pixels per side, for a model that takes any. Defaults to `None`.
        limit: Most images. Defaults to `None`, all.
        verbose: `"auto"` shows a progress bar in a terminal, 1 everywhere, 0 nowhere. Defaults to
            `"auto"`.
        enrolled: Classes of `enroll`, in place of the model's own: rows have `scores`, and
            `"none of these"` as `class_name` where none reaches the threshold. Defaults to `None`.
        threshold: Of a model of several labels an image, the probability from which on a row has a
            label among its `labels`. Defaults to 0.5.

    Returns:
        `Predictions`: rows with `name`, `class_names`, `probabilities`, `embedding` and `label`,
        and `unreadable`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an argument is wrong.

    Example:
    ```python
    import keras_clce
    model = keras_clce.load_model("model.keras")
    result = keras_clce.predict_images(model, "pets", top_k=3)
    len(result)  # 40
    for row in result[:2]:
        print(row.name, row.class_name, f"{row.probability:.0%}")
    ```
    """
    rows = iterate_predictions(
        model,
        images,
        top_k,
        batch_size,
        embeddings,
        class_names,
        image_size,
        limit,
        verbose,
        enrolled,
        threshold,
    )
    return Predictions(list(rows))


def iterate_predictions(
    model: CLCEModel,
    images: Any,
    top_k: int = 5,
    batch_size: int = 64,
    embeddings: bool = False,
    class_names: Sequence[str] | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    verbose: str | int = "auto",
    enrolled: Enrolled | None = None,
    threshold: float = 0.5,
) -> Iterator[Prediction]:
    """Classify images one after another, in memory that does not grow with their number.

    Args:
        model: As in `predict_images`, and so are all others.
        images: Images.
        top_k: Classes an image. Defaults to 5.
        batch_size: Images a step. Defaults to 64.
        embeddings: Whether rows have embeddings. Defaults to `False`.
        class_names: Names of the classes. Defaults to `None`.
        image_size: Pixels per side. Defaults to `None`.
        limit: Most images. Defaults to `None`.
        verbose: Whether a bar is shown. Defaults to `"auto"`.
        enrolled: Enrolled classes. Defaults to `None`.
        threshold: Probability of a label. Defaults to 0.5.

    Returns:
        An iterator over a `Prediction` for each image, in order; one that cannot be read has
        `error`. Arguments are checked before the first.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an argument is wrong.

    Example:
    ```python
    rows = iterate_predictions(model, "pets")
    next(rows).name  # "ant/0.png"
    ```
    """
    check_at_least("top_k", top_k, 1)
    batch_size = check_whole_number("batch_size", batch_size)
    limit = check_whole_number("limit", limit, optional=True)
    preprocessing = preprocessing_of(model, image_size)
    if enrolled is None:
        check_classifier(model)
        names = names_of_classes(model, class_names)
    elif class_names is not None:
        raise ValueError(
            "`class_names` must be None with `enrolled`, which has names of its own. Received: "
            f"class_names={class_names!r:.80}"
        )
    else:
        enrolled.check_model(model)
        names = enrolled.class_names
    least = threshold if model.multi_label else None
    photographs = find_photographs(images, limit)
    bar = progress_bar(len(photographs), verbose)

    def rows():
        done = 0
        for batch in batches_of_views(photographs, preprocessing, batch_size):
            outputs = iter(_outputs(model, [view for _, view in batch], batch_size, done > 0))
            for photograph, view in batch:
                if not isinstance(view, np.ndarray):
                    yield Prediction.unread(photograph, names, view.reason)
                    continue
                embedding, probabilities = next(outputs)
                kept = embedding if embeddings else None
                if enrolled is None:
                    yield Prediction.of(photograph, names, probabilities, top_k, kept, least)
                else:
                    scores = enrolled.scores(embedding[None])[0]
                    yield Prediction.of_enrolled(photograph, enrolled, scores, top_k, kept)
            done += len(batch)
            bar.update(done)

    return rows()


def _label_of(photograph: Photograph, class_names: Sequence[str]) -> str | None:
    folder = photograph.class_folder
    return folder if folder in class_names else None


def _outputs(
    model: CLCEModel, views: Sequence[Any], batch_size: int, fill: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Embedding and probabilities of each view; what could not be read is no view."""
    views = [view for view in views if isinstance(view, np.ndarray)]
    if not views:
        return
    outputs = predict_views(model, views, batch_size if fill else len(views))
    embedding, probabilities = outputs["embedding"], outputs["probabilities"]
    if not np.isfinite(probabilities).all():
        raise ValueError(
            "`model` must give finite probabilities. Received: a model that gives others"
        )
    # Copies, since a row that is kept would keep its batch.
    yield from ((row.copy(), scores) for row, scores in zip(embedding, probabilities, strict=True))

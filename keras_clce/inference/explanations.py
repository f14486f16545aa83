"""Where a model looked: how much surer of a class it is for seeing each part of a photograph."""

import collections
import dataclasses
import difflib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, logsumexp

from keras_clce.checks import check_at_least, check_whole_number
from keras_clce.data.decoding import UnreadableImage
from keras_clce.inference.descriptions import (
    check_classifier,
    names_of_classes,
    preprocessing_of,
)
from keras_clce.inference.embedding_index import EmbeddingIndex
from keras_clce.inference.photographs import find_photographs
from keras_clce.inference.predictions import Prediction
from keras_clce.inference.views import predict_views, progress_bar, read_pixels
from keras_clce.train import CLCEModel
from keras_clce.views import Preprocessing

_FEWEST_CELLS = 3
_TOP = 5  # classes of a prediction


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """What each part of a photograph does to the probability of a class.

    Args:
        prediction: The prediction of the photograph; where it cannot be read `prediction.error` has
            the reason, and there is nothing else.
        target: The class that is explained. Defaults to `None`.
        probability: Its probability. Defaults to `None`.
        saliency: Array `(cells, cells)` over the view, the square that the model sees: by how much
            the log-odds of the class fall where a cell is covered, the mean over the patches that
            cover it. What is above 0 speaks for the class, what is below against it. Defaults to
            `None`.
        covered_probability: The lowest probability of the class with one patch covered. Defaults to
            `None`.
        box: Top, left, bottom and right of the view in the photograph's own pixels. Defaults to
            `None`.
        neighbors: Rows of the index and cosines of the most similar photographs. Defaults to none.

    Example:
    ```python
    found = explain_images(model, images[:1], cells=8)[0]
    found.target == found.prediction.class_name  # True
    found.saliency.shape  # (8, 8)
    found.box  # (1.73, 1.73, 29.41, 29.41)
    ```
    """

    prediction: Prediction
    target: str | None = None
    probability: float | None = None
    saliency: np.ndarray | None = None
    covered_probability: float | None = None
    box: tuple[float, float, float, float] | None = None
    neighbors: tuple[tuple[int, float], ...] = ()


class Explanations(collections.abc.Sequence):
    """The explanations of all photographs that could be read.

    Args:
        rows: Explanations, also those of photographs that cannot be read.

    Attributes:
        unreadable: The predictions of photographs that cannot be read; `error` has the reason.

    Example:
    ```python
    result = explain_images(model, "pets", cells=4, limit=2)
    len(result), len(result.unreadable)  # (2, 0)
    ```
    """

    def __init__(self, rows: Sequence[Explanation]) -> None:
        self._rows = [row for row in rows if row.prediction.error is None]
        self.unreadable = [row.prediction for row in rows if row.prediction.error is not None]

    def __getitem__(self, number):
        return self._rows[number]

    def __len__(self) -> int:
        return len(self._rows)


def explain_images(
    model: CLCEModel,
    images: Any,
    target: str | None = None,
    index: EmbeddingIndex | None = None,
    k: int = 4,
    cells: int = 14,
    batch_size: int = 64,
    class_names: Sequence[str] | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    verbose: str | int = "auto",
) -> Explanations:
    """Find where a model looked, by covering one patch after another of each photograph.

    Occlusion needs no gradients and serves encoders of any kind. The view, the square that the
    model sees after resize and crop, is divided into cells; patches of two by two of them are
    covered with the mean colour of the view, at every place. A patch counts by how much the
    log-odds of the class fall, which tells parts apart also where the probability is near 0 or 1.
    A photograph takes (cells - 1)² + 1 predictions.

    Args:
        model: A `CLCEModel` of two or more classes.
        images: As in `predict_images`.
        target: Name of the class that is explained. Defaults to `None`, the most probable one of
            each photograph.
        index: Embeddings of the same model, in which neighbours of each photograph are found.
            Defaults to `None`, no neighbours.
        k: Neighbours a photograph, without itself. Defaults to 4.
        cells: Cells along a side, at least 3; at most the pixels of the view are used. Defaults to
            14, with which a patch is as wide as a seventh of the view and a cell is a patch of a
            ViT/16 at 224 pixels.
        batch_size: Images a step. Defaults to 64.
        class_names: As in `predict_images`. Defaults to `None`.
        image_size: As in `predict_images`. Defaults to `None`.
        limit: Most photographs, spread evenly over all that there are. Defaults to `None`, all.
        verbose: As in `predict_images`. Defaults to `"auto"`.

    Returns:
        `Explanations`: rows with `prediction`, `target`, `probability`, `saliency`,
        `covered_probability`, `box` and `neighbors`, and `unreadable`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an argument is wrong.

    Reference:
        - [Visualizing and understanding convolutional networks](https://arxiv.org/abs/1311.2901),
          which covers patches
        - [Visualizing deep neural network decisions](https://arxiv.org/abs/1702.04595), which
          counts log-odds

    Example:
    ```python
    embed_images(model, "pets", "pets.npz")
    index = EmbeddingIndex.load("pets.npz")
    first = explain_images(model, "pets", index=index, cells=6, limit=3)[0]
    row, column = np.unravel_index(first.saliency.argmax(), first.saliency.shape)
    [index.files[row] for row, cosine in first.neighbors]
    ```
    """
    views = batch_size, class_names, image_size, limit, verbose
    return Explanations(list(iterate_explanations(model, images, target, index, k, cells, *views)))


def iterate_explanations(
    model: CLCEModel,
    images: Any,
    target: str | None = None,
    index: EmbeddingIndex | None = None,
    k: int = 4,
    cells: int = 14,
    batch_size: int = 64,
    class_names: Sequence[str] | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    verbose: str | int = "auto",
) -> Iterator[Explanation]:
    """Explain photographs one after another, so that what is done can be kept at any time.

    Args:
        model: As in `explain_images`, and so are all others.
        images: Photographs.
        target: Name of a class. Defaults to `None`.
        index: Embeddings. Defaults to `None`.
        k: Neighbours a photograph. Defaults to 4.
        cells: Cells along a side. Defaults to 14.
        batch_size: Images a step. Defaults to 64.
        class_names: Names of the classes. Defaults to `None`.
        image_size: Pixels per side. Defaults to `None`.
        limit: Most photographs. Defaults to `None`.
        verbose: Whether a bar is shown. Defaults to `"auto"`.

    Returns:
        An iterator over an `Explanation` for each photograph, in order; one that cannot be read has
        `prediction.error`. Arguments are checked before the first.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an argument is wrong.

    Example:
    ```python
    rows = iterate_explanations(model, "pets", cells=4)
    next(rows).prediction.name  # "ant/0.png"
    ```
    """
    check_at_least("cells", cells, _FEWEST_CELLS)
    check_at_least("k", k, 1)
    batch_size = check_whole_number("batch_size", batch_size)
    limit = check_whole_number("limit", limit, optional=True)
    preprocessing = preprocessing_of(model, image_size)
    check_classifier(model)
    names = _class_names(model, class_names)
    asked = None if target is None else _number_of(target, names)
    if index is not None:
        index.check_model(model, "a model")
    photographs = find_photographs(images)
    if limit is not None and limit < len(photographs):
        places = np.linspace(0, len(photographs) - 1, limit).round().astype(int)
        photographs = [photographs[place] for place in places]
    bar = progress_bar(len(photographs), verbose)

    def rows():
        for done, photograph in enumerate(photographs, 1):
            seen = read_pixels(photograph, lambda pixels: _seen(pixels, preprocessing))
            if isinstance(seen, UnreadableImage):
                yield Explanation(Prediction.unread(photograph, names, seen.reason))
            else:
                view, box = seen
                outputs = _outputs(model, view, cells, batch_size)
                said, embedding = outputs["probabilities"][0], outputs["embedding"][0]
                prediction = Prediction.of(photograph, names, said, _TOP, embedding)
                yield Explanation(
                    prediction,
                    **_explained(outputs["logits"], names, asked, min(cells, len(view))),
                    box=box,
                    neighbors=_neighbors(index, prediction, k),
                )
            bar.update(done)

    return rows()


def _class_names(model: CLCEModel, class_names: Sequence[str] | None) -> tuple[str, ...]:
    if model.num_classes < 2:
        raise ValueError(
            "`model` must know two or more classes, since a probability of 1 has no explanation. "
            f"Received: {model.num_classes} class"
        )
    return names_of_classes(model, class_names)


def _number_of(target: str, names: Sequence[str]) -> int:
    if target in names:
        return names.index(target)
    near = difflib.get_close_matches(str(target), names, 3)
    some = ", ".join(near or names[:10])
    raise ValueError(
        f"`target` must be a class of the model, such as {some}. Received: target={target!r}"
    )


def _seen(pixels: np.ndarray, preprocessing: Preprocessing) -> tuple[np.ndarray, tuple]:
    return preprocessing(pixels), preprocessing.seen_box(*pixels.shape[:2])


def _outputs(
    model: CLCEModel, view: np.ndarray, cells: int, batch_size: int
) -> dict[str, np.ndarray]:
    """What the model says of a view, and then of the view with each patch covered."""
    found = collections.defaultdict(list)
    views = itertools.chain([view], _covered(view, min(cells, len(view))))
    while batch := list(itertools.islice(views, batch_size)):
        for name, values in predict_views(model, batch, batch_size).items():
            found[name].append(values)
    outputs = {name: np.concatenate(parts) for name, parts in found.items()}
    if not np.isfinite(outputs["logits"]).all():
        raise ValueError("`model` must give finite logits. Received: a model that gives others")
    return outputs


def _covered(view: np.ndarray, cells: int) -> Iterator[np.ndarray]:
    """Views with a patch of two by two cells covered, row by row."""
    edges = np.linspace(0, len(view), cells + 1).round().astype(int)
    spans = [slice(*span) for span in zip(edges[:-2], edges[2:], strict=True)]
    colour = view.mean(axis=(0, 1))
    for rows, columns in itertools.product(spans, spans):
        covered = view.copy()
        covered[rows, columns] = colour
        yield covered


def _explained(
    logits: np.ndarray, names: Sequence[str], target: int | None, cells: int
) -> dict[str, Any]:
    """What covering does to the log-odds of a class, from logits of the whole view and of each."""
    logits = logits.astype("float64")
    target = int(logits[0].argmax()) if target is None else target
    odds = logits[:, target] - logsumexp(np.delete(logits, target, axis=1), axis=1)
    falls = (odds[0] - odds[1:]).reshape(cells - 1, cells - 1)
    total = np.zeros((cells, cells))
    for row, column in itertools.product((0, 1), (0, 1)):
        total[row : row + cells - 1, column : column + cells - 1] += falls
    # Cells at an edge are covered by fewer patches.
    times = np.r_[1, np.full(cells - 2, 2), 1]
    return {
        "target": names[target],
        "probability": float(expit(odds[0])),
        "saliency": (total / np.outer(times, times)).astype("float32"),
        "covered_probability": float(expit(odds[1:].min())),
    }


def _neighbors(
    index: EmbeddingIndex | None, prediction: Prediction, k: int
) -> tuple[tuple[int, float], ...]:
    if index is None or prediction.embedding is None:
        return ()
    # One more, since a photograph of the index finds itself.
    found = index.search(prediction.embedding[None], k + 1, exact=True)
    return index.others(prediction.photograph, found.rows[0], found.cosines[0])[:k]

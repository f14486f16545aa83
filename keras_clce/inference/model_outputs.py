"""Logits and embeddings of photographs, for those who measure a model."""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_clce.files import printable_text
from keras_clce.inference.photographs import Photograph
from keras_clce.inference.views import batches_of_views, predict_views, progress_bar
from keras_clce.train import CLCEModel
from keras_clce.views import Preprocessing

Reason = tuple[str, str]


@dataclasses.dataclass(frozen=True, eq=False)
class ModelOutputs:
    """What a model gives for images, one row each.

    Args:
        rows: Numbers of the images that could be read `(images,)`.
        logits: Array `(images, classes)`.
        embeddings: Unit rows `(images, dim)`.
        unreadable: Name and reason of each image that could not be read.

    Example:
    ```python
    photographs = find_photographs("pets")
    model_outputs(model, photographs, Preprocessing(32)).logits.shape  # (40, 10)
    ```
    """

    rows: np.ndarray
    logits: np.ndarray
    embeddings: np.ndarray
    unreadable: tuple[Reason, ...] = ()

    def taken(self, chosen: np.ndarray) -> "ModelOutputs":
        """Some of the rows.

        Args:
            chosen: Places of rows, or a boolean for each.

        Returns:
            The outputs of these alone.

        Example:
        ```python
        outputs = model_outputs(model, find_photographs("pets"), Preprocessing(32))
        outputs.taken(np.arange(3)).logits.shape  # (3, 10)
        ```
        """
        return ModelOutputs(
            self.rows[chosen], self.logits[chosen], self.embeddings[chosen], self.unreadable
        )


def model_outputs(
    model: CLCEModel,
    photographs: Sequence[Photograph],
    preprocessing: Preprocessing,
    batch_size: int = 64,
    verbose: str | int | bool = False,
) -> ModelOutputs:
    """Show photographs to a model and keep its logits and embeddings.

    Args:
        model: The model.
        photographs: What `find_photographs` gives.
        preprocessing: How they are shown.
        batch_size: Photographs a step. Defaults to 64.
        verbose: Whether a bar is shown; `"auto"` in a terminal. Defaults to `False`.

    Returns:
        Its outputs.

    Raises:
        ValueError: If no photograph can be read, or the model gives numbers that are not finite.

    Example:
    ```python
    photographs = find_photographs("pets")
    model_outputs(model, photographs, Preprocessing(32)).embeddings.shape  # (40, 8)
    ```
    """
    bar = progress_bar(len(photographs), verbose)
    rows, found, unreadable, done = [], collections.defaultdict(list), [], 0
    for batch in batches_of_views(photographs, preprocessing, batch_size):
        views = []
        for place, (photograph, view) in enumerate(batch, start=done):
            if isinstance(view, np.ndarray):
                rows.append(place)
                views.append(view)
            else:
                unreadable.append((printable_text(photograph.name), view.reason))
        if views:
            outputs = predict_views(model, views, batch_size if done else len(views))
            for name in ("logits", "embedding"):
                found[name].append(outputs[name])
        done += len(batch)
        bar.update(done)
    if not rows:
        example = f", such as {unreadable[0][0]} ({unreadable[0][1]})" if unreadable else ""
        raise ValueError(
            "`images` must have an image that can be read. Received: "
            f"{len(unreadable)} that cannot{example}"
        )
    logits, embeddings = (np.concatenate(found[name]) for name in ("logits", "embedding"))
    if not np.isfinite(logits).all() or not np.isfinite(embeddings).all():
        raise ValueError("`model` must give finite outputs. Received: a model that gives others")
    return ModelOutputs(np.array(rows), logits, embeddings, tuple(unreadable))

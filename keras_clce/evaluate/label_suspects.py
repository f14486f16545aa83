"""Examples whose label their neighbours and the classifier contradict."""

import dataclasses
from typing import Any

import numpy as np

from keras_clce.checks import check_at_least, check_labels_within, class_labels, finite_array
from keras_clce.evaluate.embedding_geometry import unit_rows
from keras_clce.evaluate.neighbors import nearest_neighbors

SUSPECT_BY = ("neighbors", "classifier", "both")


@dataclasses.dataclass(frozen=True, eq=False)
class LabelSuspects:
    """How much speaks against the label of each example.

    Args:
        suspicion: Number within [0, 1] for each example `(examples,)`: one minus
            `neighbor_share`, `confidence` or the mean of the two.
        neighbor_share: Share of the nearest neighbours that have its label, each weighted by how
            near it is.
        neighbor_labels: The class that most neighbours have, by these weights.
        confidence: The probability that the classifier gives its label; `None` without a
            classifier.
        predicted: The most probable class of the classifier, `None` without one.
        neighbors: Numbers of the nearest neighbours `(examples, k)`, the nearest first.

    Example:
    ```python
    label_suspects(embeddings, labels).ranked.shape  # (240,)
    ```
    """

    suspicion: np.ndarray
    neighbor_share: np.ndarray
    neighbor_labels: np.ndarray
    confidence: np.ndarray | None
    predicted: np.ndarray | None
    neighbors: np.ndarray

    @property
    def ranked(self) -> np.ndarray:
        """Numbers of all examples, the most suspect first."""
        # Of equal ones, such as those without a neighbour of their label, the other tells.
        other = self.neighbor_share if self.confidence is None else self.confidence
        return np.lexsort((self.neighbor_share + other, -self.suspicion))


def label_suspects(
    embeddings: Any,
    labels: Any,
    probabilities: Any = None,
    k: int = 10,
    temperature: float = 0.07,
    by: str | None = None,
) -> LabelSuspects:
    """Find examples whose label is contradicted by their neighbours or by a classifier.

    A classifier that knows its training examples by heart gives wrong labels a high probability
    too, while neighbours still tell; where the embedding is weak, the classifier finds more. The
    mean of both is close to the better of the two.

    Args:
        embeddings: Embeddings `(examples, dim)` without zero rows.
        labels: Their classes `(examples,)`, from 0 on.
        probabilities: What a classifier gives them `(examples, classes)`. Defaults to `None`.
        k: Neighbours of each example, itself left out; with fewer examples all others. Defaults
            to 10.
        temperature: A neighbour counts exp(cosine / temperature). Defaults to 0.07.
        by: What decides, `"neighbors"`, `"classifier"` or `"both"`, the mean of their shares; of
            equally suspect ones the others tell. Defaults to `None`: both where there are
            probabilities, else neighbours.

    Returns:
        `LabelSuspects`.

    Raises:
        ValueError: If the arrays do not fit.

    Reference:
        - [Weights of neighbours](https://arxiv.org/abs/1805.01978)
        - [Confident learning](https://arxiv.org/abs/1911.00068) ranks by the probability of the
          label alone.

    Example:
    ```python
    flipped = np.where(np.arange(240) == 7, 3, labels)
    label_suspects(5 * np.eye(10)[labels] + np.ones(10), flipped).ranked[0]  # 7
    ```
    """
    embeddings = finite_array("embeddings", embeddings, 2)
    if len(embeddings) < 2:
        raise ValueError(
            f"`embeddings` must be two or more. Received: embeddings of shape {embeddings.shape}"
        )
    rows = unit_rows(embeddings)
    labels = class_labels("labels", labels, len(rows), "embeddings")
    check_labels_within(labels, int(labels.max()) + 1)
    check_at_least("k", k, 1)
    if not temperature > 0:
        raise ValueError(
            f"`temperature` must be a number above 0. Received: temperature={temperature!r}"
        )
    by = by or ("neighbors" if probabilities is None else "both")
    if by not in SUSPECT_BY or (by != "neighbors" and probabilities is None):
        raise ValueError(
            f"`by` must be one of {', '.join(SUSPECT_BY)}, and without `probabilities` neighbors. "
            f"Received: by={by!r}"
        )
    neighbors, cosines = _others(*nearest_neighbors(rows, rows, k + 1))
    weights = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / temperature)
    votes = np.zeros((len(rows), int(labels.max()) + 1))
    np.add.at(votes, (np.arange(len(rows))[:, None], labels[neighbors]), weights)
    votes /= weights.sum(axis=1, keepdims=True)
    own = np.arange(len(rows)), labels
    share, confidence, predicted = votes[own], None, None
    support = share
    if probabilities is not None:
        probabilities = finite_array("probabilities", probabilities, 2)
        if len(probabilities) != len(rows):
            raise ValueError(
                f"`probabilities` must have a row for each of {len(rows)} embeddings. Received: "
                f"probabilities of shape {probabilities.shape}"
            )
        check_labels_within(labels, probabilities.shape[1])
        confidence, predicted = probabilities[own], probabilities.argmax(axis=1)
        support = {
            "neighbors": share,
            "classifier": confidence,
            "both": (share + confidence) / 2,
        }[by]
    return LabelSuspects(1 - support, share, votes.argmax(axis=1), confidence, predicted, neighbors)


def _others(neighbors: np.ndarray, cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours without the example itself, which of several equal ones may be missing."""
    is_self = neighbors == np.arange(len(neighbors))[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    shape = len(neighbors), neighbors.shape[1] - 1
    return neighbors[~is_self].reshape(shape), cosines[~is_self].reshape(shape)

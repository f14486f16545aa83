"""Whether a score tells images of known classes from those of classes that a model never saw."""

import dataclasses

import numpy as np

from keras_clce.checks import as_array, finite_array, import_module
from keras_clce.evaluate.embedding_geometry import unit_rows
from keras_clce.evaluate.neighbors import nearest_neighbors

_ACCEPTED = 0.95
# Numbers drawn at a time, so that many images take little memory.
_DRAWN_TOGETHER = 1_000_000


@dataclasses.dataclass(frozen=True)
class OpenSetResult:
    """How well a score tells known from unknown.

    Args:
        auroc: Probability that an image of a known class has a higher score than one of an unknown
            class; 0.5 is chance.
        fpr95: Share of images of unknown classes that are accepted where 95 % of those of known
            classes are.
        threshold: The score from which on images are accepted there.

    Example:
    ```python
    open_set_detection([0.9, 0.8], [0.85, 0.1]).auroc  # 0.75
    ```
    """

    auroc: float
    fpr95: float
    threshold: float


def open_set_scores(
    logits: np.ndarray,
    embeddings: np.ndarray | None = None,
    references: np.ndarray | None = None,
    reference_labels: np.ndarray | None = None,
    temperature: float = 1.0,
) -> dict[str, np.ndarray]:
    """Scores that are higher for images of known classes, each by another rule.

    Args:
        logits: Logits `(images, classes)`.
        embeddings: Embeddings `(images, dim)` of the same images. Defaults to `None`.
        references: Embeddings `(references, dim)` of training images. Defaults to `None`: there are
            no scores by distance.
        reference_labels: Their integer classes `(references,)`. Defaults to `None`: there is no
            score by the nearest class mean.
        temperature: Temperature of the softmax; the other scores do not use it. Defaults to 1.

    Returns:
        Score `(images,)` by name: `"maximal probability"` and `"maximal logit"`; `"energy"`, the
        log of the sum of the exponentials of the logits (the negative free energy);
        `"nearest class mean"` and `"nearest training image"`, the cosine of the embedding to that
        one.

    Raises:
        ValueError: If the arrays do not fit.

    Reference:
        - [Maximal probability](https://arxiv.org/abs/1610.02136)
        - [Maximal logit](https://arxiv.org/abs/1911.11132)
        - [Energy](https://arxiv.org/abs/2010.03759)
        - [Nearest training image](https://arxiv.org/abs/2204.06507)

    Example:
    ```python
    scores = open_set_scores([[2.0, 0.0], [0.0, 0.0]])
    scores["maximal probability"]  # [0.88, 0.5]
    scores["energy"]  # [2.13, 0.69]
    ```
    """
    logits = finite_array("logits", logits, ndim=2).astype("float64")
    special = import_module("scipy.special", "An open-set score", "scipy")
    scores = {
        "maximal probability": special.softmax(logits / temperature, axis=1).max(axis=1),
        "maximal logit": logits.max(axis=1),
        "energy": special.logsumexp(logits, axis=1),
    }
    if embeddings is None or references is None:
        return scores
    embeddings = unit_rows(finite_array("embeddings", embeddings, ndim=2))
    references = unit_rows(finite_array("references", references, ndim=2))
    if len(embeddings) != len(logits) or embeddings.shape[1] != references.shape[1]:
        raise ValueError(
            "`embeddings` must have a row for each row of `logits`, and the dimension of "
            f"`references`. Received: embeddings of shape {embeddings.shape}, logits of shape "
            f"{logits.shape}, references of shape {references.shape}"
        )
    if reference_labels is not None:
        reference_labels = as_array(reference_labels)
        if reference_labels.shape != references.shape[:1]:
            raise ValueError(
                "`reference_labels` must have a label for each of the references, "
                f"{len(references)}. Received: reference_labels of shape {reference_labels.shape}"
            )
        means = [
            references[reference_labels == n].mean(axis=0) for n in np.unique(reference_labels)
        ]
        scores["nearest class mean"] = (embeddings @ unit_rows(np.stack(means)).T).max(axis=1)
    _, cosines = nearest_neighbors(embeddings, references, k=1)
    scores["nearest training image"] = cosines[:, 0]
    return scores


def open_set_detection(known: np.ndarray, unknown: np.ndarray) -> OpenSetResult:
    """Measure how well a score tells images of known classes from others.

    Args:
        known: Scores of images of known classes `(known,)`.
        unknown: Scores of images of unknown classes `(unknown,)`, which should be lower.

    Returns:
        An `OpenSetResult`.

    Raises:
        ValueError: If scores are not finite or there are none.

    Example:
    ```python
    open_set_detection([0.9, 0.8, 0.7], [0.75, 0.3, 0.2, 0.1]).fpr95  # 0.25
    ```
    """
    known, unknown = finite_array("known", known, 1), finite_array("unknown", unknown, 1)
    threshold = np.sort(known)[int((1 - _ACCEPTED) * len(known))]
    return OpenSetResult(
        _auroc(known, unknown), float(np.mean(unknown >= threshold)), float(threshold)
    )


def auroc_difference(
    known: tuple[np.ndarray, np.ndarray],
    unknown: tuple[np.ndarray, np.ndarray],
    resamples: int = 499,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Difference of the AUROC of two scores of the same images, with its bootstrap interval.

    Args:
        known: The two scores of images of known classes, `(known,)` each.
        unknown: The two scores of images of unknown classes, `(unknown,)` each.
        resamples: Number of samples drawn with replacement. Defaults to 499.
        seed: Seed of the draws. Defaults to 0.

    Returns:
        The AUROC of the second minus that of the first, and the lower and the upper end of its
        95 % percentile interval over images.

    Raises:
        ValueError: If scores are not finite or their numbers differ.

    Reference:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

    Example:
    ```python
    known = np.array([0.9, 0.8, 0.4, 0.7]), np.array([0.9, 0.8, 0.7, 0.6])
    unknown = np.array([0.5, 0.3]), np.array([0.5, 0.3])
    auroc_difference(known, unknown)[0]  # 0.125
    ```
    """
    pairs = []
    for name, pair in (("known", known), ("unknown", unknown)):
        first, second = (finite_array(name, scores, 1) for scores in pair)
        if len(first) != len(second):
            raise ValueError(
                f"`{name}` must be two scores of the same images. Received: {len(first)} and "
                f"{len(second)}"
            )
        pairs.append((first, second))
    stats = import_module("scipy.stats", "The bootstrap interval", "scipy")
    (first, second), (other, another) = pairs
    ones = len(first)

    def auroc(known, unknown):
        """Of each row, from ranks: Mann and Whitney's statistic over the number of pairs."""
        ranks = stats.rankdata(np.concatenate([known, unknown], axis=-1), axis=-1)
        above = ranks[..., :ones].sum(axis=-1) - ones * (ones + 1) / 2
        return above / (ones * unknown.shape[-1])

    def difference(rows, columns, axis=-1):
        return auroc(second[rows], another[columns]) - auroc(first[rows], other[columns])

    rows, columns = np.arange(ones), np.arange(len(other))
    found = float(difference(rows, columns))
    if len(rows) < 2 or len(columns) < 2:
        return found, float("nan"), float("nan")
    interval = stats.bootstrap(
        (rows, columns),
        difference,
        n_resamples=resamples,
        batch=max(1, _DRAWN_TOGETHER // (len(rows) + len(columns))),
        vectorized=True,
        method="percentile",
        rng=seed,
    ).confidence_interval
    return found, float(interval.low), float(interval.high)


def _auroc(known, unknown):
    metrics = import_module("sklearn.metrics", "AUROC", "scikit-learn")
    labels = np.repeat([1, 0], [len(known), len(unknown)])
    return float(metrics.roc_auc_score(labels, np.concatenate([known, unknown])))

"""Seeded choices of examples that keep the class proportions."""

import numpy as np


def stratified_split(
    labels: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Divide examples into two parts that have the same class proportions.

    Every class gives `round(fraction * count)` examples to the second part, at least one where it
    has two or more, and never its last one.

    Args:
        labels: integer labels of shape (examples,).
        fraction: share of each class that goes to the second part, in (0, 1).
        seed: seed of the choice.

    Returns:
        The sorted indices of the first and of the second part.

    Example:
        >>> first, second = stratified_split(np.repeat([0, 1], 10), 0.2, seed=0)
        >>> len(first), len(second)
        (16, 4)
    """
    rng = np.random.default_rng(seed)
    second = []
    for members in _members_by_class(labels):
        take = int(np.clip(round(fraction * len(members)), 1, len(members) - 1))
        second.append(rng.permutation(members)[:take])
    second = np.sort(np.concatenate(second)).astype(np.int64)
    if not len(second):
        # Every class has a single example: no choice can keep the proportions.
        second = np.sort(rng.permutation(len(labels))[: max(1, round(fraction * len(labels)))])
    return np.setdiff1d(np.arange(len(labels)), second), second


def class_balanced_subset(labels: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Choose `limit` examples, as evenly over the classes as they allow.

    Classes are filled in turn, one example each, until the limit is reached; a class that has run
    out is passed over. Where the limit is below the number of classes, a seeded choice of classes
    gets one example each.

    Args:
        labels: integer labels of shape (examples,).
        limit: number of examples to choose, at least 1.
        seed: seed of the choice.

    Returns:
        The sorted indices of the chosen examples, all of them where there are no more than `limit`.

    Example:
        >>> chosen = class_balanced_subset(np.repeat([0, 1], [50, 2]), 6, seed=0)
        >>> np.bincount(np.repeat([0, 1], [50, 2])[chosen]).tolist()
        [4, 2]
    """
    rng = np.random.default_rng(seed)
    classes = _members_by_class(labels)
    order = rng.permutation(len(classes))
    turns, picks = [], []
    for place, position in enumerate(order):
        members = rng.permutation(classes[position])
        picks.append(members)
        turns.append(np.stack([np.arange(len(members)), np.full(len(members), place)], axis=1))
    picks, turns = np.concatenate(picks), np.concatenate(turns)
    ranked = picks[np.lexsort((turns[:, 1], turns[:, 0]))]
    return np.sort(ranked[:limit])


def _members_by_class(labels: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    return np.split(order, starts[1:])

"""Seeded choices of examples that keep the class proportions."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_clce.data.examples import ExampleSource

# Shares of all examples, where a source has no splits of its own.
TEST_SHARE, VALIDATION_SHARE = 0.15, 0.15
_MOST_NAMED = 10


def named(items: Sequence) -> str:
    """Name the first ten of some things, and say how many more there are.

    Example:
    ```python
    named(["a", "b"])  # 'a, b'
    ```
    """
    more = len(items) - _MOST_NAMED
    return ", ".join(map(str, items[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def strata(labels: np.ndarray) -> np.ndarray:
    """The class of each example that choices keep the proportions of.

    Args:
        labels: Integer labels (examples,), or rows of 0 and 1 (examples, classes) of several.

    Returns:
        Integers (examples,): the class, or the rarest label of each row, which is the first to be
        missing from a small part; `classes` for a row without any.

    Example:
    ```python
    strata(np.array([[1, 1], [1, 0], [0, 0]])).tolist()  # [1, 0, 2]
    ```
    """
    if labels.ndim == 1:
        return labels
    counts = np.where(labels > 0, labels.sum(axis=0), len(labels) + 1)
    return np.where(labels.any(axis=1), counts.argmin(axis=1), labels.shape[1])


def stratified_split(
    labels: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Divide examples into two parts that have the same class proportions.

    Every class gives `round(fraction * count)` examples to the second part, at least one where it
    has two or more, and never its last one.

    Args:
        labels: Integer labels of shape (examples,).
        fraction: Share of each class that goes to the second part, in (0, 1).
        seed: Seed of the choice.

    Returns:
        The sorted indices of the first and of the second part.

    Example:
    ```python
    first, second = stratified_split(np.repeat([0, 1], 10), 0.2, seed=0)
    len(first), len(second)  # (16, 4)
    ```
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


def hold_out(
    source: ExampleSource, fraction: float, seed: int
) -> tuple[ExampleSource, ExampleSource]:
    """Divide a source as `stratified_split` does its labels.

    Args:
        source: The examples.
        fraction: Share of each class that is held out, in (0, 1).
        seed: Seed of the choice.

    Returns:
        What stays, and what is held out.
    """
    kept, held_out = stratified_split(strata(source.read_labels()), fraction, seed)
    return source.select(kept), source.select(held_out)


def three_way(
    source: ExampleSource,
    class_names: Sequence[str],
    validation_share: float,
    test_share: float,
    seed: int,
) -> dict[str, ExampleSource]:
    """Divide a source without splits of its own into three that have the same class proportions.

    Args:
        source: The examples.
        class_names: Names of the classes.
        validation_share: Share of all examples that goes to validation.
        test_share: Share of all examples that goes to the test.
        seed: Seed of the choice.

    Returns:
        The sources of `"train"`, `"validation"` and `"test"`.

    Raises:
        ValueError: If a class has fewer than 3 examples; such classes are named.
    """
    labels = source.read_labels()
    several = labels.ndim == 2
    counts = labels.sum(axis=0) if several else np.bincount(labels, minlength=len(class_names))
    small = [f"{class_names[label]} ({counts[label]})" for label in np.flatnonzero(counts < 3)]
    if small:
        raise ValueError(
            "Every class must have 3 images or more to be split into train, validation and test. "
            f"Received: {len(small)} of {len(counts)} classes with fewer, {named(small)}. "
            "drop_small_classes=3 (--drop_small_classes) leaves such classes out"
        )
    rest, test = hold_out(source, test_share, seed)
    train, validation = hold_out(rest, validation_share / (1.0 - test_share), seed)
    return {"train": train, "validation": validation, "test": test}


def with_missing_splits(
    train: ExampleSource,
    found: Mapping[str, ExampleSource],
    names: Sequence[str],
    seed: int,
    own: str,
    train_name: str,
    stratified: str = "stratified",
) -> tuple[dict[str, ExampleSource], str]:
    """Hold out of the training images what there is no split of.

    Args:
        train: The training images.
        found: The splits for validation and test that are there.
        names: Names of the classes.
        seed: Seed of the choice.
        own: What the splits that are there are called.
        train_name: What the training split is called; nothing where there are no splits.
        stratified: How the choice keeps proportions, in words. Defaults to `"stratified"`.

    Returns:
        All three splits, and how they were made in words.
    """
    how_drawn = f"{stratified} (seed {seed})"
    found = dict(found)
    if not train_name:
        return three_way(train, names, VALIDATION_SHARE, TEST_SHARE, seed), (
            f"seeded, {stratified} 70/15/15 % split (seed {seed})"
        )
    if len(found) == 2:
        how = own
    elif "test" in found:
        train, found["validation"] = hold_out(train, 0.1, seed)
        how = f"10 % of {train_name} held out for validation, {how_drawn}"
    elif "validation" in found:
        train, found["test"] = hold_out(train, TEST_SHARE, seed)
        how = f"{own}; 15 % of {train_name} held out for test, {how_drawn}"
    else:
        found = three_way(train, names, VALIDATION_SHARE, TEST_SHARE, seed)
        train = found["train"]
        how = f"15 % of {train_name} held out for validation and 15 % for test, {how_drawn}"
    splits = {"train": train, "validation": found["validation"], "test": found["test"]}
    return splits, how


def class_balanced_subset(
    labels: np.ndarray, limit: int | None, seed: int, per_class: int | None = None
) -> np.ndarray:
    """Choose examples as evenly over the classes as they allow.

    Classes are filled in turn, one example each, until a limit is reached; a class that has run
    out is passed over. Where the limit is below the number of classes, a seeded choice of classes
    gets one example each. With one seed, what a lower limit chooses is part of what a higher one
    does.

    Args:
        labels: Integer labels of shape (examples,).
        limit: Number of examples to choose, at least 1; None for as many as there are.
        seed: Seed of the choice.
        per_class: Most examples of a class, at least 1; None, the default, for all of it.

    Returns:
        The sorted indices of the chosen examples, all of them where there are no more.

    Example:
    ```python
    chosen = class_balanced_subset(np.repeat([0, 1], [50, 2]), 6, seed=0)
    np.bincount(np.repeat([0, 1], [50, 2])[chosen]).tolist()  # [4, 2]
    ```
    """
    rng = np.random.default_rng(seed)
    classes = _members_by_class(labels)
    order = rng.permutation(len(classes))
    turns, picks = [], []
    for place, position in enumerate(order):
        members = rng.permutation(classes[position])[:per_class]
        picks.append(members)
        turns.append(np.stack([np.arange(len(members)), np.full(len(members), place)], axis=1))
    picks, turns = np.concatenate(picks), np.concatenate(turns)
    ranked = picks[np.lexsort((turns[:, 1], turns[:, 0]))]
    return np.sort(ranked[:limit])


def limited(
    labels: np.ndarray, limit: int | None, per_class: int | None, seed: int, what: str
) -> tuple[np.ndarray, str]:
    """Choose the training examples that stay, and say so.

    Args:
        labels: Integer labels of shape (examples,).
        limit: Most examples in all; None for no limit.
        per_class: Most examples of a class; None for no limit.
        seed: Seed of the choice.
        what: What they are, such as `"training"`.

    Returns:
        The sorted indices of the examples that stay, and a phrase for the split note that begins
        with `"; "`, `""` where all stay.

    Example:
    ```python
    limited(np.repeat([0, 1], 5), None, 2, seed=0, what="training")[1]
    # "; at most 2 training images of each class kept (seed 0)"
    ```
    """
    note = ""
    if not len(labels):
        return np.arange(0), note
    chosen = class_balanced_subset(labels, limit, seed, per_class)
    if per_class is not None and np.bincount(labels).max() > per_class:
        note = f"; at most {per_class} {what} images of each class kept (seed {seed})"
    if limit is not None and limit < len(class_balanced_subset(labels, None, seed, per_class)):
        note += f"; {limit} {what} images kept, class-balanced (seed {seed})"
    return chosen, note


def mixed_order(labels: np.ndarray) -> np.ndarray:
    """Order examples so that neighbours are of many classes, always in the same way.

    Examples of one class keep their order among themselves, so that what is drawn by class and
    place, such as few-shot tasks, does not change.

    Args:
        labels: Integer labels of shape (examples,).

    Returns:
        Indices of all examples.

    Example:
    ```python
    labels = np.repeat([0, 1, 2], 4)
    np.bincount(labels[mixed_order(labels)][:6]).tolist()  # [1, 3, 2]
    ```
    """
    shuffled = np.random.default_rng(0).permutation(labels)
    order = np.empty(len(labels), np.int64)
    order[np.argsort(shuffled, kind="stable")] = np.argsort(labels, kind="stable")
    return order


def _members_by_class(labels: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    return np.split(order, starts[1:])

"""Few-shot tasks, drawn from labels and a seed alone, so that every model meets the same ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from keras_clce.checks import check_at_least

# Tasks that are drawn together; part of what a seed means, so it does not follow the memory.
DRAWN_TOGETHER = 256
# The α of Dirichlet tasks.
_CONCENTRATION = 2.0
QUERY_DISTRIBUTIONS = ("balanced", "dirichlet")


@dataclass(frozen=True)
class Tasks:
    """Some few-shot tasks, as rows of a data set.

    Attributes:
        classes: The classes of each task `(tasks, ways)`, values of the labels.
        support: Rows of the labelled examples `(tasks, ways, shots)`.
        queries: Rows of the examples to classify, none of them in `support`: `(tasks, ways,
            queries)`, or `(tasks, ways * queries)` where classes have different numbers of them.
        query_classes: The class of each query, as its place in `classes`, in the shape of
            `queries`. Defaults to `None`: its second index.

    Example:
    ```python
    tasks = next(draw_tasks(labels, ways=5, shots=1, queries=15, tasks=100))
    tasks.support.shape, tasks.queries.shape  # ((100, 5, 1), (100, 5, 15))
    ```
    """

    classes: np.ndarray
    support: np.ndarray
    queries: np.ndarray
    query_classes: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.query_classes is None:
            places = np.arange(self.queries.shape[1])[:, None]
            object.__setattr__(self, "query_classes", np.broadcast_to(places, self.queries.shape))


def draw_tasks(
    labels: np.ndarray,
    ways: int,
    shots: int,
    queries: int,
    tasks: int,
    seed: int = 0,
    query_distribution: str = "balanced",
) -> Iterator[Tasks]:
    """Draw N-way K-shot tasks: classes, then examples of each, all without replacement.

    The first tasks are the same whatever `tasks` is.

    Args:
        labels: Integer classes `(examples,)`.
        ways: Classes per task, at least 2.
        shots: Labelled examples per class, at least 1.
        queries: Examples to classify per class, on average, at least 1.
        tasks: Number of tasks, at least 1.
        seed: Seed of the drawing. Defaults to 0.
        query_distribution: `"balanced"`, or `"dirichlet"`: the `ways * queries` examples to
            classify are divided between the classes by shares from a Dirichlet distribution with
            α = 2, rounded by largest remainders. Defaults to `"balanced"`.

    Yields:
        `Tasks`, 256 of them at a time.

    Raises:
        ValueError: If a number is out of its range, there are fewer classes than ways, or a class
            has fewer examples than a task may ask of it, `shots + queries` or
            `shots + ways * queries`; the message names the classes.

    Reference:
        - [α-TIM](https://arxiv.org/abs/2106.08063), its Dirichlet tasks

    Example:
    ```python
    labels = np.repeat(np.arange(20), 600)
    next(draw_tasks(labels, ways=5, shots=1, queries=15, tasks=3000)).support.shape  # (256, 5, 1)
    ```
    """
    labels = np.asarray(labels)
    check_tasks(labels, ways, shots, queries, tasks, seed, None, query_distribution)
    names, counts = np.unique(labels, return_counts=True)
    rows = np.full((len(names), counts.max()), -1)
    for number, name in enumerate(names):
        rows[number, : counts[number]] = np.flatnonzero(labels == name)
    rng = np.random.default_rng(seed)
    for start in range(0, tasks, DRAWN_TOGETHER):
        order = rng.random((DRAWN_TOGETHER, len(names)))
        chosen = np.argsort(order, axis=1)[:, :ways]
        chosen_names = names[chosen[: tasks - start]]
        if query_distribution == "balanced":
            picked = _subsets(counts[chosen], shots + queries, rng)
            examples = rows[chosen[..., None], picked][: tasks - start]
            yield Tasks(chosen_names, examples[..., :shots], examples[..., shots:])
        else:
            total = ways * queries
            shares = rng.dirichlet(np.full(ways, _CONCENTRATION), size=DRAWN_TOGETHER)
            taken = np.arange(total) < _whole_parts(shares, total)[..., None]
            picked = _subsets(counts[chosen], shots + total, rng)
            examples = rows[chosen[..., None], picked]
            queried = examples[..., shots:][taken].reshape(-1, total)[: tasks - start]
            # Row by row, the places of what is taken are those of the classes in order.
            places = np.nonzero(taken)[1].reshape(-1, total)[: tasks - start]
            yield Tasks(chosen_names, examples[: tasks - start, :, :shots], queried, places)


def check_tasks(
    labels: np.ndarray,
    ways: int,
    shots: int,
    queries: int,
    tasks: int,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    query_distribution: str = "balanced",
) -> None:
    """Check that tasks can be drawn, without drawing any.

    Args:
        labels: As in `draw_tasks`, and so are all numbers.
        ways: Classes per task.
        shots: Labelled examples per class.
        queries: Examples to classify per class.
        tasks: Number of tasks.
        seed: Seed of the drawing. Defaults to 0.
        class_names: Names of the labels from 0 on, for the message. Defaults to `None`: the labels
            themselves.
        query_distribution: `"balanced"` or `"dirichlet"`. Defaults to `"balanced"`.

    Raises:
        ValueError: If they cannot.

    Example:
    ```python
    check_tasks(labels, ways=5, shots=1, queries=15, tasks=100)
    ```
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise ValueError(
            "`labels` must be integers of shape (examples,). "
            f"Received: labels of shape {labels.shape} and dtype {labels.dtype}"
        )
    for name, value, least in (
        ("ways", ways, 2),
        ("shots", shots, 1),
        ("queries", queries, 1),
        ("tasks", tasks, 1),
        ("seed", seed, 0),
    ):
        check_at_least(name, value, least)
    if query_distribution not in QUERY_DISTRIBUTIONS:
        raise ValueError(
            f"`query_distribution` must be one of {', '.join(QUERY_DISTRIBUTIONS)}. "
            f"Received: query_distribution={query_distribution!r}"
        )
    present, counts = np.unique(labels, return_counts=True)
    names = present if class_names is None else [class_names[label] for label in present]
    if len(names) < ways:
        raise ValueError(
            f"`ways` must be at most the number of classes, {len(names)}. Received: ways={ways}"
        )
    needed, formula = shots + queries, "shots + queries"
    if query_distribution == "dirichlet":
        # All queries of a task may be of one class.
        needed, formula = shots + ways * queries, "shots + ways * queries"
    few = [f"{name} ({n})" for name, n in zip(names, counts, strict=True) if n < needed]
    if few:
        raise ValueError(
            f"Every class must have at least {formula} = {needed} examples. "
            f"Received: classes with fewer, {', '.join(few)}"
        )


def _whole_parts(shares, total):
    """Whole numbers `(tasks, ways)` that sum to the total, by largest remainders."""
    wanted = shares * total
    parts = np.floor(wanted).astype("int64")
    missing = total - parts.sum(axis=1, keepdims=True)
    order = np.argsort(parts - wanted, axis=1, kind="stable")
    rank = np.argsort(order, axis=1)
    return parts + (rank < missing)


def _subsets(counts, size, rng):
    """`size` different numbers below each of `counts`, in random order, by Floyd's algorithm."""
    draws = rng.random((size, *counts.shape))
    picked = np.empty(draws.shape, "int64")
    for number in range(size):
        last = counts - size + number
        draw = (draws[number] * (last + 1)).astype("int64")
        picked[number] = np.where((picked[:number] == draw).any(axis=0), last, draw)
    # The subset is a random one, but large numbers tend to come late in it.
    order = np.argsort(rng.random(draws.shape), axis=0)
    return np.moveaxis(np.take_along_axis(picked, order, axis=0), 0, -1)

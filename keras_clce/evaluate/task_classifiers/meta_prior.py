"""The prior of Meta-QDA, learned on episodes of the base classes."""

from typing import TypedDict

import keras
import numpy as np
from keras import ops

from keras_clce.evaluate.task_classifiers.priors import NormalInverseWishart
from keras_clce.evaluate.tasks import draw_tasks

_EPISODES_A_STEP = 8


class EpisodeSize(TypedDict):
    """How episodes are drawn, as `draw_tasks` takes it.

    Attributes:
        ways: Classes of an episode.
        shots: Support examples of a class.
        queries: Queries of a class.
        tasks: Number of episodes.
        seed: Seed of the draws.
    """

    ways: int
    shots: int
    queries: int
    tasks: int
    seed: int


def learn_prior(
    start: NormalInverseWishart,
    features: np.ndarray,
    labels: np.ndarray,
    variant: str,
    regularization: float,
    size: EpisodeSize,
    learning_rate: float,
) -> NormalInverseWishart:
    """Fit a prior to episodes, by Adam on the cross-entropy of the queries.

    Args:
        start: The prior to begin with.
        features: Features of the base classes `(examples, dim)`.
        labels: Their integer classes `(examples,)`.
        variant: As in `MetaQDA`.
        regularization: As in `MetaQDA`.
        size: What `draw_tasks` takes: ways, shots, queries, tasks and seed.
        learning_rate: Size of a step.

    Returns:
        The prior.

    Example:
    ```python
    start = NormalInverseWishart.from_moments(features, labels)
    size = {"ways": 3, "shots": 2, "queries": 4, "tasks": 16, "seed": 0}
    learn_prior(start, features, labels, "fb", 0.3, size, 1e-3).nu > 7  # True
    ```
    """
    factor = np.linalg.cholesky(start.scale)
    # In these coordinates all priors begin alike, and so does what a step means.
    rows = np.linalg.solve(factor, (features - start.mean).T).T.astype("float32")
    drawn = list(draw_tasks(labels, **size))
    support = rows[np.concatenate([some.support for some in drawn])]
    queries = rows[np.concatenate([some.queries for some in drawn])]
    queries = queries.reshape(len(queries), -1, rows.shape[1])
    classes = np.broadcast_to(
        np.repeat(np.arange(size["ways"]), size["queries"]), queries.shape[:2]
    )

    inputs = [keras.Input(episodes.shape[1:]) for episodes in (support, queries)]
    discriminant = _Discriminant(start, factor, variant, regularization, dtype="float32")
    model = keras.Model(inputs, discriminant(inputs))
    model.compile(
        keras.optimizers.Adam(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    # No layer begins at random, so that without shuffling a seed says all.
    model.fit(
        [support, queries],
        classes,
        batch_size=_EPISODES_A_STEP,
        epochs=1,
        shuffle=False,
        verbose=0,
    )
    return discriminant.prior(start, factor)


class _Discriminant(keras.layers.Layer):
    """Scores of `MetaQDA`, whose prior is made of weights."""

    def __init__(self, start, factor, variant, regularization, **kwargs):
        super().__init__(**kwargs)
        self.start = (np.log(start.kappa), np.log(start.nu - len(start.mean) + 1))
        self.factor = factor.astype("float32")
        self.variant = variant
        self.regularization = regularization

    def build(self, input_shapes):
        dim = input_shapes[0][-1]
        self.center = self.add_weight((dim,), "zeros", name="center")
        self.lower = self.add_weight((dim, dim), "zeros", name="lower")
        self.diagonal = self.add_weight((dim,), "zeros", name="diagonal")
        log_kappa, log_freedom = map(keras.initializers.Constant, self.start)
        self.log_kappa = self.add_weight((), log_kappa, name="log_kappa")
        self.log_freedom = self.add_weight((), log_freedom, name="log_freedom")

    def _triangle(self):
        return ops.tril(self.lower, -1) + ops.diag(ops.exp(self.diagonal))

    def call(self, inputs):
        support, queries = (episodes - self.center for episodes in inputs)
        shots, dim = support.shape[2:]
        kappa = ops.exp(self.log_kappa)
        total = kappa + shots
        sample = ops.mean(support, axis=2)
        means = sample * (shots / total)
        shift = ops.sqrt(kappa * shots / total) * sample[:, :, None]
        added = ops.concatenate([support - sample[:, :, None], shift], axis=2)
        added, rows, centers = (self._whitened(some) for some in (added, queries, means))
        differences = rows[:, None] - centers[:, :, None]
        inner = ops.eye(shots + 1) + ops.matmul(added, ops.swapaxes(added, 2, 3))
        root = ops.cholesky(inner)
        seen = ops.matmul(added, ops.swapaxes(differences, 2, 3))
        seen = ops.solve_triangular(root, seen, lower=True)
        distances = ops.sum(differences**2, axis=3) - ops.sum(seen**2, axis=2)
        freedom = ops.exp(self.log_freedom) + shots
        if self.variant == "map":
            factor = 1 / (freedom + 2 * dim + 1)
        else:
            factor = (total + 1) / (freedom * total)
        plain = ops.matmul(queries[:, None] - means[:, :, None], self.factor.T)
        distances = distances * (1 - self.regularization) / factor
        distances = distances + self.regularization * ops.sum(plain**2, axis=3)
        if self.variant == "map":
            return ops.swapaxes(-distances, 1, 2)
        volume = ops.sum(ops.log(ops.diagonal(root, axis1=2, axis2=3)), axis=2)
        tails = (freedom + dim) / 2 * ops.log1p(ops.maximum(distances, 0.0) / freedom)
        return ops.swapaxes(-volume[..., None] - tails, 1, 2)

    def _whitened(self, rows):
        flat = ops.reshape(rows, (-1, rows.shape[-1]))
        flat = ops.solve_triangular(self._triangle(), ops.transpose(flat), lower=True)
        return ops.reshape(ops.transpose(flat), (-1, *rows.shape[1:]))

    def compute_output_shape(self, input_shapes):
        return (*input_shapes[1][:2], input_shapes[0][1])

    def prior(self, start, factor):
        """The prior that the weights are, in the coordinates of the features."""
        values = (self.center, self._triangle(), self.log_kappa, self.log_freedom)
        center, triangle, log_kappa, log_freedom = map(ops.convert_to_numpy, values)
        root = factor @ triangle
        nu = float(np.exp(log_freedom)) + len(center) - 1
        mean = start.mean + factor @ center
        return NormalInverseWishart(mean, float(np.exp(log_kappa)), nu, root @ root.T)

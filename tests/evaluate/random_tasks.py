"""Few-shot tasks of random features."""

import numpy as np


def random_tasks(tasks=6, ways=4, shots=2, queries=10, dim=7, tokens=None, seed=0):
    """Tasks of overlapping classes, and base features of eight other classes."""
    rng = np.random.default_rng(seed)
    extra = () if tokens is None else (tokens,)
    centers = rng.normal(size=(tasks, ways, 1, *(1 for _ in extra), dim))
    support = centers + rng.normal(size=(tasks, ways, shots, *extra, dim))
    queries = centers + rng.normal(size=(tasks, ways, queries, *extra, dim))
    base_labels = np.arange(160) % 8
    base = rng.normal(size=(8, dim))[base_labels] + rng.normal(size=(160, dim)) * np.linspace(
        0.3, 1.5, dim
    )
    flat = queries.reshape(tasks, -1, *extra, dim)
    return support, flat, base, base_labels


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

"""One more loss, as a newcomer writes it: a formula, its form in chunks, a class and a row."""

import cases
import numpy as np
import pytest
import reference
from keras import ops

from keras_clce import losses
from keras_clce.losses import ContrastiveLoss, registry
from keras_clce.losses.anchors import anchor_values
from keras_clce.losses.chunks import ChunkForm, Summary


def gap_of_pairs(pairs, temperature):
    """Mean similarity of the negatives less that of the positives."""
    of_negatives = pairs.negatives / ops.maximum(
        ops.sum(pairs.negatives, axis=1, keepdims=True), 1.0
    )
    of_positives = pairs.positives / ops.maximum(
        ops.sum(pairs.positives, axis=1, keepdims=True), 1.0
    )
    return ops.sum(pairs.cosines * (of_negatives - of_positives), axis=1) / temperature


def gap_in_chunks():
    def summarize(chunk):
        num_positives, num_negatives = (
            ops.maximum(ops.sum(mask, axis=1), 1.0) for mask in (chunk.positives, chunk.negatives)
        )
        values = ops.sum(chunk.similarities * chunk.negatives, axis=1) / num_negatives
        values -= ops.sum(chunk.similarities * chunk.positives, axis=1) / num_positives
        coefficients = [1.0 / num_positives, 1.0 / num_negatives]
        return Summary(values, ops.sum(chunk.positives, axis=1), coefficients, [])

    def derivative(chunk, coefficients, levels):
        of_positives, of_negatives = coefficients
        return of_negatives * chunk.negatives - of_positives * chunk.positives

    return ChunkForm(summarize, derivative, num_coefficients=2)


class SimilarityGapLoss(ContrastiveLoss):
    def __init__(
        self,
        temperature=0.5,
        chunk_size=None,
        reduction="sum_over_batch_size",
        name="similarity_gap",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.temperature, self.chunk_size = temperature, chunk_size

    def anchor_values(self, y_true, y_pred):
        return anchor_values(
            y_true,
            y_pred,
            self.temperature,
            self.chunk_size,
            lambda pairs: gap_of_pairs(pairs, self.temperature),
            gap_in_chunks(),
        )


def gap_by_loops(labels, x, temperature):
    cosines = reference.cosines(x)
    values, counted = np.zeros(len(labels)), np.zeros(len(labels), bool)
    for i, label in enumerate(labels):
        positives = [cosines[i, j] for j in range(len(labels)) if labels[j] == label and j != i]
        negatives = [cosines[i, j] for j in range(len(labels)) if labels[j] != label]
        if positives:
            values[i] = (np.mean(negatives) - np.mean(positives)) / temperature
            counted[i] = True
    return values, counted


def finite_differences(function, x, step=1e-4):
    gradient = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.astype("float64")
            moved[place] += sign * step
            ends.append(function(moved))
        gradient[place] = (ends[0] - ends[1]) / (2 * step)
    return gradient


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_it_equals_its_loops_by_the_table_and_in_chunks(chunk_size):
    labels, x = cases.labels("mixed"), cases.embeddings()
    loss = SimilarityGapLoss(0.3, chunk_size=chunk_size)

    def mean(labels, x):
        return loss(labels, x), loss.anchor_values(labels, x)

    def mean_by_loops(x):
        return reference.mean_over_counted(*gap_by_loops(labels, x, 0.3))

    got = cases.gradients.value_and_gradient(mean, labels, x)
    values, counted = gap_by_loops(labels, x, 0.3)
    assert 0 < counted.sum() < len(labels)
    cases.assert_values_close(got.auxiliary[0], values)
    np.testing.assert_array_equal(got.auxiliary[1], counted.astype("float32"))
    cases.assert_values_close(got.value, mean_by_loops(x))
    cases.assert_gradient_close(got.gradient, finite_differences(mean_by_loops, x))


@pytest.mark.any_backend
def test_a_row_gives_it_a_name(monkeypatch):
    monkeypatch.setitem(registry._PARTS, "gap", (SimilarityGapLoss, None))
    monkeypatch.setattr(registry, "LOSSES", (*registry.LOSSES, "gap"))
    loss = losses.get("gap", temperature=0.2, contrastive_weight=0.4)
    assert isinstance(loss.contrastive, SimilarityGapLoss)
    assert (loss.contrastive.temperature, loss.contrastive_weight) == (0.2, 0.4)
    assert losses.arguments_of("gap") == (
        "contrastive_weight",
        "temperature",
        "chunk_size",
        "label_smoothing",
        "logit_adjustment",
        "class_prior",
        "ignore_unlabelled",
    )
    with pytest.raises(ValueError, match=r"`hardness`.*'gap' has no such argument"):
        losses.get("gap", hardness=1.0)

"""Average precision of several labels an image against scikit-learn."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score, f1_score

from keras_clce.evaluate import MeanAveragePrecision, multi_label_metrics

CLASSES = 6


def scored(images=60, rarest=0.02):
    """Labels and probabilities, of rare labels all near 0; no image has the last one."""
    rng = np.random.default_rng(0)
    rates = np.linspace(0.5, rarest, CLASSES)
    labels = (rng.uniform(size=(images, CLASSES)) < rates).astype("float32")
    labels[:2, -2] = 1
    labels[:, -1] = 0
    logits = rng.normal(size=labels.shape) + 1.5 * labels + np.log(rates / 10)
    return labels, expit(logits).astype("float32")


def test_the_metric_batch_by_batch():
    labels, scores = scored()
    metric = MeanAveragePrecision(CLASSES)
    for start in range(0, 60, 25):
        metric.update_state(labels[start : start + 25], scores[start : start + 25])
    want = average_precision_score(labels[:, :-1], scores[:, :-1], average="macro")
    assert float(metric.result()) == pytest.approx(want, abs=5e-3)
    metric.reset_state()
    assert float(metric.result()) == 0
    again = MeanAveragePrecision.from_config(metric.get_config())
    again.update_state(labels, scores)
    assert float(again.result()) == pytest.approx(want, abs=5e-3)


def test_scores_between_two_thresholds_count_as_equal():
    # Three thresholds, at logits of -20, 0 and 20.
    labels = np.array([[1], [0], [1], [1], [0]])
    scores = np.array([[0.9], [0.8], [0.6], [0.3], [0.1]])
    metric = MeanAveragePrecision(1, num_thresholds=3)
    metric.update_state(labels, scores)
    want = average_precision_score(labels, np.round(scores))
    assert float(metric.result()) == pytest.approx(want, rel=1e-6)


def test_weights_of_images():
    labels, scores = scored()
    weights = np.random.default_rng(1).integers(1, 4, 60).astype("float32")
    metric = MeanAveragePrecision(CLASSES)
    metric.update_state(labels, scores, weights)
    want = average_precision_score(labels[:, :-1], scores[:, :-1], sample_weight=weights)
    assert float(metric.result()) == pytest.approx(want, abs=5e-3)


@pytest.mark.any_backend
def test_all_scores():
    labels, scores = scored()
    found = multi_label_metrics(labels, scores)
    want = average_precision_score(labels[:, :-1], scores[:, :-1], average=None)
    assert found["average_precision"][:-1] == pytest.approx(want)
    assert found["average_precision"][-1] is None
    assert found["map"] == pytest.approx(want.mean())
    for average in ("micro", "macro"):
        want = f1_score(labels, scores >= 0.5, average=average, zero_division=0)
        assert found[f"f1_{average}"] == pytest.approx(want)


@pytest.mark.any_backend
def test_bad_arguments():
    with pytest.raises(ValueError, match="`probabilities` must have the shape"):
        multi_label_metrics(np.zeros((2, 3)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="`labels` must hold 0 and 1 alone"):
        multi_label_metrics(np.full((2, 2), 2), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="`num_thresholds`"):
        MeanAveragePrecision(3, num_thresholds=1)

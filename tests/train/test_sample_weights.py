"""Weights of images whose two views are trained on."""

import keras
import numpy as np
import pytest
import reference
from train.small_models import CLASSES, separable, small_model

from keras_clce import CLCELoss


@pytest.mark.parametrize("pairs", [True, False], ids=["pairs", "augmenter"])
def test_both_views_of_an_image_have_its_weight(pairs):
    """Of other rows' weights the loss would be another: they differ from image to image."""
    images, labels = separable(8)
    weights = np.array([5, 0, 1, 0.5, 3, 0, 0, 2], "float32")
    # The augmenter changes nothing, so that what the rows are is known.
    augmenter = None if pairs else keras.layers.Identity()
    views = (images, images[:, :, ::-1]) if pairs else (images, images)
    model = small_model(augmenter)
    model.compile(keras.optimizers.SGD(1e-9), loss=CLCELoss(0.5))

    rows = [view[number] for number in range(8) for view in views]
    of_rows = [number for number in range(8) for _ in views]
    outputs = model(np.stack(rows), training=True)
    logits, embedding = (
        keras.ops.convert_to_numpy(outputs[name]) for name in ("logits", "embedding")
    )
    entropy = reference.cross_entropy(labels[of_rows], logits)
    values, counted = reference.lacln(labels[of_rows], embedding)
    assert all(counted)
    assert logits.shape == (16, CLASSES)
    expected = np.mean(weights[of_rows] * (0.5 * np.array(entropy) + 0.5 * np.array(values)))

    logs = model.fit(
        views if pairs else images,
        labels,
        sample_weight=weights,
        batch_size=8,
        shuffle=False,
        verbose=0,
    ).history
    assert logs["loss"][0] == pytest.approx(expected, rel=1e-4)

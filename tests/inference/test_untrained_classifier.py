"""A contrastive loss alone trains no classifier: nothing is predicted by it in silence."""

import numpy as np
import pytest
from inference_files import colour_model

from keras_clce import load_model
from keras_clce.inference import PhotographAnswers, enroll, explain_images, predict_images

RED, GREEN, BLUE = IMAGES = [
    np.full((8, 8, 3), 250 * row, np.uint8) for row in np.eye(3, dtype=int)
]


def test_classes_of_a_contrastive_loss_alone_are_refused(tmp_path):
    model = colour_model()
    model.compile("sgd", loss="supcon")
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    for asked in (predict_images, explain_images):
        with pytest.raises(ValueError, match=r"contrastive loss alone \(SupConLoss\).*enroll"):
            asked(loaded, IMAGES)
    with pytest.raises(ValueError, match="`model` must have a classifier that was trained"):
        PhotographAnswers(loaded)
    mine = enroll(loaded, {"rose": [RED], "sky": [BLUE]})
    assert predict_images(loaded, IMAGES, enrolled=mine)[2].class_names[0] == "sky"
    loaded.compile("sgd", loss="clce")
    assert len(predict_images(loaded, IMAGES)) == 3

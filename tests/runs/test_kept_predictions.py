"""What a run keeps of each test image, and files that are damaged."""

import numpy as np
import pytest
from test_record import finished

from keras_clce.evaluate import mcnemar_test
from keras_clce.runs import Predictions, read_predictions

pytestmark = pytest.mark.any_backend

LABELS = np.array([0, 1, 2, 2])
PROBABILITIES = np.array([[0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.4, 0.4, 0.2], [0.1, 0.0, 0.9]])


def test_a_record_reads_what_was_written(tmp_path):
    folder = finished(tmp_path)
    assert folder.record().predictions is None
    Predictions.of(LABELS, PROBABILITIES).write(folder.predictions)
    found = folder.record().predictions
    assert found.labels.tolist() == [0, 1, 2, 2]
    # Of equal probabilities the first class.
    assert found.classes.tolist() == [0, 1, 0, 2]
    np.testing.assert_allclose(found.probabilities, [0.5, 0.7, 0.4, 0.9], rtol=1e-6)
    assert {array.dtype.name for array in vars(found).values()} == {"int32", "float32"}
    # Three of four are right, and a model that says 2 throughout is right on two.
    test = mcnemar_test(found.labels, found.classes, np.full(4, 2))
    assert (test.only_a_right, test.only_b_right) == (2, 1)


def whole(path):
    Predictions.of(LABELS, PROBABILITIES).write(path)


def half(path):
    whole(path)
    path.write_bytes(path.read_bytes()[:-200])


def other_lengths(path):
    np.savez(path, labels=LABELS, classes=LABELS[:2], probabilities=PROBABILITIES[:, 0])


def no_classes(path):
    np.savez(path, labels=LABELS, probabilities=PROBABILITIES[:, 0])


def fractions(path):
    np.savez(path, labels=LABELS, classes=LABELS + 0.5, probabilities=PROBABILITIES[:, 0])


@pytest.mark.parametrize("damage", [half, other_lengths, no_classes, fractions])
def test_a_damaged_file_is_named(damage, tmp_path):
    folder = finished(tmp_path)
    damage(folder.predictions)
    for read in (folder.record, lambda: read_predictions(folder.predictions)):
        with pytest.raises(ValueError, match=r"predictions\.npz is damaged.*the run is made anew"):
            read()

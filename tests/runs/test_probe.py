"""The linear classifier that a run keeps, as scikit-learn's own."""

import numpy as np
import pytest
from scipy import special

from keras_clce.evaluate import linear_probe
from keras_clce.runs import RunFolder, read_probe

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2], [1, 3, 4]])
def test_it_gives_the_probabilities_of_scikit_learn(classes, tmp_path):
    rng = np.random.default_rng(0)
    labels = np.array(classes)[rng.integers(0, len(classes), 60)]
    embeddings = rng.normal(size=(60, 4)) + np.eye(5, 4)[labels]
    fitted = linear_probe(embeddings, labels, embeddings, labels)
    folder = RunFolder(tmp_path)
    folder.write_probe(fitted)
    probe = read_probe(folder.probe)
    found = special.softmax(probe.logits(embeddings, num_classes=5), axis=1)
    if len(classes) == 2:
        found = found if max(classes) > 1 else found[:, :2]
    np.testing.assert_allclose(found[:, classes], fitted.predict_proba(embeddings), atol=1e-9)
    assert (np.delete(found, classes, axis=1) == 0).all()


def test_a_run_without_one_and_a_damaged_one(tmp_path):
    assert read_probe(tmp_path / "probe.npz") is None
    (tmp_path / "probe.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"probe.npz is damaged"):
        read_probe(tmp_path / "probe.npz")

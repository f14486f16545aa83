"""Files for TensorBoard's projector, read by TensorBoard."""

import numpy as np
import pytest
from PIL import Image

from keras_clce.report.embedding_projector import write_projector

pytestmark = pytest.mark.any_backend
CLASSES = ["tulip", "cloud\tof\nlines", "", "tulip", "tulip"]


def served(folder, route, **query):
    """What TensorBoard's plugin answers for a folder."""
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    plugin = ProjectorPlugin(base_plugin.TBContext(logdir=str(folder)))
    answer = Client(plugin.get_plugin_apps()[route]).get(query_string={"run": ".", **query})
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


def test_tensorboard_reads_tensors_classes_and_thumbnails(tmp_path, rows):
    thumbnails = np.zeros((5, 4, 4, 3))
    thumbnails[1, :, :, 0], thumbnails[3, :, :, 2] = 255, 99.6
    named = {'c"l\\ce é': rows, "ce": -rows}
    config = write_projector(tmp_path / "projector", named, CLASSES, thumbnails)
    assert config.name == "projector_config.pbtxt"
    entries = served(config.parent, "/info").json["embeddings"]
    assert [entry["tensorName"] for entry in entries] == [*named]
    assert [entry["tensorShape"] for entry in entries] == [[5, 3], [5, 3]]
    assert entries[0]["sprite"]["singleImageDim"] == [4, 4]
    for name, tensor in named.items():
        content = served(config.parent, "/tensor", name=name).data
        np.testing.assert_array_equal(np.frombuffer(content, "float32").reshape(5, 3), tensor)
    lines = served(config.parent, "/metadata", name="ce").text.splitlines()
    assert lines == ["tulip", "cloud of lines", "-", "tulip", "tulip"]
    (tmp_path / "served.png").write_bytes(served(config.parent, "/sprite_image", name="ce").data)
    with Image.open(tmp_path / "served.png") as sprite:
        pixels = np.asarray(sprite)
    # Five images stand in three columns; what is left is white.
    assert pixels.shape == (12, 12, 3)
    assert (pixels[:4, 4:8] == [255, 0, 0]).all() and (pixels[4:8, :4] == [0, 0, 100]).all()
    assert (pixels[4:8, 8:] == 255).all() and (pixels[:4, :4] == 0).all()


def test_numbers_whose_bytes_could_be_text_are_text(tmp_path):
    # Zeros and 0.5 are bytes of ASCII, which TensorBoard takes for text.
    rows = np.array([[0.0, 0.5], [0.5, 0.0]], "float32")
    config = write_projector(tmp_path, {"ce": rows}, ["a", "b"])
    content = served(tmp_path, "/tensor", name="ce").data
    np.testing.assert_array_equal(np.frombuffer(content, "float32").reshape(2, 2), rows)
    assert "sprite" not in config.read_text()


def test_large_thumbnails_become_smaller(tmp_path, monkeypatch, rows):
    monkeypatch.setattr("keras_clce.report.embedding_projector._SPRITE_SIDE", 12)
    config = write_projector(tmp_path, {"ce": rows}, CLASSES, np.zeros((5, 8, 8, 3)))
    with Image.open(tmp_path / "sprite.png") as sprite:
        assert sprite.size == (12, 12)
    assert "single_image_dim: 4" in config.read_text()


@pytest.mark.parametrize("what", ["classes", "thumbnails"])
def test_numbers_that_do_not_fit_are_refused(tmp_path, rows, what):
    given = {"classes": ["a"] * 5, "thumbnails": np.zeros((5, 2, 2, 3))}
    given[what] = given[what][:4]
    with pytest.raises(ValueError, match=f"`{what}` must be as many as the 5.*Received: 4"):
        write_projector(tmp_path, {"ce": rows}, **given)

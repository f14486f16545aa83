"""What the demo says of photographs that anybody gives, and what it does not look at."""

import base64
import io
import struct
import sys
import zlib

import numpy as np
import pytest
from inference_files import COLOURS, colour_model, write_colours
from PIL import Image

from keras_clce.inference import (
    EmbeddingIndex,
    PhotographAnswers,
    RefusedPhotograph,
    check_demo,
    embed_images,
)
from keras_clce.inference.demo_answers import open_photograph

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def model():
    return colour_model()


@pytest.fixture
def colours(tmp_path):
    return write_colours(tmp_path / "colours")


def png_of(width, height):
    """The start of a PNG file of that size, without pixels."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b""))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def test_classes_with_their_probabilities(model, tmp_path):
    Image.fromarray(np.full((20, 30, 3), (200, 200, 0), np.uint8)).save(tmp_path / "odd.png")
    answer = PhotographAnswers(model, threshold=0.5)(tmp_path / "odd.png")
    # Logits are nine times the mean colour.
    scores = np.exp(9 * np.array([200, 200, 0]) / 255)
    expected = scores / scores.sum()
    assert {*answer.class_names[:2]} == {"green", "red"} and answer.class_names[2] == "blue"
    np.testing.assert_allclose(answer.probabilities, expected, atol=1e-5)
    assert not answer.is_sure and answer.similar == ()
    assert PhotographAnswers(model, threshold=0.49)(tmp_path / "odd.png").is_sure
    names = ("azure", "lime", "rose")
    answer = PhotographAnswers(model, top_k=1, class_names=names)(tmp_path / "odd.png")
    assert len(answer.class_names) == 1 and answer.class_names[0] in ("lime", "rose")


def test_similar_photographs(model, colours, tmp_path):
    embed_images(model, colours, tmp_path / "c.npz")
    (colours / "red" / "2.png").unlink()
    answers = PhotographAnswers(model, EmbeddingIndex.load(tmp_path / "c.npz"), k=4)
    found = answers(colours / "red" / "0.png").similar
    assert [one.class_name for one in found[:3]] == ["red", "red", "red"] and len(found) == 4
    reds = np.array([[250, 0, 0], [249, 20, 20], [248, 40, 40.0]])
    cosines = reds[0] @ reds.T / np.linalg.norm(reds[0]) / np.linalg.norm(reds, axis=1)
    np.testing.assert_allclose([one.cosine for one in found[:3]], cosines, atol=1e-5)
    # The third file is gone.
    assert found[2].picture is None
    data = found[0].picture.removeprefix("data:image/jpeg;base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.size == (30, 20)
    np.testing.assert_allclose(np.asarray(picture).mean((0, 1)), [250, 0, 0], atol=4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a letter", "This is no image that can be read"),
        (b"", "This is no image that can be read"),
        # PostScript, which Pillow hands to another program, and a format without compression.
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "This is no image that can be read"),
        (b"P6 2 2 255\n" + bytes(12), "This is no image that can be read"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "This is no image that can be read"),
        (png_of(5000, 4001), r"at most 20 megapixels are taken\. It has 5000 x 4001 pixels"),
        # Beyond Pillow's own limit, where it says no by itself.
        (png_of(100_000, 100_000), r"too large: at most 20 megapixels are taken\."),
        (png_of(50, 40), "This image cannot be read: damaged or cut short"),
    ],
)
def test_what_is_not_looked_at(model, content, said, tmp_path):
    path = tmp_path / "secret-name.png"
    path.write_bytes(content)
    answers = PhotographAnswers(model)
    with pytest.raises(RefusedPhotograph, match=said) as error:
        answers(path)
    assert "secret" not in str(error.value) and str(tmp_path) not in str(error.value)
    assert answers(write_colours(tmp_path / "c") / "red" / "0.png").class_names[0] == "red"


def test_a_large_image_is_not_decoded(monkeypatch, tmp_path):
    Image.new("L", (5000, 4001)).save(tmp_path / "giant.png")
    Image.new("L", (5000, 4000)).save(tmp_path / "large.png")

    def load(self):
        raise AssertionError("it was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(RefusedPhotograph, match="5000 x 4001"):
        open_photograph(tmp_path / "giant.png")
    assert open_photograph(tmp_path / "large.png").size == (5000, 4000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_formats_that_are_taken(model, kind, tmp_path):
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., COLOURS["red"]] = 250
    Image.fromarray(red).save(tmp_path / "red", kind)
    assert PhotographAnswers(model)(tmp_path / "red").class_names[0] == "red"


def test_arguments_are_checked(model, colours, tmp_path):
    said = r"`threshold` must be a number from 0 to 1\. Received: threshold="
    for threshold in (-0.1, 1.5, "half", None, True):
        with pytest.raises(ValueError, match=said):
            PhotographAnswers(model, threshold=threshold)
    with pytest.raises(ValueError, match="`top_k` must be"):
        PhotographAnswers(model, top_k=0)
    with pytest.raises(ValueError, match="`k` must be"):
        PhotographAnswers(model, k=0)
    with pytest.raises(ValueError, match="`class_names` must be"):
        PhotographAnswers(model, class_names=["one"])
    embed_images(model, colours, tmp_path / "c.npz")
    other = colour_model()
    other.heads.classifier.bias.assign([1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="`model` must be the one that made the index"):
        PhotographAnswers(other, EmbeddingIndex.load(tmp_path / "c.npz"))


def test_a_missing_gradio_is_told_of(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ImportError, match=r'needs gradio.*pip install "keras-clce\[demo\]"'):
        check_demo()

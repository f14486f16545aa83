"""Names from files, the size of images, and files of predictions."""

import csv

import keras
import numpy as np
import pytest
from photographs import make_model, write_photographs

from keras_clce import CLCEModel
from keras_clce.inference import (
    PredictionFile,
    iterate_predictions,
    preprocessing_of,
    read_class_names,
)
from keras_clce.views import Preprocessing

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "cat\ndog\n"),
        ("a.txt", "\ufeffcat  \r\n\r\ndog"),
        ("a.json", '["cat", "dog"]'),
        ("a.json", '{"1": "dog", "0": "cat"}'),
    ],
)
def test_names_of_classes(name, content, tmp_path):
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    assert read_class_names(tmp_path / name) == ("cat", "dog")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b""),
        ("a.txt", b"caf\xe9"),
        ("a.json", b"[1, 2]"),
        ("a.json", b'{"0": "cat", "2": "dog"}'),
        ("a.json", b'{"cat": 0}'),
        ("a.json", b'"cat"'),
        ("a.json", b"{"),
    ],
)
def test_files_without_names(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="`class_names` must be a file in UTF-8"):
        read_class_names(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="which is no file"):
        read_class_names(tmp_path / "other.txt")


def model_on(*shape):
    images = keras.Input(shape)
    return CLCEModel(keras.Model(images, keras.layers.Conv2D(4, 3)(images)), 2)


def test_the_view_is_that_of_the_model_or_the_usual_one():
    assert preprocessing_of(make_model()) == Preprocessing(24, 0.8, "bicubic")
    assert preprocessing_of(make_model(preprocessing=False)) == Preprocessing(24)
    assert preprocessing_of(model_on(None, None, 3), 40) == Preprocessing(40)
    with pytest.raises(ValueError, match="`image_size` must be given"):
        preprocessing_of(model_on(None, None, 3))
    for shape in ((24, 32, 3), (24, 24, 1)):
        with pytest.raises(ValueError, match="`model` must take square RGB images"):
            preprocessing_of(model_on(*shape))


def test_predictions_as_a_file(tmp_path):
    folder, path = write_photographs(tmp_path / "pets", count=1), tmp_path / "p.csv"
    (folder / "loose, file.png").touch()
    rows = list(iterate_predictions(make_model(), folder, top_k=2))
    threshold = sorted(row.probability for row in rows if not row.error)[1]
    with PredictionFile(path, top_k=2, threshold=threshold) as file:
        for row in rows:
            file.write(row)
            # What was written stays after a kill.
            last = file.part.read_text().splitlines()[-1]
            assert last.strip('"').startswith(row.name) and not path.exists()
    assert not file.part.exists()
    with open(path, newline="") as written:
        lines = list(csv.DictReader(written))
    assert [line["file"] for line in lines] == [row.name for row in rows]
    good = [line for line in lines if not line["error"]]
    assert sorted(line["sure"] for line in good) == ["no", "yes", "yes"]
    for line, row in zip(good, (row for row in rows if not row.error), strict=True):
        assert (line["class_1"], line["class_2"]) == row.class_names
        assert float(line["probability_2"]) == pytest.approx(row.probabilities[1], abs=1e-6)
        assert line["label"] == row.label == line["file"].split("/")[0]
    assert [line for line in lines if line["error"]] == [
        {**dict.fromkeys(lines[0], ""), "file": "loose, file.png", "error": "empty"}
    ]


def test_a_stop_keeps_the_file_before_and_what_was_read(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("earlier")
    row = next(iterate_predictions(make_model(), np.zeros((30, 30, 3))))
    with pytest.raises(KeyboardInterrupt), PredictionFile(path, 5, 0.5) as file:
        file.write(row)
        raise KeyboardInterrupt
    assert path.read_text() == "earlier"
    assert len(file.part.read_text().splitlines()) == 2

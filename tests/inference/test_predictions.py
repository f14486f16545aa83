"""Predictions of image files are those of the test split, and nothing stops at a bad file."""

import io
import os
import threading

import numpy as np
import pytest
from photographs import NAMES, SIDE, make_model, write_photographs
from PIL import Image

import keras_clce
from keras_clce.data import load_dataset
from keras_clce.evaluate import top_k_accuracy
from keras_clce.inference import iterate_predictions, predict_images
from keras_clce.inference import predictions as module


def test_files_give_the_predictions_of_the_test_split(tmp_path):
    for seed, split in enumerate(("train", "val", "test")):
        write_photographs(tmp_path / "data" / split, seed)
    model = make_model()
    model.save(tmp_path / "model.keras")
    model = keras_clce.load_model(tmp_path / "model.keras")
    data = load_dataset(
        "image_folder", data_dir=tmp_path / "data", preprocessing=model.preprocessing
    )
    images, labels = data.test.arrays()
    expected = model.predict(images, verbose=0)
    result = keras_clce.predict_images(model, tmp_path / "data" / "test", top_k=3, embeddings=True)
    assert len(result) == len(labels) == 12 and not result.unreadable
    assert [row.name for row in result][:2] == ["ant/0.png", "ant/1.jpg"]
    columns = [[row.class_names.index(name) for name in NAMES] for row in result]
    rows = np.array([row.probabilities for row in result])
    probabilities = np.take_along_axis(rows, np.array(columns), axis=1)
    # The split has an order of its own, in which each file has one place.
    distances = np.abs(probabilities[:, None] - expected["probabilities"]).max(axis=2)
    place = distances.argmin(axis=1)
    assert sorted(place) == list(range(12))
    assert distances.min(axis=1).max() < 1e-5
    np.testing.assert_allclose(result.embeddings, expected["embedding"][place], atol=1e-5)
    assert [NAMES.index(row.label) for row in result] == labels[place].tolist()
    assert result.accuracy == top_k_accuracy(labels, expected["probabilities"])
    assert (np.diff(rows, axis=1) <= 0).all()


@pytest.mark.any_backend
def test_batches_and_threads_change_nothing(tmp_path):
    folder, model = write_photographs(tmp_path / "many", count=7), make_model()
    (folder / "bee" / "3.jpg").write_bytes(b"")
    rows = {
        size: list(iterate_predictions(model, folder, batch_size=size)) for size in (1, 4, 20, 64)
    }
    for found in rows.values():
        assert [row.name for row in found] == [row.name for row in rows[64]]
        assert [row.error for row in found] == [row.error for row in rows[64]]
        for one, other in zip(found, rows[64], strict=True):
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)


@pytest.mark.any_backend
def test_every_batch_but_the_first_ones_has_one_size(tmp_path, monkeypatch):
    """Else a backend that compiles would do so again for the last."""
    folder, model = write_photographs(tmp_path / "many"), make_model()
    sizes = []
    predict = model.predict_on_batch
    monkeypatch.setattr(
        model, "predict_on_batch", lambda images: sizes.append(len(images)) or predict(images)
    )
    assert len(predict_images(model, folder, batch_size=5)) == 12
    assert sizes == [5, 5, 5]
    sizes.clear()
    assert len(predict_images(model, folder / "ant", batch_size=5)) == 4
    assert sizes == [4]


@pytest.mark.any_backend
def test_bad_files_are_told_of_and_the_rest_goes_on(tmp_path):
    folder = write_photographs(tmp_path / "mess", count=2)
    whole = (folder / "ant" / "1.jpg").read_bytes()
    (folder / "ant" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("some words")
    (folder / "gone.jpg").symlink_to("nowhere")
    (folder / ".hidden.jpg").write_bytes(whole)
    (folder / "linked").symlink_to(folder / "bee")
    (folder / "around").symlink_to(folder)
    with open(os.path.join(os.fsencode(folder), b"caf\xe9.jpg"), "wb") as file:
        file.write(whole)
    rows = list(iterate_predictions(make_model(), folder))
    assert {row.name: row.error.partition(":")[0] for row in rows if row.error} == {
        "ant/cut.jpg": "damaged or cut short",
        "empty.jpg": "empty",
        "gone.jpg": "missing file or dead link",
        "notes.txt": "no image format that Pillow knows",
    }
    names = ["ant/0.png", "ant/1.jpg", "bee/0.png", "bee/1.jpg", "caf\\xe9.jpg"]
    names += ["cat/0.png", "cat/1.jpg"]
    assert [row.name for row in rows if not row.error] == names
    result = predict_images(make_model(), folder)
    assert len(result) == 7 and len(result.unreadable) == 4
    # The file in no folder of a class has no label.
    assert [row.label for row in result].count(None) == 1


@pytest.mark.any_backend
def test_a_folder_that_a_link_leads_to_is_followed(tmp_path):
    write_photographs(tmp_path / "away", count=1)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "linked").symlink_to(tmp_path / "away" / "ant")
    rows = list(iterate_predictions(make_model(), tmp_path / "here"))
    assert [(row.name, row.error) for row in rows] == [("linked/0.png", None)]


@pytest.mark.any_backend
def test_any_kind_of_image_is_what_its_file_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    image = Image.fromarray(pixels)
    image.save(tmp_path / "a.png")
    model = make_model()
    same = [tmp_path / "a.png", image, pixels, pixels.astype("float32"), pixels.astype("int64")]
    rows = predict_images(model, [*same, pixels / 255, pixels[None]], top_k=3)
    for row in rows:
        assert row.class_names == rows[0].class_names
        np.testing.assert_allclose(row.probabilities, rows[0].probabilities, atol=1e-6)
    assert [row.name for row in rows][1:4] == ["image 1", "image 2", "image 3"]
    # What decides here is the size of the model's images, which cutting leaves out.
    prepared = model.preprocessing(pixels)
    assert predict_images(model, prepared)[0].probabilities != rows[0].probabilities


@pytest.mark.any_backend
def test_a_damaged_pil_image_is_told_of(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(
        buffer, "JPEG"
    )
    half = Image.open(io.BytesIO(buffer.getvalue()[: buffer.tell() // 2]))
    (row,) = iterate_predictions(make_model(), half)
    assert row.error.startswith("damaged or cut short") and row.class_name is None


@pytest.mark.any_backend
def test_models_without_names_or_preprocessing(tmp_path):
    folder = write_photographs(tmp_path / "some", count=1)
    model = make_model(preprocessing=False, class_names=None)
    rows = predict_images(model, folder)
    assert {*rows[0].class_names} == {"0", "1", "2"} and rows.accuracy is None
    named = predict_images(model, folder, class_names=["x", "y", "z"])
    assert named[0].class_name == "xyz"[int(rows[0].class_name)]
    other = make_model(preprocessing=False, class_names=("x", "y", "z"))
    assert {*predict_images(other, folder, class_names=NAMES)[0].class_names} == {*NAMES}


@pytest.mark.any_backend
def test_memory_does_not_grow_with_the_number_of_images(tmp_path, monkeypatch):
    """No more photographs are decoded than the model is about to look at."""
    folder = write_photographs(tmp_path / "many", count=30)
    decoded, lock = [], threading.Lock()
    decode = module.batches_of_views.__globals__["_view"]

    def counted(photograph, preprocessing):
        with lock:
            decoded.append(photograph.name)
        return decode(photograph, preprocessing)

    monkeypatch.setitem(module.batches_of_views.__globals__, "_view", counted)
    rows = iterate_predictions(make_model(), folder, batch_size=4)
    next(rows)
    # A batch, the next one, and a photograph a thread.
    assert len(decoded) <= 4 + 4 + 8 + 1
    threads = {thread.name for thread in threading.enumerate()}
    assert any(name.startswith("decode") for name in threads)
    rows.close()
    threads = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith("decode") for name in threads)
    assert len(decoded) < 40


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": "no/such"}, r"`images` must be a folder, a file or a pattern .*'no/such'"),
        ({"images": []}, r"`images` must be .*which has none"),
        ({"images": 3}, r"`images` must be .*Received: images=3"),
        ({"images": np.zeros((4, 4, 2))}, r"channels are 1, 3 or 4.*\(4, 4, 2\)"),
        ({"images": np.full((4, 4, 3), -1.0)}, r"pixels in 0\.\.255.*from -1\.0 to -1\.0"),
        ({"images": np.full((4, 4, 3), np.nan)}, r"pixels in 0\.\.255.*nan"),
        ({"images": np.array([["a"]])}, r"must be numbers.*dtype <U1"),
        ({"top_k": 0}, r"`top_k` must be .*top_k=0"),
        ({"batch_size": 0}, r"`batch_size` must be .*batch_size=0"),
        ({"limit": -1}, r"`limit` must be .*limit=-1"),
        ({"class_names": ["a"]}, r"`class_names` must be .* 3 different.*1 class_names"),
        ({"image_size": 32}, r"`image_size` must be that of the model, 24.*image_size=32"),
        ({"model": "model.keras"}, r"`model` must be a CLCEModel.*a str"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_read(arguments, message):
    arguments = {"model": make_model(), "images": np.zeros((SIDE, SIDE, 3)), **arguments}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        iterate_predictions(**arguments)

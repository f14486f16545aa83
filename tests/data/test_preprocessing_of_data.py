"""One preprocessing for data sets, their evaluation and what a model carries."""

import numpy as np
import pytest
from few_shot_folders import write_class_folders
from PIL import Image

from keras_clce.data import Preprocessing, load_dataset, load_few_shot
from keras_clce.data.decoding import decode_image

pytestmark = pytest.mark.any_backend


def photographs(path, parts=("train", "val", "test")):
    """Folders of noise in several proportions, two classes in each part."""
    rng = np.random.default_rng(0)
    for part in parts:
        for name in ("a", "b") if "train" in parts else (f"{part}1", f"{part}2"):
            folder = path / part / name
            folder.mkdir(parents=True)
            for number, side in enumerate(rng.integers(17, 60, (3, 2))):
                pixels = rng.integers(0, 256, (*side, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return path


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("crop_fraction", [0.75, 1.0])
def test_evaluation_shows_what_the_preprocessing_of_the_data_makes(
    tmp_path, crop_fraction, interpolation
):
    root = photographs(tmp_path)
    asked = Preprocessing(24, crop_fraction, interpolation)
    data = load_dataset("image_folder", data_dir=root, preprocessing=asked)
    assert data.preprocessing == asked
    for part in ("val", "test"):
        split = {"val": data.validation, "test": data.test}[part]
        shown = {image.tobytes() for image, _ in split.batches(1).unbatch().as_numpy_iterator()}
        made = [data.preprocessing(decode_image(file)) for file in (root / part).rglob("*.png")]
        assert {image.tobytes() for image in made} == shown
        assert len(shown) == 6


def test_the_preprocessing_of_one_load_gives_its_images_again(tmp_path):
    root = photographs(tmp_path)
    options = {"image_size": 20, "interpolation": "bicubic"}
    first = load_dataset("image_folder", data_dir=root, **options)
    assert first.preprocessing == Preprocessing(20, 0.875, "bicubic")
    again = load_dataset("image_folder", data_dir=root, preprocessing=first.preprocessing)
    other = load_dataset("image_folder", data_dir=root, image_size=20)
    for part in ("train", "validation", "test"):
        one, two, three = (getattr(data, part).arrays()[0] for data in (first, again, other))
        np.testing.assert_array_equal(one, two)
        assert (one != three).any()


def test_real_photographs(shared_data):
    preprocessing = Preprocessing(32, 0.875, "bicubic")
    options = {"data_dir": shared_data, "limit_examples": 10}
    data = load_dataset("oxford_flowers102", preprocessing=preprocessing, **options)
    tfds = pytest.importorskip("tensorflow_datasets")
    examples = tfds.load("oxford_flowers102", split="test[:200]", data_dir=shared_data)
    made = preprocessing(next(iter(examples.batch(1).as_numpy_iterator()))["image"])
    np.testing.assert_array_equal(made[0], data.test.arrays()[0][0])
    for number, example in enumerate(examples.as_numpy_iterator()):
        shown = data.test.arrays()[0][number]
        np.testing.assert_allclose(preprocessing(example["image"]), shown, atol=1e-3)


def test_digits_stay_whole_and_few_shot_data_carry_theirs(tmp_path):
    assert load_dataset("digits", image_size=8).preprocessing == Preprocessing(8, 1.0)
    classes = {f"class{n}": [(f"{m}.png", n) for m in range(3)] for n in range(8)}
    root = write_class_folders(tmp_path / "few", classes)
    few = load_few_shot("image_folder", image_size=8, data_dir=root)
    assert few.preprocessing == Preprocessing(8, 0.875)
    asked = Preprocessing(9, 0.5, "bicubic")
    again = load_few_shot("image_folder", data_dir=root, preprocessing=asked)
    assert again.preprocessing == asked
    assert again.test.arrays()[0].shape[1:] == (9, 9, 3)


@pytest.mark.parametrize("load", [load_dataset, load_few_shot])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"`image_size` or `preprocessing` must be given\. Received: image_size=None"),
        ({"preprocessing": {"image_size": 8}}, r"must be a Preprocessing\. Received: .*\{'image"),
        ({"preprocessing": Preprocessing(8), "image_size": 8}, "None beside .*image_size=8"),
        (
            {"preprocessing": Preprocessing(8), "interpolation": "bicubic"},
            "None beside .*interpolation='bicubic'",
        ),
    ],
)
def test_what_is_asked_for_twice_or_not_at_all_is_named(load, arguments, message):
    with pytest.raises(ValueError, match=message):
        load("image_folder", **arguments)

"""Loading: digits, TFDS (mocked and real), and what is said about missing or wrong things."""

import socket

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from few_shot_folders import picture, write_tfds
from PIL import Image
from sklearn.datasets import load_digits
from tensorflow_datasets.core.download import downloader

from keras_clce.data import building, list_datasets, load_dataset
from keras_clce.data.catalog import get_spec

pytestmark = pytest.mark.any_backend

TFDS_NAMES = [
    spec.name
    for spec in list_datasets()
    if spec.tfds_name and spec.task == "transfer" and spec.name != "tiny_imagenet_subset"
]


def test_digits_are_scikit_learns_split_into_three_stratified_parts():
    data = load_dataset("digits", image_size=8)
    bunch = load_digits()
    assert data.num_classes == 10
    assert not data.train.flip
    parts = [data.validation.arrays(), data.test.arrays()]
    counts = [data.train.num_examples, len(parts[0][0]), len(parts[1][0])]
    assert sum(counts) == len(bunch.target)
    np.testing.assert_allclose(np.array(counts) / len(bunch.target), [0.7, 0.15, 0.15], atol=0.01)
    whole = {image.tobytes() for image in np.rint(bunch.images * 255 / 16).astype(np.uint8)}
    for images, labels in parts:
        assert images.dtype == np.uint8
        assert (images[..., 0] == images[..., 2]).all()
        assert {image.tobytes() for image in images[..., 0]} <= whole
        expected = np.bincount(bunch.target) * 0.15
        assert np.abs(np.bincount(labels) - expected).max() <= 1
    assert "scikit-learn" in data.split_note


def test_another_seed_gives_another_split():
    one, two = (load_dataset(image_size=8, split_seed=seed).test.arrays()[0] for seed in (0, 1))
    assert not np.array_equal(one, two)


def test_images_are_resized_whole_as_pillow_does():
    data = load_dataset("digits", image_size=6)
    kept = load_dataset("digits", image_size=8)
    small, large = data.test.arrays()[0], kept.test.arrays()[0]
    for got, image in zip(small[:20], large[:20], strict=True):
        oracle = Image.fromarray(image).resize((6, 6), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(got.astype(int), np.asarray(oracle).astype(int), atol=2)
    assert data.train.stored_batches(2).element_spec[0].shape[1] == round(1.5 * 6)


def middle(picture, filter_):
    """The picture with a shorter side of 18 pixels, of which the middle 16 are 87.5 %."""
    shorter = min(picture.size)
    width, height = (round(side * 18 / shorter) for side in picture.size)
    left, top = (width - 16) // 2, (height - 16) // 2
    resized = picture.resize((width, height), filter_)
    return np.asarray(resized.crop((left, top, left + 16, top + 16))).astype(int)


def test_digits_and_cifar_are_evaluated_whole():
    assert get_spec("digits").crop_fraction == get_spec("cifar100").crop_fraction == 1.0
    digits = load_dataset("digits", image_size=8).test.arrays()[0]
    # Strokes reach the outermost rows, which a crop would lose.
    assert digits[:, 0].max() == 255


def test_bicubic_differs_from_bilinear_and_matches_pillow(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 40, 3), np.uint8)
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(3):
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
    for name, filter_ in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
        data = load_dataset("image_folder", image_size=16, data_dir=tmp_path, interpolation=name)
        got = data.test.arrays()[0][0].astype(int)
        oracle = middle(Image.fromarray(pixels), filter_)
        # Pillow's cubic has a = -0.5 as TensorFlow's; they round differently.
        np.testing.assert_allclose(got, oracle, atol=2)


@pytest.mark.parametrize("name", TFDS_NAMES)
def test_every_tfds_row_loads(name):
    spec = get_spec(name)
    with tfds.testing.mock_data(num_examples=24):
        data = load_dataset(name, image_size=12)
        assert data.num_classes == len(data.class_names) == spec.num_classes
        for split in (data.train, data.validation, data.test):
            images, labels = next(iter(split.batches(4)))
            assert images.shape[1:] == (12, 12, 3)
            assert images.dtype == tf.float32
            assert labels.dtype == tf.int64
        (view_1, _), _ = next(iter(data.train.view_pairs(4)))
        assert view_1.shape == (4, 12, 12, 3)
    assert data.test.num_examples == 24
    if spec.splits.validation is None and spec.splits.stratified:
        assert data.train.num_examples + data.validation.num_examples == 24
    assert spec.splits.sizes in data.split_note
    assert "held out" in data.split_note or spec.splits.validation == "validation"


def test_streamed_tfds_split_gives_what_the_one_in_memory_gives(shared_data, monkeypatch):
    arguments = {
        "name": "oxford_flowers102",
        "image_size": 24,
        "data_dir": shared_data,
        "limit_examples": 60,
    }
    kept = load_dataset(**arguments)
    # Sixty training images of 30 pixels fit in this, the test images do not.
    monkeypatch.setattr(building, "MEMORY_LIMIT_BYTES", 60 * 24**2 * 3)
    streamed = load_dataset(**arguments)
    assert streamed.train.labels is None
    np.testing.assert_array_equal(streamed.train.arrays()[0], kept.train.arrays()[0])
    np.testing.assert_array_equal(streamed.train.arrays()[1], kept.train.arrays()[1])
    pairs = streamed.train.view_pairs(20, policy="none", seed=1)
    labels = np.concatenate([labels for _, labels in pairs.take(3).as_numpy_iterator()])
    np.testing.assert_array_equal(np.sort(labels), np.sort(kept.train.labels))


def test_flowers_of_the_shared_folder_are_whole_photographs(shared_data):
    data = load_dataset("oxford_flowers102", image_size=16, data_dir=shared_data)
    assert (data.train.num_examples, data.validation.num_examples) == (890, 890)
    assert data.test.num_examples == 3763
    assert "89 of 102 classes present" in data.split_note
    assert "not the official 1,020/1,020/6,149 split" in data.split_note
    first = next(
        iter(tfds.load("oxford_flowers102", split="test", data_dir=shared_data).as_numpy_iterator())
    )
    oracle = middle(Image.fromarray(first["image"]), Image.Resampling.BILINEAR)
    images, labels = data.test.arrays()
    np.testing.assert_allclose(images[0].astype(int), oracle, atol=2)
    assert labels[0] == first["label"]


def test_large_flowers_train_on_the_official_test_split(shared_data):
    data = load_dataset("oxford_flowers102_large", image_size=8, data_dir=shared_data)
    assert data.train.num_examples + data.validation.num_examples == 3763
    official = tfds.load("oxford_flowers102", split="validation", data_dir=shared_data)
    labels = [example["label"] for example in official.as_numpy_iterator()]
    np.testing.assert_array_equal(data.test.labels, labels)


def test_limit_is_balanced_and_tiny_imagenet_is_tested_on_validation(shared_data):
    data = load_dataset(
        "tiny_imagenet_subset", image_size=16, data_dir=shared_data, limit_examples=400
    )
    assert np.bincount(data.train.labels).tolist() == [2] * 200
    assert np.bincount(data.validation.labels).tolist() == [10] * 200
    assert data.test.num_examples == 10_000
    assert "400 training images kept" in data.split_note


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"image_size": 0}, ValueError, "`image_size` must be a positive integer.*image_size=0"),
        ({"image_size": 2.5}, ValueError, "Received: image_size=2.5"),
        ({"image_size": 8, "limit_examples": 0}, ValueError, "limit_examples=0"),
        ({"image_size": 8, "interpolation": "area"}, ValueError, "bilinear, bicubic.*'area'"),
        ({"image_size": 8, "data_dir": "no/such"}, FileNotFoundError, "data_dir=no/such"),
        ({"image_size": 8, "name": "image_folder"}, ValueError, "data_dir=None"),
        ({"image_size": 8, "name": "caltech256"}, ValueError, "256_ObjectCategories"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        load_dataset(**arguments)


@pytest.mark.parametrize("name", ["cub200", "tiny_imagenet_subset"])
def test_missing_data_say_what_to_do(name, tmp_path, monkeypatch):
    def no_network(self, *args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", no_network)
    with pytest.raises(FileNotFoundError, match="as `data_dir`") as caught:
        load_dataset(name, image_size=8, data_dir=tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert len(message) < 900
    if name == "cub200":
        assert "tfds build caltech_birds2011" in message
        assert "no network" in message


def test_a_damaged_record_is_one_readable_error(shared_data, tmp_path):
    source = shared_data / "oxford_flowers102" / "2.1.1"
    folder = tmp_path / "oxford_flowers102" / "2.1.1"
    folder.mkdir(parents=True)
    for file in source.iterdir():
        (folder / file.name).symlink_to(file.resolve())
    train = folder / "oxford_flowers102-train.tfrecord-00000-of-00001"
    content = bytearray(train.read_bytes())
    content[len(content) // 2] ^= 1
    train.unlink()
    train.write_bytes(content)
    with pytest.raises(
        OSError, match=r"could not be read \(DataLossError: .*Prepare the data"
    ) as e:
        load_dataset("oxford_flowers102", image_size=16, data_dir=tmp_path)
    assert "\n" not in str(e.value)


def test_without_a_network_it_says_so_after_few_tries(tmp_path, monkeypatch):
    asked = []

    def no_network(host, *args, **kwargs):
        asked.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    before = downloader.MAX_RETRIES
    message = r"www\.cs\.toronto\.edu cannot be reached from here\. .*`tfds build cifar100`"
    with pytest.raises(FileNotFoundError, match=message):
        load_dataset("cifar100", image_size=8, data_dir=tmp_path)
    assert 1 <= len(asked) <= 3
    assert downloader.MAX_RETRIES == before
    with pytest.raises(FileNotFoundError, match="TFDS has no data set of this name to download"):
        load_dataset("tiny_imagenet_subset", image_size=8, data_dir=tmp_path)


def labelled(names):
    """Features of images with a label."""
    features = {
        "image": tfds.features.Image(),
        "label": tfds.features.ClassLabel(names=list(names)),
    }
    return tfds.features.FeaturesDict(features)


def write_labels(root, name, version, features, sides=(10, 14), **splits):
    """TFDS files whose pictures have the value of their label."""
    examples = {
        split: [{"image": picture(10 * label, *sides), "label": label} for label in labels]
        for split, labels in splits.items()
    }
    return write_tfds(root, name, version, examples, features)


def tiny_imagenet_of(root, classes, **splits):
    return write_labels(root, "tiny_imagenet_subset", "1.0.0", labelled(classes), **splits)


def check_classes(data, values):
    """Pictures of `write_labels` show which label each class had."""
    for split in (data.train, data.validation, data.test):
        images, labels = split.arrays()
        assert np.abs(images[:, 0, 0, 0].astype(int) - 10 * np.array(values)[labels]).max() <= 2


@pytest.mark.parametrize("streams", [False, True])
def test_small_classes_of_tfds_are_left_out_of_every_split(tmp_path, monkeypatch, streams):
    monkeypatch.setattr(building, "MEMORY_LIMIT_BYTES", 0 if streams else 2**31)
    train, test = np.repeat([0, 1, 2, 3], [2, 20, 0, 10]), [0, 1, 1, 2, 3]
    root = tiny_imagenet_of(tmp_path, list("abcd"), train=train, validation=test)
    data = load_dataset(
        "tiny_imagenet_subset", image_size=8, data_dir=root, drop_small_classes=3, limit_examples=12
    )
    assert data.class_names == ("b", "d")
    check_classes(data, [1, 3])
    counts = [np.bincount(s.labels).tolist() for s in (data.train, data.validation, data.test)]
    assert counts == [[6, 6], [2, 1], [2, 1]]
    left_out = "2 classes with fewer than 3 training images left out: a (2), c (0)"
    assert left_out in data.split_note


def test_small_classes_are_counted_in_all_training_images_of_tfds(tmp_path):
    # One of the hundred training images is held out by place, and would be missing in its class.
    splits = {"train": np.repeat([0, 1, 2], [49, 49, 2]), "validation": [0, 1, 2]}
    # TFDS's own builder says that all its images are so large.
    made = ("places365_small", "2.1.0", labelled("abc"), (256, 256))
    root = write_labels(tmp_path, *made, **splits)
    data = load_dataset("places365", image_size=8, data_dir=root, drop_small_classes=49)
    assert data.class_names == ("airfield", "airplane_cabin")
    assert data.validation.num_examples == 1
    check_classes(data, [0, 1])
    assert data.train.num_examples == 97


def test_official_splits_of_tfds_count_training_images(tmp_path):
    labels = [0] * 5 + [1] * 5 + [2] * 2
    splits = {"train": labels, "validation": [0, 1, 2], "test": [2, 1, 0]}
    root = write_labels(tmp_path, "oxford_flowers102", "2.1.1", labelled("abc"), **splits)
    data = load_dataset("oxford_flowers102", image_size=8, data_dir=root, drop_small_classes=3)
    assert data.num_classes == 2
    check_classes(data, [0, 1])
    assert [s.num_examples for s in (data.train, data.validation, data.test)] == [10, 2, 2]


def test_one_class_of_tfds_is_refused(tmp_path):
    root = tiny_imagenet_of(tmp_path / "one", ["a"], train=[0] * 8, validation=[0])
    with pytest.raises(ValueError, match=r"two classes or more.*subset', with the classes: a$"):
        load_dataset("tiny_imagenet_subset", image_size=8, data_dir=root)
    root = tiny_imagenet_of(tmp_path / "two", ["a", "b"], train=[1] * 20, validation=[0, 1])
    with pytest.raises(ValueError, match=r"with 18 training images of the classes: b$"):
        load_dataset("tiny_imagenet_subset", image_size=8, data_dir=root)


def test_small_digits_are_left_out():
    # scikit-learn has 174 eights, 177 twos, and 178 or more of each other digit.
    data = load_dataset("digits", image_size=8, drop_small_classes=178)
    assert data.class_names == ("0", "1", "3", "4", "5", "6", "7", "9")
    assert "2 classes with fewer than 178 images left out: 2 (177), 8 (174)" in data.split_note

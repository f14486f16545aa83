"""Few-shot benchmarks: the published classes, whole and apart."""

import json

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_clce.data import few_shot, load_dataset, load_few_shot

pytestmark = pytest.mark.any_backend

PUBLISHED = {  # classes of base, validation and novel, as the papers count them
    "cifar_fs": (64, 16, 20),
    "mini_imagenet": (64, 16, 20),
    "tiered_imagenet": (351, 97, 160),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_classes_are_whole_and_apart(name):
    parts = few_shot._published(name)["classes"]
    assert tuple(len(set(parts[part])) for part in few_shot.PARTS) == PUBLISHED[name]
    assert len({label for part in parts.values() for label in part}) == sum(PUBLISHED[name])


def test_mini_imagenet_has_600_images_a_class():
    files = few_shot._mini_imagenet_images()
    classes = [file.partition("_")[0] for file in files]
    parts = few_shot._published("mini_imagenet")["classes"]
    assert set(classes) == {label for part in parts.values() for label in part}
    assert set(np.unique(classes, return_counts=True)[1]) == {600}


def coarse_of_each_fine_class(shared_data):
    examples = tfds.load("cifar100", split="test[:3000]", data_dir=str(shared_data))
    return {int(x["label"]): int(x["coarse_label"]) for x in tfds.as_numpy(examples)}


@pytest.fixture(scope="module")
def cifar_fs(shared_data):
    return load_few_shot("cifar_fs", image_size=32, data_dir=shared_data)


def check_whole(data, numbers):
    assert data.num_classes == numbers[0]
    for part, number in zip(few_shot.PARTS, numbers, strict=True):
        assert np.bincount(getattr(data, part).labels).tolist() == [600] * number
        assert len(data.class_names[part]) == number
    assert len({name for names in data.class_names.values() for name in names}) == 100


def test_cifar_fs_in_full(cifar_fs):
    check_whole(cifar_fs, (64, 16, 20))


def test_fc100_in_full(shared_data):
    data = load_few_shot("fc100", image_size=8, data_dir=shared_data)
    check_whole(data, (60, 20, 20))
    coarse = coarse_of_each_fine_class(shared_data)
    names = tfds.builder("cifar100", data_dir=str(shared_data)).info.features["label"].names
    base, validation, novel = (
        {coarse[names.index(name)] for name in data.class_names[part]} for part in few_shot.PARTS
    )
    assert (len(base), len(validation), len(novel)) == (12, 4, 4)
    assert len(base | validation | novel) == 20


def test_labels_belong_to_their_images(cifar_fs, shared_data):
    images, labels = cifar_fs.test.arrays()
    name = cifar_fs.class_names["test"][labels[0]]
    whole, info = tfds.load("cifar100", split="train", data_dir=str(shared_data), with_info=True)
    number = info.features["label"].names.index(name)
    of_the_class = whole.filter(lambda x: x["label"] == number).take(1)
    expected = next(iter(tfds.as_numpy(of_the_class)))["image"]
    np.testing.assert_array_equal(images[np.flatnonzero(labels == labels[0])[0]], expected)


def test_tiny_imagenet(shared_data):
    data = load_few_shot("tiny_imagenet", image_size=8, data_dir=shared_data, limit_examples=240)
    assert "240 base images kept" in data.split_note
    split = json.loads((shared_data / "tiny_imagenet_fewshot_split.json").read_text())
    assert data.class_names["test"] == tuple(split["novel"])
    assert [np.bincount(getattr(data, part).labels).tolist() for part in few_shot.PARTS] == [
        [each] * number for each, number in ((2, 120), (150, 30), (150, 50))
    ]


def folder_of(path, names, images=4):
    for value, name in enumerate(names):
        (path / name).mkdir(parents=True)
        for number in range(images):
            pixels = np.full((12, 12, 3), value % 250, "uint8")
            keras.utils.save_img(path / name / f"{name}_{number}.png", pixels, scale=False)
    return path


def test_any_image_folder(tmp_path):
    folder = folder_of(tmp_path / "birds", [f"bird{n:02d}" for n in range(25)])
    data = load_few_shot("image_folder", image_size=8, data_dir=folder, split_seed=3)
    assert [len(data.class_names[part]) for part in few_shot.PARTS] == [16, 4, 5]
    again = load_few_shot("image_folder", image_size=8, data_dir=folder, split_seed=3)
    other = load_few_shot("image_folder", image_size=8, data_dir=folder, split_seed=4)
    assert again.class_names == data.class_names != other.class_names
    images, labels = data.test.arrays()
    for label, name in enumerate(data.class_names["test"]):
        assert set(images[labels == label].ravel()) == {int(name.removeprefix("bird"))}
    with pytest.raises(ValueError, match="at least 6 class folders"):
        load_few_shot(
            "image_folder", image_size=8, data_dir=folder_of(tmp_path / "few", ["a", "b"])
        )
    with pytest.raises(ValueError, match="data_dir=None"):
        load_few_shot("image_folder", image_size=8)


@pytest.mark.parametrize("name", ["mini_imagenet", "tiered_imagenet"])
def test_folders_of_wordnet_ids(name, tmp_path):
    published = few_shot._published(name)["classes"]
    classes = sorted({label for part in published.values() for label in part})
    folder = folder_of(tmp_path / "ilsvrc", classes, images=1)
    if name == "mini_imagenet":
        # One listed image in a class: the others do not count.
        listed = sorted(few_shot._mini_imagenet_images())
        for label in classes:
            file = next(file for file in listed if file.startswith(label))
            pixels = np.full((12, 12, 3), 255, "uint8")
            keras.utils.save_img(folder / label / file, pixels, scale=False)
    data = load_few_shot(name, image_size=8, data_dir=folder)
    assert tuple(len(data.class_names[part]) for part in few_shot.PARTS) == PUBLISHED[name]
    images, labels = data.test.arrays()
    assert len(labels) == PUBLISHED[name][2]
    assert name == "tiered_imagenet" or set(images.ravel()) == {255}
    (folder / classes[0]).rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=rf"folder for every class of {name}.*{classes[0]}"):
        load_few_shot(name, image_size=8, data_dir=folder)


def test_few_shot_benchmarks_are_no_transfer_data():
    with pytest.raises(ValueError, match="is a few-shot benchmark"):
        load_dataset("cifar_fs", image_size=32)

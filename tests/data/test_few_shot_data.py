"""Few-shot benchmarks: the published classes, whole and apart."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from few_shot_folders import expect_images, picture, write_class_folders, write_tfds

from keras_clce.data import building, load_dataset, load_few_shot
from keras_clce.data import few_shot_benchmarks as few_shot

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
    """Its novel images are decoded; of the others their records say enough."""
    build = building.build_split

    def build_novel(records, *options):
        return build(records, *options) if len(options[-1]) == 20 else records

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "build_split", build_novel)
        return load_few_shot("cifar_fs", image_size=32, data_dir=shared_data)


def check_whole(data, numbers):
    assert data.num_classes == numbers[0]
    for part, number in zip(few_shot.PARTS, numbers, strict=True):
        assert np.bincount(getattr(data, part).labels).tolist() == [600] * number
        assert len(data.class_names[part]) == number
    assert len({name for names in data.class_names.values() for name in names}) == 100


def test_cifar_fs_in_full(cifar_fs):
    check_whole(cifar_fs, (64, 16, 20))


def test_fc100_in_full(shared_data, monkeypatch):
    # Images of the same files are decoded above.
    monkeypatch.setattr(building, "build_split", lambda records, *options: records)
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


def folder_of(path, names):
    return write_class_folders(
        path, {name: [(f"{n}.png", value) for n in range(4)] for value, name in enumerate(names)}
    )


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


def test_few_shot_benchmarks_are_no_transfer_data():
    with pytest.raises(ValueError, match="is a few-shot benchmark"):
        load_dataset("cifar_fs", image_size=32)


# === What is missing is named ===


def write_cifar100(root, left_out=(), lone=()):
    """Write two training images and a test image of each class, but for those left out."""
    fine, coarse = (
        sorted(name for part in few_shot.PARTS for name in few_shot._published(of)[kind][part])
        for of, kind in (("cifar_fs", "classes"), ("fc100", "superclasses"))
    )
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(32, 32, 3)),
            "label": tfds.features.ClassLabel(names=fine),
            "coarse_label": tfds.features.ClassLabel(names=coarse),
            "id": tfds.features.Text(),
        }
    )
    examples = {"train": [], "test": []}
    for number, name in enumerate(fine):
        one = {"image": picture(number, 32, 32), "label": number, "coarse_label": number % 20}
        one["id"] = str(number)
        examples["train"] += [one] * (0 if name in left_out else 1 if name in lone else 2)
        examples["test"] += [one] * (name not in left_out)
    return write_tfds(root, "cifar100", "3.0.2", examples, features)


@pytest.mark.parametrize("name", ["cifar_fs", "fc100"])
def test_classes_without_their_images_are_named(name, tmp_path, monkeypatch):
    expect_images(monkeypatch, name, 3)
    root = write_cifar100(tmp_path, left_out=["bear"], lone=["bus", "whale"])
    lacking = {
        "cifar_fs": r"cifar_fs must have 3 images.* with bear \(0\), bus \(2\), whale \(2\)$",
        "fc100": r"class of fc100 must be in the data.* without bear$",
    }
    with pytest.raises(ValueError, match=lacking[name]):
        load_few_shot(name, image_size=8, data_dir=root)


def write_tiny_imagenet(root, names):
    features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=names)}
    images = [{"image": picture(n), "label": n} for n in range(len(names))]
    examples = {"train": images * 2, "validation": images}
    features = tfds.features.FeaturesDict(features)
    return write_tfds(root, "tiny_imagenet_subset", "1.0.0", examples, features)


def test_tiny_imagenet_without_its_split_or_with_another(tmp_path):
    names = [f"n{number}" for number in range(6)]
    root = write_tiny_imagenet(tmp_path, names)
    path = root / "tiny_imagenet_fewshot_split.json"
    with pytest.raises(FileNotFoundError, match=rf"must lie beside the data.*without {path}$"):
        load_few_shot("tiny_imagenet", image_size=8, data_dir=root)
    split = {"base": names[:2], "validation": names[2:4], "novel": [*names[4:], "n6", "n7"]}
    path.write_text(json.dumps(split))
    with pytest.raises(ValueError, match=r"tiny_imagenet must be in the data.*without n6, n7$"):
        load_few_shot("tiny_imagenet", image_size=8, data_dir=root)
    path.write_text(json.dumps({**split, "novel": names[4:]}))
    data = load_few_shot("tiny_imagenet", image_size=8, data_dir=root)
    assert np.bincount(data.test.labels).tolist() == [3, 3]

"""miniImageNet and tieredImageNet, from TFDS's imagenet2012 and from folders of WordNet ids."""

import numpy as np
import pytest
import tensorflow_datasets as tfds
from few_shot_folders import expect_images, picture, write_class_folders, write_tfds

from keras_clce.data import building, load_few_shot
from keras_clce.data import few_shot_benchmarks as few_shot

pytestmark = pytest.mark.any_backend

COUNTS = {"mini_imagenet": (64, 16, 20), "tiered_imagenet": (351, 97, 160)}


def classes_of(name):
    parts = few_shot._published(name)["classes"]
    return [label for part in few_shot.PARTS for label in parts[part]]


@pytest.fixture
def two_a_class(monkeypatch):
    """MiniImageNet's list, cut to the first two images of each class."""
    listed = sorted(few_shot._mini_imagenet_images())
    cut = {image for start in (0, 1) for image in listed[start::600]}
    monkeypatch.setattr(few_shot, "_mini_imagenet_images", lambda: cut)
    expect_images(monkeypatch, "mini_imagenet", 2)
    return sorted(cut)


# === TFDS ===


def write_imagenet(root, images):
    """Write imagenet2012 in four shards; the value of a picture is the place of its class."""
    names = tfds.builder("imagenet2012", data_dir=root).info.features["label"].names
    examples = []
    for image in np.random.default_rng(0).permutation(sorted(images)):
        label = names.index(image.partition("_")[0])
        height, width = (10, 14) if len(examples) % 2 else (14, 10)
        value = label % 250
        examples.append(
            {
                "image": picture(value, height, width),
                "label": label,
                "file_name": f"{image}.JPEG",
            }
        )
    return write_tfds(root, "imagenet2012", "5.1.0", {"train": examples}, shards=4), names


def check_values(data, names):
    for part in few_shot.PARTS:
        images, labels = getattr(data, part).arrays()
        np.testing.assert_array_equal(getattr(data, part).labels, labels)
        expected = [names.index(data.class_names[part][label]) % 250 for label in labels]
        # JPEG may be one off.
        assert np.abs(images.mean(axis=(1, 2, 3)) - expected).max() <= 1


def test_mini_imagenet_from_tfds(two_a_class, tmp_path):
    others = [f"{name}_0" for name in classes_of("mini_imagenet")] + ["n02119789_1", "n15075141_7"]
    root, names = write_imagenet(tmp_path, [*two_a_class, *others])
    data = load_few_shot("mini_imagenet", image_size=8, data_dir=root)
    assert "classes and images as published" in data.split_note
    for part, number in zip(few_shot.PARTS, COUNTS["mini_imagenet"], strict=True):
        assert np.bincount(getattr(data, part).labels).tolist() == [2] * number
    check_values(data, names)


def test_a_published_image_that_tfds_lacks_is_named(two_a_class, tmp_path):
    lost = two_a_class.pop(7)
    root, _ = write_imagenet(tmp_path, two_a_class)
    with pytest.raises(ValueError, match=rf"published image of mini_imagenet.*without {lost}$"):
        load_few_shot("mini_imagenet", image_size=8, data_dir=root)


def test_tiered_imagenet_from_tfds_streams_as_it_is_kept(tmp_path, monkeypatch):
    images = [f"{name}_{number}" for name in classes_of("tiered_imagenet") for number in range(2)]
    root, names = write_imagenet(tmp_path, images)
    kept = load_few_shot("tiered_imagenet", image_size=8, data_dir=root)
    check_values(kept, names)
    monkeypatch.setattr(building, "MEMORY_LIMIT_BYTES", 0)
    streamed = load_few_shot("tiered_imagenet", image_size=8, data_dir=root)
    assert streamed.test.streams and not kept.test.streams
    assert streamed.split_note == kept.split_note
    check_values(streamed, names)
    np.testing.assert_array_equal(streamed.test.labels, kept.test.labels)
    np.testing.assert_array_equal(streamed.test.arrays()[0], kept.test.arrays()[0])


def test_a_class_without_images_in_tfds_is_named(tmp_path):
    first, *others = classes_of("tiered_imagenet")
    root, _ = write_imagenet(tmp_path, [f"{name}_0" for name in others])
    with pytest.raises(ValueError, match=rf"class of tiered_imagenet must have .*{first} \(0\)$"):
        load_few_shot("tiered_imagenet", image_size=8, data_dir=root)


def test_where_nothing_is_prepared_the_error_says_what_would_serve(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"class folders that are named by WordNet ids"):
        load_few_shot("mini_imagenet", image_size=8, data_dir=tmp_path)


# === Folders ===


def folders_of(path, names, files):
    """Class folders whose pictures' value is the place of the class."""
    return write_class_folders(
        path,
        {name: [(file, number % 250) for file in files(name)] for number, name in enumerate(names)},
    )


@pytest.mark.parametrize("suffix", ["JPEG", "png"])
def test_mini_imagenet_takes_the_published_images_of_ilsvrc_folders(suffix, two_a_class, tmp_path):
    names = sorted([*classes_of("mini_imagenet"), "n02119789"])

    def files(name):
        published = [image for image in two_a_class if image.startswith(f"{name}_")]
        return [f"{image}.{suffix}" for image in [*published, f"{name}_0"]]

    folder = folders_of(tmp_path / "ilsvrc", names, files)
    (folder / "n02119789" / "broken.JPEG").write_text("nobody reads this class")
    data = load_few_shot("mini_imagenet", image_size=8, data_dir=folder, strict=True)
    assert "classes and images as published" in data.split_note
    assert [getattr(data, part).num_examples for part in few_shot.PARTS] == [128, 32, 40]
    lost = two_a_class[3]
    (folder / lost.partition("_")[0] / f"{lost}.{suffix}").unlink()
    with pytest.raises(ValueError, match=rf"published image of mini_imagenet.*without {lost}$"):
        load_few_shot("mini_imagenet", image_size=8, data_dir=folder)


def test_mini_imagenet_from_ready_folders_with_other_file_names(two_a_class, tmp_path):
    names = sorted(classes_of("mini_imagenet"))
    folder = folders_of(
        tmp_path / "ready", names, lambda name: [f"{name}0000000{n}.png" for n in (1, 2)]
    )
    data = load_few_shot("mini_imagenet", image_size=8, data_dir=folder)
    assert "images of the folders" in data.split_note
    assert np.bincount(data.validation.labels).tolist() == [2] * 16
    check_values(data, names)
    (folder / names[5] / f"{names[5]}00000001.png").unlink()
    with pytest.raises(ValueError, match=rf"mini_imagenet must have 2 images.*{names[5]} \(1\)$"):
        load_few_shot("mini_imagenet", image_size=8, data_dir=folder)


def test_tiered_imagenet_from_folders(tmp_path):
    names = sorted(classes_of("tiered_imagenet"))
    folder = folders_of(tmp_path / "ilsvrc", names, lambda name: [f"{name}_1.png"])
    data = load_few_shot("tiered_imagenet", image_size=8, data_dir=folder)
    counts = tuple(getattr(data, part).num_examples for part in few_shot.PARTS)
    assert counts == COUNTS["tiered_imagenet"]
    check_values(data, names)


@pytest.mark.parametrize("name", COUNTS)
def test_class_folders_that_are_missing_are_named(name, tmp_path):
    first, second, *others = sorted(classes_of(name))
    folder = folders_of(tmp_path / "ilsvrc", others, lambda name: [])
    with pytest.raises(ValueError, match=rf"class of {name} must be .*without {first}, {second}$"):
        load_few_shot(name, image_size=8, data_dir=folder)

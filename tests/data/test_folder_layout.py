"""What a data folder may look like: splits under other names, deeper folders, links, odd names."""

import os

import numpy as np
import pytest
from few_shot_folders import write_class_folders

from keras_clce.data import load_dataset, load_few_shot

pytestmark = pytest.mark.any_backend


def folders(path, names, count=20, start=0):
    """Class folders whose pictures have the value of their class, from `start` on."""
    values = enumerate(names, start)
    return write_class_folders(
        path, {name: [(f"{n:03}.png", value) for n in range(count)] for value, name in values}
    )


def load(path, **options):
    return load_dataset("image_folder", image_size=4, data_dir=path, **options)


def counts(data):
    return [split.num_examples for split in (data.train, data.validation, data.test)]


def check_aligned(data):
    """Pictures of `folders` have the value of their class."""
    for split in (data.train, data.validation, data.test):
        images, labels = split.arrays()
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels)
        batches = [batch for _, batch in split.batches(7).as_numpy_iterator()]
        np.testing.assert_array_equal(np.concatenate(batches), labels)


# === Order ===


@pytest.mark.parametrize("layout", ["classes", "splits", "train and test", "train and val"])
@pytest.mark.parametrize("limit", [None, 60])
def test_batches_hold_many_classes_and_labels_stay_with_their_images(tmp_path, layout, limit):
    names = [f"class{number:02}" for number in range(10)]
    parts = {"splits": ["train", "val", "test"]}.get(layout, layout.split(" and "))
    for part in parts:
        folders(tmp_path / ("" if layout == "classes" else part), names)
    data = load(tmp_path, limit_examples=limit)
    check_aligned(data)
    for split in (data.train, data.validation, data.test):
        _, labels = next(iter(split.batches(10)))
        # In the order of the classes, two images of each at least, there would be five at most.
        assert len(np.unique(labels)) >= 6


def test_batches_of_caltech_and_of_few_shot_folders_hold_many_classes(tmp_path):
    folders(tmp_path / "caltech", [f"class{number:02}" for number in range(6)], 72)
    data = load_dataset("caltech256", image_size=4, data_dir=tmp_path / "caltech")
    check_aligned(data)
    # Two images of each of the six classes.
    assert len(np.unique(next(iter(data.validation.batches(6)))[1])) >= 4
    few = load_few_shot("image_folder", image_size=4, data_dir=tmp_path / "caltech")
    images, labels = few.train.arrays()
    named = [int(few.class_names["train"][label].removeprefix("class")) for label in labels]
    np.testing.assert_array_equal(images[:, 0, 0, 0], named)
    assert set(labels[:20]) == {0, 1}


def test_the_order_is_the_same_again_and_keeps_the_members_of_the_splits(tmp_path):
    root = tmp_path / "a"
    for name in ("x", "y"):
        write_class_folders(root, {name: [(f"{n:02}.png", n) for n in range(20)]})
    first, again = load(root), load(root)
    for part in ("train", "validation", "test"):
        images, labels = getattr(first, part).arrays()
        np.testing.assert_array_equal(images, getattr(again, part).arrays()[0])
        np.testing.assert_array_equal(labels, getattr(again, part).arrays()[1])
    # Every image is in one split: its value and its class are its name.
    found = [
        (label, image[0, 0, 0])
        for split in (first.train, first.validation, first.test)
        for image, label in zip(*split.arrays(), strict=True)
    ]
    assert sorted(found) == [(label, value) for label in (0, 1) for value in range(20)]


# === One class, deeper folders ===


@pytest.mark.parametrize("below", ["images", "a/b"])
def test_class_folders_further_down_are_named(tmp_path, below):
    folders(tmp_path / below, ["cat", "dog"])
    match = rf"at least 2 class folders.* with 1, .*cat/, dog/: pass data_dir={tmp_path / below} if"
    with pytest.raises(ValueError, match=match):
        load(tmp_path)
    with pytest.raises(ValueError, match=f"at least 6 .*pass data_dir={tmp_path / below} if"):
        load_few_shot("image_folder", image_size=4, data_dir=tmp_path)
    with pytest.raises(ValueError, match=f"pass data_dir={tmp_path / below} if"):
        load_dataset("caltech256", image_size=4, data_dir=tmp_path)


def test_one_class_is_refused(tmp_path):
    folders(tmp_path / "one", ["cat"])
    with pytest.raises(ValueError, match=r"at least 2 class folders\. .*with 1, cat/$"):
        load(tmp_path / "one")
    for part in ("train", "test"):
        folders(tmp_path / "split" / part / "images", ["cat", "dog"])
    match = r"train/images/ there are cat/, dog/: move them to .*train/ if they are the classes"
    with pytest.raises(ValueError, match=match):
        load(tmp_path / "split")
    folders(tmp_path / "two", ["cat", "dog"])
    with pytest.raises(ValueError, match=r"two classes or more.* with 1 training images of the cl"):
        load(tmp_path / "two", limit_examples=1)


# === Names of splits ===


@pytest.mark.parametrize(
    "names",
    [
        ("train", "valid", "test"),
        ("Train", "Val", "Test"),
        ("training", "dev", "testing"),
        ("TRAIN", "Validation", "TEST"),
    ],
)
def test_usual_names_of_splits_in_any_case(tmp_path, names):
    for name, count in zip(names, (4, 3, 2), strict=True):
        folders(tmp_path / name, ["cat", "dog"], count)
    data = load(tmp_path)
    assert counts(data) == [8, 6, 4]
    assert f"the folder's own {'/'.join(names)} split" in data.split_note


@pytest.mark.parametrize(
    ("names", "expected", "note"),
    [
        (("train", "val"), [34, 40, 6], r"own train/val split; 15 % of train/ held out for test"),
        (("Train",), [28, 6, 6], r"15 % of Train/ held out for validation and 15 % for test"),
        (("train", "test"), [36, 4, 40], r"10 % of train/ held out for validation"),
    ],
)
def test_a_missing_split_is_held_out_with_the_class_proportions(tmp_path, names, expected, note):
    for name in names:
        folders(tmp_path / name, ["cat", "dog"])
    data = load(tmp_path)
    assert counts(data) == expected
    for split in (data.train, data.validation, data.test):
        assert len(set(np.bincount(split.labels))) == 1
    assert note in data.split_note
    assert "seed 0" in data.split_note


def test_folders_and_images_that_are_not_used_are_named(tmp_path):
    for name in ("train", "val", "validation", "test", "masks"):
        folders(tmp_path / name, ["cat", "dog"], 3)
    (tmp_path / "train" / "cat" / "000.png").rename(tmp_path / "train" / "lost.png")
    with (
        pytest.warns(UserWarning, match=r"Not used, beside the splits .*: masks/, validation/$"),
        pytest.warns(UserWarning, match=r"lie beside the folders of .*train and .*: 1 images, lo"),
    ):
        data = load(tmp_path)
    assert counts(data) == [5, 6, 6]


def test_a_class_may_be_called_train(tmp_path):
    folders(tmp_path, ["car", "train"])
    with pytest.warns(UserWarning, match="Taken for classes.*: train/"):
        data = load(tmp_path)
    assert data.class_names == ("car", "train")
    folders(tmp_path / "splits", ["train", "test"])
    with pytest.raises(FileNotFoundError, match=r"one folder of images per class.*splits/train"):
        load(tmp_path / "splits")


@pytest.mark.parametrize("name", ["test", "dev", "Val"])
def test_a_class_with_folders_below_may_have_the_name_of_a_split(tmp_path, name):
    folders(tmp_path, ["car", "ship"])
    folders(tmp_path / name, ["a", "b"], 10)
    with pytest.warns(UserWarning, match=f"Taken for classes, .*beside other.*: {name}/$"):
        data = load(tmp_path)
    assert sorted(data.class_names) == sorted(["car", "ship", name])
    assert sum(np.bincount(data.train.labels)) == 42
    # Beside one other folder it is as likely that the training images have another name.
    folders(tmp_path / "splits" / name, ["a", "b"])
    folders(tmp_path / "splits", ["trainset"])
    with pytest.raises(ValueError, match=f"folders of class folders: train/.*{name}/"):
        load(tmp_path / "splits")


def test_a_train_folder_with_class_folders_is_a_split_unless_it_has_images_too(tmp_path):
    folders(tmp_path, ["car", "ship"])
    folders(tmp_path / "train", ["a", "b"], 10)
    with pytest.warns(UserWarning, match=r"Not used, beside the splits train/ .*: car/, ship/$"):
        assert load(tmp_path).class_names == ("a", "b")
    (tmp_path / "train" / "a" / "000.png").rename(tmp_path / "train" / "000.png")
    with pytest.warns(UserWarning, match="Taken for classes"):
        assert load(tmp_path).class_names == ("car", "ship", "train")


# === Few-shot folders with splits ===


def few_shot_splits(path, sizes):
    start = 0
    for part, size in sizes.items():
        folders(path / part, [f"class{n:02}" for n in range(start, start + size)], 4, start)
        start += size
    return path


def few_shot(path, **options):
    return load_few_shot("image_folder", image_size=4, data_dir=path, **options)


def test_few_shot_folders_keep_their_own_splits(tmp_path):
    data = few_shot(few_shot_splits(tmp_path, {"Train": 5, "valid": 2, "test": 3}))
    assert data.class_names == {
        "train": tuple(f"class{n:02}" for n in range(5)),
        "validation": ("class05", "class06"),
        "test": ("class07", "class08", "class09"),
    }
    assert "classes of its own Train/valid/test" in data.split_note
    images, labels = data.test.arrays()
    np.testing.assert_array_equal(images[:, 0, 0, 0], labels + 7)


def test_classes_of_a_missing_few_shot_split_are_taken_from_train(tmp_path):
    root = few_shot_splits(tmp_path, {"train": 10, "test": 2})
    data, other = few_shot(root), few_shot(root, split_seed=1)
    assert [len(data.class_names[part]) for part in ("train", "validation", "test")] == [8, 2, 2]
    drawn = {*data.class_names["train"], *data.class_names["validation"]}
    assert drawn == {f"class{n:02}" for n in range(10)}
    assert other.class_names["validation"] != data.class_names["validation"]
    assert "classes for validation taken from train by seed 0" in data.split_note


def test_few_shot_splits_that_share_classes_are_refused(tmp_path):
    for part in ("train", "test"):
        folders(tmp_path / part, [f"class{n}" for n in range(6)], 2)
    with pytest.raises(ValueError, match=r"different classes.* with class0, .*class5 in more than"):
        few_shot(tmp_path)
    with pytest.raises(ValueError, match=r"at least 4 class folders to be split by class.*train"):
        few_shot(few_shot_splits(tmp_path / "few", {"train": 3, "test": 2}))


def test_the_folder_below_that_has_wordnet_ids_is_named(tmp_path):
    (tmp_path / "train" / "n01532829").mkdir(parents=True)
    with pytest.raises(ValueError, match=rf"WordNet ids.*data_dir={tmp_path}/train would serve"):
        load_few_shot("mini_imagenet", image_size=4, data_dir=tmp_path)


# === Small classes ===


def with_small_classes(path):
    for value, (name, count) in enumerate({"a": 10, "b": 2, "c": 12, "d": 1}.items()):
        folders(path, [name], count, value)
    return path


def test_small_classes_are_left_out_and_labels_renumbered(tmp_path):
    root = with_small_classes(tmp_path)
    too_few = (
        r"3 images or more.* 2 of 4 classes with fewer, b \(2\), d \(1\)\. .*classes=3 .* leaves"
    )
    with pytest.raises(ValueError, match=too_few):
        load(root)
    data = load(root, drop_small_classes=3)
    assert data.class_names == ("a", "c") and data.num_classes == 2
    note = r"; 2 classes with fewer than 3 images left out: b (2), d (1)"
    assert data.split_note.endswith(note)
    assert sum(counts(data)) == 22
    for split in (data.train, data.validation, data.test):
        images, labels = split.arrays()
        np.testing.assert_array_equal(images[:, 0, 0, 0], 2 * labels)
    with pytest.raises(ValueError, match=r"leaves 1 of 4; the largest: c \(12\), a \(10\), b \(2"):
        load(root, drop_small_classes=11)
    with pytest.raises(ValueError, match=r"positive integer or None.*drop_small_classes=0"):
        load(root, drop_small_classes=0)


def test_training_images_decide_where_the_folder_has_splits(tmp_path):
    with_small_classes(tmp_path / "train")
    folders(tmp_path / "test", ["a", "b", "c"], 5)
    (tmp_path / "train" / "empty").mkdir()
    data = load(tmp_path, drop_small_classes=3)
    assert data.class_names == ("a", "c")
    assert counts(data)[2] == 10
    left_out = "3 classes with fewer than 3 training images left out: b (2), d (1), empty (0)"
    assert left_out in data.split_note
    (tmp_path / "test" / "c").rename(tmp_path / "test" / "e")
    with pytest.raises(ValueError, match="missing: c; not in the training split: e"):
        load(tmp_path, drop_small_classes=3)


def test_nothing_is_said_where_no_class_is_small(tmp_path):
    root = folders(tmp_path, ["a", "b"], 5)
    assert load(root, drop_small_classes=5).split_note == load(root).split_note


def test_small_classes_of_caltech_and_of_few_shot_folders(tmp_path):
    folders(tmp_path, ["a", "b", "d"], 65)
    folders(tmp_path, ["c"], 61, 2)
    with pytest.raises(ValueError, match=r"fewer in c \(61\)\. drop_small_classes=62 .* leaves"):
        load_dataset("caltech256", image_size=4, data_dir=tmp_path)
    data = load_dataset("caltech256", image_size=4, data_dir=tmp_path, drop_small_classes=62)
    assert data.class_names == ("a", "b", "d")
    folders(tmp_path, ["e", "f", "g"], 65)
    data = few_shot(tmp_path, drop_small_classes=62)
    assert {name for names in data.class_names.values() for name in names} == set("abdefg")
    assert "1 class with fewer than 62 images left out: c (61)" in data.split_note
    with pytest.raises(ValueError, match=r"must be None for cifar_fs, whose classes are published"):
        load_few_shot("cifar_fs", image_size=4, drop_small_classes=3)


# === Links and names ===


def total(data):
    return sum(np.bincount(split.labels) for split in (data.train, data.validation, data.test))


def test_linked_folders_are_followed_once(tmp_path):
    root = folders(tmp_path / "data", ["a", "b"], 6)
    elsewhere = folders(tmp_path / "elsewhere", ["c", "more"], 5)
    (root / "c").symlink_to(elsewhere / "c")
    (root / "a" / "more").symlink_to(elsewhere / "more")
    (root / "a" / "again").symlink_to(elsewhere / "more")
    (root / "a" / "itself").symlink_to(root / "a")
    (root / "a" / "up").symlink_to("..")
    (elsewhere / "c" / "back").symlink_to(root)
    (elsewhere / "more" / "around").symlink_to(root / "a")
    data = load(root)
    assert data.class_names == ("a", "b", "c")
    assert total(data).tolist() == [11, 6, 5]


def test_links_to_nothing_are_said(tmp_path):
    root = folders(tmp_path, ["a", "b"], 6)
    (root / "c").symlink_to(tmp_path / "gone")
    (root / "a" / "x.png").symlink_to(tmp_path / "gone.png")
    with pytest.warns(UserWarning, match=r"Skipped 2 files .*2 missing file or dead link$"):
        data = load(root)
    assert total(data).tolist() == [6, 6]


def test_names_that_are_no_utf8_work(tmp_path):
    root = folders(tmp_path, ["a", "b"], 5)
    odd = os.fsencode(root) + b"/caf\xe9"
    try:
        os.rename(root / "b", odd)
        os.rename(odd + b"/000.png", odd + b"/\xff.png")
        with open(odd + b"/\xfe.txt", "wb"):
            pass
    except OSError:
        return  # Some file systems take text alone.
    with pytest.warns(UserWarning, match=r"caf\\xe9/\\xfe\.txt \(empty\)"):
        data = load(root)
    assert data.class_names == ("a", r"caf\xe9")
    assert total(data).tolist() == [5, 5]
    check_aligned(data)
    ", ".join(data.class_names).encode()
    (root / "a" / "no.png").write_text("no")
    with pytest.raises(ValueError, match=r"2 that are not: .*caf\\xe9"):
        load(root, strict=True)


def test_links_that_lead_back_are_no_classes_and_one_folder_is_not_two(tmp_path):
    root = folders(tmp_path / "root", ["cat", "dog"])
    (root / "all").symlink_to(".", target_is_directory=True)
    (root / "more").symlink_to(tmp_path, target_is_directory=True)
    data = load(root)
    assert data.class_names == ("cat", "dog")
    check_aligned(data)
    (root / "hound").symlink_to("dog", target_is_directory=True)
    with pytest.raises(ValueError, match=r"different images.*dog and hound"):
        load(root)


def test_a_split_that_is_a_link_to_another_is_refused(tmp_path):
    folders(tmp_path / "root" / "train", ["cat", "dog"])
    (tmp_path / "root" / "val").symlink_to("train", target_is_directory=True)
    with pytest.raises(ValueError, match=r"different images.*train and val"):
        load(tmp_path / "root")

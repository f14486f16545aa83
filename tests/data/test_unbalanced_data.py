"""CIFAR-100-LT, and warnings of rare classes."""

import dataclasses
import warnings

import numpy as np
import pytest
from PIL import Image

from keras_clce.data import load_dataset
from keras_clce.data.catalog import get_spec
from keras_clce.data.long_tail import drawn_by_profile, exponential_profile, long_tailed_splits
from keras_clce.data.spec import LoadRequest

pytestmark = pytest.mark.any_backend


def published():
    """The loop of the code that LDAM's authors published."""
    return [int(500 * (0.01 ** (index / 99.0))) for index in range(100)]


def test_the_profile_is_the_published_one():
    profile = exponential_profile(500, 100, 100)
    assert profile.tolist() == published() and profile.sum() == 10_847
    assert exponential_profile(2, 100, 100).min() == 1


def test_drawn_examples_are_seeded_and_as_many_as_the_profile_says():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [40, 40, 5]))
    profile = np.array([30, 12, 9])
    one, again, other = (drawn_by_profile(labels, profile, seed) for seed in (0, 0, 1))
    assert np.bincount(labels[one]).tolist() == [30, 12, 5]
    assert (np.diff(one) > 0).all()
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_cifar100_lt_of_the_real_images(shared_data):
    request = LoadRequest(get_spec("cifar100_lt"), shared_data)
    names, splits, _, how = long_tailed_splits(request)
    counts, of_validation = (
        np.bincount(splits[part].read_labels(), minlength=100) for part in ("train", "validation")
    )
    # The first class gives ten of its 500 to validation.
    assert counts.tolist() == [490, *published()[1:]]
    assert of_validation.tolist() == [10] * 100
    assert splits["test"].num_examples == 10_000 and names[0] == "apple"
    assert "500 to 5 images a class (seed 0)" in how
    assert get_spec("cifar100").name == "cifar100"  # which has the same name in TFDS
    kept = long_tailed_splits(dataclasses.replace(request, drop_small_classes=100))
    assert len(kept.class_names) == sum(count >= 100 for count in published())
    assert kept.sources["test"].num_examples == 100 * len(kept.class_names)


def folder_of(path, **counts):
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (path / "train" / name).mkdir(parents=True)
        (path / "test" / name).mkdir(parents=True)
        for number in range(count + 2):
            part = "test" if number < 2 else "train"
            pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(path / part / name / f"{number}.png")
    return path


def load(path, **options):
    return load_dataset("image_folder", image_size=8, data_dir=path, **options)


def test_rare_classes_and_imbalance_are_warned_of_with_what_to_try(tmp_path):
    # 10 % of the training images are held out, at least one of each class.
    root = folder_of(tmp_path, ant=60, bee=5, cat=12)
    with pytest.warns(UserWarning) as caught:
        load(root)
    rare, ratio = (str(one.message) for one in caught)
    assert "1 of 3 classes have fewer than 5 training images" in rare
    assert "bee (4)" in rare and "--drop_small_classes" in rare
    assert "54 of ant, 4 of bee" in ratio
    for flag in ("--logit_adjustment 1", "--class_weight balanced", "--negatives class_mean"):
        assert flag in ratio


def test_nothing_is_warned_of_at_the_bounds(tmp_path):
    # 50 and 5 that train are 10:1, and 5 are not fewer than 5.
    root = folder_of(tmp_path, ant=56, bee=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(root)
    assert np.bincount(data.train.labels).tolist() == [50, 5]


def test_where_all_classes_are_rare_none_is_to_be_left_out(tmp_path):
    with pytest.warns(UserWarning, match=r"cat \(3\)\. Bring more images of them$"):
        load(folder_of(tmp_path, ant=4, cat=4))

"""Fewer training images: in all, of each class, and how many each class then has."""

import itertools

import numpy as np
import pytest
from PIL import Image

from keras_clce.data import class_counts, load_dataset, load_few_shot
from keras_clce.data.splitting import class_balanced_subset

pytestmark = pytest.mark.any_backend

LABELS = np.repeat([0, 1, 2], [9, 4, 2])


def test_each_class_keeps_at_most_so_many():
    for limit, expected in ((1, [1, 1, 1]), (3, [3, 3, 2]), (100, [9, 4, 2])):
        chosen = class_balanced_subset(LABELS, None, 7, per_class=limit)
        assert np.bincount(LABELS[chosen]).tolist() == expected
        assert (np.diff(chosen) > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_fewer_are_some_of_more_and_another_seed_chooses_others(seed):
    of_class = [
        {*class_balanced_subset(LABELS, None, seed, limit).tolist()} for limit in range(1, 10)
    ]
    in_all = [{*class_balanced_subset(LABELS, limit, seed).tolist()} for limit in range(1, 16)]
    for sets in (of_class, in_all):
        assert all(fewer <= more for fewer, more in itertools.pairwise(sets))
    # Where no class has run out, both limits choose the same.
    assert of_class[0] == in_all[2] and of_class[1] == in_all[5]


def test_another_seed_chooses_others():
    chosen = {tuple(class_balanced_subset(LABELS, None, seed, 3)) for seed in range(5)}
    assert len(chosen) > 1


def test_both_limits_together():
    chosen = class_balanced_subset(LABELS, 5, 0, per_class=2)
    counts = np.bincount(LABELS[chosen], minlength=3)
    assert counts.sum() == 5 and counts.max() == 2


def test_digits_with_few_images_of_a_class():
    whole = load_dataset("digits", image_size=8)
    few = load_dataset("digits", image_size=8, limit_per_class=5)
    more = load_dataset("digits", image_size=8, limit_per_class=20)
    assert np.bincount(few.train.labels).tolist() == [5] * 10
    assert "at most 5 training images of each class kept (seed 0)" in few.split_note
    assert few.test.num_examples == whole.test.num_examples

    def images(data):
        return {image.tobytes() for image in data.train.arrays()[0]}

    assert images(few) < images(more) < images(whole)
    same = load_dataset("digits", image_size=8, limit_per_class=1000)
    assert same.split_note == whole.split_note
    assert class_counts("digits").tolist() == np.bincount(whole.train.labels).tolist()
    assert class_counts("digits", limit_per_class=5).tolist() == [5] * 10
    assert class_counts("digits", limit_examples=37).sum() == 37


def test_base_classes_alone_are_limited(tmp_path):
    rng = np.random.default_rng(0)
    counts = {"train": {"a": 6, "b": 3}, "val": {"c": 4, "d": 4}, "test": {"e": 4, "f": 4}}
    for part, classes in counts.items():
        for name, images in classes.items():
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(images):
                pixels = rng.integers(0, 255, (10, 10, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{number}.png")
    options = {"data_dir": tmp_path, "limit_per_class": 4}
    data = load_few_shot("image_folder", image_size=8, **options)
    assert np.bincount(data.train.labels).tolist() == [4, 3]
    assert data.validation.num_examples == 8 and data.test.num_examples == 8
    assert "at most 4 base images of each class kept (seed 0)" in data.split_note
    assert class_counts("image_folder", few_shot=True, **options).tolist() == [4, 3]
    assert class_counts("image_folder", few_shot=True, data_dir=tmp_path).tolist() == [6, 3]


def test_wrong_limits_are_refused():
    with pytest.raises(ValueError, match=r"`limit_per_class` must be .*limit_per_class=0"):
        load_dataset("digits", image_size=8, limit_per_class=0)
    with pytest.raises(ValueError, match=r"few-shot tasks. Received: name='digits'"):
        class_counts("digits", few_shot=True)

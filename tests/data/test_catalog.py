"""The catalog: its rows, its names, its table and the seeded splits."""

import runpy

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from keras_clce.data import list_datasets, load_dataset
from keras_clce.data.catalog import get_spec
from keras_clce.data.catalog_table import format_table
from keras_clce.data.splitting import class_balanced_subset, stratified_split

pytestmark = pytest.mark.any_backend


def test_catalog_has_every_data_set_of_the_paper_and_the_extra_ones():
    names = [spec.name for spec in list_datasets()]
    assert names[0] == "digits"
    assert len(names) == len(set(names))
    assert {
        "cifar10",
        "cifar100",
        "cifar100_lt",
        "cub200",
        "caltech256",
        "oxford_flowers102",
        "oxford_flowers102_large",
        "oxford_pets",
        "inaturalist2017",
        "places365",
        "imagenet1k",
        "tiny_imagenet_subset",
        "digits",
        "image_folder",
        "cifar_fs",
        "fc100",
        "mini_imagenet",
        "tiered_imagenet",
        "tiny_imagenet",
    } == set(names)


def test_names_of_tfds_are_understood_and_the_flowers_keep_their_official_split():
    assert get_spec("caltech_birds2011").name == "cub200"
    assert get_spec("oxford_flowers102").splits.train == "train"


def test_unknown_name_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"digits, .*oxford_pets.*Received: name='flowers'"):
        load_dataset("flowers", image_size=32)


@pytest.mark.parametrize(
    ("name", "near"),
    [("cifra10", "cifar10"), ("Oxford_Pets", "oxford_pets"), ("tiny-imagenet", "tiny_imagenet")],
)
def test_an_unknown_name_that_is_near_another_is_asked_about(name, near):
    with pytest.raises(ValueError, match=rf"\(did you mean {near}\?\)\. Received: name='{name}'"):
        get_spec(name)
    with pytest.raises(ValueError, match=r"tiny_imagenet\. Received: name='qqqq'"):
        get_spec("qqqq")


def test_every_row_has_a_loader_for_its_task():
    for spec in list_datasets():
        assert spec.loader or spec.few_shot_loader
        assert spec.task == ("transfer" if spec.loader else "few-shot")


def test_table_fits_120_columns_and_names_every_row():
    table = format_table()
    assert max(map(len, table.splitlines())) <= 120
    for spec in list_datasets():
        assert any(line.startswith(spec.name + " ") for line in table.splitlines())


def test_module_prints_the_table(capsys):
    runpy.run_module("keras_clce.data", run_name="__main__")
    assert capsys.readouterr().out.strip() == format_table().strip()


def test_stratified_split_has_the_class_counts_of_scikit_learn():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    first, second = stratified_split(labels, 0.2, seed=3)
    oracle_first, oracle_second = train_test_split(labels, test_size=0.2, stratify=labels)
    np.testing.assert_array_equal(np.bincount(labels[first]), np.bincount(oracle_first))
    np.testing.assert_array_equal(np.bincount(labels[second]), np.bincount(oracle_second))
    np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), np.arange(160))
    np.testing.assert_array_equal(second, stratified_split(labels, 0.2, seed=3)[1])
    assert not np.array_equal(second, stratified_split(labels, 0.2, seed=4)[1])


def test_stratified_split_of_single_examples_still_holds_some_out():
    first, second = stratified_split(np.arange(20), 0.1, seed=0)
    assert (len(first), len(second)) == (18, 2)


def test_stratified_split_leaves_both_parts_something_of_a_small_class():
    labels = np.array([0, 0, 1])
    first, second = stratified_split(labels, 0.1, seed=0)
    assert np.bincount(labels[first], minlength=2).tolist() == [1, 1]
    assert labels[second].tolist() == [0]


@pytest.mark.parametrize(
    ("limit", "counts"), [(3, [1, 1, 1]), (6, [2, 2, 2]), (12, [5, 5, 2]), (99, [50, 20, 2])]
)
def test_class_balanced_subset_fills_classes_in_turn(limit, counts):
    labels = np.repeat([0, 1, 2], [50, 20, 2])
    chosen = class_balanced_subset(labels, limit, seed=1)
    assert len(np.unique(chosen)) == len(chosen)
    assert np.bincount(labels[chosen]).tolist() == counts
    assert not np.array_equal(chosen, class_balanced_subset(labels, limit, seed=2)) or limit == 99


def test_class_balanced_subset_below_the_number_of_classes_takes_distinct_classes():
    labels = np.repeat(np.arange(20), 5)
    chosen = class_balanced_subset(labels, 7, seed=1)
    assert len(np.unique(labels[chosen])) == 7

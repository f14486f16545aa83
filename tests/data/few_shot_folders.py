"""Small few-shot data on disk, as TFDS and as people keep them."""

import dataclasses

import keras
import numpy as np
import tensorflow_datasets as tfds

from keras_clce.data import catalog


def write_class_folders(path, files):
    """Write a class folder for each name, with a picture of one value for each file name in it.

    `files` has (file name, value) pairs for each class.
    """
    for name, pictures in files.items():
        (path / name).mkdir(parents=True)
        for file, value in pictures:
            pixels = np.full((12, 12, 3), value, "uint8")
            keras.utils.save_img(path / name / file, pixels, scale=False)
    return path


def write_tfds(root, name, version, examples, features=None, shards=1):
    """Write a TFDS data set under its name; `examples` has the examples of each split."""
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version=version,
        data_dir=root,
        features=features or tfds.builder(name, data_dir=root).info.features,
        split_datasets={split: list(enumerate(of)) for split, of in examples.items()},
        download_config=tfds.download.DownloadConfig(num_shards=shards),
    )
    return root


def picture(value, height=10, width=14):
    """A picture of one value."""
    return np.full((height, width, 3), value, "uint8")


def expect_images(monkeypatch, name, images_per_class):
    """Let the catalog say that each class of a benchmark has so many images."""
    row = dataclasses.replace(catalog.get_spec(name), images_per_class=images_per_class)
    monkeypatch.setitem(catalog._BY_NAME, name, row)

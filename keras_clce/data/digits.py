"""The handwritten digits that scikit-learn brings."""

from __future__ import annotations

import numpy as np

from keras_clce.checks import import_module
from keras_clce.data.class_subset import without_small_classes
from keras_clce.data.examples import Records
from keras_clce.data.installed import tensorflow
from keras_clce.data.spec import LoadRequest, Splits
from keras_clce.data.splitting import TEST_SHARE, VALIDATION_SHARE, three_way


class Digits:
    """scikit-learn's digits as an `ExampleSource`: gray 8x8 images with values 0 to 16.

    Args:
        images: float32 images (examples, 8, 8).
        labels: int64 labels (examples,).
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self._images = images
        self._labels = labels

    @property
    def num_examples(self) -> int:
        """Number of examples."""
        return len(self._labels)

    def read_labels(self) -> np.ndarray:
        """Give the labels (examples,)."""
        return self._labels

    def select(self, indices: np.ndarray) -> Digits:
        """Give the examples at these indices."""
        return Digits(self._images[indices], self._labels[indices])

    def mixed(self) -> Digits:
        """Give the examples as they are, since they were written by turns."""
        return self

    def records(self) -> Records:
        """Give the images with their labels."""
        tf = tensorflow()

        def decode(image, label):
            return tf.repeat(image[..., None], 3, axis=-1) * (255.0 / 16.0), label

        examples = tf.data.Dataset.from_tensor_slices((self._images, self._labels))
        return Records(examples, decode, self.num_examples, shuffle_buffer=self.num_examples)


def digits_splits(request: LoadRequest) -> Splits:
    """Split the digits by seed: there is no official split."""
    datasets = import_module("sklearn.datasets", "The data set digits", "scikit-learn")
    bunch = datasets.load_digits()
    every = Digits(bunch.images.astype(np.float32), bunch.target.astype(np.int64))
    all_names = [str(digit) for digit in bunch.target_names]
    (digits,), names, note = without_small_classes(
        [every], all_names, request.drop_small_classes, [every]
    )
    splits = three_way(digits, names, VALIDATION_SHARE, TEST_SHARE, request.seed)
    how = f"seeded, stratified split (seed {request.seed}): there is no official one{note}"
    return Splits(names, splits, "scikit-learn digits", how)

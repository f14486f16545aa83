"""Splits of TensorFlow Datasets, chosen from by index before they are decoded."""

import contextlib
import pathlib
import urllib.parse
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from tensorflow_datasets.core.download import downloader

from keras_clce.data.catalog import DatasetSpec
from keras_clce.data.examples import Records, damage_as_os_error

_RETRIES = 2


class TfdsImages:
    """A split of a TFDS data set, or some of its examples.

    Args:
        builder: the prepared builder.
        split: a TFDS split, such as `"train"` or `"train[:98%]"`.
        indices: sorted indices of the examples that are meant; None means all.

    Example:
        >>> builder = open_builder(get_spec("cifar100"), data_dir)  # doctest: +SKIP
        >>> TfdsImages(builder, "test").num_examples  # doctest: +SKIP
        10000
    """

    def __init__(
        self, builder: tfds.core.DatasetBuilder, split: str, indices: np.ndarray | None = None
    ) -> None:
        self._builder = builder
        self._split = split
        self._indices = indices
        self._labels = None

    @property
    def num_examples(self) -> int:
        """Number of examples."""
        if self._indices is not None:
            return len(self._indices)
        if self._builder.info.splits:
            return self._builder.info.splits[self._split].num_examples
        # A builder without metadata (TFDS's own mocks) has to be counted.
        return len(self.read_labels())

    def read_labels(self) -> np.ndarray:
        """Read the labels (examples,) without decoding images."""
        if self._labels is None:
            self._labels = self._read_all("label")
        return self._labels if self._indices is None else self._labels[self._indices]

    def read(self, feature: str) -> np.ndarray:
        """Read another feature (examples,) than the image, such as `"file_name"`."""
        values = self._read_all(feature)
        return values if self._indices is None else values[self._indices]

    def select(self, indices: np.ndarray) -> "TfdsImages":
        """Give the examples at these sorted indices."""
        if self._indices is not None:
            indices = self._indices[indices]
        selected = TfdsImages(self._builder, self._split, indices)
        selected._labels = self._labels
        return selected

    def mixed(self) -> "TfdsImages":
        """Give the examples as they are, since TFDS shuffles them when it writes its files."""
        return self

    def records(self) -> Records:
        """Give the undecoded images with their labels."""
        dataset = self._read(
            tfds.decode.PartialDecoding(
                {"image": True, "label": True}, {"image": tfds.decode.SkipDecoding()}
            )
        )
        if self._indices is not None:
            meant = np.zeros(self._indices[-1] + 1, bool)
            meant[self._indices] = True
            meant = tf.constant(meant)
            dataset = (
                dataset.take(len(meant))
                .enumerate()
                .filter(lambda index, record: meant[index])
                .map(lambda index, record: record)
            )
        image_feature = self._builder.info.features["image"]

        def decode(image, label):
            return image_feature.decode_example(image), label

        dataset = dataset.map(lambda record: (record["image"], record["label"]))
        return Records(dataset, decode, self.num_examples)

    def _read_all(self, feature: str) -> np.ndarray:
        records = self._read(tfds.decode.PartialDecoding({feature: True}))
        with damage_as_os_error():
            batches = records.map(lambda record: record[feature]).batch(4096)
            batches = list(batches.as_numpy_iterator())
        return np.concatenate(batches) if batches else np.zeros(0, np.int64)

    def _read(self, decoders: tfds.decode.PartialDecoding) -> tf.data.Dataset:
        return self._builder.as_dataset(
            split=self._split,
            decoders=decoders,
            shuffle_files=False,
            read_config=tfds.ReadConfig(try_autocache=False),
        )


def open_builder(spec: DatasetSpec, data_dir: pathlib.Path | None) -> tfds.core.DatasetBuilder:
    """Open a TFDS data set, and download it only where its prepared files are not there.

    Args:
        spec: the row of the catalog.
        data_dir: TFDS's data folder; None is its own.

    Returns:
        The prepared builder.

    Raises:
        FileNotFoundError: if the data are neither there nor can be downloaded; the message says
            what to do.

    Example:
        >>> open_builder(get_spec("cifar100"), pathlib.Path("data"))  # doctest: +SKIP
    """
    try:
        builder = tfds.builder(spec.tfds_name, data_dir=data_dir, try_gcs=False)
        if not builder.is_prepared():
            logging.warning(
                "%s is not in %s yet; downloading it (%s) ...",
                spec.name,
                builder.data_dir,
                spec.download_size,
            )
        with _few_retries():
            builder.download_and_prepare()
    # TFDS, its download manager and the network each raise errors of their own.
    except Exception as error:
        where = "TFDS's own folder, ~/tensorflow_datasets" if data_dir is None else str(data_dir)
        if _known_to_tfds(spec):
            why = f" ({spec.download_size}) is not in {where} and could not be downloaded: "
            why += _reason(error)
        else:
            why = f" is not in {where}, and TFDS has no data set of this name to download"
        raise FileNotFoundError(
            f"{spec.name}{why}. {_what_to_do(spec)} Received: name={spec.name!r}, "
            f"data_dir={data_dir and str(data_dir)!r}"
        ) from error
    return builder


@contextlib.contextmanager
def _few_retries() -> Iterator[None]:
    """Let TFDS give up on a server after seconds; its ten retries wait for minutes offline."""
    before = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = min(before, _RETRIES)
    try:
        yield
    finally:
        downloader.MAX_RETRIES = before


def _reason(error: Exception) -> str:
    request = getattr(error, "request", None)
    if isinstance(error, ConnectionError | OSError) and request is not None:
        return f"{urllib.parse.urlparse(request.url).hostname} cannot be reached from here"
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _known_to_tfds(spec: DatasetSpec) -> bool:
    return spec.tfds_name in tfds.list_builders(with_community_datasets=False)


def _what_to_do(spec: DatasetSpec) -> str:
    folder = f"the folder that has {spec.tfds_name}/ in it as `data_dir` (--data_dir)"
    otherwise = "or bring the images as class folders, with the data set image_folder."
    if spec.source == "few_shot" and spec.tfds_name == "imagenet2012":
        otherwise = "or a folder of class folders that are named by WordNet ids."
    if not _known_to_tfds(spec):
        return f"Pass {folder}, {otherwise}"
    return (
        f"Prepare it where the internet can be reached, with `tfds build {spec.tfds_name}` (see "
        f"{spec.homepage} for what has to be fetched by hand), and pass {folder}, {otherwise}"
    )

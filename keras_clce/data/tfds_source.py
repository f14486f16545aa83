"""Splits of TensorFlow Datasets, chosen from by index before they are decoded."""

from __future__ import annotations

import contextlib
import pathlib
import urllib.parse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import logging

from keras_clce.data.class_subset import without_small_classes
from keras_clce.data.examples import Records, damage_as_os_error
from keras_clce.data.installed import tensorflow, tensorflow_datasets
from keras_clce.data.spec import DatasetSpec, LoadRequest, SplitPlan, Splits
from keras_clce.data.splitting import hold_out

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_datasets as tfds

_RETRIES = 2


class TfdsImages:
    """A split of a TFDS data set, or some of its examples.

    Args:
        builder: The prepared builder.
        split: A TFDS split, such as `"train"` or `"train[:98%]"`.
        indices: Sorted indices of the examples that are meant; None means all.

    Example:
    ```python
    builder = open_builder(get_spec("cifar100"), data_dir)
    TfdsImages(builder, "test").num_examples  # 10000
    ```
    """

    def __init__(
        self, builder: tfds.core.DatasetBuilder, split: str, indices: np.ndarray | None = None
    ) -> None:
        self._builder = builder
        self._split = split
        self._indices = indices
        self._labels: np.ndarray | None = None

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

    def select(self, indices: np.ndarray) -> TfdsImages:
        """Give the examples at these sorted indices."""
        if self._indices is not None:
            indices = self._indices[indices]
        selected = TfdsImages(self._builder, self._split, indices)
        selected._labels = self._labels
        return selected

    def mixed(self) -> TfdsImages:
        """Give the examples as they are, since TFDS shuffles them when it writes its files."""
        return self

    def records(self) -> Records:
        """Give the undecoded images with their labels."""
        tf, tfds = tensorflow(), tensorflow_datasets()
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
                # Keras warns of an end that it did not expect.
                .apply(tf.data.experimental.assert_cardinality(len(self._indices)))
            )
        image_feature = self._builder.info.features["image"]

        def decode(image, label):
            return image_feature.decode_example(image), label

        dataset = dataset.map(lambda record: (record["image"], record["label"]))
        return Records(dataset, decode, self.num_examples)

    def _read_all(self, feature: str) -> np.ndarray:
        tfds = tensorflow_datasets()
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
            read_config=tensorflow_datasets().ReadConfig(try_autocache=False),
        )


def open_builder(spec: DatasetSpec, data_dir: pathlib.Path | None) -> tfds.core.DatasetBuilder:
    """Open a TFDS data set, and download it only where its prepared files are not there.

    Args:
        spec: The row of the catalog.
        data_dir: TFDS's data folder; None is its own.

    Returns:
        The prepared builder.

    Raises:
        FileNotFoundError: If the data are neither there nor can be downloaded; the message says
            what to do.

    Example:
    ```python
    open_builder(get_spec("cifar100"), pathlib.Path("data"))
    ```
    """
    tfds = tensorflow_datasets()
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


def tfds_splits(request: LoadRequest) -> Splits:
    """Take the splits of TFDS that the catalog names, and hold out what is missing."""
    spec = request.spec
    builder = open_builder(spec, request.folder)
    plan = spec.splits
    label = builder.info.features["label"]
    all_names = [label.int2str(index) for index in range(label.num_classes)]
    percent = round(100 * plan.holdout)
    train, validation = plan.train, plan.validation
    if plan.validation is None and not plan.stratified:
        train, validation = f"{plan.train}[:{100 - percent}%]", f"{plan.train}[{100 - percent}%:]"
    whole = [TfdsImages(builder, part) for part in (train, validation, plan.test) if part]
    # A slice that is held out for validation is of the training images too.
    counted = whole[: 2 if plan.validation is None and not plan.stratified else 1]
    least = request.drop_small_classes
    sources, names, note = without_small_classes(
        whole, all_names, least, counted, "training images"
    )
    if plan.validation is not None:
        how = f"TFDS's splits {plan.train}/{plan.validation}/{plan.test}"
    elif plan.stratified:
        sources[:1] = hold_out(sources[0], plan.holdout, request.seed)
        how = (
            f"{percent} % of TFDS's split {plan.train} held out for validation, stratified "
            f"(seed {request.seed}); tested on TFDS's split {plan.test}"
        )
    else:
        how = (
            f"the last {percent} % of TFDS's split {plan.train} held out for validation; tested on "
            f"TFDS's split {plan.test}"
        )
    if _announced(builder, plan) != plan.sizes:
        how += f"; not the official {plan.sizes} split"
    tfds_name = "" if spec.name == spec.tfds_name else f"{spec.tfds_name} "
    origin = f"{spec.name} (TFDS {tfds_name}{builder.version})"
    splits = dict(zip(("train", "validation", "test"), sources, strict=True))
    return Splits(names, splits, origin, how + note)


def _announced(builder: tfds.core.DatasetBuilder, plan: SplitPlan) -> str:
    splits = builder.info.splits
    parts = (plan.train, plan.validation, plan.test)
    return "/".join(f"{splits[part].num_examples:,}" if part in splits else "-" for part in parts)


@contextlib.contextmanager
def _few_retries() -> Iterator[None]:
    """Let TFDS give up on a server after seconds; its ten retries wait for minutes offline."""
    # Of a module that is imported when it is needed no names are known.
    downloader: Any = tensorflow_datasets(".core.download.downloader")
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
    return spec.tfds_name in tensorflow_datasets().list_builders(with_community_datasets=False)


def _what_to_do(spec: DatasetSpec) -> str:
    folder = f"the folder that has {spec.tfds_name}/ in it as `data_dir` (--data_dir)"
    otherwise = "or bring the images as class folders, with the data set image_folder."
    if spec.task == "few-shot" and spec.tfds_name == "imagenet2012":
        otherwise = "or a folder of class folders that are named by WordNet ids."
    if not _known_to_tfds(spec):
        return f"Pass {folder}, {otherwise}"
    return (
        f"Prepare it where the internet can be reached, with `tfds build {spec.tfds_name}` (see "
        f"{spec.homepage} for what has to be fetched by hand), and pass {folder}, {otherwise}"
    )

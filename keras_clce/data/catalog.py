"""The catalog of data sets: what each name stands for, where it comes from and how it is split."""

import dataclasses
import textwrap
from typing import Literal

Source = Literal["tfds", "digits", "image_folder", "caltech256", "few_shot"]


@dataclasses.dataclass(frozen=True)
class SplitPlan:
    """Which parts of a source serve for training, validation and test.

    Args:
        train: the source's split that is trained on (a TFDS split name), `""` where the
            source is not split by name.
        validation: the source's split for validation; None holds a part of `train` out.
        test: the source's split for the final test.
        sizes: the official numbers of examples, for people to read.
        holdout: fraction of `train` held out where `validation` is None.
        stratified: whether the part held out keeps the class proportions. It needs a pass over
            the labels; for sets of more than half a million images the last records of the
            (already shuffled) files are held out instead.
    """

    train: str
    validation: str | None
    test: str
    sizes: str
    holdout: float = 0.1
    stratified: bool = True


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """One row of the catalog.

    Args:
        name: the name that `load_dataset` takes.
        source: which loader reads it.
        tfds_name: the TensorFlow Datasets name, None where it is not in TFDS.
        splits: which parts serve for what.
        num_classes: number of classes, None where the folder says.
        task: `"transfer"` or `"few-shot"`.
        paper_row: the paper's experiment that uses it, `""` where none does.
        licence: terms of use, in a few words.
        download_size: size of the download, for people to read.
        note: what a user should know beside.
        homepage: where the data are described.
        flip: whether a mirrored image keeps its class.
        crop_fraction: share of the side that evaluation keeps, from the middle of the image.
        image_size: side of the images in pixels, where the benchmark prescribes one.
    """

    name: str
    source: Source
    tfds_name: str | None
    splits: SplitPlan
    num_classes: int | None
    task: str
    paper_row: str
    licence: str
    download_size: str
    note: str
    homepage: str
    flip: bool = True
    crop_fraction: float = 0.875
    image_size: int | None = None


_SPECS = (
    DatasetSpec(
        name="digits",
        source="digits",
        tfds_name=None,
        splits=SplitPlan("", None, "", "1,259/269/269, seeded, stratified", holdout=0.15),
        num_classes=10,
        task="transfer",
        paper_row="",
        licence="CC BY 4.0",
        download_size="none",
        note="the default: handwritten, 8x8, ships with scikit-learn",
        homepage="https://archive.ics.uci.edu/dataset/80",
        flip=False,
        crop_fraction=1.0,
    ),
    DatasetSpec(
        name="image_folder",
        source="image_folder",
        tfds_name=None,
        splits=SplitPlan("train", "validation", "test", "the folder's, or seeded 70/15/15 %"),
        num_classes=None,
        task="transfer",
        paper_row="",
        licence="yours",
        download_size="none",
        note="data_dir has class folders, or train/, val/ and test/ of them",
        homepage="",
    ),
    DatasetSpec(
        name="cifar10",
        source="tfds",
        tfds_name="cifar10",
        splits=SplitPlan("train", None, "test", "50,000/-/10,000"),
        num_classes=10,
        task="transfer",
        paper_row="",
        licence="research use",
        download_size="162 MiB",
        note="32x32",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        crop_fraction=1.0,
    ),
    DatasetSpec(
        name="cifar100",
        source="tfds",
        tfds_name="cifar100",
        splits=SplitPlan("train", None, "test", "50,000/-/10,000"),
        num_classes=100,
        task="transfer",
        paper_row="CIFAR-100",
        licence="research use",
        download_size="161 MiB",
        note="32x32",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        crop_fraction=1.0,
    ),
    DatasetSpec(
        name="cub200",
        source="tfds",
        tfds_name="caltech_birds2011",
        splits=SplitPlan("train", None, "test", "5,994/-/5,794"),
        num_classes=200,
        task="transfer",
        paper_row="CUB-200-2011",
        licence="non-commercial research",
        download_size="1.1 GiB",
        note="fine-grained birds",
        homepage="https://www.vision.caltech.edu/datasets/cub_200_2011/",
    ),
    DatasetSpec(
        name="caltech256",
        source="caltech256",
        tfds_name=None,
        splits=SplitPlan("", None, "", "60 a class/20 % of the rest/80 %, seeded"),
        num_classes=257,
        task="transfer",
        paper_row="Caltech-256",
        licence="CC BY 4.0",
        download_size="1.2 GB",
        note="data_dir is 256_ObjectCategories; clutter is class 257",
        homepage="https://data.caltech.edu/records/nyy15-4j048",
    ),
    DatasetSpec(
        name="oxford_flowers102",
        source="tfds",
        tfds_name="oxford_flowers102",
        splits=SplitPlan("train", "validation", "test", "1,020/1,020/6,149"),
        num_classes=102,
        task="transfer",
        paper_row="Oxford-Flowers",
        licence="research use",
        download_size="329 MiB",
        note="the official split",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
    ),
    DatasetSpec(
        name="oxford_flowers102_large",
        source="tfds",
        tfds_name="oxford_flowers102",
        splits=SplitPlan("test", None, "validation", "6,149/-/1,020"),
        num_classes=102,
        task="transfer",
        paper_row="Oxford-Flowers, larger split",
        licence="research use",
        download_size="329 MiB",
        note="trained on its test, tested on its validation",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
    ),
    DatasetSpec(
        name="oxford_pets",
        source="tfds",
        tfds_name="oxford_iiit_pet",
        splits=SplitPlan("train", None, "test", "3,680/-/3,669"),
        num_classes=37,
        task="transfer",
        paper_row="Oxford-IIIT Pets",
        licence="CC BY-SA 4.0",
        download_size="774 MiB",
        note="breeds of cats and dogs",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/pets/",
    ),
    DatasetSpec(
        name="inaturalist2017",
        source="tfds",
        tfds_name="i_naturalist2017",
        splits=SplitPlan("train", None, "validation", "579,184/-/95,986", 0.02, stratified=False),
        num_classes=5089,
        task="transfer",
        paper_row="iNaturalist 2017",
        licence="non-commercial research",
        download_size="237 GiB",
        note="labels of its test are hidden: tested on its validation",
        homepage="https://github.com/visipedia/inat_comp/tree/master/2017",
    ),
    DatasetSpec(
        name="places365",
        source="tfds",
        tfds_name="places365_small",
        splits=SplitPlan("train", None, "validation", "1,803,460/-/36,500", 0.01, stratified=False),
        num_classes=365,
        task="transfer",
        paper_row="Places365",
        licence="non-commercial research",
        download_size="29 GiB",
        note="labels of its test are hidden: tested on its validation",
        homepage="http://places2.csail.mit.edu/",
    ),
    DatasetSpec(
        name="imagenet1k",
        source="tfds",
        tfds_name="imagenet2012",
        splits=SplitPlan("train", None, "validation", "1,281,167/-/50,000", 0.01, stratified=False),
        num_classes=1000,
        task="transfer",
        paper_row="ImageNet-1k",
        licence="non-commercial research",
        download_size="156 GiB",
        note="labels of its test are hidden: tested on its validation",
        homepage="https://image-net.org/",
    ),
    DatasetSpec(
        name="tiny_imagenet_subset",
        source="tfds",
        tfds_name="tiny_imagenet_subset",
        splits=SplitPlan("train", None, "validation", "20,000/-/10,000"),
        num_classes=200,
        task="transfer",
        paper_row="",
        licence="non-commercial research",
        download_size="none, see note",
        note="64x64, 100 training images a class; tested on its validation",
        homepage="https://image-net.org/",
    ),
    DatasetSpec(
        name="cifar_fs",
        source="few_shot",
        tfds_name="cifar100",
        splits=SplitPlan("train+test", None, "", "64/16/20 classes"),
        num_classes=100,
        task="few-shot",
        paper_row="CIFAR-FS",
        licence="research use",
        download_size="161 MiB",
        note="600 images a class of CIFAR-100; published classes",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        crop_fraction=1.0,
    ),
    DatasetSpec(
        name="fc100",
        source="few_shot",
        tfds_name="cifar100",
        splits=SplitPlan("train+test", None, "", "60/20/20 classes"),
        num_classes=100,
        task="few-shot",
        paper_row="FC100",
        licence="research use",
        download_size="161 MiB",
        note="600 images a class of CIFAR-100; published superclasses",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        crop_fraction=1.0,
    ),
    DatasetSpec(
        name="mini_imagenet",
        source="few_shot",
        tfds_name="imagenet2012",
        splits=SplitPlan("train", None, "", "64/16/20 classes"),
        num_classes=100,
        task="few-shot",
        paper_row="miniImageNet",
        licence="non-commercial research",
        download_size="156 GiB",
        note="600 images a class; also from folders of WordNet ids",
        homepage="https://image-net.org/",
        crop_fraction=1.0,
        image_size=84,
    ),
    DatasetSpec(
        name="tiered_imagenet",
        source="few_shot",
        tfds_name="imagenet2012",
        splits=SplitPlan("train", None, "", "351/97/160 classes"),
        num_classes=608,
        task="few-shot",
        paper_row="tieredImageNet",
        licence="non-commercial research",
        download_size="156 GiB",
        note="all images of a class; also from folders of WordNet ids",
        homepage="https://image-net.org/",
        crop_fraction=1.0,
        image_size=84,
    ),
    DatasetSpec(
        name="tiny_imagenet",
        source="few_shot",
        tfds_name="tiny_imagenet_subset",
        splits=SplitPlan("train+validation", None, "", "120/30/50 classes"),
        num_classes=200,
        task="few-shot",
        paper_row="",
        licence="non-commercial research",
        download_size="none, see note",
        note="64x64, 150 images a class; the split lies beside the data",
        homepage="https://image-net.org/",
    ),
)

_BY_NAME = {spec.name: spec for spec in _SPECS}
# People know these sets under their TFDS names too.
_BY_NAME |= {
    spec.tfds_name: spec
    for spec in reversed(_SPECS)
    if spec.tfds_name and spec.source != "few_shot"
}


def list_datasets() -> tuple[DatasetSpec, ...]:
    """List every data set that `load_dataset` knows.

    Returns:
        The rows of the catalog, the default first.

    Example:
        >>> [spec.name for spec in list_datasets()][:2]
        ['digits', 'image_folder']
    """
    return _SPECS


def get_spec(name: str) -> DatasetSpec:
    """Look a data set up by its name or by its TFDS name.

    Args:
        name: a catalog name such as `"cub200"`, or a TFDS name such as `"caltech_birds2011"`.

    Returns:
        The row of the catalog.

    Raises:
        ValueError: if there is no such data set; the message lists the valid names.

    Example:
        >>> get_spec("caltech_birds2011").name
        'cub200'
    """
    if name not in _BY_NAME:
        names = ", ".join(spec.name for spec in _SPECS)
        raise ValueError(f"`name` must be one of {names}. Received: name={name!r}")
    return _BY_NAME[name]


def format_table(width: int = 120) -> str:
    """Format the catalog as a plain table.

    Args:
        width: the longest line, in characters; long cells go on in the next line.

    Returns:
        The table, without a final line break.

    Example:
        >>> print(format_table().splitlines()[0].split()[0])
        name
    """
    header = ("name", "classes", "train/val/test", "task", "paper", "licence", "download", "note")
    rows = [
        (
            spec.name,
            str(spec.num_classes or "any"),
            spec.splits.sizes,
            spec.task,
            spec.paper_row or "-",
            spec.licence,
            spec.download_size,
            spec.note,
        )
        for spec in _SPECS
    ]
    limits = (23, 7, 17, 8, 12, 12, 8)
    limits += (width - sum(limits) - 2 * len(limits),)
    lines = _table_row(header, limits)
    lines.append("  ".join("-" * limit for limit in limits))
    for row in rows:
        lines += _table_row(row, limits)
    return "\n".join(lines)


def _table_row(cells: tuple[str, ...], limits: tuple[int, ...]) -> list[str]:
    wrapped = [textwrap.wrap(cell, limit) for cell, limit in zip(cells, limits, strict=True)]
    height = max(len(lines) for lines in wrapped)
    padded = [lines + [""] * (height - len(lines)) for lines in wrapped]
    return [
        "  ".join(part.ljust(limit) for part, limit in zip(parts, limits, strict=True)).rstrip()
        for parts in zip(*padded, strict=True)
    ]

"""The catalog of data sets: what each name stands for, where it comes from and how it is split."""

import difflib

from keras_clce.data.caltech256 import caltech256_splits
from keras_clce.data.digits import digits_splits
from keras_clce.data.few_shot_benchmarks import (
    cifar_fs,
    fc100,
    mini_imagenet,
    tiered_imagenet,
    tiny_imagenet,
)
from keras_clce.data.image_folder_class_splits import image_folder_class_splits
from keras_clce.data.image_folder_splits import image_folder_splits
from keras_clce.data.long_tail import long_tailed_splits
from keras_clce.data.spec import DatasetSpec, SplitPlan
from keras_clce.data.tfds_source import tfds_splits

_SPECS = (
    DatasetSpec(
        name="digits",
        loader=digits_splits,
        splits=SplitPlan("", None, "", "1,259/269/269, seeded, stratified", holdout=0.15),
        num_classes=10,
        licence="CC BY 4.0",
        download_size="none",
        note="the default: handwritten, 8x8, ships with scikit-learn",
        homepage="https://archive.ics.uci.edu/dataset/80",
        flip=False,
        crop_fraction=1.0,
    ),
    DatasetSpec(
        name="image_folder",
        loader=image_folder_splits,
        few_shot_loader=image_folder_class_splits,
        splits=SplitPlan("train", "validation", "test", "the folder's, or seeded 70/15/15 %"),
        num_classes=None,
        licence="yours",
        download_size="none",
        note="data_dir has class folders, or train/, val/ and test/ of them",
        homepage="",
    ),
    DatasetSpec(
        name="cifar10",
        loader=tfds_splits,
        tfds_name="cifar10",
        splits=SplitPlan("train", None, "test", "50,000/-/10,000"),
        num_classes=10,
        licence="research use",
        download_size="162 MiB",
        note="32x32",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        crop_fraction=1.0,
        hub_name="uoft-cs/cifar10",
    ),
    DatasetSpec(
        name="cifar100",
        loader=tfds_splits,
        tfds_name="cifar100",
        splits=SplitPlan("train", None, "test", "50,000/-/10,000"),
        num_classes=100,
        paper_row="CIFAR-100",
        licence="research use",
        download_size="161 MiB",
        note="32x32",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        crop_fraction=1.0,
        hub_name="uoft-cs/cifar100",
    ),
    DatasetSpec(
        name="cifar100_lt",
        loader=long_tailed_splits,
        tfds_name="cifar100",
        splits=SplitPlan("train", None, "test", "10,847/-/10,000", holdout=0.02),
        num_classes=100,
        licence="research use",
        download_size="161 MiB",
        note="CIFAR-100-LT: 5 to 500 training images per class, 100:1",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        crop_fraction=1.0,
    ),
    DatasetSpec(
        name="cub200",
        loader=tfds_splits,
        tfds_name="caltech_birds2011",
        splits=SplitPlan("train", None, "test", "5,994/-/5,794"),
        num_classes=200,
        paper_row="CUB-200-2011",
        licence="non-commercial research",
        download_size="1.1 GiB",
        note="fine-grained birds",
        homepage="https://www.vision.caltech.edu/datasets/cub_200_2011/",
    ),
    DatasetSpec(
        name="caltech256",
        loader=caltech256_splits,
        splits=SplitPlan("", None, "", "60 per class/20 % of the rest/80 %, seeded"),
        num_classes=257,
        paper_row="Caltech-256",
        licence="CC BY 4.0",
        download_size="1.2 GB",
        note="data_dir is 256_ObjectCategories; clutter is class 257",
        homepage="https://data.caltech.edu/records/nyy15-4j048",
    ),
    DatasetSpec(
        name="oxford_flowers102",
        loader=tfds_splits,
        tfds_name="oxford_flowers102",
        splits=SplitPlan("train", "validation", "test", "1,020/1,020/6,149"),
        num_classes=102,
        paper_row="Oxford-Flowers",
        licence="research use",
        download_size="329 MiB",
        note="the official split",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
    ),
    DatasetSpec(
        name="oxford_flowers102_large",
        loader=tfds_splits,
        tfds_name="oxford_flowers102",
        splits=SplitPlan("test", None, "validation", "6,149/-/1,020"),
        num_classes=102,
        paper_row="Oxford-Flowers, larger split",
        licence="research use",
        download_size="329 MiB",
        note="trained on its test, tested on its validation",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
    ),
    DatasetSpec(
        name="oxford_pets",
        loader=tfds_splits,
        tfds_name="oxford_iiit_pet",
        splits=SplitPlan("train", None, "test", "3,680/-/3,669"),
        num_classes=37,
        paper_row="Oxford-IIIT Pets",
        licence="CC BY-SA 4.0",
        download_size="774 MiB",
        note="breeds of cats and dogs",
        homepage="https://www.robots.ox.ac.uk/~vgg/data/pets/",
    ),
    DatasetSpec(
        name="inaturalist2017",
        loader=tfds_splits,
        tfds_name="i_naturalist2017",
        splits=SplitPlan("train", None, "validation", "579,184/-/95,986", 0.02, stratified=False),
        num_classes=5089,
        paper_row="iNaturalist 2017",
        licence="non-commercial research",
        download_size="237 GiB",
        note="labels of its test are hidden: tested on its validation",
        homepage="https://github.com/visipedia/inat_comp/tree/master/2017",
    ),
    DatasetSpec(
        name="places365",
        loader=tfds_splits,
        tfds_name="places365_small",
        splits=SplitPlan("train", None, "validation", "1,803,460/-/36,500", 0.01, stratified=False),
        num_classes=365,
        paper_row="Places365",
        licence="non-commercial research",
        download_size="29 GiB",
        note="labels of its test are hidden: tested on its validation",
        homepage="http://places2.csail.mit.edu/",
    ),
    DatasetSpec(
        name="imagenet1k",
        loader=tfds_splits,
        tfds_name="imagenet2012",
        splits=SplitPlan("train", None, "validation", "1,281,167/-/50,000", 0.01, stratified=False),
        num_classes=1000,
        paper_row="ImageNet-1k",
        licence="non-commercial research",
        download_size="156 GiB",
        note="labels of its test are hidden: tested on its validation",
        homepage="https://image-net.org/",
        hub_name="ILSVRC/imagenet-1k",
    ),
    DatasetSpec(
        name="tiny_imagenet_subset",
        loader=tfds_splits,
        tfds_name="tiny_imagenet_subset",
        splits=SplitPlan("train", None, "validation", "20,000/-/10,000"),
        num_classes=200,
        licence="non-commercial research",
        download_size="none, see note",
        note="64x64, 100 training images per class; tested on its validation",
        homepage="https://image-net.org/",
    ),
    DatasetSpec(
        name="cifar_fs",
        loader=None,
        few_shot_loader=cifar_fs,
        tfds_name="cifar100",
        splits=SplitPlan("train+test", None, "", "64/16/20 classes"),
        num_classes=100,
        paper_row="CIFAR-FS",
        licence="research use",
        download_size="161 MiB",
        note="600 images per class of CIFAR-100; published classes",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        crop_fraction=1.0,
        images_per_class=600,
        hub_name="uoft-cs/cifar100",
    ),
    DatasetSpec(
        name="fc100",
        loader=None,
        few_shot_loader=fc100,
        tfds_name="cifar100",
        splits=SplitPlan("train+test", None, "", "60/20/20 classes"),
        num_classes=100,
        paper_row="FC100",
        licence="research use",
        download_size="161 MiB",
        note="600 images per class of CIFAR-100; published superclasses",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        crop_fraction=1.0,
        images_per_class=600,
        hub_name="uoft-cs/cifar100",
    ),
    DatasetSpec(
        name="mini_imagenet",
        loader=None,
        few_shot_loader=mini_imagenet,
        tfds_name="imagenet2012",
        splits=SplitPlan("train", None, "", "64/16/20 classes"),
        num_classes=100,
        paper_row="miniImageNet",
        licence="non-commercial research",
        download_size="156 GiB",
        note="600 images per class; also from folders of WordNet ids",
        homepage="https://image-net.org/",
        crop_fraction=1.0,
        image_size=84,
        images_per_class=600,
        hub_name="ILSVRC/imagenet-1k",
    ),
    DatasetSpec(
        name="tiered_imagenet",
        loader=None,
        few_shot_loader=tiered_imagenet,
        tfds_name="imagenet2012",
        splits=SplitPlan("train", None, "", "351/97/160 classes"),
        num_classes=608,
        paper_row="tieredImageNet",
        licence="non-commercial research",
        download_size="156 GiB",
        note="all images of each class; also from folders of WordNet ids",
        homepage="https://image-net.org/",
        crop_fraction=1.0,
        image_size=84,
        hub_name="ILSVRC/imagenet-1k",
    ),
    DatasetSpec(
        name="tiny_imagenet",
        loader=None,
        few_shot_loader=tiny_imagenet,
        tfds_name="tiny_imagenet_subset",
        splits=SplitPlan("train+validation", None, "", "120/30/50 classes"),
        num_classes=200,
        licence="non-commercial research",
        download_size="none, see note",
        note="64x64, 150 images per class; the split lies beside the data",
        homepage="https://image-net.org/",
    ),
)

_BY_NAME = {spec.name: spec for spec in _SPECS}
# People know these sets under their TFDS names too.
_BY_NAME |= {
    spec.tfds_name: spec for spec in reversed(_SPECS) if spec.tfds_name and spec.task == "transfer"
}


def list_datasets() -> tuple[DatasetSpec, ...]:
    """List every data set that `load_dataset` or `load_few_shot` knows.

    Returns:
        The rows of the catalog, the default first.

    Example:
    ```python
    [spec.name for spec in list_datasets()][:2]  # ["digits", "image_folder"]
    ```
    """
    return _SPECS


def get_spec(name: str) -> DatasetSpec:
    """Look a data set up by its name or by its TFDS name.

    Args:
        name: A catalog name such as `"cub200"`, or a TFDS name such as `"caltech_birds2011"`.

    Returns:
        The row of the catalog.

    Raises:
        ValueError: If there is no such data set; the message lists the valid names and says which
            is nearest.

    Example:
    ```python
    get_spec("caltech_birds2011").name  # "cub200"
    ```
    """
    if name not in _BY_NAME:
        names = ", ".join(spec.name for spec in _SPECS)
        near = difflib.get_close_matches(str(name).lower(), _BY_NAME, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"`name` must be one of {names}{hint}. Received: name={name!r}")
    return _BY_NAME[name]

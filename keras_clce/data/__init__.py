"""Data sets, and two augmented views of every image."""

from keras_clce.data.balanced import ClassBalancedBatches
from keras_clce.data.catalog import list_datasets
from keras_clce.data.class_counts import class_counts
from keras_clce.data.datasets import FewShotDataset, ImageDataset
from keras_clce.data.few_shot_loading import load_few_shot
from keras_clce.data.image_split import ImageSplit
from keras_clce.data.loading import load_dataset
from keras_clce.data.spec import DatasetSpec
from keras_clce.views import VIEW_POLICIES, Preprocessing, two_view_augmenter

__all__ = [
    "VIEW_POLICIES",
    "ClassBalancedBatches",
    "DatasetSpec",
    "FewShotDataset",
    "ImageDataset",
    "ImageSplit",
    "Preprocessing",
    "class_counts",
    "list_datasets",
    "load_dataset",
    "load_few_shot",
    "two_view_augmenter",
]

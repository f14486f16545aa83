"""Data sets, and two augmented views of every image."""

from keras_clce.data.balanced import ClassBalancedBatches
from keras_clce.data.catalog import DatasetSpec, list_datasets
from keras_clce.data.few_shot_loading import FewShotDataset, load_few_shot
from keras_clce.data.image_split import ImageDataset, ImageSplit
from keras_clce.data.loading import load_dataset
from keras_clce.views import VIEW_POLICIES, two_view_augmenter

__all__ = [
    "VIEW_POLICIES",
    "ClassBalancedBatches",
    "DatasetSpec",
    "FewShotDataset",
    "ImageDataset",
    "ImageSplit",
    "list_datasets",
    "load_dataset",
    "load_few_shot",
    "two_view_augmenter",
]

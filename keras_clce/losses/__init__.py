"""Losses: CLCE and its contrastive parts."""

from keras_clce.losses.arguments import DENOMINATORS, NEGATIVES, POSITIVE_SUMS, POSITIVES
from keras_clce.losses.base import ContrastiveLoss
from keras_clce.losses.clce import CLCELoss
from keras_clce.losses.core_tuning import CoreTuningLoss
from keras_clce.losses.hscl import HSCLLoss
from keras_clce.losses.label_sets import label_sets_are_valid
from keras_clce.losses.labels import labels_are_valid
from keras_clce.losses.lacln import LACLNLoss
from keras_clce.losses.registry import LOSSES, arguments_of, get
from keras_clce.losses.supcon import SupConLoss

__all__ = [
    "DENOMINATORS",
    "LOSSES",
    "NEGATIVES",
    "POSITIVES",
    "POSITIVE_SUMS",
    "CLCELoss",
    "ContrastiveLoss",
    "CoreTuningLoss",
    "HSCLLoss",
    "LACLNLoss",
    "SupConLoss",
    "arguments_of",
    "get",
    "label_sets_are_valid",
    "labels_are_valid",
]

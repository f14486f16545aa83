"""Classifiers of few-shot tasks: one file and one row of the table each."""

from keras_clce.evaluate.task_classifiers.base import TaskClassifier, option_names
from keras_clce.evaluate.task_classifiers.priors import NormalInverseWishart
from keras_clce.evaluate.task_classifiers.registry import TASK_CLASSIFIERS, get_task_classifier

__all__ = [
    "TASK_CLASSIFIERS",
    "NormalInverseWishart",
    "TaskClassifier",
    "get_task_classifier",
    "option_names",
]

"""Inference: a trained model on people's own images."""

from keras_clce.inference.calibration import Calibration, calibrate, probabilities_of
from keras_clce.inference.demo import check_demo, demo_page, launch_demo
from keras_clce.inference.demo_answers import Answer, PhotographAnswers, RefusedPhotograph
from keras_clce.inference.descriptions import (
    model_fingerprint,
    preprocessing_of,
    read_class_names,
)
from keras_clce.inference.embedding_files import EmbeddedImages, embed_images
from keras_clce.inference.embedding_index import EmbeddingIndex, Neighbors
from keras_clce.inference.enroll import enroll
from keras_clce.inference.enroll_classifiers import ENROLL_CLASSIFIERS, closest_classes
from keras_clce.inference.enrolled import Enrolled
from keras_clce.inference.enrolled_files import NONE_OF_THESE
from keras_clce.inference.explanations import (
    Explanation,
    Explanations,
    explain_images,
    iterate_explanations,
)
from keras_clce.inference.export import EXPORT_FORMATS, ExportedModel, check_export, export_model
from keras_clce.inference.model_outputs import ModelOutputs, model_outputs
from keras_clce.inference.photographs import Photograph, find_photographs
from keras_clce.inference.prediction_file import PredictionFile
from keras_clce.inference.predictions import (
    Prediction,
    Predictions,
    iterate_predictions,
    predict_images,
)
from keras_clce.inference.rejection import Recognition, Rejection, rejection_threshold

__all__ = [
    "ENROLL_CLASSIFIERS",
    "EXPORT_FORMATS",
    "NONE_OF_THESE",
    "Answer",
    "Calibration",
    "EmbeddedImages",
    "EmbeddingIndex",
    "Enrolled",
    "Explanation",
    "Explanations",
    "ExportedModel",
    "ModelOutputs",
    "Neighbors",
    "Photograph",
    "PhotographAnswers",
    "Prediction",
    "PredictionFile",
    "Predictions",
    "Recognition",
    "RefusedPhotograph",
    "Rejection",
    "calibrate",
    "check_demo",
    "check_export",
    "closest_classes",
    "demo_page",
    "embed_images",
    "enroll",
    "explain_images",
    "export_model",
    "find_photographs",
    "iterate_explanations",
    "iterate_predictions",
    "launch_demo",
    "model_fingerprint",
    "model_outputs",
    "predict_images",
    "preprocessing_of",
    "probabilities_of",
    "read_class_names",
    "rejection_threshold",
]

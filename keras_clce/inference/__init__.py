"""Inference: a trained model on people's own images."""

from keras_clce.inference.descriptions import (
    model_fingerprint,
    preprocessing_of,
    read_class_names,
)
from keras_clce.inference.embedding_files import EmbeddedImages, embed_images
from keras_clce.inference.embedding_index import EmbeddingIndex, Neighbors
from keras_clce.inference.explanations import (
    Explanation,
    Explanations,
    explain_images,
    iterate_explanations,
)
from keras_clce.inference.photographs import Photograph, find_photographs
from keras_clce.inference.prediction_file import PredictionFile
from keras_clce.inference.predictions import (
    Prediction,
    Predictions,
    iterate_predictions,
    predict_images,
)

__all__ = [
    "EmbeddedImages",
    "EmbeddingIndex",
    "Explanation",
    "Explanations",
    "Neighbors",
    "Photograph",
    "Prediction",
    "PredictionFile",
    "Predictions",
    "embed_images",
    "explain_images",
    "find_photographs",
    "iterate_explanations",
    "iterate_predictions",
    "model_fingerprint",
    "predict_images",
    "preprocessing_of",
    "read_class_names",
]

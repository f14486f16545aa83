"""Evaluation: accuracies of outputs and embeddings, intervals and tests."""

from keras_clce.evaluate.embedding import CosineSimilarities, cosine_similarities, isotropy_score
from keras_clce.evaluate.features import linear_probe, nearest_neighbor_accuracy, top_k_accuracy
from keras_clce.evaluate.statistics import PairedTTest, confidence_interval, paired_t_test

__all__ = [
    "CosineSimilarities",
    "PairedTTest",
    "confidence_interval",
    "cosine_similarities",
    "isotropy_score",
    "linear_probe",
    "nearest_neighbor_accuracy",
    "paired_t_test",
    "top_k_accuracy",
]

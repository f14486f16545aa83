"""Evaluation: accuracies of outputs and embeddings, few-shot tasks, intervals and tests."""

from keras_clce.evaluate.alignment_uniformity import alignment, class_separation, uniformity
from keras_clce.evaluate.average_precision import MeanAveragePrecision, multi_label_metrics
from keras_clce.evaluate.calibration import Reliability, fit_temperature, reliability
from keras_clce.evaluate.class_balance import (
    UNBALANCED,
    GroupAccuracy,
    balanced_accuracy,
    class_group,
    group_accuracies,
    imbalance,
)
from keras_clce.evaluate.classification import (
    linear_probe,
    nearest_neighbor_accuracy,
    top_k_accuracy,
)
from keras_clce.evaluate.clustering import clustering_metrics
from keras_clce.evaluate.confusion import (
    ClassAccuracy,
    ConfusedPair,
    class_accuracies,
    confused_pairs,
    wilson_interval,
)
from keras_clce.evaluate.cosine_histogram import CosineHistogram, cosine_histogram
from keras_clce.evaluate.embedding_geometry import CosineSimilarities, cosine_similarities
from keras_clce.evaluate.embedding_maps import EmbeddingMap, embedding_map
from keras_clce.evaluate.feature_callback import FeatureCallback
from keras_clce.evaluate.feature_transforms import TRANSFORMS
from keras_clce.evaluate.few_shot_callback import FewShotCallback
from keras_clce.evaluate.few_shot_finetuning import ENCODER_CLASSIFIERS, finetune_tasks
from keras_clce.evaluate.few_shot_metrics import classify_tasks, few_shot_accuracy
from keras_clce.evaluate.few_shot_results import FewShotComparison, FewShotResult, compare
from keras_clce.evaluate.isotropy import isotropy_score
from keras_clce.evaluate.label_suspects import LabelSuspects, label_suspects
from keras_clce.evaluate.mcnemar import McNemarTest, mcnemar_test
from keras_clce.evaluate.neighbors import nearest_neighbors
from keras_clce.evaluate.open_set import (
    OpenSetResult,
    auroc_difference,
    open_set_detection,
    open_set_scores,
)
from keras_clce.evaluate.power import (
    EffectSize,
    detectable_difference,
    effect_size,
    seeds_needed,
)
from keras_clce.evaluate.retrieval import retrieval_metrics
from keras_clce.evaluate.retrieval_callback import RetrievalCallback
from keras_clce.evaluate.retrieval_results import RetrievalDifference, RetrievalResult
from keras_clce.evaluate.statistics import (
    MedianInterval,
    PairedTTest,
    WilcoxonTest,
    confidence_interval,
    holm_correction,
    median_interval,
    paired_t_test,
    sign_flip_p_value,
    wilcoxon_test,
)
from keras_clce.evaluate.task_classifiers import (
    TASK_CLASSIFIERS,
    NormalInverseWishart,
    TaskClassifier,
    get_task_classifier,
)
from keras_clce.evaluate.task_predictions import predict_tasks
from keras_clce.evaluate.tasks import QUERY_DISTRIBUTIONS, Tasks, check_tasks, draw_tasks

__all__ = [
    "ENCODER_CLASSIFIERS",
    "QUERY_DISTRIBUTIONS",
    "TASK_CLASSIFIERS",
    "TRANSFORMS",
    "UNBALANCED",
    "ClassAccuracy",
    "ConfusedPair",
    "CosineHistogram",
    "CosineSimilarities",
    "EffectSize",
    "EmbeddingMap",
    "FeatureCallback",
    "FewShotCallback",
    "FewShotComparison",
    "FewShotResult",
    "GroupAccuracy",
    "LabelSuspects",
    "McNemarTest",
    "MeanAveragePrecision",
    "MedianInterval",
    "NormalInverseWishart",
    "OpenSetResult",
    "PairedTTest",
    "Reliability",
    "RetrievalCallback",
    "RetrievalDifference",
    "RetrievalResult",
    "TaskClassifier",
    "Tasks",
    "WilcoxonTest",
    "alignment",
    "auroc_difference",
    "balanced_accuracy",
    "check_tasks",
    "class_accuracies",
    "class_group",
    "class_separation",
    "classify_tasks",
    "clustering_metrics",
    "compare",
    "confidence_interval",
    "confused_pairs",
    "cosine_histogram",
    "cosine_similarities",
    "detectable_difference",
    "draw_tasks",
    "effect_size",
    "embedding_map",
    "few_shot_accuracy",
    "finetune_tasks",
    "fit_temperature",
    "get_task_classifier",
    "group_accuracies",
    "holm_correction",
    "imbalance",
    "isotropy_score",
    "label_suspects",
    "linear_probe",
    "mcnemar_test",
    "median_interval",
    "multi_label_metrics",
    "nearest_neighbor_accuracy",
    "nearest_neighbors",
    "open_set_detection",
    "open_set_scores",
    "paired_t_test",
    "predict_tasks",
    "reliability",
    "retrieval_metrics",
    "seeds_needed",
    "sign_flip_p_value",
    "top_k_accuracy",
    "uniformity",
    "wilcoxon_test",
    "wilson_interval",
]

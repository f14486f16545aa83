"""The table of task classifiers, by the names that users give."""

from typing import Any

from keras_clce.evaluate.task_classifiers.base import TaskClassifier, option_names
from keras_clce.evaluate.task_classifiers.bavardage import Bavardage
from keras_clce.evaluate.task_classifiers.bd_cspn import BDCSPN
from keras_clce.evaluate.task_classifiers.cosine import Cosine
from keras_clce.evaluate.task_classifiers.fewture import FewTURE
from keras_clce.evaluate.task_classifiers.finetuning import Finetuning
from keras_clce.evaluate.task_classifiers.laplacian_shot import LaplacianShot
from keras_clce.evaluate.task_classifiers.logistic import Logistic
from keras_clce.evaluate.task_classifiers.meta_qda import MetaQDA
from keras_clce.evaluate.task_classifiers.nearest_centroid import NearestCentroid
from keras_clce.evaluate.task_classifiers.pt_map import PTMAP
from keras_clce.evaluate.task_classifiers.simple_shot import SimpleShot
from keras_clce.evaluate.task_classifiers.soft_kmeans import SoftKMeans
from keras_clce.evaluate.task_classifiers.tim import TIM
from keras_clce.evaluate.task_classifiers.transductive_finetuning import TransductiveFinetuning

TASK_CLASSIFIERS: dict[str, type[TaskClassifier]] = {
    "logistic": Logistic,
    "nearest_centroid": NearestCentroid,
    "cosine": Cosine,
    "simple_shot": SimpleShot,
    "finetuning": Finetuning,
    "meta_qda": MetaQDA,
    "fewture": FewTURE,
    "transductive_finetuning": TransductiveFinetuning,
    "soft_kmeans": SoftKMeans,
    "bavardage": Bavardage,
    "bd_cspn": BDCSPN,
    "laplacian_shot": LaplacianShot,
    "pt_map": PTMAP,
    "tim": TIM,
}


def get_task_classifier(classifier: str, **options: Any) -> TaskClassifier:
    """Build a task classifier by its name.

    Args:
        classifier: A key of `TASK_CLASSIFIERS`.
        **options: Its options; the defaults are the papers'.

    Returns:
        The classifier.

    Raises:
        ValueError: If there is no such classifier, it has no such option, or an option is out of
            its range.

    Example:
    ```python
    get_task_classifier("bavardage", balanced=False).transductive  # True
    ```
    """
    if not isinstance(classifier, str) or classifier not in TASK_CLASSIFIERS:
        raise ValueError(
            f"`classifier` must be one of {', '.join(TASK_CLASSIFIERS)}. "
            f"Received: classifier={classifier!r}"
        )
    known = option_names(TASK_CLASSIFIERS[classifier])
    unknown = [f"{name}={value!r}" for name, value in options.items() if name not in known]
    if unknown:
        raise ValueError(
            f"Options of the classifier {classifier} are {', '.join(known) or 'none'}. "
            f"Received: {', '.join(unknown)}"
        )
    return TASK_CLASSIFIERS[classifier](**options)

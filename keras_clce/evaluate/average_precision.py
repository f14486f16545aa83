"""Mean average precision of several labels an image: while a model trains, and of all scores."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_clce.checks import as_array, check_at_least, check_whole_number, import_module

# Beyond these logits probabilities differ by less than 2e-9.
_WIDEST_LOGIT = 20.0


@keras.saving.register_keras_serializable(package="keras_clce")
class MeanAveragePrecision(keras.metrics.Metric):
    """Mean over classes of the average precision, of probabilities that come batch by batch.

    Average precision is Σ_n (R_n - R_{n-1}) P_n over thresholds, as scikit-learn has it. The
    thresholds are at equal distances of the logit, from -20 to 20, so that those of rare labels lie
    close together; scores between two of them count as equal. A class without a positive leaves
    the mean.

    Args:
        num_classes: Number of classes, at least 1.
        num_thresholds: Number of thresholds, at least 2. Defaults to 2,000.
        name: Defaults to `"mean_average_precision"`.
        dtype: As in `keras.metrics.Metric`. Defaults to `None`.

    Raises:
        ValueError: If a number is out of its range.

    Reference:
        - [Average precision](https://scikit-learn.org/stable/modules/model_evaluation.html)

    Example:
    ```python
    metric = MeanAveragePrecision(num_classes=2)
    metric.update_state(np.array([[1, 0], [0, 1]]), np.array([[0.9, 0.2], [0.1, 0.7]]))
    float(metric.result())  # 1.0
    ```
    """

    def __init__(
        self,
        num_classes: int,
        num_thresholds: int = 2000,
        name: str = "mean_average_precision",
        dtype: Any = None,
    ) -> None:
        check_whole_number("num_classes", num_classes)
        check_at_least("num_thresholds", num_thresholds, 2)
        super().__init__(name=name, dtype=dtype)
        self.num_classes, self.num_thresholds = int(num_classes), int(num_thresholds)
        shape = (self.num_classes, self.num_thresholds)
        # How many images with the label, and without it, have a score between two thresholds.
        self.with_label = self.add_variable(shape, "zeros", name="with_label")
        self.without_label = self.add_variable(shape, "zeros", name="without_label")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch.

        Args:
            y_true: Rows of 0 and 1 `(batch, num_classes)`.
            y_pred: Probabilities of that shape.
            sample_weight: Weights `(batch,)` of the images. Defaults to `None`.

        Example:
        ```python
        metric = MeanAveragePrecision(num_classes=2)
        metric.update_state([[1, 0], [0, 1]], [[0.9, 0.2], [0.1, 0.7]])
        float(metric.result())  # 1.0
        ```
        """
        y_pred = ops.cast(ops.convert_to_tensor(y_pred), "float32")
        y_true = ops.cast(ops.convert_to_tensor(y_true), "float32")
        least = float(np.exp(-_WIDEST_LOGIT))
        kept = ops.clip(y_pred, least, 1.0)
        # In this form the probabilities near 1 keep all digits that they have.
        logits = ops.log(kept) - ops.log(ops.clip(1.0 - y_pred, least, 1.0))
        share = (logits + _WIDEST_LOGIT) / (2.0 * _WIDEST_LOGIT)
        last = self.num_thresholds - 1
        places = ops.cast(ops.floor(ops.clip(share, 0.0, 1.0) * last), "int32")
        places = places + self.num_thresholds * ops.arange(self.num_classes, dtype="int32")
        weights = ops.ones_like(y_true)
        if sample_weight is not None:
            weights = weights * ops.reshape(ops.cast(sample_weight, "float32"), (-1, 1))
        for counts, counted in ((self.with_label, y_true), (self.without_label, 1.0 - y_true)):
            number = ops.segment_sum(
                ops.reshape(counted * weights, (-1,)),
                ops.reshape(places, (-1,)),
                num_segments=self.num_classes * self.num_thresholds,
            )
            counts.assign_add(ops.cast(ops.reshape(number, counts.shape), counts.dtype))

    def result(self) -> Any:
        """The mean, 0 where no class has a positive."""
        # The highest threshold first; variables are no arrays to JAX.
        found, others = (
            ops.flip(ops.convert_to_tensor(counts), axis=1)
            for counts in (self.with_label, self.without_label)
        )
        true, false = ops.cumsum(found, axis=1), ops.cumsum(others, axis=1)
        all_true = true[:, -1]
        precision = true / ops.maximum(true + false, 1e-12)
        gained = found / ops.maximum(all_true, 1e-12)[:, None]
        known = ops.cast(all_true > 0, self.dtype)
        of_classes = ops.sum(gained * precision, axis=1) * known
        return ops.sum(of_classes) / ops.maximum(ops.sum(known), 1.0)

    def reset_state(self) -> None:
        """Forget all batches."""
        for counts in (self.with_label, self.without_label):
            counts.assign(ops.zeros(counts.shape, counts.dtype))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the metric."""
        return {
            "num_classes": self.num_classes,
            "num_thresholds": self.num_thresholds,
            "name": self.name,
            "dtype": self.dtype,
        }


def multi_label_metrics(
    labels: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5
) -> dict[str, Any]:
    """Mean average precision and F1 of several labels an image.

    Args:
        labels: Rows of 0 and 1 `(images, classes)`.
        probabilities: Of that shape.
        threshold: A label counts as predicted from this probability on, for F1. Defaults to 0.5.

    Returns:
        A dict: `"map"` over the classes that an image has,
        `"average_precision"` of each class, `None` where no image has it, and `"f1_micro"` and
        `"f1_macro"`, the latter over all classes.

    Raises:
        ValueError: If the arrays do not fit, are empty or hold something else.

    Reference:
        - [scikit-learn](https://scikit-learn.org/stable/modules/model_evaluation.html), whose
          `average_precision_score` and `f1_score` these are

    Example:
    ```python
    labels = np.array([[1, 0], [1, 1]])
    multi_label_metrics(labels, np.array([[0.9, 0.4], [0.6, 0.8]]))["f1_micro"]  # 1.0
    ```
    """
    labels, probabilities = as_array(labels), as_array(probabilities)
    if labels.ndim != 2 or not labels.size or probabilities.shape != labels.shape:
        raise ValueError(
            "`probabilities` must have the shape (images, classes) of the labels. Received: "
            f"probabilities of shape {probabilities.shape}, labels of shape {labels.shape}"
        )
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"`labels` must hold 0 and 1 alone. Received: labels[:1]={labels[:1].tolist()}"
        )
    metrics = import_module("sklearn.metrics", "Average precision", "scikit-learn")
    labels, predicted = labels.astype(int), (probabilities >= threshold).astype(int)
    precision = [
        float(metrics.average_precision_score(labels[:, i], probabilities[:, i])) if some else None
        for i, some in enumerate(labels.any(axis=0))
    ]
    known = [value for value in precision if value is not None]
    return {
        "map": float(np.mean(known)) if known else 0.0,
        **{
            f"f1_{average}": float(
                metrics.f1_score(labels, predicted, average=average, zero_division=0.0)
            )
            for average in ("micro", "macro")
        },
        "average_precision": precision,
    }

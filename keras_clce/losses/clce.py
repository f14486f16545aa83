"""CLCE: cross-entropy of the logits joined with a contrastive loss of the embeddings."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_clce import backend
from keras_clce.losses.arguments import check_multi_label
from keras_clce.losses.base import ContrastiveLoss
from keras_clce.losses.label_sets import label_sets_and_validity
from keras_clce.losses.labels import classes_and_validity, without_unlabelled
from keras_clce.losses.lacln import LACLNLoss
from keras_clce.losses.logit_adjustment import adjusted_logits, checked_adjustment
from keras_clce.losses.pairs import Memory
from keras_clce.losses.reduction import reduce_anchors


@keras.saving.register_keras_serializable(package="keras_clce")
class CLCELoss(keras.losses.Loss):
    """Cross-entropy and a contrastive loss, `(1 - w) * cross_entropy + w * contrastive`.

    Args:
        contrastive_weight: The weight w (λ in the paper) within [0, 1]: 0 is cross-entropy alone,
            1 the contrastive loss alone. Defaults to 0.9.
        contrastive: A loss of `keras_clce.losses`: `LACLNLoss` for CLCE, `SupConLoss` for
            CE + SupCon, `HSCLLoss` for CE + H-SCL. Defaults to `None`, which is `LACLNLoss()`.
        label_smoothing: Within [0, 1), of the cross-entropy alone. Defaults to 0.0.
        reduction: As in `keras.losses.Loss`, and the same as of `contrastive`. Defaults to
            `"sum_over_batch_size"`: cross-entropy's mean over all rows, the contrastive loss's
            over the rows that have a positive.
        name: Name of the loss. Defaults to `"clce_loss"`.
        dtype: Dtype of the result; the computation is in float32. Defaults to `None`.
        logit_adjustment: Factor τ for unbalanced classes: cross-entropy is of the logits plus
            τ · log(prior of the class), so that the logits themselves, which predict, learn what
            they would of balanced classes. 1 is consistent for balanced accuracy. `CLCEModel`
            adjusts in training alone: evaluation takes the logits as they predict. Defaults to
            0.0, no adjustment.
        class_prior: Number or share of training images of each class `(classes,)`, above 0, as
            `np.bincount(labels)` gives it; the config has shares. Needed with `logit_adjustment`.
            Defaults to `None`.
        ignore_unlabelled: Whether a row without a class, -1 or a row of zeros, is left out: it has
            no cross-entropy, is nobody's positive or negative and no anchor, and is in no mean.
            The loss is then that of the other rows alone, of the encoder's outputs of all of them.
            Defaults to `False`, it makes the loss NaN.
        multi_label: Whether an image has several labels, and the same as of `contrastive`: labels
            are rows `(batch, classes)` of 0 and 1, and cross-entropy is the binary one of each
            class, summed over classes. Smoothing moves its targets towards 1/2. Defaults to
            `False`.

    Call arguments:
        y_true: Integer classes `(batch,)` or `(batch, 1)`, or rows `(batch, classes)`: one-hot,
            or floats of at least 0 that sum to 1 (soft labels, as mixup's). What is no class within
            the logits' range, or no such row, makes the loss NaN, on every backend. With
            `multi_label` rows of 0 and 1.
        y_pred: A dict with `"embedding"` `(batch, dim)` and `"logits"` `(batch, classes)`.
        sample_weight: Optional weights `(batch,)`, applied to both parts.

    Returns:
        The reduced loss: a scalar, or `(batch,)` with `reduction="none"`.

    Raises:
        ValueError: If an argument is out of its range, or shapes or keys do not fit.

    Reference:
        - [CLCE](https://arxiv.org/abs/2402.14551)
        - [Logit adjustment](https://arxiv.org/abs/2007.07314)

    Example:
    ```python
    rng = np.random.default_rng(0)
    outputs = {"embedding": rng.normal(size=(4, 8)), "logits": rng.normal(size=(4, 2))}
    CLCELoss()(np.array([0, 0, 1, 1]), outputs)
    ```
    """

    def __init__(
        self,
        contrastive_weight: float = 0.9,
        contrastive: ContrastiveLoss | None = None,
        label_smoothing: float = 0.0,
        reduction: str = "sum_over_batch_size",
        name: str = "clce_loss",
        dtype: Any = None,
        logit_adjustment: float = 0.0,
        class_prior: Sequence[float] | None = None,
        ignore_unlabelled: bool = False,
        multi_label: bool = False,
    ) -> None:
        if not _is_real(contrastive_weight) or not 0 <= contrastive_weight <= 1:
            raise ValueError(
                f"`contrastive_weight` must be within [0, 1]{_hint(contrastive_weight)}. "
                f"Received: contrastive_weight={contrastive_weight}"
            )
        if not _is_real(label_smoothing) or not 0 <= label_smoothing < 1:
            raise ValueError(
                "`label_smoothing` must be within [0, 1). "
                f"Received: label_smoothing={label_smoothing}"
            )
        class_prior = checked_adjustment(logit_adjustment, class_prior)
        check_multi_label(multi_label)
        if multi_label and logit_adjustment:
            raise ValueError(
                "`logit_adjustment` must be 0 with multi_label=True, whose sigmoids have no prior "
                f"over classes. Received: logit_adjustment={logit_adjustment}"
            )
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if contrastive is None:
            contrastive = LACLNLoss(reduction=self.reduction, multi_label=multi_label)
        if not isinstance(contrastive, ContrastiveLoss):
            raise ValueError(
                "`contrastive` must be None or a contrastive loss of `keras_clce.losses`"
                f"{_hint(contrastive)}. Received: contrastive={contrastive}"
            )
        if contrastive.reduction != self.reduction:
            raise ValueError(
                f"`contrastive` must have the loss's own reduction, {self.reduction!r}. "
                f"Received: contrastive.reduction={contrastive.reduction!r}"
            )
        if contrastive.multi_label != multi_label:
            raise ValueError(
                f"`contrastive` must have the loss's own multi_label={multi_label}. "
                f"Received: contrastive.multi_label={contrastive.multi_label}"
            )
        if not isinstance(ignore_unlabelled, bool):
            raise ValueError(
                "`ignore_unlabelled` must be True or False. "
                f"Received: ignore_unlabelled={ignore_unlabelled!r}"
            )
        if ignore_unlabelled and multi_label:
            raise ValueError(
                "`ignore_unlabelled` must be False with multi_label=True, where a row of zeros is "
                "an image without any label. Received: ignore_unlabelled=True"
            )
        if ignore_unlabelled and not contrastive.takes_unlabelled:
            raise ValueError(
                "`ignore_unlabelled` must be False with a contrastive loss whose `anchor_values` "
                f"takes no `present`. Received: contrastive={contrastive}"
            )
        self.contrastive_weight = contrastive_weight
        self.contrastive = contrastive
        self.multi_label = multi_label
        self.label_smoothing = label_smoothing
        self.logit_adjustment = logit_adjustment
        self.class_prior = class_prior
        self.ignore_unlabelled = ignore_unlabelled

    @property
    def trains_classifier(self) -> bool:
        """Whether the loss depends on the logits, so that it trains the classifier."""
        return self.contrastive_weight < 1

    @property
    def trains_embedding(self) -> bool:
        """Whether the loss compares embeddings; if not, it is cross-entropy alone."""
        return self.contrastive_weight > 0

    def parts(
        self,
        y_true: Any,
        y_pred: Mapping[str, Any],
        sample_weight: Any = None,
        memory: Memory | None = None,
        training: bool = True,
    ) -> dict[str, tuple[Any, Any]]:
        """Both parts before they are weighted and joined, each with how many rows it counts.

        Args:
            y_true: Labels as in a call.
            y_pred: Outputs as in a call.
            sample_weight: Weights as in a call. Defaults to `None`.
            memory: Rows of earlier batches, further positives and negatives of the contrastive
                part. Defaults to `None`.
            training: Whether logits are adjusted, as in a call, and rows may be two views of an
                image. Defaults to `True`.

        Returns:
            `{"cross_entropy": (value, rows), "contrastive": (value, rows)}`.

        Raises:
            ValueError: If shapes or keys do not fit.

        Example:
        ```python
        values, has_positive = CLCELoss().parts(labels, outputs)["contrastive"]
        ```
        """
        if not isinstance(y_pred, Mapping) or not {"embedding", "logits"} <= set(y_pred):
            received = sorted(y_pred) if isinstance(y_pred, Mapping) else type(y_pred).__name__
            raise ValueError(
                "`y_pred` must be a dict with 'embedding' (batch, dim) and 'logits' "
                f"(batch, classes). Received: y_pred={received}"
            )
        y_pred = {key: y_pred[key] for key in ("embedding", "logits")}
        y_true, y_pred, sample_weight = backend.gather_rows((y_true, y_pred, sample_weight))
        entropy = self._cross_entropy(y_true, y_pred["logits"], training)
        contrastive = self._contrastive(y_true, y_pred["embedding"], memory, training)
        return {
            "cross_entropy": self._reduced(entropy, sample_weight),
            "contrastive": self._reduced(contrastive, sample_weight),
        }

    def cross_entropy_part(
        self, y_true: Any, logits: Any, sample_weight: Any = None, training: bool = True
    ) -> tuple[Any, Any]:
        """The cross-entropy of `parts` alone.

        Args:
            y_true: Labels as in a call.
            logits: Of shape `(batch, classes)`.
            sample_weight: Weights as in a call. Defaults to `None`.
            training: Whether logits are adjusted, as in a call. Defaults to `True`.

        Returns:
            Its value and how many rows it counts.

        Raises:
            ValueError: If shapes do not fit.

        Example:
        ```python
        value, rows = CLCELoss().cross_entropy_part(labels, outputs["logits"])
        ```
        """
        y_true, logits, sample_weight = backend.gather_rows((y_true, logits, sample_weight))
        return self._reduced(self._cross_entropy(y_true, logits, training), sample_weight)

    def contrastive_part(
        self, y_true: Any, embedding: Any, sample_weight: Any = None, memory: Memory | None = None
    ) -> tuple[Any, Any]:
        """The contrastive part of `parts` alone, which may be of other rows.

        Args:
            y_true: Labels as in a call.
            embedding: Of shape `(batch, dim)`.
            sample_weight: Weights as in a call. Defaults to `None`.
            memory: As in `parts`. Defaults to `None`.

        Returns:
            Its value and how many rows it counts.

        Raises:
            ValueError: If shapes do not fit.

        Example:
        ```python
        value, rows = CLCELoss().contrastive_part(labels, outputs["embedding"])
        ```
        """
        y_true, embedding, sample_weight = backend.gather_rows((y_true, embedding, sample_weight))
        return self._reduced(self._contrastive(y_true, embedding, memory), sample_weight)

    def join(self, parts: dict[str, tuple[Any, Any]], contrastive_weight: Any = None) -> Any:
        """The weighted sum of both parts, in the dtype of the loss.

        Args:
            parts: What `parts` returned.
            contrastive_weight: A weight, also as a tensor, in place of the loss's own. Defaults to
                `None`, the loss's own.

        Returns:
            The reduced loss.

        Example:
        ```python
        loss = CLCELoss()
        loss.join(loss.parts(labels, outputs), contrastive_weight=0.5)
        ```
        """
        weight = self.contrastive_weight if contrastive_weight is None else contrastive_weight
        if contrastive_weight is None and not weight:
            # What is not trained on may be NaN, for labels that it does not take.
            return ops.cast(parts["cross_entropy"][0], self.dtype)
        joined = (1.0 - weight) * parts["cross_entropy"][0] + weight * parts["contrastive"][0]
        return ops.cast(joined, self.dtype)

    def call(self, y_true: Any, y_pred: Mapping[str, Any]) -> Any:
        """Loss of each row, `[batch]`."""
        entropy, counted = self._cross_entropy(y_true, y_pred["logits"])
        entropy = entropy * counted
        if not self.contrastive_weight:
            return entropy
        values = self._contrastive(y_true, y_pred["embedding"])[0]
        return (1.0 - self.contrastive_weight) * entropy + self.contrastive_weight * values

    def __call__(self, y_true: Any, y_pred: Mapping[str, Any], sample_weight: Any = None) -> Any:
        """Reduced loss; each part has its own mean, so Keras's single one does not serve."""
        return self.join(self.parts(y_true, y_pred, sample_weight)) / backend.num_replicas()

    def _reduced(self, rows, sample_weight):
        """Value of a part and how many rows it counts, from those of each row."""
        values, counted = rows
        return reduce_anchors(values, counted, sample_weight, self.reduction), ops.sum(counted)

    def _contrastive(self, y_true, embedding, memory=None, training=True):
        """Value of each row, and whether it counts, both float32 `[batch]`."""
        # A loss of somebody's own may know of neither.
        options = {} if memory is None else {"memory": memory}
        if self.ignore_unlabelled:
            y_true, options["present"] = without_unlabelled(y_true)
        contrastive = self.contrastive if training else self.contrastive.of_single_views()
        return contrastive.anchor_values(y_true, embedding, **options)

    def _cross_entropy(self, y_true, logits, training=True):
        """Value of each row, and whether it counts, both float32 `[batch]`."""
        counted = None
        if self.ignore_unlabelled:
            y_true, counted = without_unlabelled(y_true)
        logits = ops.cast(logits, "float32")
        if len(logits.shape) != 2:
            raise ValueError(
                "`y_pred['logits']` must have shape (batch, classes). "
                f"Received: logits of shape {tuple(logits.shape)}"
            )
        if self.multi_label:
            return self._binary_cross_entropy(y_true, logits)
        classes = logits.shape[1]
        if training and self.logit_adjustment:
            logits = adjusted_logits(logits, self.logit_adjustment, self.class_prior)
        labels, known = classes_and_validity(y_true, logits.shape[0])
        shape = tuple(y_true.shape) if hasattr(y_true, "shape") else np.shape(y_true)
        if len(shape) == 2 and shape[1] != 1:
            if shape[1] != classes:
                raise ValueError(
                    f"Rows of `labels` must have as many columns as the logits, {classes}. "
                    f"Received: labels of shape {shape}"
                )
            target = labels if len(labels.shape) == 2 else ops.cast(y_true, "float32")
        else:
            target = ops.one_hot(ops.clip(labels, 0, classes - 1), classes)
            known = ops.logical_and(labels >= 0, labels < classes)
        values = keras.losses.categorical_crossentropy(
            target, logits, from_logits=True, label_smoothing=self.label_smoothing
        )
        values = ops.where(known, values, float("nan"))
        return values, ops.ones_like(values) if counted is None else counted

    def _binary_cross_entropy(self, y_true, logits):
        labels, known = label_sets_and_validity(y_true, logits.shape[0])
        classes = logits.shape[1]
        if labels.shape[1] != classes:
            raise ValueError(
                f"Rows of `labels` must have as many columns as the logits, {classes}. "
                f"Received: labels of shape {tuple(labels.shape)}"
            )
        # A sum, of the size of the cross-entropy of one label an image, whatever the number of
        # classes: the contrastive part has the same weight beside either.
        values = classes * keras.losses.binary_crossentropy(
            labels, logits, from_logits=True, label_smoothing=self.label_smoothing
        )
        return ops.where(known, values, float("nan")), ops.ones_like(values)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the loss."""
        return {
            **super().get_config(),
            "contrastive_weight": self.contrastive_weight,
            "contrastive": keras.saving.serialize_keras_object(self.contrastive),
            "label_smoothing": self.label_smoothing,
            "logit_adjustment": self.logit_adjustment,
            "class_prior": None if self.class_prior is None else list(self.class_prior),
            "ignore_unlabelled": self.ignore_unlabelled,
            "multi_label": self.multi_label,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CLCELoss":
        """Rebuild the loss from `get_config`'s dict."""
        contrastive = keras.saving.deserialize_keras_object(config["contrastive"])
        return cls(**{**config, "contrastive": contrastive})


def _is_real(value: object) -> bool:
    # To a type checker no float is a `Real`, and all that follows would be out of reach.
    return isinstance(value, Real)


def _hint(value):
    if not isinstance(value, str):
        return ""
    return "; a loss from its name is made by keras_clce.losses.get"

"""The two heads on an encoder: a unit embedding and a classifier, softmax or sigmoid."""

from typing import Any

import keras
from keras import ops

from keras_clce import backend
from keras_clce.checks import check_at_least, check_whole_number
from keras_clce.models.cosine_classifier import CosineClassifier, check_logit_scale

FEATURE_NORMALIZATIONS = ("layer", "batch", "unit")
CLASSIFIERS = ("linear", "cosine")
# Length of the features that the heads read with "unit", and the most with the others. NormFace: on
# length 1 alone the softmax of many classes cannot come near one-hot, so that cross-entropy stays
# large. Divided by their deviation, 1,280 features are 36 long, and a classifier that starts with
# logits of that size learned worse: 74.9 in place of 79.6 % on photographs of flowers.
_LENGTH = 16.0


@keras.saving.register_keras_serializable(package="keras_clce")
class EmbeddingAndLogits(keras.layers.Layer):
    """Pools an encoder's features and gives their unit embedding, logits and probabilities.

    All outputs are float32 whatever the dtype policy, since norms and exponentials of half
    precision lose too much.

    Args:
        num_classes: Number of classes, at least 1.
        embedding_dim: Size of a linear projection before the norm. Defaults to `None`: the
            embedding is the pooled features on unit length.
        embedding_layers: Dense layers of the projection: 1 is linear, 2 have a hidden layer of the
            features' size with a ReLU between them, as SimCLR's. Defaults to 1.
        feature_normalization: What is done to the pooled features before classifier and embedding
            read them, without parameters: `"layer"` subtracts the mean of each row and divides by
            its deviation, `"batch"` does so with each column of the batch (moving averages in
            inference), both with a length of at most 16, `"unit"` gives each row the length 16.
            Features after a ReLU have no negative numbers, so that unlike images are never farther
            apart than a right angle; the first two take that limit away. `None` does nothing, as in
            the paper. Defaults to `"layer"`.
        classifier: `"linear"`, with a bias, or `"cosine"`: logits are the cosines of what the
            heads read and each class's weights, times a scale, so that cross-entropy compares
            directions as the contrastive losses do. Defaults to `"linear"`.
        logit_scale: That scale, above 0. Defaults to `None`: it is learned, from 16 on.
        multi_label: Whether an image has several labels: probabilities are then a sigmoid of each
            logit, in place of the softmax. Defaults to `False`.
        **kwargs: As in `keras.layers.Layer`.

    Call arguments:
        features: Feature maps `(batch, height, width, channels)` or vectors `(batch, channels)`.
        training: Whether `"batch"` normalises with the batch's own statistics. Defaults to
            `False`.

    Returns:
        A dict: `"embedding"` `(batch, dim)` unit rows, `"logits"` and `"probabilities"`
        `(batch, num_classes)`; in training also `"feature_norm"` `(batch,)`, the lengths of the
        pooled features.

    Raises:
        ValueError: If `num_classes` or `embedding_dim` is not a whole number above 0,
            `feature_normalization` is none of those named, or the features are neither maps nor
            vectors; if `embedding_layers` is neither 1 nor 2, or is 2 without `embedding_dim`; if
            there is no such `classifier`, or a `logit_scale` without a cosine one.

    Reference:
        - [SimCLR](https://arxiv.org/abs/2002.05709), a projection of two layers
        - [NormFace](https://arxiv.org/abs/1704.06369), classifiers of features of one length

    Example:
    ```python
    heads = EmbeddingAndLogits(num_classes=10)
    heads(np.ones((2, 7, 7, 64)))["embedding"].shape  # (2, 64)
    ```
    """

    def __init__(
        self,
        num_classes: int,
        embedding_dim: int | None = None,
        feature_normalization: str | None = "layer",
        embedding_layers: int = 1,
        classifier: str = "linear",
        logit_scale: float | None = None,
        multi_label: bool = False,
        **kwargs: Any,
    ) -> None:
        check_at_least("num_classes", num_classes, 1)
        embedding_dim = check_whole_number("embedding_dim", embedding_dim, optional=True)
        if embedding_layers not in (1, 2) or (embedding_layers == 2 and embedding_dim is None):
            raise ValueError(
                "`embedding_layers` must be 1 or 2, and 1 where `embedding_dim` is None. Received: "
                f"embedding_layers={embedding_layers!r}, embedding_dim={embedding_dim!r}"
            )
        if feature_normalization not in (None, *FEATURE_NORMALIZATIONS):
            raise ValueError(
                f"`feature_normalization` must be None or one of {FEATURE_NORMALIZATIONS}. "
                f"Received: feature_normalization={feature_normalization!r}"
            )
        if classifier not in CLASSIFIERS:
            raise ValueError(
                f"`classifier` must be one of {CLASSIFIERS}. Received: classifier={classifier!r}"
            )
        check_logit_scale(logit_scale)
        if classifier == "linear" and logit_scale is not None:
            raise ValueError(
                "`logit_scale` is for classifier='cosine'. "
                f"Received: logit_scale={logit_scale!r}, classifier='linear'"
            )
        super().__init__(**kwargs)
        self.num_classes = int(num_classes)
        self.multi_label = multi_label
        self.embedding_dim = embedding_dim
        self.embedding_layers = int(embedding_layers)
        self.pool = keras.layers.GlobalAveragePooling2D(dtype="float32", name="pool")
        self.feature_normalization = feature_normalization
        self.normalize = _normalizer(feature_normalization)
        self.norm = keras.layers.UnitNormalization(dtype="float32", name="norm")
        self.kind_of_classifier, self.logit_scale = classifier, logit_scale
        named = {"dtype": "float32", "name": "classifier"}
        if classifier == "linear":
            self.classifier = keras.layers.Dense(self.num_classes, **named)
        else:
            self.classifier = CosineClassifier(self.num_classes, logit_scale, **named)
        self.projection: keras.layers.Dense | None = None
        self.projection_hidden: keras.layers.Dense | None = None
        if self.embedding_dim is not None:
            self.projection = keras.layers.Dense(
                self.embedding_dim, use_bias=False, dtype="float32", name="projection"
            )

    def build(self, input_shape: tuple) -> None:
        """Create the weights for features of this shape."""
        if len(input_shape) not in (2, 4):
            raise ValueError(
                "`features` must be maps (batch, height, width, channels) or vectors "
                "(batch, channels); tokens (batch, tokens, channels) have to be pooled before, "
                "by their mean (keras.layers.GlobalAveragePooling1D) or to their class token. "
                f"Received: features of shape {tuple(input_shape)}"
            )
        if len(input_shape) == 4:
            input_shape = self.pool.compute_output_shape(input_shape)
        self._dim = int(input_shape[-1])
        if self.normalize is not None:
            self.normalize.build(input_shape)
        self.classifier.build(input_shape)
        if self.embedding_layers == 2:
            self.projection_hidden = keras.layers.Dense(
                input_shape[-1], activation="relu", dtype="float32", name="projection_hidden"
            )
            self.projection_hidden.build(input_shape)
        if self.projection is not None:
            self.projection.build(input_shape)

    def call(self, features: Any, training: bool = False) -> dict[str, Any]:
        """Embedding, logits and probabilities of a batch of features."""
        features = ops.cast(features, "float32")
        pooled = self.pool(features) if len(features.shape) == 4 else features
        read = self._normalized(pooled, training)
        logits = self.classifier(read)
        outputs = {
            "embedding": self.norm(self._projected(read)),
            "logits": logits,
            "probabilities": (ops.sigmoid if self.multi_label else ops.softmax)(logits),
        }
        if training:
            outputs["feature_norm"] = ops.norm(ops.stop_gradient(pooled), axis=-1)
        return outputs

    def compute_output_shape(self, input_shape: tuple) -> dict[str, tuple]:
        """Shapes of the outputs, but in training."""
        batch, dim = input_shape if len(input_shape) == 2 else (input_shape[0], input_shape[-1])
        return {
            "embedding": (batch, self.embedding_dim or dim),
            "logits": (batch, self.num_classes),
            "probabilities": (batch, self.num_classes),
        }

    def compute_output_spec(
        self, features: Any, training: bool = False
    ) -> dict[str, keras.KerasTensor]:
        """Shapes and dtypes of the outputs."""
        shapes = self.compute_output_shape(tuple(features.shape))
        if training:
            shapes["feature_norm"] = tuple(features.shape[:1])
        return {name: keras.KerasTensor(shape) for name, shape in shapes.items()}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the layer."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "embedding_dim": self.embedding_dim,
            "feature_normalization": self.feature_normalization,
            "embedding_layers": self.embedding_layers,
            "classifier": self.kind_of_classifier,
            "logit_scale": self.logit_scale,
            "multi_label": self.multi_label,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EmbeddingAndLogits":
        """Rebuild the layer from `get_config`'s dict."""
        # Files from before there was a choice hold nothing of it.
        return super().from_config({"feature_normalization": None, **config})

    def _projected(self, read):
        hidden = read if self.projection_hidden is None else self.projection_hidden(read)
        return hidden if self.projection is None else self.projection(hidden)

    def _normalized(self, pooled, training):
        if self.normalize is None:
            return pooled
        if self.feature_normalization == "unit":
            return _LENGTH * self.normalize(pooled)
        # Not the shape of the features, which an exporter to ONNX does not take for a constant.
        dim = self._dim
        if self.feature_normalization == "layer":
            read = backend.layer_norm(pooled, None, None, self.normalize.epsilon, (dim,))
        else:
            read = self.normalize(pooled, training=training)
        return read if dim <= _LENGTH**2 else read * (_LENGTH / dim**0.5)


def _normalizer(kind):
    # Small, so that features of any size come out the same, where Keras would add 0.001.
    options = {"epsilon": 1e-6, "center": False, "scale": False, "dtype": "float32"}
    if kind == "layer":
        return keras.layers.LayerNormalization(**options, name="normalize")
    if kind == "batch":
        # Fine-tuning takes a few hundred steps, after which 0.99 would still hold the start.
        return keras.layers.BatchNormalization(**options, momentum=0.9, name="normalize")
    return None if kind is None else keras.layers.UnitNormalization(dtype="float32")

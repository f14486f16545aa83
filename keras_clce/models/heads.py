"""The two heads on an encoder: a unit embedding and a linear softmax classifier."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_clce")
class EmbeddingAndLogits(keras.layers.Layer):
    """Pools an encoder's features and gives their unit embedding, logits and probabilities.

    All outputs are float32 whatever the dtype policy, since norms and exponentials of half
    precision lose too much.

    Args:
        num_classes: Number of classes, at least 1.
        embedding_dim: Size of a linear projection before the norm. Defaults to `None`: the
            embedding is the normalised pooled features, as in the paper.
        **kwargs: As in `keras.layers.Layer`.

    Call arguments:
        features: Feature maps `(batch, height, width, channels)` or vectors `(batch, channels)`.

    Returns:
        A dict: `"embedding"` `(batch, dim)` unit rows, `"logits"` and `"probabilities"`
        `(batch, num_classes)`.

    Raises:
        ValueError: If `num_classes` or `embedding_dim` is not a whole number above 0, or
            the features are neither maps nor vectors.

    Example:
    ```python
    heads = EmbeddingAndLogits(num_classes=10)
    heads(np.ones((2, 7, 7, 64)))["embedding"].shape  # (2, 64)
    ```
    """

    def __init__(self, num_classes: int, embedding_dim: int | None = None, **kwargs: Any) -> None:
        for name, value in (("num_classes", num_classes), ("embedding_dim", embedding_dim)):
            optional = name == "embedding_dim" and value is None
            if not optional and (isinstance(value, bool) or not _is_positive_integer(value)):
                raise ValueError(
                    f"`{name}` must be a whole number above 0. Received: {name}={value}"
                )
        super().__init__(**kwargs)
        self.num_classes = int(num_classes)
        self.embedding_dim = None if embedding_dim is None else int(embedding_dim)
        self.pool = keras.layers.GlobalAveragePooling2D(dtype="float32", name="pool")
        self.norm = keras.layers.UnitNormalization(dtype="float32", name="norm")
        self.classifier = keras.layers.Dense(self.num_classes, dtype="float32", name="classifier")
        self.projection = None
        if self.embedding_dim is not None:
            self.projection = keras.layers.Dense(
                self.embedding_dim, use_bias=False, dtype="float32", name="projection"
            )

    def build(self, input_shape: tuple) -> None:
        """Create the weights for features of this shape."""
        if len(input_shape) not in (2, 4):
            raise ValueError(
                "`features` must be maps (batch, height, width, channels) or vectors "
                f"(batch, channels). Received: features of shape {tuple(input_shape)}"
            )
        if len(input_shape) == 4:
            input_shape = self.pool.compute_output_shape(input_shape)
        self.classifier.build(input_shape)
        if self.projection is not None:
            self.projection.build(input_shape)

    def call(self, features: Any) -> dict[str, Any]:
        """Embedding, logits and probabilities of a batch of features."""
        features = ops.cast(features, "float32")
        pooled = self.pool(features) if len(features.shape) == 4 else features
        projected = pooled if self.projection is None else self.projection(pooled)
        logits = self.classifier(pooled)
        return {
            "embedding": self.norm(projected),
            "logits": logits,
            "probabilities": ops.softmax(logits),
        }

    def compute_output_spec(self, features: Any) -> dict[str, keras.KerasTensor]:
        """Shapes and dtypes of the outputs."""
        shape = features.shape
        batch, dim = self.pool.compute_output_shape(shape) if len(shape) == 4 else shape
        sizes = {
            "embedding": self.embedding_dim or dim,
            "logits": self.num_classes,
            "probabilities": self.num_classes,
        }
        return {name: keras.KerasTensor((batch, size)) for name, size in sizes.items()}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the layer."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "embedding_dim": self.embedding_dim,
        }


def _is_positive_integer(value: Any) -> bool:
    return hasattr(value, "__index__") and int(value) > 0

"""A classifier by cosines: unit features, unit class weights and a scale."""

from numbers import Real
from typing import Any

import keras
from keras import ops

# Of cosines alone, the softmax of many classes cannot come near one-hot.
FIRST_SCALE = 16.0


def check_logit_scale(scale: float | None) -> None:
    """Refuse a scale that is neither `None` nor a number above 0."""
    is_number = isinstance(scale, Real) and not isinstance(scale, bool)
    if scale is not None and not (is_number and 0 < scale < float("inf")):
        raise ValueError(
            f"`logit_scale` must be None or a number above 0. Received: logit_scale={scale!r}"
        )


@keras.saving.register_keras_serializable(package="keras_clce")
class CosineClassifier(keras.layers.Layer):
    """Logits that are a scale times the cosine of features and each class's weights.

    Args:
        units: Number of classes.
        logit_scale: The scale, above 0. Defaults to `None`: it is learned, from 16 on.
        **kwargs: As in `keras.layers.Layer`.

    Call arguments:
        features: Rows `(batch, channels)` of any length.

    Returns:
        Logits `(batch, units)`, between plus and minus the scale.

    Raises:
        ValueError: If `logit_scale` is not above 0.

    Reference:
        - [NormFace](https://arxiv.org/abs/1704.06369)
        - [Few-shot learning without forgetting](https://arxiv.org/abs/1804.09458), a learned scale

    Example:
    ```python
    CosineClassifier(10, logit_scale=20.0)(np.ones((2, 64))).shape  # (2, 10)
    ```
    """

    def __init__(self, units: int, logit_scale: float | None = None, **kwargs: Any) -> None:
        check_logit_scale(logit_scale)
        super().__init__(**kwargs)
        self.units = units
        self.logit_scale = logit_scale

    def build(self, input_shape: tuple) -> None:
        """Create the weights of the classes, and the scale if it is learned."""
        self.kernel = self.add_weight(
            (input_shape[-1], self.units), "glorot_uniform", name="kernel"
        )
        self.scale = self.logit_scale
        if self.logit_scale is None:
            first = keras.initializers.Constant(FIRST_SCALE)
            self.scale = self.add_weight((), first, name="scale")

    def call(self, features: Any) -> Any:
        """The logits."""
        features = ops.normalize(features, axis=-1, epsilon=1e-12)
        weights = ops.normalize(ops.convert_to_tensor(self.kernel), axis=0, epsilon=1e-12)
        return self.scale * ops.matmul(features, weights)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Shape of the logits."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, from which `from_config` rebuilds the layer."""
        return {**super().get_config(), "units": self.units, "logit_scale": self.logit_scale}

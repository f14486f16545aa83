"""What a model must be to serve as an encoder."""

from typing import Any

import keras


def check_encoder(backbone: Any) -> None:
    """Refuse what cannot be the encoder of a `CLCEModel`.

    Args:
        backbone: What was given.

    Raises:
        ValueError: If it is no Keras model, does not know the shape of its images, or ends in a
            softmax, whose probabilities are no features.

    Example:
    ```python
    check_encoder(keras.applications.MobileNetV2(include_top=False, weights=None))
    ```
    """
    if not isinstance(backbone, keras.Model):
        raise ValueError(
            "`backbone` must be a Keras model; `CLCEModel.from_backbone` builds one by name. "
            f"Received: backbone={backbone!r}"
        )
    if not hasattr(backbone, "input_shape"):
        raise ValueError(
            "`backbone` must know the shape of its images. Wrap a subclassed model in a "
            "functional one: keras.Model(images, model(images)) with images = keras.Input(…). "
            f"Received: backbone={backbone!r}"
        )
    softmax = _softmax_on_top(backbone)
    if softmax is not None:
        raise ValueError(
            f"`backbone` must give features. It ends in a softmax, layer {softmax!r}: build it "
            f"without its classifier, as with include_top=False. Received: backbone={backbone!r}"
        )


def _softmax_on_top(model):
    """Name of the last layer if it is a softmax, else `None`."""
    last = model.layers[-1] if model.layers else None
    if isinstance(last, keras.Model):
        return _softmax_on_top(last)
    ends = isinstance(last, keras.layers.Softmax) or (
        getattr(last, "activation", None) is keras.activations.softmax
    )
    return last.name if ends else None

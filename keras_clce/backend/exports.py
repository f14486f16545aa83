"""What Keras can export from the backend that runs."""

from typing import Any

import keras

# By Keras's names of formats. Of what is left out, Keras's exporter fails: OpenVINO reads no
# program of JAX's, and SavedModels of torch need torch_xla. Two others work with packages that
# bring a second framework along, ONNX on JAX (jax2onnx) and LiteRT on torch (litert-torch).
_BACKENDS = {
    "tf_saved_model": ("tensorflow", "jax"),
    "onnx": ("tensorflow", "torch"),
    "openvino": ("tensorflow", "torch"),
    "litert": ("tensorflow",),
    "torch": ("torch",),
}


def backends_that_export(format: str) -> tuple[str, ...]:
    """Backends from which Keras exports a format; Keras tells of some only after long work.

    Args:
        format: A format of `keras.Model.export`.

    Returns:
        Names of backends.

    Example:
    ```python
    backends_that_export("litert")  # ("tensorflow",)
    ```
    """
    return _BACKENDS[format]


def free_batch_options(format: str) -> dict[str, Any]:
    """Further arguments of `keras.Model.export` so that batches of any size can be run.

    Args:
        format: A format of `keras.Model.export`.

    Returns:
        For torch's own format the name of the free axis, which Keras leaves to the caller.

    Example:
    ```python
    free_batch_options("onnx")  # {}
    ```
    """
    if format != "torch" or keras.backend.backend() != "torch":
        return {}
    import torch

    return {"dynamic_shapes": {0: torch.export.Dim("batch", min=1)}}

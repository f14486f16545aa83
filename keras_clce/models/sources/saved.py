"""Saved models: `PATH.keras`, loaded in safe mode, and what their names tell without loading."""

import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from keras_clce.models.checkpoints.preprocessing import INTERPOLATIONS
from keras_clce.models.checkpoints.tensors import check_archive, in_one_line
from keras_clce.models.graphs import AS_PUBLISHED, check_features
from keras_clce.models.pixels import PIXELS, UNSCALED
from keras_clce.models.spec import Source, foreign_spec
from keras_clce.models.weights import refuse_weights


def _spec(name, find_row):
    _check_file(Path(name))
    names = saved_names(Path(name))
    rows = (find_row(each.removesuffix(AS_PUBLISHED)) for each in names)
    made_from = next((row.spec for row in rows if row), None)
    licence = "its own"
    if made_from:
        licence += (
            f"; {made_from.licence} if it was made from the published weights of {made_from.name}"
        )
    return foreign_spec(name, "file", UNSCALED, saved_interpolation(names), licence)


def _build(name, image_size, weights):
    path = Path(name)
    _check_file(path)
    try:
        check_archive(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras, HDF5 and archives raise many kinds on damaged files
        raise ValueError(
            "`name` must be a whole .keras file that holds nothing that runs as code "
            f"({in_one_line(error)}). Received: name={str(path)!r}"
        ) from error
    if getattr(model, "lora", None) is not None:
        model.merge_lora()  # a new model has its own adapters, or none
    encoder = getattr(model, "backbone", None)  # a CLCEModel, or a task of keras-hub
    if isinstance(encoder, keras.Model):
        encoder.trainable = True  # what was frozen in another training
    else:
        encoder = model
        _warn_of_frozen(encoder, path)
    inputs = encoder.inputs
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[-1] != 3:
        raise ValueError(
            "The saved model must take one input, (batch, height, width, 3). Received: "
            f"name={str(path)!r} with inputs={[tuple(i.shape) for i in inputs]}"
        )
    height, width = inputs[0].shape[1:3]
    if {height, width} - {None, image_size}:
        raise ValueError(
            f"`image_size` must be that of the saved model, {height}x{width}. "
            f"Received: image_size={image_size}, name={str(path)!r}"
        )
    # The name of a user's own input stays, which says nothing about pixels.
    shape, own = (image_size, image_size, 3), inputs[0]
    pixels = keras.Input(shape, dtype=own.dtype, name=own.name)
    outputs = encoder(pixels)
    check_features(outputs, f"name={str(path)!r}")
    return (
        keras.Model(pixels, outputs, name=f"{encoder.name}_backbone")
        if None in (height, width)
        else encoder
    )


def _warn_of_frozen(encoder, path):
    # Those that are never trained, as the statistics of batch normalisation, are not meant.
    weights = [
        weight for layer in encoder._flatten_layers() for weight in layer._trainable_variables
    ]
    frozen = sum(not weight.trainable for weight in weights)
    if frozen:
        warnings.warn(
            f"{frozen} of {len(weights)} weight tensors of {path} are frozen in the file and stay "
            "so. To train them, save the model with `trainable = True`",
            stacklevel=2,
        )


def _check_file(path):
    if not path.is_file():
        raise FileNotFoundError(
            f"`name` must be the path of a saved model. Received: name={str(path)!r}"
        )


def saved_names(path: Path) -> list[str]:
    """Read the names of a saved model and of all that it is made of, without loading it.

    Args:
        path: A `.keras` file.

    Returns:
        The names, the model's own first.

    Raises:
        ValueError: If the file is no saved model.

    Example:
    ```python
    saved_names(Path("model.keras"))[0]  # "clce_model"
    ```
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return list(_names(json.loads(archive.read("config.json"))))
    except Exception as error:  # archives and JSON raise many kinds on damaged files
        raise ValueError(
            f"`name` must be a whole .keras file ({in_one_line(error)}). "
            f"Received: name={str(path)!r}"
        ) from error


def saved_interpolation(names: list[str]) -> str:
    """Tell how images are resized for a saved model.

    Args:
        names: Of `saved_names`.

    Returns:
        What the name of its input says; "bilinear" where the model is not from here.

    Example:
    ```python
    saved_interpolation(["vit_tiny", "pixels_bicubic"])  # 'bicubic'
    ```
    """
    wanted = {PIXELS + interpolation: interpolation for interpolation in INTERPOLATIONS}
    return next((wanted[name] for name in names if name in wanted), "bilinear")


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("name"), str):
            yield node["name"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _names(child)


SOURCE = Source(
    form="'PATH.keras' (a saved model)",
    suffix=".keras",
    spec=_spec,
    check=refuse_weights,
    build=_build,
    is_trained=lambda name: True,
)

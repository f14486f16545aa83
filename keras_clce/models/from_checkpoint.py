"""Build an encoder as a file of weights asks for, then load the file into it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_clce.models.checkpoints.download import local_weights
from keras_clce.models.checkpoints.keras_weights import KERAS_SUFFIX, load_weights_file
from keras_clce.models.checkpoints.layouts import Layout, find_layout
from keras_clce.models.checkpoints.loading import load_layout
from keras_clce.models.checkpoints.preprocessing import published_preprocessing
from keras_clce.models.checkpoints.tensors import folder_config, read_tensors
from keras_clce.models.graphs import AS_PUBLISHED
from keras_clce.models.pixels import pixel_input, scale_pixels
from keras_clce.models.spec import Row

Settings = dict[str, Any]


def build_from_checkpoint(
    row: Row,
    image_size: int,
    weights: str | Path | None,
    graph: Callable[..., keras.KerasTensor],
    usual: Settings,
    settings_of: Callable[[dict[str, np.ndarray], Layout, dict[str, Any]], Settings] | None = None,
) -> keras.Model:
    """Build a graph written here, with the settings and weights of a file.

    Args:
        row: The encoder.
        image_size: Height and width of the images in pixels.
        weights: As in `build_backbone`.
        graph: Builder of the graph, called as `graph(scaled_images, **settings)`.
        usual: Settings of the graph without a file.
        settings_of: Reads what a file changes about them from its tensors, their layout and the
            folder's `config.json`. Defaults to `None`: nothing.

    Returns:
        The model that `build_backbone` describes. Where the file has other settings, pixel
        statistics or interpolation than the row, its name says so.

    Raises:
        ValueError: If the file is damaged or does not fit.
        FileNotFoundError: If there is no such file.
        ConnectionError: If it has to be downloaded and cannot be.

    Example:
    ```python
    from keras_clce.models.architectures.bit import big_transfer
    from keras_clce.models.registry import find_row
    blocks = {"blocks": (3, 4, 23, 3)}
    build_from_checkpoint(find_row("resnet101_in21k"), 32, None, big_transfer, blocks)
    ```
    """
    spec, published, settings = row.spec, row.spec, usual
    tensors: dict[str, np.ndarray] = {}
    layout = path = None
    if weights is not None:
        path = local_weights(row.weights.public_address if weights == "imagenet" else weights)
    if path is not None and not path.name.endswith(KERAS_SUFFIX):
        tensors = read_tensors(path)
        layout = find_layout(tensors, row.layouts, str(path), spec.name)
        published = dataclasses.replace(spec, **published_preprocessing(path))
        if settings_of:
            settings = usual | settings_of(tensors, layout, folder_config(path))
    # A file of weights alone holds none of these settings, but the model's name.
    name = spec.name if (published, settings) == (spec, usual) else spec.name + AS_PUBLISHED
    pixels = pixel_input(image_size, published.interpolation)
    features = graph(scale_pixels(pixels, published.mean, published.std), **settings)
    model = keras.Model(pixels, features, name=name)
    if layout is not None:
        load_layout(model, tensors, layout, str(path))
    elif path is not None:
        load_weights_file(model, path)
    return model

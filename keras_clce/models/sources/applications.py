"""Models of `keras.applications`: `app:NAME`."""

from pathlib import Path

import keras
import numpy as np

from keras_clce.models.checkpoints.download import downloading
from keras_clce.models.graphs import plain_model
from keras_clce.models.pixels import pixel_input, scale_pixels
from keras_clce.models.spec import Source, foreign_spec


def _spec(name, find_row):
    _, pixels, _ = _application(name)
    return foreign_spec(name, "app", pixels)


def _check(name, weights):
    if weights not in (None, "imagenet") and not Path(str(weights)).is_file():
        raise FileNotFoundError(
            "`weights` must be None, 'imagenet' or the path of a weights file. "
            f"Received: weights={str(weights)!r}"
        )


def _build(name, image_size, weights):
    function, (mean, std), flip = _application(name)

    def build():
        return function(include_top=False, weights=weights, input_shape=(image_size, image_size, 3))

    model = downloading(build, "imagenet") if weights == "imagenet" else build()
    pixels = pixel_input(image_size)
    # The models of keras.applications that were trained by Caffe take blue first.
    ordered = keras.ops.flip(pixels, axis=-1) if flip else pixels
    if flip:
        mean, std = mean[::-1], std[::-1]
    return plain_model(pixels, model.call(scale_pixels(ordered, mean, std)), name=model.name)


def _application(name):
    """Find an application: its function, its pixel statistics (RGB), whether it wants BGR."""
    found = {}
    for module in vars(keras.applications).values():
        preprocess = vars(module).get("preprocess_input") if hasattr(module, "__path__") else None
        if preprocess is None:
            continue
        for attribute, value in vars(module).items():
            if attribute[0].isupper() and callable(value):
                found.setdefault(attribute, (value, preprocess))
    # The two models of this family are exported at the top only.
    for attribute, value in vars(keras.applications).items():
        if attribute[0].isupper() and callable(value):
            found.setdefault(attribute, (value, lambda x: x))
    wanted = name.removeprefix("app:")
    if wanted not in found:
        raise ValueError(
            f"keras.applications has no such model; there are {', '.join(sorted(found))}. "
            f"Received: name={name!r}"
        )
    function, preprocess = found[wanted]
    return function, *_measure_preprocessing(preprocess)


def _measure_preprocessing(preprocess):
    """Read the statistics of a `preprocess_input`, which is affine, off four pixels."""
    black, *primaries = (
        np.asarray(preprocess(np.array(pixel, "float32").reshape(1, 1, 1, 3))).ravel()
        for pixel in ([0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255])
    )
    matrix = (np.stack(primaries) - black).astype("float64") / 255.0  # (channel in, channel out)
    flip = bool(abs(matrix[0, 2]) > abs(matrix[0, 0]))
    if flip:
        matrix, black = matrix[:, ::-1], black[::-1]
    scale = np.diag(matrix)
    mean = tuple(round(float(v), 4) + 0.0 for v in -black / scale)
    std = tuple(round(float(v), 4) for v in 1.0 / scale)
    return (mean, std), flip


SOURCE = Source(
    form="'app:NAME' (a model of keras.applications, as app:ResNet50V2)",
    prefix="app:",
    spec=_spec,
    check=_check,
    build=_build,
    is_trained=lambda name: False,
)

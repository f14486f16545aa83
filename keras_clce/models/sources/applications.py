"""Backbones from outside the registry: other libraries' models, presets and `.keras` files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_clce.models.checkpoints.tensors import check_archive, in_one_line
from keras_clce.models.graphs import pixel_input, plain_model, scale_pixels
from keras_clce.models.sources.keras_hub import at_size, pooled_features
from keras_clce.models.sources.zeromodels import is_repository, load_zero, zero_pixels

EXTERNAL_FORMS = (
    "'app:NAME' (a model of keras.applications, as app:ResNet50V2), "
    "'hub:PRESET' (an image backbone of keras-hub: preset name, address or local folder), "
    "'zero:NAME' (of ZeroModels: a repository of theirs, or a type such as zero:convnext), "
    "'PATH.keras' (a saved model)"
)
EXTERNAL_PREFIXES = ("app:", "hub:", "zero:")
_AS_THEY_ARE = ((0.0,) * 3, (1.0,) * 3)


def is_external(name: str) -> bool:
    """Tell whether a backbone's name is of one of the bring-your-own forms.

    Args:
        name: any backbone name.

    Returns:
        True for `app:…`, `hub:…`, `zero:…` and names that end in `.keras`.

    Example:
        >>> is_external("app:ResNet50V2"), is_external("resnet50")
        (True, False)
    """
    return name.startswith(EXTERNAL_PREFIXES) or name.endswith(".keras")


def brings_weights(name: str) -> bool:
    """Tell whether an external backbone has trained weights without being given any.

    Args:
        name: the backbone.

    Returns:
        False for `app:…` and for ZeroModels' types.

    Example:
        >>> brings_weights("app:ResNet50V2"), brings_weights("hub:resnet_50_imagenet")
        (False, True)
    """
    if name.startswith("zero:"):
        return is_repository(name.removeprefix("zero:"))
    return not name.startswith("app:")


def build_external(name: str, image_size: int, weights: str | Path | None) -> keras.Model:
    """Build a backbone given as `app:NAME`, `hub:PRESET`, `zero:NAME` or `PATH.keras`.

    Args:
        name: the backbone.
        image_size: height and width of the images in pixels.
        weights: for `app:` None, `"imagenet"` or a weights file; None for the others.

    Returns:
        A `keras.Model` on pixels from 0 to 255, as `build_backbone` describes.

    Raises:
        ValueError: if the name, the weights or the model found do not fit.
        FileNotFoundError: if a file does not exist.
        ConnectionError: if weights have to be downloaded and cannot be.

    Example:
        >>> build_external("app:MobileNetV2", 96, None).output_shape
        (None, 3, 3, 1280)
    """
    check_external_weights(name, weights)
    if name.startswith("app:"):
        return _build_application(name, image_size, weights)
    if name.startswith("hub:"):
        return build_hub(name.removeprefix("hub:"), image_size)
    if name.startswith("zero:"):
        return _build_zero(name.removeprefix("zero:"), image_size)
    return _build_file(Path(name), image_size)


def check_external_weights(name: str, weights: str | Path | None) -> None:
    """Check that an external backbone can start from these weights, without reading them.

    Args:
        name: the backbone.
        weights: as in `build_external`.

    Raises:
        ValueError: if the backbone brings its own weights and `weights` is not None.
        FileNotFoundError: if there is no file at the path.

    Example:
        >>> check_external_weights("app:MobileNetV2", "imagenet")
    """
    if not name.startswith("app:"):
        if weights is not None:
            raise ValueError(
                f"{name} brings its own weights or none, so `weights` must be None. "
                f"Received: weights={str(weights)!r}"
            )
    elif not (weights in (None, "imagenet") or Path(str(weights)).is_file()):
        raise FileNotFoundError(
            "`weights` must be None, 'imagenet' or the path of a weights file. "
            f"Received: weights={str(weights)!r}"
        )


def external_pixels(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Tell which pixel statistics an external backbone applies inside.

    Args:
        name: `app:NAME`, `hub:PRESET`, `zero:NAME` or `PATH.keras`.

    Returns:
        `(mean, std)`, RGB, on the scale from 0 to 255; zeros and ones where the model does its
        own scaling, or none.

    Raises:
        ValueError: if `keras.applications` has no such model.
        FileNotFoundError: if a `.keras` file does not exist.

    Example:
        >>> external_pixels("app:ResNet50V2")
        ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
    """
    if name.startswith("app:"):
        _, (mean, std), _ = _application(name)
        return mean, std
    if name.startswith("hub:"):
        return _hub_pixels(name.removeprefix("hub:")) or _AS_THEY_ARE
    if name.startswith("zero:"):
        return zero_pixels(name.removeprefix("zero:"))
    _check_file(Path(name))
    return _AS_THEY_ARE


# === keras.applications ===


def _build_application(name, image_size, weights):
    function, (mean, std), flip = _application(name)

    def build():
        return function(include_top=False, weights=weights, input_shape=(image_size, image_size, 3))

    model = _downloading(build, "imagenet") if weights == "imagenet" else build()
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


# === keras-hub ===


def build_hub(
    preset: str,
    image_size: int,
    name: str | None = None,
    pixels: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    expected: dict[str, Any] | None = None,
    interpolation: str = "bilinear",
) -> keras.Model:
    """Build an image backbone from a keras-hub preset.

    Args:
        preset: name of a preset, address, or local folder (keras-hub's own or timm's format).
        image_size: height and width of the images in pixels.
        name: name of the model; None keeps the preset's.
        pixels: `(mean, std)` to use where the preset has no image converter.
        expected: entries that the backbone's configuration must have.
        interpolation: how images are resized for it. Defaults to "bilinear".

    Returns:
        A `keras.Model` on pixels from 0 to 255, to what `pooled_features` gives. Layers of
        keras-hub's own stay in it, so where the architecture has such, loading a saved model
        needs `import keras_hub`.

    Raises:
        ValueError: if the preset is unknown, is no image backbone, is another architecture, or
            does not go with the image size.
        ConnectionError: if it has to be downloaded and cannot be.

    Example:
        >>> build_hub("resnet_18_imagenet", 224).output_shape
        (None, 7, 7, 512)
    """
    from keras_hub.models import Backbone

    backbone = from_preset(Backbone.from_preset, preset)
    check_config(backbone, expected or {}, preset)
    if not isinstance(backbone.input, keras.KerasTensor) or len(backbone.input.shape) != 4:
        raise ValueError(
            "The preset must be an image backbone with one input, (batch, height, width, 3). "
            f"Received: preset={preset!r} with input={backbone.input}"
        )
    backbone = at_size(backbone, image_size, preset)
    mean, std = _hub_pixels(preset) or pixels or _AS_THEY_ARE
    inputs = pixel_input(image_size, interpolation)
    outputs = pooled_features(backbone, scale_pixels(inputs, mean, std))
    _check_features(outputs, f"preset={preset!r}")
    return plain_model(inputs, outputs, name or backbone.name)


def from_preset(loader: Callable[..., Any], preset: str, **arguments: Any) -> Any:
    """Call a library's `from_preset`, with one clear error when a download fails.

    Args:
        loader: the `from_preset` of a class.
        preset: name, address or local folder.
        **arguments: handed on.

    Returns:
        What the loader returns.

    Raises:
        ValueError: if the preset is unknown or is of another class.
        ConnectionError: if it cannot be downloaded.

    Example:
        >>> from_preset(keras_hub.models.Backbone.from_preset, "path/to/folder")
    """
    if Path(preset).is_dir():
        try:
            return loader(preset, **arguments)
        except (FileNotFoundError, ImportError):
            raise
        except Exception as error:  # keras-hub, Keras and HDF5 raise many kinds on damaged files
            raise ValueError(
                f"The preset must be a whole folder of keras-hub's ({in_one_line(error)}). "
                f"Received: preset={preset!r}"
            ) from error
    return _downloading(lambda: loader(preset, **arguments), preset)


def check_config(backbone: keras.Model, expected: dict[str, Any], source: str) -> None:
    """Check that a loaded backbone is the architecture that was asked for.

    Args:
        backbone: what was loaded.
        expected: entries that its configuration must have.
        source: where it came from, for the message.

    Raises:
        ValueError: if an entry differs.

    Example:
        >>> check_config(backbone, {"stackwise_num_blocks": [3, 4, 23, 3]}, "my_folder")
    """
    config = backbone.get_config()
    wrong = {
        key: config.get(key) for key, value in expected.items() if _listed(config.get(key)) != value
    }
    if wrong:
        wanted = {key: expected[key] for key in wrong}
        raise ValueError(
            f"The weights must belong to a backbone with {wanted}. "
            f"Received: weights={source!r} with {wrong}"
        )


def _listed(value):
    return list(value) if isinstance(value, tuple) else value


def _hub_pixels(preset):
    from keras_hub.layers import ImageConverter

    try:
        converter = from_preset(ImageConverter.from_preset, preset)
    except (ValueError, FileNotFoundError):  # keras-hub's answers where there is no converter
        if Path(preset, "image_converter.json").is_file():
            raise
        return None
    if converter is None:
        return None
    scale = np.broadcast_to(np.asarray(converter.scale or 1.0, "float64"), 3)
    offset = np.broadcast_to(np.asarray(converter.offset or 0.0, "float64"), 3)
    return tuple((-offset / scale).tolist()), tuple((1.0 / scale).tolist())


# === ZeroModels ===


def _build_zero(name, image_size):
    mean, std = external_pixels(f"zero:{name}")
    encoder = _downloading(lambda: load_zero(name, image_size), name)
    pixels = pixel_input(image_size)
    return plain_model(pixels, encoder.call(scale_pixels(pixels, mean, std)), encoder.name)


# === Saved models ===


def _build_file(path, image_size):
    _check_file(path)
    try:
        check_archive(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras, HDF5 and archives raise many kinds on damaged files
        raise ValueError(
            "`name` must be a whole .keras file that holds nothing that runs as code "
            f"({in_one_line(error)}). Received: name={str(path)!r}"
        ) from error
    encoder = getattr(model, "backbone", None)  # a CLCEModel, or a task of keras-hub
    encoder = encoder if isinstance(encoder, keras.Model) else model
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
    _check_features(outputs, f"name={str(path)!r}")
    return (
        keras.Model(pixels, outputs, name=f"{encoder.name}_backbone")
        if None in (height, width)
        else encoder
    )


def _check_file(path):
    if not path.is_file():
        raise FileNotFoundError(
            f"`name` must be the path of a saved model. Received: name={str(path)!r}"
        )


def _check_features(outputs, received):
    if not isinstance(outputs, keras.KerasTensor) or len(outputs.shape) not in (2, 4):
        raise ValueError(
            "The model must return one feature map (batch, height, width, channels) or one "
            f"vector (batch, channels). Received: {received} with output={outputs}"
        )


def _downloading(build, source):
    """Run what may download, and say what to do where there is no connection."""
    try:
        return build()
    except (ValueError, FileNotFoundError, ImportError):
        raise
    except Exception as error:  # each library raises its own kinds: URL, HTTP, Kaggle, hub
        raise ConnectionError(
            f"The weights {source!r} could not be downloaded ({type(error).__name__}: {error}). "
            "Check the connection, or fetch them on another machine and give their local path "
            f"instead of the name. Received: weights={source!r}"
        ) from error

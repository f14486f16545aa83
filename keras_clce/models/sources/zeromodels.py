"""Encoders of the ZeroModels library: `zero:NAME`."""

from typing import cast

import keras

from keras_clce.checks import import_module
from keras_clce.models.checkpoints.download import downloading
from keras_clce.models.graphs import plain_model
from keras_clce.models.pixels import Statistics, pixel_input, scale_pixels
from keras_clce.models.spec import Source, foreign_spec
from keras_clce.models.weights import refuse_weights

_PREFIX = "zero:"


def _spec(name, find_row):
    return foreign_spec(name, "zero", pixel_statistics(name.removeprefix(_PREFIX)))


def _build(name, image_size, weights):
    name = name.removeprefix(_PREFIX)
    mean, std = pixel_statistics(name)
    encoder = downloading(lambda: load_encoder(name, image_size), name)
    pixels = pixel_input(image_size)
    return plain_model(pixels, encoder.call(scale_pixels(pixels, mean, std)), encoder.name)


def load_encoder(name: str, image_size: int) -> keras.Model:
    """Build an encoder of ZeroModels, up to what its own classifier looks at.

    Args:
        name: A Hugging Face repository of the library, `ORGANISATION/NAME`; or one of its types
            of image classifiers, such as `convnext`, in its usual size with random weights.
        image_size: Height and width of the images in pixels.

    Returns:
        A `keras.Model` from images, scaled by `pixel_statistics`, to vectors (batch, channels).

    Raises:
        ImportError: If the library is not installed.
        ValueError: If there is no such type, or it does not end in one linear classifier.

    Example:
    ```python
    load_encoder("convnext", 64).output_shape  # (None, 768)
    ```
    """
    classifiers = _auto().AutoZMImageClassify
    if _is_repository(name):
        model = classifiers.from_weights(name, image_size=image_size)
    else:
        model = _of_type(classifiers.mapping(), name)(image_size=image_size)
    head = model.layers[-1]
    if not isinstance(head, keras.layers.Dense) or len(head.input.shape) != 2:
        raise ValueError(
            "The classifier of ZeroModels must end in one linear layer. "
            f"Received: name={'zero:' + name!r}, which ends in {type(head).__name__}"
        )
    return keras.Model(model.input, head.input, name=model.name)


def pixel_statistics(name: str) -> Statistics:
    """Tell which pixel statistics an encoder of ZeroModels expects.

    Args:
        name: As in `load_encoder`.

    Returns:
        `(mean, std)`, RGB, on the scale from 0 to 255.

    Raises:
        ImportError: If the library is not installed.
        ValueError: If there is no such type.

    Example:
    ```python
    pixel_statistics("vit")  # ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
    ```
    """
    processors = _auto().AutoZMImageProcessor
    if _is_repository(name):
        processor = processors.from_weights(name)
    else:
        _of_type(_auto().AutoZMImageClassify.mapping(), name)
        processor = processors.mapping()[name]()
    mean, std = processor.image_mean, processor.image_std
    scaled = tuple(tuple(255.0 * float(v) for v in values) for values in (mean, std))
    return cast(Statistics, scaled)


def _is_repository(name):
    """Whether a name stands for published weights, `ORGANISATION/NAME`, and not for random ones."""
    return "/" in name


def _auto():
    import_module("zeromodels", "An encoder `zero:NAME`", "zeromodels")
    from zeromodels import auto

    return auto


def _of_type(mapping, name):
    if name not in mapping:
        raise ValueError(
            f"ZeroModels has no such type of image classifier; it has {', '.join(mapping)}, and "
            f"repositories are ORGANISATION/NAME. Received: name={'zero:' + name!r}"
        )
    return mapping[name]


SOURCE = Source(
    form="'zero:NAME' (of ZeroModels: a repository of theirs, or a type such as zero:convnext)",
    prefix=_PREFIX,
    spec=_spec,
    check=refuse_weights,
    build=_build,
    is_trained=_is_repository,
)

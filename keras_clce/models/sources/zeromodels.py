"""Encoders of the ZeroModels library, an optional extra: `zero:NAME`."""

import keras


def is_repository(name: str) -> bool:
    """Tell whether a name of ZeroModels stands for published weights, not for random ones.

    Args:
        name: as in `load_zero`.

    Returns:
        True for `ORGANISATION/NAME`.

    Example:
        >>> is_repository("zeromodels/convnext_tiny_in12k_ft_in1k"), is_repository("convnext")
        (True, False)
    """
    return "/" in name


def load_zero(name: str, image_size: int) -> keras.Model:
    """Build an encoder of ZeroModels, up to what its own classifier looks at.

    Args:
        name: a Hugging Face repository of the library, `ORGANISATION/NAME`; or one of its types
            of image classifiers, such as `convnext`, in its usual size with random weights.
        image_size: height and width of the images in pixels.

    Returns:
        A `keras.Model` from images, scaled as `zero_pixels` says, to vectors (batch, channels).

    Raises:
        ImportError: if the library is not installed.
        ValueError: if there is no such type, or it does not end in one linear classifier.

    Example:
        >>> load_zero("convnext", 64).output_shape
        (None, 768)
    """
    classifiers = _auto().AutoZMImageClassify
    if is_repository(name):
        model = classifiers.from_weights(name, image_size=image_size)
    else:
        model = _of_type(classifiers.mapping(), name)(image_size=image_size)
    head = model.layers[-1]
    if not isinstance(head, keras.layers.Dense) or len(head.input.shape) != 2:
        raise ValueError(
            "The classifier of ZeroModels must end in one linear layer. "
            f"Received: name={'zero:' + name!r}, which ends in {type(head).__name__}"
        )
    return keras.Model(model.inputs, head.input, name=model.name)


def zero_pixels(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Tell which pixel statistics an encoder of ZeroModels expects.

    Args:
        name: as in `load_zero`.

    Returns:
        `(mean, std)`, RGB, on the scale from 0 to 255.

    Raises:
        ImportError: if the library is not installed.
        ValueError: if there is no such type.

    Example:
        >>> zero_pixels("vit")
        ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
    """
    processors = _auto().AutoZMImageProcessor
    if is_repository(name):
        processor = processors.from_weights(name)
    else:
        _of_type(_auto().AutoZMImageClassify.mapping(), name)
        processor = processors.mapping()[name]()
    mean, std = processor.image_mean, processor.image_std
    return tuple(255.0 * float(v) for v in mean), tuple(255.0 * float(v) for v in std)


def _auto():
    try:
        from zeromodels import auto
    except ImportError as error:
        raise ImportError(
            f"`zero:` encoders need the extra `zero`: pip install zeromodels ({error})"
        ) from error
    return auto


def _of_type(mapping, name):
    if name not in mapping:
        raise ValueError(
            f"ZeroModels has no such type of image classifier; it has {', '.join(mapping)}, and "
            f"repositories are ORGANISATION/NAME. Received: name={'zero:' + name!r}"
        )
    return mapping[name]

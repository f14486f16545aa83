"""Turn any encoder into a plain functional graph that takes RGB pixels from 0 to 255."""

import keras

# Names are all that Keras stores beside a graph of its own layers. These tell how images are
# resized, and that a model is not quite what its name says.
PIXELS = "pixels_"
AS_PUBLISHED = "_as_published"


def pixel_input(image_size: int, interpolation: str = "bilinear") -> keras.KerasTensor:
    """Make the input of a backbone: a batch of square RGB images, floats from 0 to 255.

    Args:
        image_size: height and width in pixels.
        interpolation: how images are resized for the backbone; the input's name keeps it, for a
            saved model has no other place that plain Keras reads past. Defaults to "bilinear".

    Returns:
        A symbolic float32 tensor, (batch, image_size, image_size, 3).

    Example:
        >>> pixel_input(32).shape
        (None, 32, 32, 3)
    """
    return keras.Input(
        (image_size, image_size, 3), dtype="float32", name=f"{PIXELS}{interpolation}"
    )


def takes_pixels(model: keras.Model) -> bool:
    """Tell whether a model takes RGB from 0 to 255 and scales it itself, as all built here do.

    Args:
        model: a model of any origin.

    Returns:
        Whether its input is one of `pixel_input`; of a user's own encoder nothing is known.

    Example:
        >>> takes_pixels(keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()]))
        False
    """
    return any(tensor.name.startswith(PIXELS) for tensor in getattr(model, "inputs", None) or ())


def scale_pixels(
    pixels: keras.KerasTensor, mean: tuple[float, ...], std: tuple[float, ...]
) -> keras.KerasTensor:
    """Standardise pixels per channel, `(pixels - mean) / std`, as a layer of the graph.

    Args:
        pixels: symbolic images, (batch, height, width, 3), from 0 to 255.
        mean: per-channel mean on that scale.
        std: per-channel standard deviation on that scale.

    Returns:
        The scaled images; `pixels` itself where the statistics change nothing.

    Example:
        >>> scale_pixels(pixel_input(32), (127.0,) * 3, (128.0,) * 3).shape
        (None, 32, 32, 3)
    """
    if set(mean) == {0.0} and set(std) == {1.0}:
        return pixels
    # float32 whatever the policy: bfloat16 has 8 bits, too few to tell augmented pixels apart.
    return keras.layers.Rescaling(
        scale=[1.0 / s for s in std],
        offset=[-m / s for m, s in zip(mean, std, strict=True)],
        dtype="float32",
        name="scale_pixels",
    )(pixels)


def plain_model(
    inputs: keras.KerasTensor, outputs: keras.KerasTensor, name: str, momentum: float | None = 0.9
) -> keras.Model:
    """Rebuild a graph from stock layers' configurations, with its weights.

    Args:
        inputs: the graph's symbolic input.
        outputs: its symbolic output.
        name: name of the model.
        momentum: momentum of every BatchNormalization; None leaves them alone.

    Returns:
        A `keras.Model` in which each layer is called once, free of the objects it was made from.

    Example:
        >>> pixels = pixel_input(32)
        >>> plain_model(pixels, keras.layers.Flatten()(pixels), "flat").output_shape
        (None, 3072)
    """
    traced = keras.Model(inputs, outputs, name=name)
    if momentum is not None:
        for layer in traced.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                # Fine-tuning takes a few hundred steps. With the 0.99 of from-scratch training
                # the moving statistics, which evaluation uses, would still be the old task's.
                layer.momentum = momentum
    # A layer traced twice remembers the first graph, so `layer.output` would lead out of this one.
    model = keras.Model.from_config(traced.get_config())
    model.set_weights(traced.get_weights())
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with a copy of its weights, made here
    return model

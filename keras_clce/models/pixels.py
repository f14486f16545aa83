"""Pixels from 0 to 255, as every encoder takes them, and the statistics that weights expect."""

import keras

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]

# Mean and standard deviation, RGB.
UNSCALED: Statistics = ((0.0,) * 3, (1.0,) * 3)
UNIT: Statistics = ((0.0,) * 3, (255.0,) * 3)
SIGNED: Statistics = ((127.5,) * 3, (127.5,) * 3)
IMAGENET: Statistics = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
CLIP: Statistics = (
    (122.7709383, 116.7460125, 104.09373615),
    (68.5005327, 66.6321579, 70.32316305),
)

# A name is all that Keras stores beside an input. It tells how images are resized.
PIXELS = "pixels_"


def pixel_input(image_size: int, interpolation: str = "bilinear") -> keras.KerasTensor:
    """Make the input of a backbone: a batch of square RGB images, floats from 0 to 255.

    Args:
        image_size: Height and width in pixels.
        interpolation: How images are resized for the backbone; the input's name keeps it, for a
            saved model has no other place that plain Keras reads past. Defaults to "bilinear".

    Returns:
        A symbolic float32 tensor, (batch, image_size, image_size, 3).

    Example:
    ```python
    pixel_input(32).shape  # (None, 32, 32, 3)
    ```
    """
    return keras.Input(
        (image_size, image_size, 3), dtype="float32", name=f"{PIXELS}{interpolation}"
    )


def takes_pixels(model: keras.Model) -> bool:
    """Tell whether a model takes RGB from 0 to 255 and scales it itself, as all built here do.

    Args:
        model: A model of any origin.

    Returns:
        Whether its input is one of `pixel_input`; of a user's own encoder nothing is known.

    Example:
    ```python
    takes_pixels(keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()]))  # False
    ```
    """
    return any(tensor.name.startswith(PIXELS) for tensor in getattr(model, "inputs", None) or ())


def scale_pixels(
    pixels: keras.KerasTensor, mean: tuple[float, ...], std: tuple[float, ...]
) -> keras.KerasTensor:
    """Standardise pixels per channel, `(pixels - mean) / std`, as a layer of the graph.

    Args:
        pixels: Symbolic images, (batch, height, width, 3), from 0 to 255.
        mean: Per-channel mean on that scale.
        std: Per-channel standard deviation on that scale.

    Returns:
        The scaled images; `pixels` itself where the statistics change nothing.

    Example:
    ```python
    scale_pixels(pixel_input(32), (127.0,) * 3, (128.0,) * 3).shape  # (None, 32, 32, 3)
    ```
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

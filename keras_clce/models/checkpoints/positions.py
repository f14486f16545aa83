"""Fit learned positions of a Vision Transformer to images of another size."""

import numpy as np

from keras_clce.checks import import_module


def resample_positions(
    positions: np.ndarray, count: int, tokens_before: int = 1, antialias: bool = True
) -> np.ndarray:
    """Fit learned positions to another number of patches, bicubically.

    Args:
        positions: `(1, tokens_before + patches, dim)`, or without the first axis.
        count: Positions wanted, those of tokens before the patches included.
        tokens_before: Tokens that come before the patches, such as the class token. Defaults to 1.
        antialias: Whether patches are averaged where there are fewer of them, as timm does by
            Pillow, whose resize PyTorch's follows; without, it is Hugging Face's resampling, whose
            kernel is another. Defaults to `True`.

    Returns:
        `(1, count, dim)`, float32. Positions that lie on no square stay as they are.

    Example:
    ```python
    resample_positions(np.zeros((1, 197, 768)), 577).shape  # (1, 577, 768)
    ```
    """
    positions = np.asarray(positions, "float32").reshape(1, *positions.shape[-2:])
    patches = positions.shape[1] - tokens_before
    old, new = (round(max(n, 0) ** 0.5) for n in (patches, count - tokens_before))
    if old**2 != patches or positions.shape[1] == count:
        return positions
    grid = positions[0, tokens_before:].reshape(old, old, -1)
    resize = _resize_antialiased if antialias else _resize
    resized = resize(grid, new).reshape(1, new * new, -1)
    return np.concatenate([positions[:, :tokens_before], resized], axis=1)


def _resize_antialiased(grid: np.ndarray, new: int) -> np.ndarray:
    image = import_module("PIL.Image", "Resampling positions", "pillow")
    planes = [
        np.asarray(image.fromarray(plane).resize((new, new), image.Resampling.BICUBIC))
        for plane in np.ascontiguousarray(grid.transpose(2, 0, 1))
    ]
    return np.stack(planes, axis=-1)


def _resize(grid: np.ndarray, new: int) -> np.ndarray:
    """`torch.nn.functional.interpolate(…, mode="bicubic")`, whose kernel nobody else has."""
    old = len(grid)
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    first = np.floor(centres)
    weights = np.zeros((new, old))
    for tap in range(-1, 3):
        distance = np.abs(centres - (first + tap))
        near = 1.25 * distance**3 - 2.25 * distance**2 + 1
        far = -0.75 * (distance**3 - 5 * distance**2 + 8 * distance - 4)
        columns = np.clip(first + tap, 0, old - 1).astype(int)
        np.add.at(weights, (np.arange(new), columns), np.where(distance <= 1, near, far))
    resized = np.einsum("ia,jb,abd->ijd", weights, weights, grid, optimize=True)
    return resized.astype("float32")

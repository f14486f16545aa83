"""Fit learned positions of a Vision Transformer to images of another size."""

import numpy as np

from keras_clce.checks import import_module


def resample_positions(positions: np.ndarray, count: int) -> np.ndarray:
    """Fit learned positions to another number of patches, bicubically and antialiased.

    Args:
        positions: `(1, 1 + patches, dim)`, or without the first axis; the class token's first.
        count: Positions wanted, the class token's included.

    Returns:
        `(1, count, dim)`, float32. What timm does, by Pillow, whose resize PyTorch's follows.
        Positions that lie on no square stay as they are.

    Example:
    ```python
    resample_positions(np.zeros((1, 197, 768)), 577).shape  # (1, 577, 768)
    ```
    """
    positions = np.asarray(positions, "float32").reshape(1, *positions.shape[-2:])
    old, new = (round((n - 1) ** 0.5) for n in (positions.shape[1], count))
    if old**2 + 1 != positions.shape[1] or positions.shape[1] == count:
        return positions
    image = import_module("PIL.Image", "Resampling positions", "pillow")
    grid = positions[0, 1:].reshape(old, old, -1)
    planes = [
        np.asarray(image.fromarray(plane).resize((new, new), image.Resampling.BICUBIC))
        for plane in np.ascontiguousarray(grid.transpose(2, 0, 1))
    ]
    patches = np.stack(planes, axis=-1).reshape(1, new * new, -1)
    return np.concatenate([positions[:, :1], patches], axis=1)

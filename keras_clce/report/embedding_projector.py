"""Files for TensorBoard's embedding projector, written without TensorBoard."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_clce.checks import import_module
from keras_clce.files import printable_text, write_atomically

# Browsers draw sprites of up to so many pixels a side.
_SPRITE_SIDE = 8192


def write_projector(
    folder: Path,
    embeddings: Mapping[str, np.ndarray],
    classes: Sequence[str],
    thumbnails: np.ndarray | None = None,
) -> Path:
    """Write a folder that `tensorboard --logdir` shows in its projector.

    Args:
        folder: The folder; made where it is not there.
        embeddings: Name of each model to its embeddings `(examples, dim)`.
        classes: Name of the class of each example `(examples,)`.
        thumbnails: Small pixels in 0..255 `(examples, side, side, 3)`, drawn in place of points.
            Defaults to `None`, points.

    Returns:
        The path of `projector_config.pbtxt`.

    Raises:
        ValueError: If there are not as many classes or thumbnails as embeddings.

    Reference:
        - [TensorBoard's guide](https://www.tensorflow.org/tensorboard/tensorboard_projector_plugin)

    Example:
    ```python
    write_projector(Path("projector"), {"mine": embeddings}, [str(label) for label in labels])
    # tensorboard --logdir projector
    ```
    """
    counts = {"classes": len(classes)}
    counts |= {"thumbnails": len(thumbnails)} if thumbnails is not None else {}
    for name, rows in embeddings.items():
        for what, count in counts.items():
            if count != len(rows):
                raise ValueError(
                    f"`{what}` must be as many as the {len(rows)} embeddings of {name}. "
                    f"Received: {count}"
                )
    folder.mkdir(parents=True, exist_ok=True)
    # A table of one column has no header.
    lines = "".join(f"{' '.join(printable_text(name).split()) or '-'}\n" for name in classes)
    write_atomically(
        folder / "metadata.tsv", lambda to: to.write_text(lines, encoding="utf-8", newline="\n")
    )
    sprite = ""
    if thumbnails is not None:
        side = _write_sprite(thumbnails, folder / "sprite.png")
        sprite = (
            f'  sprite {{ image_path: "sprite.png" single_image_dim: {side} '
            f"single_image_dim: {side} }}\n"
        )
    entries = []
    for number, (name, rows) in enumerate(embeddings.items()):
        tensor = _write_tensor(rows, folder, f"tensors-{number}")
        entries.append(
            "embeddings {\n"
            # JSON's strings are those of protocol buffers.
            f"  tensor_name: {json.dumps(printable_text(name))}\n"
            f"  tensor_shape: {rows.shape[0]}\n  tensor_shape: {rows.shape[1]}\n"
            f'  tensor_path: "{tensor}"\n  metadata_path: "metadata.tsv"\n{sprite}'
            "}\n"
        )
    config = folder / "projector_config.pbtxt"
    write_atomically(config, lambda to: to.write_text("".join(entries), encoding="utf-8"))
    return config


def _write_tensor(rows, folder, stem):
    content = np.ascontiguousarray(rows, "<f4").tobytes()
    try:
        content.decode()
    except UnicodeDecodeError:
        write_atomically(folder / f"{stem}.bytes", lambda to: to.write_bytes(content))
        return f"{stem}.bytes"
    # TensorBoard takes a file for text where its bytes could be text.
    write_atomically(folder / f"{stem}.tsv", lambda to: np.savetxt(to, rows, "%.8g", "\t"))
    return f"{stem}.tsv"


def _write_sprite(thumbnails, path):
    """Write the images row by row into a square, and give the side of one."""
    images = import_module("PIL.Image", "A sprite of thumbnails", "pillow")
    count, side = len(thumbnails), thumbnails.shape[1]
    columns = math.ceil(math.sqrt(count))
    step = max(1, math.ceil(columns * side / _SPRITE_SIDE))
    thumbnails = thumbnails[:, ::step, ::step]
    side = thumbnails.shape[1]
    square = np.full((columns * columns, side, side, 3), 255, np.uint8)
    square[:count] = np.rint(thumbnails)
    grid = square.reshape(columns, columns, side, side, 3).swapaxes(1, 2)
    picture = images.fromarray(grid.reshape(columns * side, columns * side, 3))
    write_atomically(path, lambda to: picture.save(to, "PNG"))
    return side

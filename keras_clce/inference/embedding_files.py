"""Embeddings of a folder of photographs as one file, written in little memory."""

import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.files import printable_text, write_atomically
from keras_clce.inference.descriptions import maker_of, preprocessing_of
from keras_clce.inference.predictions import Prediction, iterate_predictions
from keras_clce.train import CLCEModel


@dataclasses.dataclass(frozen=True)
class EmbeddedImages:
    """What `embed_images` wrote.

    Args:
        path: The file.
        count: Number of embeddings.
        dim: Their size.
        class_names: Names of the class folders, `None` where there are none.
        unreadable: Predictions of images that cannot be read; `error` has the reason.

    Example:
    ```python
    embed_images(model, "pets", "pets.npz").class_names[:2]  # ("ant", "bee")
    ```
    """

    path: Path
    count: int
    dim: int
    class_names: tuple[str, ...] | None
    unreadable: tuple[Prediction, ...]


def embed_images(
    model: CLCEModel,
    images: Any,
    output: str | Path,
    batch_size: int = 64,
    image_size: int | None = None,
    limit: int | None = None,
    model_path: str | Path | None = None,
    verbose: str | int = "auto",
) -> EmbeddedImages:
    """Write the embeddings of images to a file that `EmbeddingIndex.load` reads.

    Embeddings go to a temporary file as they come, from which NumPy writes the whole one, so that
    memory does not grow with their number; for a while they take twice their place on the disk.

    Args:
        model: A `CLCEModel`.
        images: As in `predict_images`.
        output: The `.npz` file: `embeddings`, float32 unit rows `(images, dim)`; `files`, names
            within `folder`; and where all images lie in two or more class folders, `labels`
            `(images,)` and `class_names`. `about` says which model it was. Then it serves
            `recipes/embeddings.py --embeddings` too.
        batch_size: Images a step. Defaults to 64.
        image_size: As in `predict_images`. Defaults to `None`.
        limit: Most images. Defaults to `None`, all.
        model_path: Where the model is saved, which the file remembers. Defaults to `None`.
        verbose: As in `predict_images`. Defaults to `"auto"`.

    Returns:
        What was written.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an argument is wrong, or no image can be read.

    Example:
    ```python
    embed_images(model, "pets", "pets.npz").count  # 40
    np.load("pets.npz")["files"][0]  # "ant/0.png"
    ```
    """
    output = Path(output)
    if output.suffix != ".npz" or not output.parent.is_dir():
        raise ValueError(
            "`output` must be a .npz file in a folder that is there. Received: "
            f"output={str(output)!r}"
        )
    rows = iterate_predictions(
        model, images, 1, batch_size, True, None, image_size, limit, verbose=verbose
    )
    names, folders, unreadable, dim = [], [], [], 0
    # Beside the output, where there is room for as much again.
    with tempfile.TemporaryFile(dir=output.parent) as numbers:
        for row in rows:
            if row.error is not None or row.embedding is None:
                unreadable.append(row)
                continue
            dim = len(row.embedding)
            numbers.write(row.embedding.astype("<f4").tobytes())
            names.append(row.photograph.name)
            folders.append(row.photograph.folder)
        if not names:
            raise ValueError(
                "`images` must have an image that can be read. Received: "
                f"{len(unreadable)} that cannot, such as {unreadable[0].name} "
                f"({unreadable[0].error})"
            )
        numbers.flush()
        arrays = {"files": np.array(names), "folder": np.array(_folder_of(images))}
        classes = _class_names(folders)
        if classes:
            known: dict[str | None, int] = {folder: number for number, folder in enumerate(classes)}
            arrays["labels"] = np.array([known[folder] for folder in folders], np.int64)
            classes = tuple(map(printable_text, classes))
            arrays["class_names"] = np.array(classes)
        arrays["about"] = np.array(json.dumps(_about(model, image_size, images, model_path)))
        # NumPy writes what is mapped a few megabytes at a time.
        arrays["embeddings"] = np.memmap(numbers, "<f4", "r", shape=(len(names), dim))
        write_atomically(output, lambda to: np.savez(to, **arrays))
    return EmbeddedImages(output, len(names), dim, classes, tuple(unreadable))


def _folder_of(images: Any) -> str:
    """The folder that names of files are within, `""` where they are paths as they stand."""
    is_folder = isinstance(images, (str, Path)) and Path(images).expanduser().is_dir()
    return os.path.abspath(Path(images).expanduser()) if is_folder else ""


def _class_names(folders: list[str | None]) -> tuple[str, ...] | None:
    """The class folders, if all images are in one and there are several."""
    named = [folder for folder in folders if folder is not None]
    if len(named) < len(folders) or len({*named}) < 2:
        return None
    return tuple(sorted({*named}))


def _about(
    model: CLCEModel, image_size: int | None, images: Any, model_path: str | Path | None
) -> dict[str, Any]:
    folder = _folder_of(images)
    name = printable_text(Path(folder).name) if folder else None
    return {
        "source": printable_text(model_path or ""),
        # The names that a study of embeddings reads.
        "dataset": name,
        "split": None,
        "data": f"photographs of the folder {name}" if name else "photographs",
        "model": maker_of(model, model_path, preprocessing_of(model, image_size).image_size),
    }

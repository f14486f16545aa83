"""Models that give an embedding: loaded, checked, and shown a split."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

# So that Keras knows the layers of saved models.
import keras_clce.train  # noqa: F401
from keras_clce.checks import as_array
from keras_clce.data import ImageSplit
from keras_clce.models.checkpoints.tensors import check_archive, in_one_line
from keras_clce.views import Preprocessing

_TERMS = "a model from images to an embedding: an output (batch, dim), or a dict with 'embedding'"


def load_embedding_model(path: str | Path) -> keras.Model:
    """Load a `CLCEModel`, or any saved Keras model of known layers.

    Args:
        path: A `.keras` file.

    Returns:
        The model, not compiled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or holds layers of which no class is known.

    Example:
    ```python
    load_embedding_model("encoder.keras").output_shape  # (None, 8)
    ```
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"`models` must be paths of saved models. Received: {str(path)!r}, which is no file"
        )
    try:
        check_archive(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras, HDF5, archives and JSON raise many kinds on damaged files
        raise ValueError(
            f"`models` must be whole .keras files of known layers ({in_one_line(error)}). "
            f"Received: {str(path)!r}"
        ) from error


def shown_images(name: str, model: keras.Model, image_size: int | None) -> Preprocessing | int:
    """How a model is shown images, after a look at what it takes and gives.

    Args:
        name: Its name, for messages.
        model: The model.
        image_size: Side of the images of a model that takes any; `None` of all others.

    Returns:
        Its own preprocessing where it knows it, else the side of its images.

    Raises:
        ValueError: If it takes no images or gives no embedding, or their size is not known.

    Example:
    ```python
    shown_images("mine", encoder, image_size=None)  # 32
    ```
    """
    inputs = getattr(getattr(model, "backbone", model), "input_shape", None)
    if not isinstance(inputs, tuple) or len(inputs) != 4 or inputs[-1] != 3:
        raise ValueError(
            f"`models` must take RGB images (batch, height, width, 3). Received: {name}, which "
            f"takes {inputs}"
        )
    preprocessing = getattr(model, "preprocessing", None)
    size = preprocessing.image_size if preprocessing else inputs[1] or image_size
    if size is None:
        raise ValueError(
            f"`image_size` must be given for {name}, which takes images of any size. "
            "Received: image_size=None"
        )
    if {*inputs[1:3]} - {None, size}:
        raise ValueError(
            f"`models` must take square images. Received: {name}, which takes {inputs}"
        )
    given = model.compute_output_spec(keras.KerasTensor((None, size, size, 3)))
    _embedding(name, given)
    return preprocessing or size


def embed(
    name: str,
    model: keras.Model,
    split: ImageSplit,
    chosen: np.ndarray | None = None,
    batch_size: int = 64,
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and labels of a split's images.

    Args:
        name: Name of the model, for messages.
        model: The model.
        split: The split.
        chosen: Sorted numbers of the images to show. Defaults to `None`, all.
        batch_size: Images a step. Defaults to 64.

    Returns:
        Embeddings `(examples, dim)` and integer labels `(examples,)`.

    Raises:
        ValueError: If the model gives probabilities, numbers that are not finite or zero rows.

    Example:
    ```python
    digits = load_dataset("digits", image_size=32)
    embed("mine", encoder, digits.validation)[0].shape  # (269, 8)
    ```
    """
    total = split.num_examples if chosen is None else len(chosen)
    bar = keras.utils.Progbar(total, unit_name="image", verbose=int(sys.stdout.isatty()))
    rows: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for images, of_images in image_batches(split, chosen, batch_size):
        outputs = model.predict_on_batch(images)
        embedding = as_array(_embedding(name, outputs))
        embedding = embedding.mean(axis=(1, 2)) if embedding.ndim == 4 else embedding
        if not rows:
            _refuse_probabilities(name, embedding)
        if not np.isfinite(embedding).all() or not embedding.any(axis=1).all():
            raise ValueError(
                "`models` must give finite embeddings other than zero. Received: "
                f"{name}, after {sum(map(len, rows))} images"
            )
        rows.append(embedding.astype("float32"))
        labels.append(of_images)
        bar.update(sum(map(len, labels)))
    return np.concatenate(rows), np.concatenate(labels)


def image_batches(
    split: ImageSplit, chosen: np.ndarray | None, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of the chosen images of a split, all of one size but the last.

    Args:
        split: The split.
        chosen: Sorted numbers of images; `None` takes all.
        batch_size: Images a batch.

    Yields:
        Images in float32 and their labels.

    Example:
    ```python
    split = ImageSplit(np.zeros((5, 10, 10, 3), np.uint8), np.arange(5), image_size=8)
    [labels.tolist() for _, labels in image_batches(split, np.array([0, 2, 3]), 2)]  # [[0, 2], [3]]
    ```
    """
    begin = 0
    waiting: list[Any] = [(), ()]
    for batch in split.batches(batch_size):
        batch = [np.asarray(part) for part in batch]
        if chosen is not None:
            of_batch = chosen[(chosen >= begin) & (chosen < begin + len(batch[1]))] - begin
            begin += len(batch[1])
            batch = [part[of_batch] for part in batch]
        # Batches of one size are compiled for once.
        waiting = [
            np.concatenate([kept, part]) if len(kept) else part
            for kept, part in zip(waiting, batch, strict=True)
        ]
        if len(waiting[1]) >= batch_size:
            yield waiting[0][:batch_size], waiting[1][:batch_size]
            waiting = [part[batch_size:] for part in waiting]
    if len(waiting[1]):
        yield waiting[0], waiting[1]


def _embedding(name, outputs):
    if isinstance(outputs, dict):
        if "embedding" not in outputs:
            raise ValueError(
                f"`models` must be {_TERMS}. Received: {name}, which gives {sorted(outputs)}"
            )
        outputs = outputs["embedding"]
    shape = getattr(outputs, "shape", None)
    if shape is None or len(shape) not in (2, 4):
        given = type(outputs).__name__ if shape is None else f"an output of shape {tuple(shape)}"
        raise ValueError(f"`models` must be {_TERMS}. Received: {name}, which gives {given}")
    return outputs


def _refuse_probabilities(name: str, rows: Any) -> None:
    if rows.shape[1] > 1 and (rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, atol=1e-3):
        raise ValueError(f"`models` must be {_TERMS}. Received: {name}, which gives probabilities")

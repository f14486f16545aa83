"""Views of photographs, decoded by threads ahead of the model."""

import collections
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_clce.checks import as_array
from keras_clce.data.decoding import UnreadableImage
from keras_clce.inference.photographs import Photograph
from keras_clce.train import CLCEModel
from keras_clce.views import Preprocessing

# More do not decode faster, and each may hold a large photograph.
_MOST_THREADS = 8

View: TypeAlias = np.ndarray | UnreadableImage


def batches_of_views(
    photographs: Iterable[Photograph], preprocessing: Preprocessing, batch_size: int
) -> Iterator[list[tuple[Photograph, View]]]:
    """Decode photographs in threads and give them in batches, in order.

    While a batch is used the next one is decoded, and no more than that: memory does not grow with
    the number of photographs.

    Args:
        photographs: The photographs.
        preprocessing: What makes a view of each.
        batch_size: Readable photographs a batch.

    Yields:
        Pairs of a photograph and its uint8 view `(image_size, image_size, 3)`, or the reason why it
        cannot be read. All batches but the last have `batch_size` views.

    Example:
    ```python
    photographs = find_photographs("pets", limit=5)
    [len(batch) for batch in batches_of_views(photographs, Preprocessing(32), 2)]  # [2, 2, 1]
    ```
    """
    threads = min(_MOST_THREADS, (os.cpu_count() or 1) + 1)
    waiting = iter(photographs)
    pool = futures.ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        ahead = collections.deque(
            (photograph, pool.submit(_view, photograph, preprocessing))
            for photograph in itertools.islice(waiting, batch_size + threads)
        )
        batch, views = [], 0
        while ahead:
            photograph, result = ahead.popleft()
            view = result.result()
            for another in itertools.islice(waiting, 1):
                ahead.append((another, pool.submit(_view, another, preprocessing)))
            batch.append((photograph, view))
            views += isinstance(view, np.ndarray)
            # A long row of files that are no images shall not wait for one that is.
            if views == batch_size or len(batch) == 16 * batch_size:
                yield batch
                batch, views = [], 0
        if batch:
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def predict_views(
    model: CLCEModel, views: Sequence[np.ndarray], size: int
) -> dict[str, np.ndarray]:
    """Predict views as one batch of a size that has been compiled for.

    Args:
        model: The model.
        views: Views `(image_size, image_size, 3)`, at least one.
        size: What the batch is filled up to; fewer views than there are fill nothing.

    Returns:
        The model's outputs, a row for each view.

    Example:
    ```python
    predict_views(model, list(images[:3]), size=4)["probabilities"].shape  # (3, 10)
    ```
    """
    count = len(views)
    filled = [*views, *[views[-1]] * (size - count)]
    outputs = model.predict_on_batch(np.stack(filled).astype("float32"))
    return {name: as_array(values)[:count] for name, values in outputs.items()}


def progress_bar(total: int, verbose: str | int | bool = "auto") -> keras.utils.Progbar:
    """A bar over images.

    Args:
        total: Their number.
        verbose: `"auto"` shows it in a terminal, `True` everywhere, `False` nowhere. Defaults to
            `"auto"`.

    Returns:
        Keras's bar.

    Example:
    ```python
    progress_bar(40, verbose=0).update(40)
    ```
    """
    shown = sys.stdout.isatty() if verbose == "auto" else bool(verbose)
    return keras.utils.Progbar(total, unit_name="image", verbose=int(shown))


def read_pixels(photograph: Photograph, use: Callable[[np.ndarray], Any]) -> Any:
    """Decode a photograph and make something of it.

    Args:
        photograph: The photograph.
        use: Function of its uint8 pixels `(height, width, 3)`.

    Returns:
        What the function gives, or the reason why the photograph cannot be read.

    Example:
    ```python
    read_pixels(find_photographs("pets")[0], np.shape)  # (32, 32, 3)
    ```
    """
    try:
        return use(photograph.pixels())
    except UnreadableImage as error:
        return error
    except MemoryError:
        return UnreadableImage("too large for the memory")


def _view(photograph: Photograph, preprocessing: Preprocessing) -> View:
    # Whole numbers in 0..255, which need a fourth of the memory as such.
    return read_pixels(photograph, lambda pixels: preprocessing(pixels).astype(np.uint8))

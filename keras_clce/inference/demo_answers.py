"""What the demo says of one photograph that somebody gives it."""

import base64
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.checks import check_at_least
from keras_clce.data.decoding import UnreadableImage
from keras_clce.data.installed import pillow
from keras_clce.files import printable_text
from keras_clce.inference.descriptions import preprocessing_of
from keras_clce.inference.embedding_index import EmbeddingIndex
from keras_clce.inference.enrolled import Enrolled
from keras_clce.inference.photographs import Photograph
from keras_clce.inference.predictions import predict_images
from keras_clce.train import CLCEModel

MOST_PIXELS = 20_000_000
# Of all that Pillow opens, what cameras and browsers write: some others start programs, or have no
# bound of the work that a small file asks for.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_THUMBNAIL = 160


class RefusedPhotograph(ValueError):
    """A photograph that is not looked at; the message says why, to whoever gave it.

    Example:
    ```python
    str(RefusedPhotograph("This is no image."))  # "This is no image."
    ```
    """


@dataclasses.dataclass(frozen=True)
class SimilarPhotograph:
    """A photograph of an index, as the page shows it.

    Args:
        class_name: Its class, `None` where it is not known.
        cosine: The cosine of its embedding and that of the photograph that was given.
        picture: A small picture as a `data:` address, `None` where the file cannot be read.

    Example:
    ```python
    SimilarPhotograph("tulip", 0.98).picture  # None
    ```
    """

    class_name: str | None
    cosine: float
    picture: str | None = None


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is said of a photograph.

    Args:
        class_names: The most probable classes, the first one first.
        probabilities: Their probabilities, of enrolled classes their scores.
        is_sure: Whether the first one reaches the threshold.
        similar: The most similar photographs of the index, the most similar first.
        score: What the numbers are: `"probability"`, or of enrolled classes `"cosine"`. Defaults
            to `"probability"`.
        labels: Of a model of several labels an image, all that reach the threshold. Defaults to
            `None`.

    Example:
    ```python
    Answer(("tulip", "rose"), (0.9, 0.1), True).class_names[0]  # "tulip"
    ```
    """

    class_names: tuple[str, ...]
    probabilities: tuple[float, ...]
    is_sure: bool
    similar: tuple[SimilarPhotograph, ...] = ()
    score: str = "probability"
    labels: tuple[str, ...] | None = None


class PhotographAnswers:
    """Answers about photographs that anybody gives.

    Args:
        model: The model.
        index: Embeddings of known photographs by the same model, whose files are shown where they
            still are. Defaults to `None`, without them.
        threshold: Probability that the first class must have. Defaults to 0.5.
        top_k: Classes of an answer. Defaults to 5.
        k: Similar photographs of an answer. Defaults to 8.
        class_names: Names of the classes. Defaults to `None`, the model's own.
        image_size: Pixels per side, for a model that takes any. Defaults to `None`.
        enrolled: Classes of `enroll` in place of the model's own, with their threshold. Defaults to
            `None`.

    Raises:
        ValueError: If an argument is wrong, or the index or the classes are another model's.

    Example:
    ```python
    answers = PhotographAnswers(model, threshold=0.2)
    keras.utils.save_img("1.png", np.zeros((40, 60, 3)))
    len(answers("1.png").class_names)  # 5
    ```
    """

    def __init__(
        self,
        model: CLCEModel,
        index: EmbeddingIndex | None = None,
        threshold: float = 0.5,
        top_k: int = 5,
        k: int = 8,
        class_names: Sequence[str] | None = None,
        image_size: int | None = None,
        enrolled: Enrolled | None = None,
    ) -> None:
        self.preprocessing = preprocessing_of(model, image_size)
        if isinstance(threshold, bool) or not (
            isinstance(threshold, (int, float)) and 0 <= threshold <= 1
        ):
            raise ValueError(
                f"`threshold` must be a number from 0 to 1. Received: threshold={threshold!r}"
            )
        check_at_least("top_k", top_k, 1)
        check_at_least("k", k, 1)
        if index is not None:
            index.check_model(model, "this one")
        self.model, self.index = model, index
        self.top_k, self.k = top_k, k
        self.enrolled = enrolled
        self._threshold = threshold
        self.threshold = threshold if enrolled is None else enrolled.threshold
        self.class_names, self.image_size = class_names, image_size
        # Compiles, so that the first photograph does not wait; and tells of names that do not fit.
        self._predict(np.full((8, 8, 3), 128, np.uint8))

    def __call__(self, path: str | Path) -> Answer:
        """Look at a photograph.

        Args:
            path: Its file.

        Returns:
            The answer.

        Raises:
            RefusedPhotograph: If the file is no image, or is too large.
        """
        row = self._predict(open_photograph(path))
        similar = self._similar(row.embedding)
        if self.enrolled is None:
            is_sure = row.probability >= self.threshold
            return Answer(row.class_names, row.probabilities, is_sure, similar, labels=row.labels)
        score = self.enrolled.score_name
        return Answer(row.class_names, row.scores, not row.is_rejected, similar, score)

    def _predict(self, image: Any) -> Any:
        found = predict_images(
            self.model,
            [image],
            self.top_k,
            batch_size=1,
            embeddings=True,
            class_names=self.class_names,
            image_size=self.image_size,
            verbose=0,
            enrolled=self.enrolled,
            threshold=self._threshold,
        )
        if not found:
            reason = found.unreadable[0].error
            raise RefusedPhotograph(f"This image cannot be read: {reason}.")
        return found[0]

    def _similar(self, embedding: np.ndarray) -> tuple[SimilarPhotograph, ...]:
        if self.index is None:
            return ()
        found = self.index.search(embedding[None], self.k, exact=True)
        pairs = zip(found.rows[0].tolist(), found.cosines[0].tolist(), strict=True)
        return tuple(
            SimilarPhotograph(
                self.index.class_of(row), cosine, _picture_of(self.index.path_of(row))
            )
            for row, cosine in pairs
        )


def open_photograph(path: str | Path) -> Any:
    """Open an image of anybody's, and refuse what may take long before it is decoded.

    Args:
        path: A file.

    Returns:
        A PIL image that is not decoded yet.

    Raises:
        RefusedPhotograph: If the file is no image of `FORMATS`, is damaged or has more than
            20 million pixels; the message does not name the file.

    Example:
    ```python
    keras.utils.save_img("1.png", np.zeros((40, 60, 3)))
    open_photograph("1.png").size  # (60, 40)
    ```
    """
    Image = pillow()
    Image.init()
    try:
        image = Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN])
    except Image.DecompressionBombError:
        raise RefusedPhotograph(_too_large("")) from None
    except Exception:  # Pillow raises many kinds of errors on what is no image
        raise RefusedPhotograph(
            "This is no image that can be read. Give a photograph as JPEG, PNG, WebP, GIF, BMP, "
            "TIFF or AVIF."
        ) from None
    width, height = image.size
    if width * height > MOST_PIXELS:
        image.close()
        raise RefusedPhotograph(_too_large(f" It has {width} x {height} pixels."))
    return image


def _too_large(size: str) -> str:
    most = MOST_PIXELS // 1_000_000
    return f"This image is too large: at most {most} megapixels are taken.{size}"


def _picture_of(path: Path) -> str | None:
    try:
        pixels = Photograph(printable_text(path.name), path).thumbnail(_THUMBNAIL)
    except (UnreadableImage, OSError):
        return None
    if pixels is None:
        return None
    data = io.BytesIO()
    pillow().fromarray(pixels).save(data, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"

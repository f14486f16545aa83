"""A search of embeddings: exact, or of very many approximate."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_clce.checks import as_array, check_at_least, number_array
from keras_clce.evaluate import nearest_neighbors
from keras_clce.evaluate.embedding_geometry import unit_rows
from keras_clce.inference.descriptions import check_maker
from keras_clce.inference.inverted_lists import InvertedLists
from keras_clce.inference.photographs import Photograph
from keras_clce.train import CLCEModel

# Beyond so many rows, for so many queries, an approximate search with what it takes to prepare it
# is faster than an exact one.
APPROXIMATE_ROWS, APPROXIMATE_QUERIES = 100_000, 2_000
# Of so many queries this share of the true neighbours is found, or all lists are searched.
_SAMPLE, _RECALL, _FEWEST_LISTS = 100, 0.95, 8


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbors:
    """The nearest neighbours of some queries.

    Args:
        rows: Their numbers in the index `(queries, k)`, the nearest first; -1 for none, which only
            an approximate search gives.
        cosines: Their cosines `(queries, k)`.
        recall: Of an approximate search, the share of the true neighbours that it found for
            `recall_queries` queries; `None` of an exact one.
        recall_queries: How many queries the recall was measured on, 0 of an exact search.

    Example:
    ```python
    EmbeddingIndex(embeddings).search(embeddings[:2], k=3).rows.shape  # (2, 3)
    ```
    """

    rows: np.ndarray
    cosines: np.ndarray
    recall: float | None = None
    recall_queries: int = 0


class EmbeddingIndex:
    """Embeddings of known images, to find those most similar to others.

    Args:
        embeddings: Array `(examples, dim)` without zero rows. Unit rows in float32 are taken as
            they are.
        files: Names of the images. Defaults to `None`: their numbers.
        labels: Integer classes `(examples,)`. Defaults to `None`: not known.
        class_names: Names of the classes. Defaults to `None`: their numbers.
        folder: Folder that the files are in. Defaults to `""`.
        model: Where the model is saved (`"path"`), its `"fingerprint"` and its `"image_size"`.
            Defaults to `None`: not known.

    Raises:
        ValueError: If the arrays do not fit one another.

    Example:
    ```python
    index = EmbeddingIndex(embeddings, labels=labels)
    index.search(embeddings[:1], k=3).cosines[0, 0]  # 1.0
    ```
    """

    def __init__(
        self,
        embeddings: Any,
        files: Any = None,
        labels: Any = None,
        class_names: Any = None,
        folder: str | Path = "",
        model: dict[str, Any] | None = None,
    ) -> None:
        embeddings = number_array("embeddings", embeddings, ndim=2)
        self.embeddings = float32_units(embeddings)
        count = len(embeddings)
        self.files = [str(number) for number in range(count)] if files is None else [*files]
        self.labels = None if labels is None else as_array(labels)
        for name, values in (("files", self.files), ("labels", self.labels)):
            if values is not None and len(values) != count:
                raise ValueError(
                    f"`{name}` must have one entry for each of {count} embeddings. Received: "
                    f"{len(values)}"
                )
        if self.labels is not None and (
            self.labels.dtype.kind not in "iu" or self.labels.min() < 0
        ):
            raise ValueError(
                "`labels` must be integers from 0. Received: "
                f"{self.labels.dtype}, such as {self.labels[:3].tolist()}"
            )
        if class_names is None and self.labels is not None:
            class_names = range(int(self.labels.max()) + 1)
        self.class_names = None if class_names is None else tuple(map(str, class_names))
        named = len(self.class_names or ())
        if self.labels is not None and named <= self.labels.max():
            raise ValueError(
                f"`class_names` must have a name for each class up to {self.labels.max()}. "
                f"Received: {named}"
            )
        self.folder, self.model = Path(folder), model or {}
        self._lists: InvertedLists | None = None

    @classmethod
    def load(cls, path: str | Path) -> "EmbeddingIndex":
        """Load the embeddings of a file.

        Args:
            path: A `.npz` file, as `embed_images` writes it; `embeddings` alone are enough.

        Returns:
            An index.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is damaged, or its arrays do not fit one another.

        Example:
        ```python
        embed_images(model, "pets", "pets.npz")
        EmbeddingIndex.load("pets.npz").files[0]  # "ant/0.png"
        ```
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(
                f"`index` must be a file of embeddings. Received: {str(path)!r}, which is no file"
            )
        try:
            with np.load(path) as file:
                arrays = {key: file[key] for key in file.files}
            about = json.loads(str(arrays.get("about", "{}")))
        except Exception as error:  # NumPy, archives and JSON raise many kinds of errors
            raise ValueError(
                f"`index` must be a whole .npz file of numbers ({' '.join(str(error).split())}). "
                f"Received: {str(path)!r}"
            ) from error
        if "embeddings" not in arrays:
            raise ValueError(
                "`index` must hold the array embeddings, as recipes/embed.py writes it. Received: "
                f"{str(path)!r} with {', '.join(arrays) or 'none'}"
            )
        files = arrays.get("files")
        try:
            return cls(
                arrays["embeddings"],
                None if files is None else map(str, files),
                arrays.get("labels"),
                arrays.get("class_names"),
                str(arrays.get("folder", "")),
                about.get("model") if isinstance(about, dict) else None,
            )
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def __len__(self) -> int:
        return len(self.embeddings)

    def class_of(self, row: int) -> str | None:
        """Name of the class of a row, where it is known."""
        if self.labels is None or self.class_names is None:
            return None
        return self.class_names[self.labels[row]]

    def path_of(self, row: int) -> Path:
        """Path of the image of a row."""
        return self.folder / self.files[row]

    def others(
        self, photograph: Photograph, rows: Any, cosines: Any
    ) -> tuple[tuple[int, float], ...]:
        """Neighbours of a photograph that are not the photograph itself.

        Args:
            photograph: The query.
            rows: Their rows `(k,)`, as `search` gives them.
            cosines: Their cosines `(k,)`.

        Returns:
            Pairs of a row and a cosine, in the same order.

        Example:
        ```python
        embed_images(model, "pets", "pets.npz")
        index, query = EmbeddingIndex.load("pets.npz"), find_photographs("pets")[3]
        index.others(query, [3, 8], [1.0, 0.9])  # ((8, 0.9),)
        ```
        """
        # Of no neighbour, which an approximate search may give, the row is -1.
        known = [(int(row), float(cos)) for row, cos in zip(rows, cosines, strict=True) if row >= 0]
        if not isinstance(photograph.source, (str, Path)):
            return tuple(known)
        own = os.path.realpath(photograph.source)
        return tuple(pair for pair in known if os.path.realpath(self.path_of(pair[0])) != own)

    def check_model(self, model: CLCEModel, name: str | Path) -> None:
        """Refuse a model that did not make these embeddings.

        Args:
            model: The model that embeds queries.
            name: What it is called.

        Raises:
            ValueError: If it has other weights or another preprocessing. Where the index does not
                know its model nothing is refused.

        Example:
        ```python
        embed_images(model, "pets", "pets.npz")
        EmbeddingIndex.load("pets.npz").check_model(model, "mine")
        ```
        """
        check_maker(self.model, model, "that made the index", name)

    def search(self, embeddings: Any, k: int = 10, exact: bool | None = None) -> Neighbors:
        """Find the most similar images.

        Args:
            embeddings: Queries `(queries, dim)` of the same model.
            k: Neighbours a query. Defaults to 10.
            exact: Whether all rows are compared, in blocks that take a few megabytes. If not, Faiss
                compares so many of those that are near that at least 95 % of the true neighbours of
                100 of the queries are found; it takes as much memory again as the embeddings.
                Defaults to `None`: not above 100,000 rows from 2,000 queries on.

        Returns:
            `Neighbors`.

        Raises:
            ValueError: If an argument is wrong.
            ImportError: If an approximate search is asked for without Faiss.

        Example:
        ```python
        found = EmbeddingIndex(np.eye(3)).search([[0.6, 0.8, 0.0]], k=2)
        found.rows  # [[1, 0]]
        found.cosines  # [[0.8, 0.6]]
        ```
        """
        check_at_least("k", k, 1)
        queries = float32_units(number_array("embeddings", embeddings, ndim=2))
        if queries.shape[1] != self.embeddings.shape[1]:
            raise ValueError(
                f"`embeddings` must have {self.embeddings.shape[1]} dimensions, as the index. "
                f"Received: {queries.shape[1]}"
            )
        k = min(k, len(self))
        if exact is None:
            exact = len(self) <= APPROXIMATE_ROWS or len(queries) < APPROXIMATE_QUERIES
        if exact:
            return Neighbors(*nearest_neighbors(queries, self.embeddings, k))
        inverted = self._lists = self._lists or InvertedLists(self.embeddings)
        some = queries[np.random.default_rng(0).permutation(len(queries))[:_SAMPLE]]
        true, _ = nearest_neighbors(some, self.embeddings, k)
        lists, recall = 0, 0.0
        while recall < _RECALL and lists < inverted.lists:
            lists = min(max(2 * lists, _FEWEST_LISTS), inverted.lists)
            recall = _recall(inverted.search(some, k, lists)[0], true)
        return Neighbors(*inverted.search(queries, k, lists), recall, len(some))


def float32_units(embeddings: np.ndarray) -> np.ndarray:
    """Unit rows in float32, without a copy of what is so already.

    Args:
        embeddings: Array `(examples, dim)` without zero rows.

    Returns:
        Array `(examples, dim)`.

    Example:
    ```python
    float32_units(np.array([[3.0, 4.0]]))  # [[0.6, 0.8]]
    ```
    """
    if embeddings.dtype == np.float32:
        lengths = np.einsum("ij,ij->i", embeddings, embeddings)
        if np.allclose(lengths, 1, atol=1e-5):
            return embeddings
    return unit_rows(embeddings).astype("float32", copy=False)


def _recall(found: np.ndarray, true: np.ndarray) -> float:
    """Share of true neighbours that were found."""
    hits = [len({*own} & {*theirs}) for own, theirs in zip(found, true, strict=True)]
    return float(np.sum(hits) / true.size)
